//! One monitored master with its replicas: what is recorded of them, and how votes change it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::ballot::{Ballot, DownEvidence, Evidence};
use super::cause::AbortReason;
use super::decision::Decision;
use super::event::Event;
use super::failover::{Failover, Phase, Stamp};
use super::fence::ArmedFence;
use super::outcome::{Outcome, Refusal};
use super::replica::ReplicaRecord;
use super::shadow::{ControlMode, Incident};
use crate::base::places::is_same;
use crate::base::settings::SettingChange;
use crate::base::{Addr, Epoch, GroupName, GroupSettings, LogIndex, NodeId, ReplId, RunId, StoredSecret, StoredWebhook, limits};

/// Which process runs on a data node, and which data it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The process.
    pub run_id: RunId,
    /// Its replication history.
    pub replid: ReplId,
    /// The history that it continued, if any.
    #[serde(default)]
    pub replid2: Option<ReplId>,
    /// Up to which offset `replid2` is the same data.
    #[serde(default)]
    pub second_offset: Option<u64>,
}

/// The master of the current epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasterRecord {
    /// Where it listens.
    pub addr: Addr,
    /// What was last seen of it; none until it was seen.
    pub identity: Option<Identity>,
    /// The history it had before it came back with an unrelated one (it lost its data, say).
    ///
    /// Replicas that have not copied the new history yet still hold the former one.
    #[serde(default)]
    pub former_history: Option<ReplId>,
    /// The history that it went on from under its present name, as the same master: it was made a replica for a moment, or restarted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<ReplId>,
    /// What its predecessor was last seen to be: the history that it was chosen to go on with.
    #[serde(default)]
    pub inherits: Option<Identity>,
    /// The entry that made it the master.
    pub since: Stamp,
}

/// One monitored master with its replicas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its name.
    pub name: GroupName,
    /// The entry that began it; 0 in what releases recorded that did not keep it. A data node that two groups name belongs to the older one.
    #[serde(default, skip_serializing_if = "LogIndex::is_zero")]
    pub created: LogIndex,
    /// The epoch of its current master.
    pub epoch: Epoch,
    /// Its current master.
    pub master: MasterRecord,
    /// The address last announced to clients by a `SwitchMaster` event.
    pub announced: Addr,
    /// Its settings.
    pub settings: GroupSettings,
    /// Its replicas, up or down.
    pub replicas: BTreeMap<Addr, ReplicaRecord>,
    /// What keeps the master from writing alone; none if it was never armed.
    #[serde(default)]
    pub fence: Option<ArmedFence>,
    /// Who sees the master down.
    pub ballot: Ballot,
    /// The failover in progress.
    pub failover: Option<Failover>,
    /// The failovers so far, oldest first, the running one included; bounded.
    pub history: Vec<Decision>,
    /// The last entry that set a secret.
    #[serde(default, skip_serializing_if = "LogIndex::is_zero")]
    pub secrets_set: LogIndex,
    /// Whether what is decided is carried out.
    #[serde(default, skip_serializing_if = "ControlMode::is_default")]
    pub duty: ControlMode,
    /// What would have been done in shadow, beside what stock Sentinel did, oldest first; bounded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub incidents: Vec<Incident>,
}

/// What applying an entry to a group returns.
pub(super) type Applied = (Outcome, Vec<Event>);

impl Group {
    /// A group that nothing is known of yet but where its master listens.
    pub(super) fn new(name: GroupName, epoch: Epoch, master: Addr, settings: GroupSettings, replicas: &[Addr], since: Stamp) -> Self {
        let known = replicas.iter().filter(|addr| **addr != master).take(limits::REPLICAS_PER_GROUP);
        Self {
            name,
            created: since.index,
            epoch,
            replicas: known.map(|addr| (addr.clone(), ReplicaRecord::counted(None))).collect(),
            announced: master.clone(),
            master: MasterRecord { addr: master, identity: None, former_history: None, earlier: None, inherits: None, since },
            settings,
            fence: None,
            ballot: Ballot::default(),
            failover: None,
            history: Vec::new(),
            secrets_set: LogIndex::default(),
            duty: ControlMode::Acts,
            incidents: Vec::new(),
        }
    }

    /// Every data node: the master first, then the replicas.
    pub fn data_nodes(&self) -> impl Iterator<Item = &Addr> {
        std::iter::once(&self.master.addr).chain(self.replicas.keys())
    }

    /// Whether this group has what both name, since it was there first.
    pub fn precedes(&self, other: &Self) -> bool {
        (self.created, &self.name) < (other.created, &other.name)
    }

    /// Whether a server is one of its data nodes: by its address, or by the process that was seen there.
    pub fn has_server(&self, addr: &Addr, process: Option<&RunId>) -> bool {
        let is = |known: &Addr, identity: Option<&Identity>| {
            is_same(known, addr) || (process.is_some() && identity.map(|identity| &identity.run_id) == process)
        };
        is(&self.master.addr, self.master.identity.as_ref())
            || self.replicas.iter().any(|(known, record)| is(known, record.identity.as_ref()))
    }

    /// The process that was last seen at a data node.
    pub fn process_at(&self, addr: &Addr) -> Option<&RunId> {
        let identity = match self.replicas.get(addr) {
            Some(record) => record.identity.as_ref(),
            None => self.master.identity.as_ref().filter(|_| *addr == self.master.addr),
        };
        identity.map(|identity| &identity.run_id)
    }

    /// Whether the decision for the current master was never seen carried out.
    ///
    /// Clients were then not told of it: they still know the one that was last announced.
    pub fn promotion_unconfirmed(&self) -> bool {
        self.master.identity.is_none() && self.announced != self.master.addr
    }

    /// Whether the master is objectively down.
    pub fn objectively_down(&self) -> bool {
        self.ballot.tally(self.settings.quorum).agreed()
    }

    /// Refuses what is about another epoch.
    pub(super) const fn check_epoch(&self, about: Epoch) -> Result<(), Refusal> {
        if about.0 == self.epoch.0 { Ok(()) } else { Err(Refusal::StaleEpoch { about, current: self.epoch }) }
    }

    pub(super) fn note_master(&mut self, epoch: Epoch, identity: &Identity) -> Result<Applied, Refusal> {
        self.check_epoch(epoch)?;
        if self.master.identity.as_ref() == Some(identity) {
            return Ok((Outcome::Unchanged, vec![]));
        }
        let restarted = self.master.identity.as_ref().is_some_and(|known| known.run_id != identity.run_id);
        let before = self.master.identity.replace(identity.clone());
        if let Some(before) = before.filter(|before| before.replid != identity.replid) {
            let continued = identity.replid2.as_ref() == Some(&before.replid);
            self.master.earlier = continued.then(|| before.replid.clone());
            self.master.former_history = (!continued).then_some(before.replid);
        }
        let master = self.master.addr.clone();
        let mut events: Vec<Event> = restarted.then(|| Event::Restarted { node: master.clone(), master }).into_iter().collect();
        // Chosen by a failover that was superseded before anybody saw it promoted: its announcement is still owed.
        self.announce_master(&mut events);
        Ok((Outcome::Done, events))
    }

    /// Tells clients where the master is now, unless they know. To be called once it has been seen to be one.
    pub(super) fn announce_master(&mut self, events: &mut Vec<Event>) {
        let to = self.master.addr.clone();
        if self.announced != to {
            let from = std::mem::replace(&mut self.announced, to.clone());
            events.push(Event::SwitchMaster { epoch: self.epoch, from, to });
        }
    }

    /// Makes all the changes or none.
    pub(super) fn set_options(&mut self, changes: &[SettingChange], stamp: Stamp) -> Result<Applied, Refusal> {
        let mut settings = self.settings.clone();
        for change in changes {
            settings.change(change)?;
        }
        let was_down = self.objectively_down();
        let master = self.master.addr.clone();
        let mut events: Vec<Event> = changes
            .iter()
            .map(|change| Event::OptionSet { master: master.clone(), option: change.option(), value: change.shown_value() })
            .collect();
        let outcome = if settings == self.settings { Outcome::Unchanged } else { Outcome::Done };
        if changes.iter().any(|change| matches!(change, SettingChange::AuthPass(_) | SettingChange::NotificationWebhook(_))) {
            self.secrets_set = stamp.index;
        }
        self.settings = settings;
        self.weigh_votes(was_down, stamp, &mut events);
        self.adapt_failover();
        Ok((outcome, events))
    }

    /// Takes secrets that were sealed anew by a sentinel that had seen the entry `seen`. A secret that was set since is another one.
    pub(super) fn take_sealed(&mut self, seen: LogIndex, sealed: (Option<&StoredSecret>, Option<&StoredWebhook>)) -> Outcome {
        // The group itself may be another one of that name.
        if self.secrets_set.max(self.master.since.index) > seen {
            return Outcome::Unchanged;
        }
        let before = self.settings.clone();
        if let (Some(password), (Some(anew), _)) = (&mut self.settings.auth_pass, sealed) {
            password.clone_from(anew);
        }
        if let (Some(webhook), (_, Some(anew))) = (&mut self.settings.notification_webhook, sealed) {
            webhook.clone_from(anew);
        }
        if self.settings == before { Outcome::Unchanged } else { Outcome::Done }
    }

    pub(super) fn vote_down(&mut self, epoch: Epoch, voter: NodeId, testimony: &DownEvidence, stamp: Stamp) -> Result<Applied, Refusal> {
        self.check_epoch(epoch)?;
        if let Some(known) = self.ballot.votes().get(&voter) {
            // A port that refuses says more than silence: the process is gone, and with it what it counted on.
            let stronger = testimony.evidence == Evidence::Refused && known.testimony.evidence != Evidence::Refused;
            if !stronger {
                return Ok((Outcome::Unchanged, vec![]));
            }
            self.ballot.cast(voter, testimony.clone(), stamp);
            return Ok((Outcome::Done, vec![]));
        }
        let was_down = self.objectively_down();
        self.ballot.cast(voter, testimony.clone(), stamp);
        let mut events = vec![Event::VotedDown { voter, epoch, testimony: testimony.clone() }];
        self.weigh_votes(was_down, stamp, &mut events);
        Ok((Outcome::Done, events))
    }

    pub(super) fn vote_up(&mut self, epoch: Epoch, voter: NodeId, stamp: Stamp) -> Result<Applied, Refusal> {
        self.check_epoch(epoch)?;
        let events = self.withdraw_vote(voter, false, stamp);
        Ok((if events.is_empty() { Outcome::Unchanged } else { Outcome::Done }, events))
    }

    /// Takes away the vote of `voter`, if it stands.
    pub(super) fn withdraw_vote(&mut self, voter: NodeId, expired: bool, stamp: Stamp) -> Vec<Event> {
        let was_down = self.objectively_down();
        let mut events = Vec::new();
        if self.ballot.withdraw(voter) {
            events.push(Event::VoteWithdrawn { voter, expired });
            self.weigh_votes(was_down, stamp, &mut events);
        }
        events
    }

    /// Takes away the votes of all but `voters`.
    pub(super) fn keep_votes_of(&mut self, voters: &BTreeSet<NodeId>, stamp: Stamp) -> Vec<Event> {
        let gone: Vec<NodeId> = self.ballot.votes().keys().filter(|voter| !voters.contains(voter)).copied().collect();
        gone.into_iter().flat_map(|voter| self.withdraw_vote(voter, true, stamp)).collect()
    }

    /// Starts or gives up a failover where the votes have just crossed the quorum.
    fn weigh_votes(&mut self, was_down: bool, stamp: Stamp, events: &mut Vec<Event>) {
        let tally = self.ballot.tally(self.settings.quorum);
        match (was_down, tally) {
            (false, super::Tally::Agreed { have, need }) => {
                events.push(Event::ObjectivelyDown { master: self.master.addr.clone(), have, need });
                let goes_on = matches!(self.failover.as_ref().map(|failover| &failover.phase), Some(Phase::Choosing | Phase::Detaching));
                if !goes_on {
                    // What was planned with a master that is up cannot be done with one that is down.
                    self.abort_planned(AbortReason::MasterDown, stamp, events);
                    self.start_failover_for_votes(stamp, events);
                }
            }
            (true, super::Tally::Pending { .. }) => {
                events.push(Event::ObjectivelyUp { master: self.master.addr.clone() });
                self.abort_if_undecided(AbortReason::MasterReturned, stamp, events);
            }
            (true, super::Tally::Agreed { .. }) | (false, super::Tally::Pending { .. }) => {}
        }
    }
}
