//! The fence as it is recorded, and all of its arithmetic.
//!
//! A group has N known replicas. Its master is made to refuse writes unless W of them follow it closely
//! ([`Fence::majority_of`]), so that a master that takes writes has, itself included, a majority of the data nodes.
//! From that follow two numbers of replicas that a strict failover has to take away from the master first:
//!
//! * **so that it is out of writes:** once all but W - 1 of the N are detached, W can no longer be gathered;
//! * **so that nothing confirmed is lost:** a write that was confirmed with `WAIT k` is on k of the N, so that any N - k + 1
//!   of them have it.
//!
//! W and k are not the same number at all times. What a master *holds* is recorded as the least that it may hold: raised after it
//! was seen to hold more, lowered before it is told to hold less. What confirmed writes are *covered* by shrinks
//! with every replica that is forgotten (it may have been one of the k), and grows only when replicas were seen to
//! have all that was confirmed before.

use serde::{Deserialize, Serialize};

use super::choice::FencingProof;
use super::event::Event;
use super::failover::Stamp;
use super::group::{Applied, Group};
use super::outcome::{Outcome, Refusal};
use super::replica::{ReplicaRecord, Tenure};
use crate::base::settings::PromotionPolicy;
use crate::base::{Addr, Epoch, Fence};

/// What is known for certain of the fence of the master of the current epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmedFence {
    /// The master takes no write with fewer replicas than this; it may want more. 0: it may take writes alone.
    pub min_replicas: u32,
    /// It counts no replica longer than this many seconds after its last acknowledgement.
    pub max_lag_s: u32,
    /// The k for `WAIT k`: what clients are told to confirm their writes with.
    pub wait_replicas: u32,
    /// Each write that was confirmed as clients were told is held by at least this many of the known replicas.
    pub covered: u32,
    /// When it was last confirmed or found lost.
    pub since: Stamp,
}

/// How many replicas a strict failover has to take away from the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needed {
    /// Intact replicas that must be detached. May be more than there are: then nothing but their return, or an operator, helps.
    pub detached: u32,
    /// Whether that keeps the master from writes. If not, it must be known to be out of them in another way.
    pub fences: bool,
}

impl Group {
    /// N: the replicas that count, up or down. Not those that the master merely lists, nor those that have been gone for long; where
    /// replicas are fixed, those that operators named.
    pub fn known_replicas(&self) -> u32 {
        self.count(|record| record.tenure == Tenure::Counted)
    }

    /// How many may hold what was confirmed: those that count, and those that have been in sync and are not counted yet.
    pub fn holders(&self) -> u32 {
        self.count(ReplicaRecord::may_hold)
    }

    /// Whether a replica may hold what was confirmed.
    pub fn may_hold(&self, replica: &Addr) -> bool {
        self.replicas.get(replica).is_some_and(|record| record.may_hold() && self.is_wanted(record))
    }

    /// Whether a replica is one that may count and be promoted at all.
    pub const fn is_wanted(&self, record: &ReplicaRecord) -> bool {
        !record.found || !self.settings.replicas_fixed
    }

    fn count(&self, is: impl Fn(&ReplicaRecord) -> bool) -> u32 {
        u32::try_from(self.replicas.values().filter(|record| self.is_wanted(record) && is(record)).count()).unwrap_or(u32::MAX)
    }

    /// What the data nodes are to hold; none where the group is to have no fence.
    pub fn wanted_fence(&self) -> Option<Fence> {
        let replicas = self.known_replicas();
        let wanted = match self.settings.promotion_policy {
            PromotionPolicy::Strict => replicas >= 1,
            PromotionPolicy::Auto => replicas >= 2,
            PromotionPolicy::Available => false,
        };
        wanted.then(|| Fence { min_replicas: Fence::majority_of(replicas), max_lag_s: self.settings.fence_max_lag_s })
    }

    /// The policy by which a promotion would be made now: `Strict` or `Available`.
    ///
    /// `Auto` becomes strict when the fence has been armed for the first time. A group whose servers refuse to hold one
    /// (CONFIG is forbidden, say) keeps stock's behaviour and says so, rather than none at all. It does not fall
    /// back when a fence is lost later: that would take a promise away without a word.
    pub fn effective_policy(&self) -> PromotionPolicy {
        match self.settings.promotion_policy {
            PromotionPolicy::Strict => PromotionPolicy::Strict,
            PromotionPolicy::Auto if self.wanted_fence().is_some() && self.fence.is_some() => PromotionPolicy::Strict,
            PromotionPolicy::Auto | PromotionPolicy::Available => PromotionPolicy::Available,
        }
    }

    /// Whether promotions are fenced.
    pub fn is_strict(&self) -> bool {
        self.effective_policy() == PromotionPolicy::Strict
    }

    /// The k with which clients confirm writes that are to survive every failover; 0: no number gives that promise.
    pub fn wait_replicas(&self) -> u32 {
        if self.is_strict() { self.fence.map_or(0, |fence| fence.wait_replicas) } else { 0 }
    }

    /// Whether the log says that the master holds all that is wanted of it.
    pub fn is_armed(&self) -> bool {
        let (Some(wanted), Some(known)) = (self.wanted_fence(), self.fence) else { return false };
        known.min_replicas >= wanted.min_replicas && known.max_lag_s <= wanted.max_lag_s
    }

    /// What a promotion sets, in the same transaction that makes a master; none where no server was ever made to hold one.
    pub fn promotion_fence(&self) -> Option<Fence> {
        self.wanted_fence().filter(|_| self.fence.is_some())
    }

    /// Whether the current master was made one by force and has not held a fence since. It takes writes without one until enough replicas
    /// follow it: an operator who forces a failover wants a master that takes writes.
    pub fn is_unprotected(&self) -> bool {
        let decision = self.history.iter().rev().find(|decision| decision.decided == Some(self.master.since));
        let forced = decision.and_then(|decision| decision.choice.as_ref()).is_some_and(|(choice, _)| choice.basis == FencingProof::Forced);
        forced && self.fence.is_some_and(|fence| fence.min_replicas == 0)
    }

    /// What the current master is to hold from its first moment as one; none where no server was ever made to hold a fence.
    pub fn masters_fence(&self) -> Option<Fence> {
        let open = self.is_unprotected();
        self.promotion_fence().map(|fence| if open { Fence { min_replicas: 0, ..fence } } else { fence })
    }

    /// What a strict failover needs.
    pub fn needed(&self) -> Needed {
        let replicas = self.holders();
        let all_but = |held: u32| replicas.saturating_sub(held).saturating_add(1);
        match self.fence {
            // Nothing was ever promised, and nothing keeps the master from writes.
            None => Needed { detached: 1, fences: false },
            Some(fence) => {
                let confirmed = all_but(fence.covered);
                let fences = fence.min_replicas > 0;
                let out = if fences { all_but(fence.min_replicas) } else { 1 };
                Needed { detached: confirmed.max(out), fences }
            }
        }
    }

    /// The master was seen to hold `fence`, which was computed for `replicas` known ones.
    pub(super) fn arm_fence(&mut self, epoch: Epoch, fence: Fence, replicas: u32, stamp: Stamp) -> Result<Applied, Refusal> {
        self.check_epoch(epoch)?;
        if replicas != self.known_replicas() {
            return Err(Refusal::OtherReplicas { counted: replicas, known: self.known_replicas() });
        }
        let Fence { min_replicas, max_lag_s } = fence;
        // Writes that were confirmed with a smaller number are covered by no more than that.
        let covered = self.fence.map_or(min_replicas, |known| known.covered.min(min_replicas));
        let armed = ArmedFence { min_replicas, max_lag_s, wait_replicas: min_replicas, covered, since: stamp };
        if self.fence.is_some_and(|known| ArmedFence { since: stamp, ..known } == armed) {
            return Ok((Outcome::Unchanged, vec![]));
        }
        self.fence = Some(armed);
        self.adapt_failover();
        Ok((Outcome::Done, vec![Event::FenceArmed { master: self.master.addr.clone(), fence, replicas }]))
    }

    /// The master was seen to hold less than is recorded, or is about to be told to.
    pub(super) fn loosen_fence(&mut self, epoch: Epoch, held: Fence, stamp: Stamp) -> Result<Applied, Refusal> {
        self.check_epoch(epoch)?;
        let Some(known) = &mut self.fence else { return Ok((Outcome::Unchanged, vec![])) };
        if known.min_replicas <= held.min_replicas && known.max_lag_s >= held.max_lag_s {
            return Ok((Outcome::Unchanged, vec![]));
        }
        known.min_replicas = known.min_replicas.min(held.min_replicas);
        known.max_lag_s = known.max_lag_s.max(held.max_lag_s);
        known.since = stamp;
        Ok((Outcome::Done, vec![Event::FenceLoosened { master: self.master.addr.clone(), held }]))
    }

    /// So many of the `replicas` known ones were seen to hold all that was confirmed before.
    pub(super) fn cover(&mut self, epoch: Epoch, covered: u32, replicas: u32) -> Result<Applied, Refusal> {
        self.check_epoch(epoch)?;
        if replicas != self.known_replicas() {
            return Err(Refusal::OtherReplicas { counted: replicas, known: self.known_replicas() });
        }
        let Some(known) = &mut self.fence else { return Ok((Outcome::Unchanged, vec![])) };
        let covered = covered.min(known.wait_replicas).max(known.covered);
        let outcome = if covered == known.covered { Outcome::Unchanged } else { Outcome::Done };
        known.covered = covered;
        Ok((outcome, vec![]))
    }

    /// The group has no fence any more: no server holds one by our doing.
    pub(super) fn drop_fence(&mut self, epoch: Epoch) -> Result<Applied, Refusal> {
        self.check_epoch(epoch)?;
        match self.fence.take_if(|known| known.min_replicas == 0) {
            Some(_) => Ok((Outcome::Done, vec![Event::FenceDropped { master: self.master.addr.clone() }])),
            None => Ok((Outcome::Unchanged, vec![])),
        }
    }

    /// A replica is no longer counted. It may have been one of those that held a confirmed write.
    pub(super) const fn uncover_one(&mut self) {
        if let Some(fence) = &mut self.fence {
            fence.covered = fence.covered.saturating_sub(1);
        }
    }
}
