//! The whole replicated state, and the one function that changes it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::command::{Command, Origin};
use super::event::{Event, LoggedEvent};
use super::failover::Stamp;
use super::group::{Applied, Group};
use super::outcome::{Outcome, Refusal};
use super::removed::{self, Given, Keep, Removed};
use super::request::{self, Request, Requests};
use super::shadow::{ControlMode, ShadowEntry};
use crate::base::parameters::Parameters;
use crate::base::{Addr, Epoch, GroupName, GroupSettings, Incarnation, LogIndex, NodeId, SentinelId, WallTime, limits};

/// Who and where a sentinel is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentinelRecord {
    /// Its public id (`SENTINEL MYID`).
    pub sentinel_id: SentinelId,
    /// The life of its data directory.
    pub incarnation: Incarnation,
    /// Where it speaks the SENTINEL protocol.
    pub resp: Addr,
    /// Where it answers gRPC clients.
    pub grpc: Addr,
    /// Where its peers reach it.
    pub raft: Addr,
    /// Whether its file says `sentinel shadow yes`: groups that are monitored from then on begin in shadow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
    /// The names of the keys in its secret file, the one that it seals with first. None is a release that does not know sealed text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_ids: Option<Vec<String>>,
    /// Up to which level it understands entries. None is a release that does not tell, and understands the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<u32>,
}

/// One change of a group's master, for watchers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasterChange {
    /// The entry that made it.
    pub revision: LogIndex,
    /// When, by the wall clock of its proposer.
    pub at: WallTime,
    /// The group.
    pub group: GroupName,
    /// The epoch of the new master.
    pub epoch: Epoch,
    /// The new master; none when the group was removed.
    pub master: Option<Addr>,
}

/// Everything that all sentinels agree on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The monitored groups. Shared, so that a copy of the state is cheap.
    pub groups: BTreeMap<GroupName, Arc<Group>>,
    /// Groups that an operator removed, with their last epoch: epochs never start over, and a file does not bring one back.
    ///
    /// Not bounded: a row is at most 160 bytes, and goes when its name is monitored again. Without it the group would be back with the next
    /// start of any sentinel whose file still names it, in an epoch that its clients have seen with another master.
    pub retired: BTreeMap<GroupName, Epoch>,
    /// What is kept of groups that were removed lately; bounded.
    #[serde(default, skip_serializing_if = "removed::is_empty")]
    pub removed: BTreeMap<GroupName, Removed>,
    /// The sentinels that have presented themselves.
    pub sentinels: BTreeMap<NodeId, SentinelRecord>,
    /// The ids of sentinels that left, newest last; bounded. One that still runs is none of others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<SentinelId>,
    /// What was changed of the sentinels themselves at run time.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    pub parameters: Parameters,
    /// The changes that clients asked for; bounded.
    #[serde(default, skip_serializing_if = "no_requests")]
    pub requests: Arc<Requests>,
    /// The voting members of the Raft group.
    pub voters: BTreeSet<NodeId>,
    /// The newest master changes, oldest first; bounded.
    pub changes: VecDeque<MasterChange>,
    /// The newest revision that is no longer in `changes`.
    pub compacted: LogIndex,
    /// The last entry that was applied.
    pub applied: LogIndex,
}

impl State {
    /// Applies one entry.
    ///
    /// `index` is its place in the log. The same entries in the same order give the same state,
    /// outcomes and events on every sentinel. A refused entry changes nothing.
    pub fn apply(&mut self, index: LogIndex, command: &Command) -> (Outcome, Vec<LoggedEvent>) {
        self.applied = index;
        match self.dispatch(index, command) {
            Ok((outcome, events)) => {
                self.note_request(index, command, &outcome);
                (outcome, events)
            }
            Err(refusal) => (Outcome::Refused(refusal), Vec::new()),
        }
    }

    /// Takes note of the voting members that a membership entry at `index` names.
    pub fn apply_membership(&mut self, index: LogIndex, voters: BTreeSet<NodeId>) -> Vec<LoggedEvent> {
        self.applied = index;
        let stamp = Stamp { index, at: WallTime::default() };
        let mut events = Vec::new();
        for (name, group) in &mut self.groups {
            if group.ballot.votes().keys().any(|voter| !voters.contains(voter)) {
                let of_group = Arc::make_mut(group).keep_votes_of(&voters, stamp);
                events.extend(logged(stamp, Some(name), of_group));
            }
        }
        self.voters = voters;
        events
    }

    /// Takes note of an entry that says nothing to the machine.
    pub const fn apply_blank(&mut self, index: LogIndex) {
        self.applied = index;
    }

    /// The group of that name.
    pub fn group(&self, name: &str) -> Option<&Arc<Group>> {
        self.groups.iter().find(|(known, _)| known.as_str() == name).map(|(_, group)| group)
    }

    /// Why a group of this name cannot have this master: it is a data node of another group, and two would fight over it.
    pub fn taken(&self, name: &GroupName, master: &Addr) -> Option<String> {
        let all = self.groups.values().filter(|_| !self.groups.contains_key(name));
        let other = all.filter(|group| group.has_server(master, None)).min_by_key(|group| (group.created, &group.name))?;
        Some(format!(
            "{master} is a data node of '{}' (master {}), and two groups would fight over it; remove that one first (SENTINEL REMOVE), or let it \
             forget {master} (SENTINEL FORGET)",
            other.name, other.master.addr
        ))
    }

    fn dispatch(&mut self, index: LogIndex, command: &Command) -> Result<(Outcome, Vec<LoggedEvent>), Refusal> {
        let stamp_of = |at: &WallTime| Stamp { index, at: *at };
        match command {
            Command::ConfigureGroup { name, master, settings, replicas, epoch, origin, takes_up, at, .. } => {
                self.configure(name, master, settings, replicas, (*epoch, *takes_up), *origin, stamp_of(at))
            }
            Command::SetOptions { group, changes, at, .. } => {
                let stamp = stamp_of(at);
                self.in_group(group, stamp, |group| group.set_options(changes, stamp))
            }
            Command::SecretsSealed { group, seen, auth_pass, notification_webhook, at } => {
                let sealed = (auth_pass.as_ref(), notification_webhook.as_ref());
                self.in_group(group, stamp_of(at), |group| Ok((group.take_sealed(*seen, sealed), Vec::new())))
            }
            Command::RemoveGroup { group, at, keep, .. } => self.remove(group, keep.as_ref(), stamp_of(at)),
            Command::ResetGroup { group, down, at, .. } => self.in_group(group, stamp_of(at), |group| group.reset(down)),
            Command::MasterSeen { group, epoch, identity, at } => {
                self.in_group(group, stamp_of(at), |group| group.note_master(*epoch, identity))
            }
            Command::ReplicaSeen { group, epoch, replica, identity, tenure, at } => {
                self.in_group(group, stamp_of(at), |group| group.note_replica(*epoch, replica, identity.as_ref(), *tenure))
            }
            Command::ReplicaRetired { group, epoch, replica, why, covered, replicas, at } => {
                self.in_group(group, stamp_of(at), |group| group.retire(*epoch, replica, why, (*covered, *replicas)))
            }
            Command::ReplicaNamed { group, replica, adopts, at, .. } => {
                self.in_group(group, stamp_of(at), |group| group.name_replica(replica, adopts.as_ref()))
            }
            Command::ReplicaForgotten { group, replica, at, .. } => {
                self.in_group(group, stamp_of(at), |group| group.forget_replica(replica))
            }
            Command::FenceArmed { group, epoch, fence, replicas, at } => {
                let stamp = stamp_of(at);
                self.in_group(group, stamp, |group| group.arm_fence(*epoch, *fence, *replicas, stamp))
            }
            Command::FenceLoosened { group, epoch, held, at } => {
                let stamp = stamp_of(at);
                self.in_group(group, stamp, |group| group.loosen_fence(*epoch, *held, stamp))
            }
            Command::FenceCovered { group, epoch, covered, replicas, at } => {
                self.in_group(group, stamp_of(at), |group| group.cover(*epoch, *covered, *replicas))
            }
            Command::FenceDropped { group, epoch, at } => self.in_group(group, stamp_of(at), |group| group.drop_fence(*epoch)),
            Command::VoteDown { group, epoch, voter, testimony, at } => {
                self.check_voter(*voter)?;
                let stamp = stamp_of(at);
                self.in_group(group, stamp, |group| group.vote_down(*epoch, *voter, testimony, stamp))
            }
            Command::VoteUp { group, epoch, voter, at } => {
                let stamp = stamp_of(at);
                self.in_group(group, stamp, |group| group.vote_up(*epoch, *voter, stamp))
            }
            Command::VotesExpired { voter, at, .. } => Ok(self.expire_votes(*voter, stamp_of(at))),
            Command::FailoverRequested { group, epoch, by, manner, target, at, asked } => {
                let stamp = stamp_of(at);
                self.in_group(group, stamp, |group| group.request_failover(*epoch, *by, *manner, target.as_ref(), asked, stamp))
            }
            Command::Promote { group, id, choice, by, at } => {
                let stamp = stamp_of(at);
                let decided = self.in_group(group, stamp, |group| group.decide(*id, choice, *by, stamp))?;
                self.note_change(MasterChange {
                    revision: index,
                    at: *at,
                    group: group.clone(),
                    epoch: id.epoch,
                    master: Some(choice.chosen.clone()),
                });
                Ok(decided)
            }
            Command::Promoted { group, id, identity, at } => {
                let stamp = stamp_of(at);
                self.in_group(group, stamp, |group| group.confirm(*id, identity, stamp))
            }
            Command::ReplicaFollows { group, id, replica, at } => self.in_group(group, stamp_of(at), |group| group.follow(*id, replica)),
            Command::FailoverDone { group, id, left, at } => {
                let stamp = stamp_of(at);
                self.in_group(group, stamp, |group| group.finish(*id, left, stamp))
            }
            Command::FailoverAborted { group, id, reason, at } => {
                let stamp = stamp_of(at);
                self.in_group(group, stamp, |group| group.abort(*id, *reason, stamp))
            }
            Command::FailoverBlocked { group, id, reasons, at } => self.in_group(group, stamp_of(at), |group| group.block(*id, reasons)),
            Command::Shadow { group, entry, at, .. } => self.shadow(group, entry, stamp_of(at)),
            Command::SetParameters { sentinel, changes, .. } => {
                let before = self.parameters.clone();
                self.parameters.change(*sentinel, changes);
                Ok((if before == self.parameters { Outcome::Unchanged } else { Outcome::Done }, Vec::new()))
            }
            Command::SentinelJoined { id, record } => Ok(self.join(*id, record, index)),
            Command::SentinelLeft { id } => Ok(self.leave(*id, index)),
        }
    }

    /// Remembers who asked for a change that was made.
    fn note_request(&mut self, index: LogIndex, command: &Command, outcome: &Outcome) {
        let Some((by, group, at)) = command.asked() else { return };
        // Words of its own are about a change that was made elsewhere.
        if *outcome == Outcome::Done || by.has_words() {
            let (what, group, by) = (request::words(command, by), group.cloned(), Arc::clone(by));
            Arc::make_mut(&mut self.requests).note(Request { stamp: Stamp { index, at }, group, what, by });
        }
    }

    fn join(&mut self, id: NodeId, record: &SentinelRecord, index: LogIndex) -> (Outcome, Vec<LoggedEvent>) {
        if self.sentinels.get(&id) == Some(record) {
            return (Outcome::Unchanged, Vec::new());
        }
        let before = self.sentinels.insert(id, record.clone());
        if let Some(other) = before.as_ref().filter(|before| before.sentinel_id != record.sentinel_id) {
            self.note_former(other.sentinel_id.clone());
        }
        let before = before.map(|known| known.resp);
        let stamp = Stamp { index, at: WallTime::default() };
        (Outcome::Done, logged(stamp, None, vec![Event::SentinelJoined { id, before }]))
    }

    fn leave(&mut self, id: NodeId, index: LogIndex) -> (Outcome, Vec<LoggedEvent>) {
        match self.sentinels.remove(&id) {
            Some(left) => self.note_former(left.sentinel_id),
            None => return (Outcome::Unchanged, Vec::new()),
        }
        self.parameters.announced.remove(&id);
        let stamp = Stamp { index, at: WallTime::default() };
        (Outcome::Done, logged(stamp, None, vec![Event::SentinelLeft { id }]))
    }

    fn note_former(&mut self, id: SentinelId) {
        self.former.retain(|known| *known != id);
        self.former.push(id);
        if self.former.len() > limits::FORMER_SENTINELS {
            self.former.remove(0);
        }
    }

    fn shadow(&mut self, name: &GroupName, entry: &ShadowEntry, stamp: Stamp) -> Result<(Outcome, Vec<LoggedEvent>), Refusal> {
        let applied = self.in_group(name, stamp, |group| group.shadow(entry, stamp))?;
        if let (ShadowEntry::MasterMoved { to, .. }, Some(group)) = (entry, self.groups.get(name)) {
            let (epoch, master) = (group.epoch, Some(to.clone()));
            self.note_change(MasterChange { revision: stamp.index, at: stamp.at, group: name.clone(), epoch, master });
        }
        Ok(applied)
    }

    #[expect(clippy::too_many_arguments, reason = "one for each field of the entry")]
    fn configure(
        &mut self,
        name: &GroupName,
        master: &Addr,
        settings: &GroupSettings,
        replicas: &[Addr],
        (epoch, takes_up): (Epoch, Option<LogIndex>),
        origin: Origin,
        stamp: Stamp,
    ) -> Result<(Outcome, Vec<LoggedEvent>), Refusal> {
        if let Some(known) = self.groups.get(name) {
            let same = known.master.addr == *master && known.settings.quorum == settings.quorum;
            return match (origin, same) {
                (Origin::File | Origin::FileInShadow, _) | (Origin::Operator, true) => Ok((Outcome::Unchanged, Vec::new())),
                (Origin::Operator, false) => {
                    let (master, quorum) = (known.master.addr.clone(), known.settings.quorum);
                    Err(Refusal::NameTaken { name: name.clone(), master, quorum })
                }
            };
        }
        if origin != Origin::Operator && self.retired.contains_key(name) {
            return Err(Refusal::Retired(name.clone()));
        }
        if self.groups.len() >= limits::GROUPS {
            return Err(Refusal::TooMany { what: "groups".to_owned(), limit: limits::GROUPS });
        }
        GroupSettings::default().change(&crate::base::settings::SettingChange::Quorum(settings.quorum))?;
        let epoch = self.retired.remove(name).map_or(epoch, |last| last.next().max(epoch));
        // One word for shadow is enough: a group that acts beside those who lead it is what nobody wants to learn afterwards.
        let shadow = origin == Origin::FileInShadow || self.sentinels.values().any(|sentinel| sentinel.shadow);
        let duty = if shadow { ControlMode::Shadow { since: stamp } } else { ControlMode::Acts };
        let anew = || Group { duty, ..Group::new(name.clone(), epoch, master.clone(), settings.clone(), replicas, stamp) };
        let group = self.take_up(name, master, takes_up, Given { settings, duty, at: stamp }).unwrap_or_else(anew);
        let epoch = group.epoch;
        let quorum = settings.quorum;
        let known = group.replicas.keys().map(|replica| Event::ReplicaAdded { replica: replica.clone(), master: master.clone() });
        let events = std::iter::once(Event::GroupAdded { master: master.clone(), quorum }).chain(known).collect();
        let events = logged(stamp, Some(name), events);
        self.groups.insert(name.clone(), Arc::new(group));
        self.note_change(MasterChange { revision: stamp.index, at: stamp.at, group: name.clone(), epoch, master: Some(master.clone()) });
        Ok((Outcome::Done, events))
    }

    fn remove(&mut self, name: &GroupName, keep: Option<&Keep>, stamp: Stamp) -> Result<(Outcome, Vec<LoggedEvent>), Refusal> {
        let group = self.groups.remove(name).ok_or_else(|| Refusal::NoSuchGroup(name.clone()))?;
        if let Some(keep) = keep {
            self.note_removed(&group, keep, stamp);
        }
        self.retired.insert(name.clone(), group.epoch);
        self.note_change(MasterChange { revision: stamp.index, at: stamp.at, group: name.clone(), epoch: group.epoch, master: None });
        Ok((Outcome::Done, logged(stamp, Some(name), vec![Event::GroupRemoved { master: group.master.addr.clone() }])))
    }

    fn check_voter(&self, voter: NodeId) -> Result<(), Refusal> {
        if self.voters.contains(&voter) { Ok(()) } else { Err(Refusal::NotAVoter(voter)) }
    }

    fn expire_votes(&mut self, voter: NodeId, stamp: Stamp) -> (Outcome, Vec<LoggedEvent>) {
        let mut events = Vec::new();
        for (name, group) in self.groups.iter_mut().filter(|(_, group)| group.ballot.has(voter)) {
            let of_group = Arc::make_mut(group).withdraw_vote(voter, true, stamp);
            events.extend(logged(stamp, Some(name), of_group));
        }
        (if events.is_empty() { Outcome::Unchanged } else { Outcome::Done }, events)
    }

    fn in_group(
        &mut self,
        name: &GroupName,
        stamp: Stamp,
        change: impl FnOnce(&mut Group) -> Result<Applied, Refusal>,
    ) -> Result<(Outcome, Vec<LoggedEvent>), Refusal> {
        let group = self.groups.get_mut(name).ok_or_else(|| Refusal::NoSuchGroup(name.clone()))?;
        let (outcome, events) = change(Arc::make_mut(group))?;
        Ok((outcome, logged(stamp, Some(name), events)))
    }

    fn note_change(&mut self, change: MasterChange) {
        self.changes.push_back(change);
        while self.changes.len() > limits::MASTER_CHANGES {
            if let Some(oldest) = self.changes.pop_front() {
                self.compacted = oldest.revision;
            }
        }
    }
}

fn no_requests(requests: &Arc<Requests>) -> bool {
    requests.is_empty()
}

fn logged(stamp: Stamp, group: Option<&GroupName>, events: Vec<Event>) -> Vec<LoggedEvent> {
    let place = |event| LoggedEvent { index: stamp.index, at: stamp.at, group: group.cloned(), event };
    events.into_iter().map(place).collect()
}
