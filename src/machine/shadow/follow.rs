//! The record goes where others moved the master.

use super::ShadowEvent;
use crate::base::{Addr, Epoch};
use crate::machine::cause::AbortReason;
use crate::machine::decision::Ending;
use crate::machine::event::Event;
use crate::machine::failover::Stamp;
use crate::machine::group::{Applied, Group, Identity, MasterRecord};
use crate::machine::outcome::{Outcome, Refusal};
use crate::machine::replica::ReplicaRecord;

impl Group {
    /// Others promoted `to`, and it was seen to be a master. The group goes into the next epoch with it, as it would by a decision.
    ///
    /// Also outside shadow: a group whose leader holds back because of other sentinels is theirs for as long as they are there. Never
    /// once a decision of ours is under way, which is finished, nor where an operator said to act despite them.
    pub(super) fn master_moved(&mut self, epoch: Epoch, to: &Addr, identity: &Identity, stamp: Stamp) -> Result<Applied, Refusal> {
        self.check_epoch(epoch)?;
        if self.acts_despite_stock() {
            return Err(Refusal::NotInShadow);
        }
        if self.failover.as_ref().is_some_and(|failover| !failover.phase.is_undecided()) {
            return Err(Refusal::FailoverInProgress);
        }
        if !self.replicas.contains_key(to) {
            return Err(Refusal::NotAReplica(to.clone()));
        }
        let mut events = vec![Event::Shadow(ShadowEvent::Followed { from: self.master.addr.clone(), to: to.clone() })];
        if self.in_shadow() {
            self.incident(stamp);
        }
        self.close_incident(Some(to), stamp, &mut events);
        if let Some(failover) = self.failover.take() {
            self.remember(failover.id, |decision| decision.ended = Some((stamp, Ending::Aborted(AbortReason::MovedByOthers))));
        }
        self.replicas.remove(to);
        let next = MasterRecord {
            addr: to.clone(),
            identity: Some(identity.clone()),
            former_history: None,
            earlier: None,
            inherits: None,
            since: stamp,
        };
        let old = std::mem::replace(&mut self.master, next);
        self.master.inherits = old.identity.clone().or(old.inherits);
        self.replicas.insert(old.addr, ReplicaRecord::counted(old.identity));
        if let Some(fence) = &mut self.fence {
            // Nobody of ours set anything on it.
            fence.min_replicas = 0;
            fence.since = stamp;
        }
        self.epoch = self.epoch.next();
        self.ballot.clear();
        self.announce_master(&mut events);
        Ok((Outcome::Done, events))
    }
}
