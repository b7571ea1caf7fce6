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
}

impl Breach {
    /// All of them.
    pub const ALL: [Self; 10] = [
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
    ];
}

impl Breach {
    /// The circumstances in which the rule matters most, for `seed`.
    pub fn setup(self, seed: u64) -> Setup {
        let late_acts = self == Self::KeepOldOrders;
        let setup = Setup::of(seed, Adversary { late_acts, ..Adversary::PROMISED });
        let setup = Setup { breach: Some(self), policy: PromotionPolicy::Strict, ..setup };
        match self {
            // With W = 1 most of these are of no consequence.
            Self::RestartedIsIntact => Setup { nodes: 4 + (seed % 2) as usize * 2, keeps: Keeps::Snapshot, ..setup },
            Self::LagWindow | Self::PromoteUnarmed => Setup { nodes: 3, ..setup },
            Self::DetachQuorum
            | Self::OffsetsBeforeDetach
            | Self::LowerBeforeLog
            | Self::ActWithoutPermit
            | Self::LeastData
            | Self::KeepOldOrders
            | Self::WaitForFewer => setup,
        }
    }
}
