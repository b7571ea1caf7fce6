//! Redis's own dead-man's switch, by which a master stops taking writes when too few replicas follow it.

use serde::{Deserialize, Serialize};

/// What a server is to hold, or was seen to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// `min-replicas-to-write`: how many replicas must have acknowledged lately for it to take writes; 0 is off.
    pub min_replicas: u32,
    /// `min-replicas-max-lag`, in seconds: what lately means.
    pub max_lag_s: u32,
}

impl Fence {
    /// No fence, with the lag that Redis begins with.
    pub const OFF: Self = Self { min_replicas: 0, max_lag_s: 10 };

    /// No writes at all, whatever follows: more replicas than any master has. Held by a replica that lends its data as a master.
    pub const NO_WRITES: Self = Self { min_replicas: 1_000_000, max_lag_s: 1 };
    /// The same, for a server that somebody else made a master. Told apart, since that one may have taken writes before.
    pub const CLOSED: Self = Self { min_replicas: 1_000_001, max_lag_s: 1 };

    /// How many replicas a master with `replicas` known ones needs, so that with them it is a majority of the data nodes.
    pub const fn majority_of(replicas: u32) -> u32 {
        replicas.div_ceil(2)
    }
}

/// What was seen of a server's fence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FenceSight {
    /// What is in force.
    Holds(Fence),
    /// The server does not say; its words. CONFIG may be renamed, or forbidden to our user.
    Unknown(String),
}

impl FenceSight {
    /// What is in force, if that is known.
    pub const fn held(&self) -> Option<Fence> {
        match self {
            Self::Holds(fence) => Some(*fence),
            Self::Unknown(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_and_the_replicas_it_needs_are_a_majority() {
        for replicas in 1..64 {
            let with_master = Fence::majority_of(replicas) + 1;
            assert!(2 * with_master > replicas + 1, "{replicas} replicas");
            assert!(2 * (with_master - 1) <= replicas + 1, "{replicas} replicas: one fewer would be no majority");
        }
    }
}
