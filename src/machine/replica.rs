//! The replicas on record: what each counts for, and why one no longer does.
//!
//! The fence is computed from *servers* that were seen in sync, not from addresses that a master lists. So a replica is a guest first;
//! it counts once a sentinel has seen it in sync, over a link of its own, for a while; and it stops counting when it has left and
//! enough others hold all that it may have confirmed.

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::group::{Applied, Group, Identity};
use super::outcome::{Outcome, Refusal};
use crate::base::{Addr, Epoch, RunId};

/// What a replica on record counts for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tenure {
    /// It is one of the N by which the fence is computed, up or down.
    #[default]
    Counted,
    /// The master lists it. Nothing is built on that until a sentinel has seen it in sync over a link of its own; from then on confirmed
    /// writes may be on it. It is counted once that has lasted.
    Guest,
    /// It was counted, and has been gone while others held all that it may have confirmed. It may come back.
    Away,
}

impl Tenure {
    /// Whether it is the usual one.
    pub fn is_counted(&self) -> bool {
        *self == Self::Counted
    }
}

/// Why a replica is no longer counted, or no longer known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Retirement {
    /// The same process is known under another address.
    #[error("the same server is known as {to}")]
    Moved {
        /// That address.
        to: Addr,
    },
    /// Another server counts in its place; it stays on record.
    #[error("{by} counts in its place")]
    Replaced {
        /// Which.
        by: Addr,
    },
    /// It was listed by the master for a while, and never seen in sync.
    #[error("it was never seen in sync")]
    Unconfirmed,
    /// It left before it had been in sync for long enough to be counted.
    #[error("it left before it was counted")]
    Left,
    /// It is no longer counted, and stays on record: others hold all that it may have confirmed.
    #[error("it is gone, and the others hold all that it may have confirmed")]
    Away,
    /// It has been gone for as long as the settings say.
    #[error("it has been gone for as long as replica-forget-after says")]
    Gone,
}

/// A known replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaRecord {
    /// What was last seen of it; none until it was seen.
    pub identity: Option<Identity>,
    /// What it counts for.
    #[serde(default, skip_serializing_if = "Tenure::is_counted")]
    pub tenure: Tenure,
    /// Whether it was found in a master's list: no operator named it, and it has not been the master.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub found: bool,
    /// The process whose data an operator gave up: it is made a replica although it shows nothing of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<RunId>,
}

impl ReplicaRecord {
    /// A server that counts, as far as is known.
    pub(super) const fn counted(identity: Option<Identity>) -> Self {
        Self { identity, tenure: Tenure::Counted, found: false, adopted: None }
    }

    /// Whether it may hold what was confirmed and is nowhere else.
    pub const fn may_hold(&self) -> bool {
        match self.tenure {
            Tenure::Counted => true,
            Tenure::Guest => self.identity.is_some(),
            Tenure::Away => false,
        }
    }
}

impl Group {
    /// A replica was seen; `tenure` changes what it counts for, if it is said.
    pub(super) fn note_replica(
        &mut self,
        epoch: Epoch,
        replica: &Addr,
        identity: Option<&Identity>,
        tenure: Option<Tenure>,
    ) -> Result<Applied, Refusal> {
        self.check_epoch(epoch)?;
        if *replica == self.master.addr {
            return Err(Refusal::NotAReplica(replica.clone()));
        }
        let master = self.master.addr.clone();
        let room = self.settings.room_for_replicas();
        let full = self.replicas.len() >= room;
        match self.replicas.get_mut(replica) {
            None if self.settings.replicas_fixed => Err(Refusal::NotNamed(replica.clone())),
            None if full => Err(Refusal::TooMany { what: "replicas of a group".to_owned(), limit: room }),
            None => {
                let (tenure, found) = (tenure.unwrap_or_default(), tenure.is_some());
                let record = ReplicaRecord { identity: identity.cloned(), tenure, found, adopted: None };
                self.replicas.insert(replica.clone(), record);
                self.adapt_failover();
                Ok((Outcome::Done, vec![Event::ReplicaAdded { replica: replica.clone(), master }]))
            }
            Some(known) => {
                let mut events = Vec::new();
                let (before, identity) = (known.clone(), identity.or(known.identity.as_ref()).cloned());
                let process = |identity: &Option<Identity>| identity.as_ref().map(|identity| identity.run_id.clone());
                if before.identity.is_some() && process(&before.identity) != process(&identity) {
                    events.push(Event::Restarted { node: replica.clone(), master: master.clone() });
                }
                known.identity = identity;
                known.tenure = tenure.unwrap_or(known.tenure);
                if *known == before {
                    return Ok((Outcome::Unchanged, vec![]));
                }
                if known.tenure != before.tenure {
                    events.push(Event::ReplicaCounted { replica: replica.clone(), master, counted: known.tenure == Tenure::Counted });
                    self.adapt_failover();
                }
                Ok((Outcome::Done, events))
            }
        }
    }

    /// An operator names a replica: where they are fixed, no other counts. With `adopts` he gives up what that process holds.
    pub(super) fn name_replica(&mut self, replica: &Addr, adopts: Option<&RunId>) -> Result<Applied, Refusal> {
        let named = self.record_name(replica)?;
        let Some(record) = self.replicas.get_mut(replica).filter(|record| adopts.is_some() && record.adopted.as_ref() != adopts) else {
            return Ok(named);
        };
        record.adopted = adopts.cloned();
        Ok((Outcome::Done, named.1))
    }

    fn record_name(&mut self, replica: &Addr) -> Result<Applied, Refusal> {
        if *replica == self.master.addr {
            return Err(Refusal::NotAReplica(replica.clone()));
        }
        let room = self.settings.room_for_replicas();
        if !self.replicas.contains_key(replica) && self.replicas.len() >= room {
            return Err(Refusal::TooMany { what: "replicas of a group".to_owned(), limit: room });
        }
        let known = self.replicas.contains_key(replica);
        let guest = ReplicaRecord { identity: None, tenure: Tenure::Guest, found: true, adopted: None };
        let record = self.replicas.entry(replica.clone()).or_insert(guest);
        if !std::mem::replace(&mut record.found, false) {
            return Ok((Outcome::Unchanged, vec![]));
        }
        self.adapt_failover();
        let added = Event::ReplicaAdded { replica: replica.clone(), master: self.master.addr.clone() };
        Ok((Outcome::Done, if known { vec![] } else { vec![added] }))
    }

    /// A replica is no longer counted, since `covered` of those that stay were seen to hold all that it may have confirmed, and the
    /// master was seen not to list it. Computed for `counted` replicas; with another number it is void.
    pub(super) fn retire(
        &mut self,
        epoch: Epoch,
        replica: &Addr,
        why: &Retirement,
        (covered, counted): (u32, u32),
    ) -> Result<Applied, Refusal> {
        self.check_epoch(epoch)?;
        if self.failover.is_some() {
            return Err(Refusal::FailoverInProgress);
        }
        if counted != self.known_replicas() {
            return Err(Refusal::OtherReplicas { counted, known: self.known_replicas() });
        }
        let Some(record) = self.replicas.get_mut(replica) else { return Err(Refusal::NotAReplica(replica.clone())) };
        let (held, was_counted) = (record.may_hold(), record.tenure == Tenure::Counted);
        let master = self.master.addr.clone();
        let stays = matches!(why, Retirement::Away | Retirement::Replaced { .. });
        let event = if stays {
            if std::mem::replace(&mut record.tenure, Tenure::Away) == Tenure::Away {
                return Ok((Outcome::Unchanged, vec![]));
            }
            Event::ReplicaCounted { replica: replica.clone(), master, counted: false }
        } else {
            self.replicas.remove(replica);
            Event::ReplicaForgotten { replica: replica.clone(), master, why: Some(why.clone()) }
        };
        if let Retirement::Moved { to: heir } | Retirement::Replaced { by: heir } = why
            && let Some(heir) = self.replicas.get_mut(heir).filter(|_| was_counted)
        {
            heir.tenure = Tenure::Counted;
        }
        if let Some(fence) = self.fence.as_mut().filter(|_| held && !matches!(why, Retirement::Moved { .. })) {
            fence.covered = fence.covered.min(covered);
        }
        Ok((Outcome::Done, vec![event]))
    }

    pub(super) fn forget_replica(&mut self, replica: &Addr) -> Result<Applied, Refusal> {
        if self.failover.is_some() {
            return Err(Refusal::FailoverInProgress);
        }
        match self.replicas.remove(replica) {
            Some(record) => {
                if record.may_hold() {
                    self.uncover_one();
                }
                let master = self.master.addr.clone();
                Ok((Outcome::Done, vec![Event::ReplicaForgotten { replica: replica.clone(), master, why: None }]))
            }
            None => Err(Refusal::NotAReplica(replica.clone())),
        }
    }

    pub(super) fn reset(&mut self, down: &[Addr]) -> Result<Applied, Refusal> {
        if self.failover.is_some() {
            return Err(Refusal::FailoverInProgress);
        }
        let master = self.master.addr.clone();
        let mut events = vec![Event::GroupReset { master: master.clone() }];
        for replica in down {
            if let Some(record) = self.replicas.remove(replica) {
                if record.may_hold() {
                    self.uncover_one();
                }
                events.push(Event::ReplicaForgotten { replica: replica.clone(), master: master.clone(), why: None });
            }
        }
        Ok((Outcome::Done, events))
    }
}
