//! Rules of the protocol, each broken on purpose to show that the simulation notices.
//!
//! The judge and the machine stay as they are: what they are told, or what becomes of what they want, is changed on the way.

use crate::base::settings::PromotionPolicy;
use crate::setup::{Adversary, Keeps, Setup};

/// A broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// One detached replica is taken for a quorum.
    DetachQuorum,
    /// Offsets are read before the replicas leave the old master.
    OffsetsBeforeDetach,
    /// The old master is taken to have noticed its loss at once.
    LagWindow,
    /// The master holds less than the log says, and nobody looks.
    LowerBeforeLog,
    /// An act is carried out although its sentinel may not lead any more, or the log says otherwise by now.
    ActWithoutPermit,
    /// A process that restarted is taken for the one that it was.
    RestartedIsIntact,
    /// The replica with the least data is promoted.
    LeastData,
    /// A replica that leaves its master goes on listening to what older sentinels have already said to it.
    KeepOldOrders,
    /// Clients wait for one replica fewer than they are told.
    WaitForFewer,
    /// A new master is made without its fence.
    PromoteUnarmed,
    /// What is seen of one group's master is written for another group.
    MixedGroups,
    /// What a server has taken since an operator made it a master is not seen.
    UnseenByHand,
    /// A group is removed as it is.
    RemoveAtOnce,
}

impl Breach {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::DetachQuorum,
        Self::OffsetsBeforeDetach,
        Self::LagWindow,
        Self::LowerBeforeLog,
        Self::ActWithoutPermit,
        Self::RestartedIsIntact,
        Self::LeastData,
        Self::KeepOldOrders,
        Self::WaitForFewer,
        Self::PromoteUnarmed,
        Self::MixedGroups,
        Self::UnseenByHand,
        Self::RemoveAtOnce,
    ];
}

impl Breach {
    /// The circumstances in which the rule matters most, for `seed`.
    pub fn setup(self, seed: u64) -> Setup {
        let late_acts = self == Self::KeepOldOrders;
        let mut setup = Setup {
            breach: Some(self),
            ..Setup::of(
                seed,
                Adversary { late_acts, by_hand: self == Self::UnseenByHand, removals: self == Self::RemoveAtOnce, ..Adversary::PROMISED },
            )
        };
        if self == Self::MixedGroups && setup.groups.len() == 1 {
            setup.groups.push(setup.groups[0].clone());
        }
        // What is seldom found is looked for where it costs least.
        if matches!(self, Self::RestartedIsIntact | Self::KeepOldOrders | Self::OffsetsBeforeDetach) {
            setup.groups.truncate(1);
        }
        for terms in &mut setup.groups {
            terms.policy = PromotionPolicy::Strict;
            match self {
                // With W = 1 most of these are of no consequence.
                Self::RestartedIsIntact => (terms.nodes, terms.keeps) = (4 + (seed % 2) as usize * 2, Keeps::Snapshot),
                Self::LagWindow | Self::PromoteUnarmed => terms.nodes = 3,
                Self::DetachQuorum
                | Self::OffsetsBeforeDetach
                | Self::LowerBeforeLog
                | Self::ActWithoutPermit
                | Self::LeastData
                | Self::KeepOldOrders
                | Self::WaitForFewer
                | Self::MixedGroups
                | Self::UnseenByHand
                | Self::RemoveAtOnce => {}
            }
        }
        setup
    }
}
