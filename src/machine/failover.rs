//! A failover: its phases, each with what it needs and no more, and the only code that moves it on.
//!
//! ```text
//!   votes reach quorum,      ┌ Choosing ─┐  Promote            Promoted           FailoverDone
//!   or an operator asks ─▶ ──┤ Detaching ├──────▶ Promoting ───────▶ Following ────────────▶ (none)
//!                            └ Draining ─┘          │                  │
//!                                 ▼ the master      ▼ votes about the new master
//!                              aborted  returns     superseded: undecided again, next epoch
//! ```
//!
//! `Promote` is the decision: with it the group has a new master and a new epoch, on every sentinel,
//! whatever happens to the one that proposed it. Everything after it is work that any later leader finishes.
//! Which of the three undecided phases a failover begins with is settled in the log when it is started: `Choosing` promotes the best replica
//! that answers; `Detaching` (policy `strict`) first takes the replicas from the old master; `Draining` is a planned
//! change that first lets the next master have every write.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::cause::{AbortReason, Cause, FailoverMode};
use super::choice::{Choice, FencingProof, Ineligible};
use super::decision::{Decision, Ending};
use super::event::Event;
use super::group::{Applied, Group, Identity, MasterRecord};
use super::outcome::{Outcome, Refusal};
use super::replica::ReplicaRecord;
use super::request::Asked;
use crate::base::{Addr, Epoch, LogIndex, NodeId, WallTime, limits};

/// A moment in the log: which entry, and the wall time stamped into it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The entry.
    pub index: LogIndex,
    /// The time its proposer put in.
    pub at: WallTime,
}

/// Identifies one attempt to replace a master.
///
/// The epoch alone would not do: an attempt that was given up is followed by another towards the
/// same epoch, and an entry proposed for the first must not count for the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FailoverId {
    /// The epoch that the new master will have.
    pub epoch: Epoch,
    /// The entry that started it.
    pub started: LogIndex,
}

/// Where a failover stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Candidates are being looked at; nothing has been decided or changed.
    Choosing,
    /// The replicas are being taken from the old master, so that it can take no more writes; nothing has been decided.
    Detaching,
    /// The old master's writes are paused until the next one has all of them; nothing has been decided.
    Draining {
        /// The replica that the operator named, if any.
        target: Option<Addr>,
    },
    /// Decided; the chosen replica has not been seen as a master yet.
    Promoting,
    /// The new master is one; the others are being pointed at it.
    Following {
        /// Replicas seen to follow it.
        followed: BTreeSet<Addr>,
    },
}

impl Phase {
    /// Whether nothing has been decided yet.
    pub const fn is_undecided(&self) -> bool {
        match self {
            Self::Choosing | Self::Detaching | Self::Draining { .. } => true,
            Self::Promoting | Self::Following { .. } => false,
        }
    }
}

/// A failover in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failover {
    /// Which attempt.
    pub id: FailoverId,
    /// Why it was started.
    pub cause: Cause,
    /// The master that is being replaced.
    pub old: MasterRecord,
    /// When it was started, by the wall clock of the proposer.
    pub started: Stamp,
    /// Why it cannot go on now, for every replica (none known: an empty list); none while it can.
    #[serde(default)]
    pub blocked: Option<Vec<(Addr, Ineligible)>>,
    /// The sentinel at which an operator accepted the loss of confirmed writes, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forced: Option<NodeId>,
    /// Where it stands.
    pub phase: Phase,
}

impl Failover {
    /// Whether an operator planned it: nothing may be lost by it, and clients are to notice as little as can be.
    pub fn is_planned(&self) -> bool {
        matches!(self.cause, Cause::Requested { .. }) && self.forced.is_none()
    }
}

impl Group {
    /// Whether a planned change is under way whose new master is not announced yet. The old master is about to refuse writes, or does, and the
    /// new one may not take them yet: a client that is told an address now is refused there.
    pub fn is_changing_hands(&self) -> bool {
        self.failover
            .as_ref()
            .is_some_and(|failover| failover.is_planned() && matches!(failover.phase, Phase::Draining { .. } | Phase::Promoting))
    }

    /// Begins one because the votes reach the quorum.
    pub(super) fn start_failover_for_votes(&mut self, started: Stamp, events: &mut Vec<Event>) {
        let cause = Cause::Down { votes: self.ballot.votes().clone(), quorum: self.settings.quorum };
        self.start_failover(cause, started, events);
    }

    /// Begins a failover towards the next epoch. One that was decided but not finished is superseded.
    pub(super) fn start_failover(&mut self, cause: Cause, started: Stamp, events: &mut Vec<Event>) {
        if let Some(running) = self.failover.take() {
            self.remember(running.id, |decision| decision.ended = Some((started, Ending::Superseded)));
        }
        let id = FailoverId { epoch: self.epoch.next(), started: started.index };
        if self.in_shadow() {
            self.note_shadow_down(started, events);
            let (old, phase) = (self.master.clone(), Phase::Choosing);
            self.failover = Some(Failover { id, cause, old, started, blocked: None, forced: None, phase });
            return;
        }
        let (requested, phase, forced) = match &cause {
            Cause::Down { .. } if self.is_strict() => (false, Phase::Detaching, None),
            Cause::Down { .. } => (false, Phase::Choosing, None),
            Cause::Requested { by, manner: FailoverMode::Force, .. } => (true, Phase::Choosing, Some(*by)),
            Cause::Requested { manner: FailoverMode::Coordinated, .. } => (true, Phase::Draining { target: None }, None),
            Cause::Requested { manner: FailoverMode::Plain, .. } if self.is_strict() => (true, Phase::Draining { target: None }, None),
            Cause::Requested { manner: FailoverMode::Plain, .. } => (true, Phase::Choosing, None),
        };
        events.push(Event::FailoverStarted { id, master: self.master.addr.clone(), requested });
        if self.history.len() >= limits::DECISIONS_PER_GROUP {
            self.history.remove(0);
        }
        self.history.push(Decision {
            id,
            cause: cause.clone(),
            old: self.master.addr.clone(),
            started,
            choice: None,
            decided: None,
            promoted: None,
            ended: None,
        });
        self.failover = Some(Failover { id, cause, old: self.master.clone(), started, blocked: None, forced, phase });
    }

    /// An operator asks for a failover although the master is up.
    ///
    /// By force also where one is under way and cannot go on.
    pub(super) fn request_failover(
        &mut self,
        epoch: Epoch,
        by: NodeId,
        manner: FailoverMode,
        target: Option<&Addr>,
        asked: &Asked,
        stamp: Stamp,
    ) -> Result<Applied, Refusal> {
        self.check_epoch(epoch)?;
        if self.in_shadow() {
            return Err(Refusal::InShadow);
        }
        if let Some(unknown) = target.filter(|target| !self.replicas.contains_key(*target)) {
            return Err(Refusal::NotAReplica(unknown.clone()));
        }
        match &mut self.failover {
            Some(running) if manner == FailoverMode::Force && running.phase.is_undecided() => {
                let outcome = if running.forced.is_some() { Outcome::Unchanged } else { Outcome::Done };
                running.forced = running.forced.or(Some(by));
                running.phase = Phase::Choosing;
                return Ok((outcome, vec![]));
            }
            Some(_) => return Err(Refusal::FailoverInProgress),
            None => {}
        }
        let mut events = Vec::new();
        self.start_failover(Cause::Requested { by, manner, asked: asked.clone() }, stamp, &mut events);
        if let Some(Failover { phase: Phase::Draining { target: wanted }, .. }) = &mut self.failover {
            *wanted = target.cloned();
        }
        Ok((Outcome::Done, events))
    }

    /// After a change of what the policy depends on: an undecided failover goes on by the one that is in force now.
    pub(super) fn adapt_failover(&mut self) {
        let strict = self.is_strict() && !self.in_shadow();
        let Some(failover) = self.failover.as_mut().filter(|failover| failover.forced.is_none()) else { return };
        let voted = matches!(failover.cause, Cause::Down { .. });
        match failover.phase {
            Phase::Choosing if strict && voted => failover.phase = Phase::Detaching,
            Phase::Choosing if strict => failover.phase = Phase::Draining { target: None },
            Phase::Detaching if !strict => failover.phase = Phase::Choosing,
            Phase::Choosing | Phase::Detaching | Phase::Draining { .. } | Phase::Promoting | Phase::Following { .. } => {}
        }
    }

    /// The decision. From here on the group has a new master in a new epoch.
    pub(super) fn decide(&mut self, id: FailoverId, choice: &Choice, by: NodeId, stamp: Stamp) -> Result<Applied, Refusal> {
        if self.in_shadow() {
            return Err(Refusal::InShadow);
        }
        let needed = self.needed();
        let strict = self.is_strict();
        let have = choice.candidates.iter().filter(|candidate| candidate.detached && self.may_hold(&candidate.addr)).count();
        let fixed = self.settings.replicas_fixed && self.replicas.get(&choice.chosen).is_some_and(|record| record.found);
        let failover = self.failover.as_mut().filter(|failover| failover.id == id && failover.phase.is_undecided());
        let failover = failover.ok_or(Refusal::NotInThatPhase)?;
        let chosen = &choice.chosen;
        if !self.replicas.contains_key(chosen) {
            return Err(Refusal::NotAReplica(chosen.clone()));
        }
        if fixed || !choice.candidates.iter().any(|candidate| candidate.addr == *chosen && candidate.ineligible.is_none()) {
            return Err(Refusal::NotEligible(chosen.clone()));
        }
        if strict && failover.forced.is_none() && !hands_over(&failover.phase, choice) {
            let have = u32::try_from(have).unwrap_or(u32::MAX);
            if have < needed.detached {
                return Err(Refusal::TooFewDetached { have, need: needed.detached });
            }
        }
        failover.phase = Phase::Promoting;
        failover.blocked = None;
        self.replicas.remove(chosen);
        let next = MasterRecord { addr: chosen.clone(), identity: None, former_history: None, earlier: None, inherits: None, since: stamp };
        let old = std::mem::replace(&mut self.master, next);
        // One that was chosen and never seen as a master is still known as the process that it was chosen as: it may be relied on.
        let process = old.identity.clone().or_else(|| self.chosen_process(&old));
        self.master.inherits = old.identity.or(old.inherits);
        if let Some(fence) = &mut self.fence {
            // From its first moment as a master it holds what its promotion sets.
            fence.min_replicas = choice.arms.map_or(0, |arms| arms.min_replicas);
            fence.max_lag_s = choice.arms.map_or(fence.max_lag_s, |arms| arms.max_lag_s);
            fence.since = stamp;
        }
        self.replicas.insert(old.addr.clone(), ReplicaRecord::counted(process));
        self.epoch = id.epoch;
        self.ballot.clear();
        self.remember(id, |decision| {
            decision.choice = Some((choice.clone(), by));
            decision.decided = Some(stamp);
        });
        Ok((Outcome::Done, vec![Event::Decided { id, old: old.addr, choice: choice.clone() }]))
    }

    /// What the decision that made `master` the master knew of it: the process, with the history of its predecessor.
    fn chosen_process(&self, master: &MasterRecord) -> Option<Identity> {
        let decision = self.history.iter().rev().find(|decision| decision.decided == Some(master.since))?;
        let (choice, _) = decision.choice.as_ref()?;
        let row = choice.candidates.iter().find(|candidate| candidate.addr == choice.chosen)?;
        let replid = master.inherits.as_ref()?.replid.clone();
        Some(Identity { run_id: row.run_id.clone()?, replid, replid2: None, second_offset: None })
    }

    /// The chosen replica is a master.
    pub(super) fn confirm(&mut self, id: FailoverId, identity: &Identity, stamp: Stamp) -> Result<Applied, Refusal> {
        let failover = self.failover.as_mut().filter(|failover| failover.id == id && failover.phase == Phase::Promoting);
        let failover = failover.ok_or(Refusal::NotInThatPhase)?;
        failover.phase = Phase::Following { followed: BTreeSet::new() };
        let old = failover.old.addr.clone();
        self.master.identity = Some(identity.clone());
        let master = self.master.addr.clone();
        let mut events = vec![Event::Promoted { id, master, old }];
        self.announce_master(&mut events);
        self.remember(id, |decision| decision.promoted = Some(stamp));
        Ok((Outcome::Done, events))
    }

    /// A replica follows the new master.
    pub(super) fn follow(&mut self, id: FailoverId, replica: &Addr) -> Result<Applied, Refusal> {
        let Some(Failover { phase: Phase::Following { followed }, .. }) = self.failover.as_mut().filter(|failover| failover.id == id)
        else {
            return Err(Refusal::NotInThatPhase);
        };
        if !self.replicas.contains_key(replica) {
            return Err(Refusal::NotAReplica(replica.clone()));
        }
        if !followed.insert(replica.clone()) {
            return Ok((Outcome::Unchanged, vec![]));
        }
        Ok((Outcome::Done, vec![Event::ReplicaFollows { replica: replica.clone(), master: self.master.addr.clone() }]))
    }

    /// Nothing is left to be done.
    pub(super) fn finish(&mut self, id: FailoverId, left: &[Addr], stamp: Stamp) -> Result<Applied, Refusal> {
        let following = |failover: &Failover| failover.id == id && matches!(failover.phase, Phase::Following { .. });
        if !self.failover.as_ref().is_some_and(following) {
            return Err(Refusal::NotInThatPhase);
        }
        self.failover = None;
        self.remember(id, |decision| decision.ended = Some((stamp, Ending::Completed { left: left.to_vec() })));
        Ok((Outcome::Done, vec![Event::FailoverEnded { id, master: self.master.addr.clone(), left: left.to_vec() }]))
    }

    /// Gives up an undecided failover that an operator asked for. One that the votes started goes on while they stand.
    pub(super) fn abort(&mut self, id: FailoverId, reason: AbortReason, stamp: Stamp) -> Result<Applied, Refusal> {
        let may_end =
            |failover: &Failover| failover.id == id && failover.phase.is_undecided() && matches!(failover.cause, Cause::Requested { .. });
        if !self.failover.as_ref().is_some_and(may_end) {
            return Err(Refusal::NotInThatPhase);
        }
        let mut events = Vec::new();
        self.end_undecided(id, reason, stamp, &mut events);
        // The master may have gone down meanwhile: those votes have waited for this end.
        if self.objectively_down() {
            self.start_failover_for_votes(stamp, &mut events);
        }
        Ok((Outcome::Done, events))
    }

    /// Gives up a failover for which the votes no longer suffice, unless it is decided or was asked for.
    pub(super) fn abort_if_undecided(&mut self, reason: AbortReason, stamp: Stamp, events: &mut Vec<Event>) {
        let undecided = |failover: &&Failover| failover.phase.is_undecided() && matches!(failover.cause, Cause::Down { .. });
        if let Some(id) = self.failover.as_ref().filter(undecided).map(|failover| failover.id) {
            self.end_undecided(id, reason, stamp, events);
        }
    }

    /// Gives up a planned change that is not decided.
    pub(super) fn abort_planned(&mut self, reason: AbortReason, stamp: Stamp, events: &mut Vec<Event>) {
        let planned = |failover: &&Failover| matches!(failover.phase, Phase::Draining { .. });
        if let Some(id) = self.failover.as_ref().filter(planned).map(|failover| failover.id) {
            self.end_undecided(id, reason, stamp, events);
        }
    }

    fn end_undecided(&mut self, id: FailoverId, reason: AbortReason, stamp: Stamp, events: &mut Vec<Event>) {
        self.failover = None;
        if self.in_shadow() {
            self.note_shadow_up(stamp, events);
            return;
        }
        self.remember(id, |decision| decision.ended = Some((stamp, Ending::Aborted(reason))));
        events.push(Event::FailoverAborted { id, master: self.master.addr.clone(), reason });
    }

    /// The failover cannot go on now.
    pub(super) fn block(&mut self, id: FailoverId, reasons: &[(Addr, Ineligible)]) -> Result<Applied, Refusal> {
        let failover = self.failover.as_mut().filter(|failover| failover.id == id && failover.phase.is_undecided());
        let failover = failover.ok_or(Refusal::NotInThatPhase)?;
        if failover.blocked.as_deref() == Some(reasons) {
            return Ok((Outcome::Unchanged, vec![]));
        }
        failover.blocked = Some(reasons.to_vec());
        Ok((Outcome::Done, vec![Event::FailoverBlocked { id, master: self.master.addr.clone(), reasons: reasons.to_vec() }]))
    }

    pub(super) fn remember(&mut self, id: FailoverId, write: impl FnOnce(&mut Decision)) {
        if let Some(decision) = self.history.iter_mut().rev().find(|decision| decision.id == id) {
            write(decision);
        }
    }
}

/// Whether nothing had to be taken from the old master, because it gave up its place itself and the chosen one has all that it had.
pub(super) fn hands_over(phase: &Phase, choice: &Choice) -> bool {
    let FencingProof::HandedOver { offset } = choice.basis else { return false };
    let chosen = choice.candidates.iter().find(|candidate| candidate.addr == choice.chosen);
    matches!(phase, Phase::Draining { .. }) && chosen.is_some_and(|chosen| chosen.offset >= Some(offset))
}
