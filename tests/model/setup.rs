//! What a seed decides before anything happens.

use crate::base::settings::PromotionPolicy;
use crate::breach::Breach;
use crate::dice::Dice;

/// What is left of a data node's memory after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// All data, but neither its history nor its place in one (append-only file).
    Data,
    /// An older state, with its place in the history (snapshot file).
    Snapshot,
    /// Nothing.
    Nothing,
}

/// Which classes of trouble may happen, beside the ordinary ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adversary {
    /// A data node is stopped and goes on later: P4 is not promised then.
    pub stops: bool,
    /// Data nodes lose data when they restart.
    pub losses: bool,
    /// So do masters, before anybody else was chosen: their replicas copy what is left.
    pub master_losses: bool,
    /// So do replicas that were seen detached, before one of them is promoted: not promised until the process that was seen is the one
    /// that is promoted.
    pub losses_in_failover: bool,
    /// Data nodes restart without what was configured at run time.
    pub amnesia: bool,
    /// An act takes seconds to be delivered after its sentinel's last check.
    pub late_acts: bool,
    /// A packet is overtaken for a second or more by others of its connection's other direction.
    pub slow_packets: bool,
    /// Servers join, move and leave, and connections pretend to be replicas.
    pub guests: bool,
    /// An operator makes a replica the master at the servers, and points the others at it.
    pub by_hand: bool,
    /// An operator has groups removed.
    pub removals: bool,
    /// Planned changes are asked for all the time, by any policy.
    pub planned: bool,
}

/// One group's circumstances.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Data nodes, the first master included.
    pub nodes: usize,
    /// The promotion policy.
    pub policy: PromotionPolicy,
    /// `fence-max-lag`.
    pub max_lag_s: u32,
    /// `down-after-milliseconds`.
    pub down_after_ms: u64,
    /// What a restart leaves.
    pub keeps: Keeps,
}

/// One schedule's circumstances.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The seed.
    pub seed: u64,
    /// The groups under the same sentinels.
    pub groups: Vec<Terms>,
    /// Sentinels.
    pub sentinels: usize,
    /// Which trouble is allowed.
    pub adversary: Adversary,
    /// How long the storm lasts; 0 for none.
    pub storm_ms: u64,
    /// Messages take fixed times.
    pub exact: bool,
    /// A rule that is broken.
    pub breach: Option<Breach>,
}

impl Adversary {
    /// What all promises are made for.
    pub const PROMISED: Self = Self {
        stops: false,
        losses: true,
        master_losses: false,
        losses_in_failover: true,
        amnesia: false,
        late_acts: false,
        slow_packets: false,
        guests: false,
        by_hand: false,
        removals: false,
        planned: false,
    };

    /// Planned changes in the middle of everything else.
    pub const PLANNED: Self = Self { planned: true, ..Self::PROMISED };

    /// Groups are removed in the middle of everything else.
    pub const REMOVALS: Self = Self { removals: true, ..Self::PROMISED };

    /// An operator moves roles at the servers themselves, while connections are cut and servers stop for good.
    pub const BY_HAND: Self = Self { by_hand: true, losses: false, losses_in_failover: false, ..Self::PROMISED };

    /// The adversary of a seed: half of them the promised one, the others with what the documentation of the fence names as
    /// its limits. The promises that do not depend on those are checked all the same.
    pub const fn of(seed: u64) -> Self {
        match seed % 5 {
            0 => Self { stops: true, ..Self::PROMISED },
            1 => Self { amnesia: true, ..Self::PROMISED },
            2 => Self { late_acts: true, ..Self::PROMISED },
            3 => Self { guests: true, ..Self::PROMISED },
            _ => Self::PROMISED,
        }
    }
}

impl Setup {
    /// What `seed` stands for.
    pub fn of(seed: u64, adversary: Adversary) -> Self {
        let mut dice = Dice::new(seed ^ 0x5E70_0000_0000_0000);
        let groups = match dice.between(0, 99) {
            _ if adversary.guests => 1,
            0..=64 => 1,
            65..=92 => 2,
            _ => 3,
        };
        // Others beside the first one are small: what they have in common is the sentinels.
        let sizes: [&[usize]; 2] = [&[3, 3, 3, 3, 4, 4, 5, 6], &[3, 3, 3, 4]];
        Self {
            seed,
            groups: (0..groups).map(|nth| Terms::of(&mut dice, adversary, sizes[usize::from(nth > 0)])).collect(),
            sentinels: if dice.chance(85) { 3 } else { 5 },
            adversary,
            storm_ms: if adversary.guests { dice.between(10_000, 45_000) } else { dice.between(6_000, 16_000) },
            exact: false,
            breach: None,
        }
    }
}

impl Terms {
    fn of(dice: &mut Dice, adversary: Adversary, sizes: &[usize]) -> Self {
        let strict = if adversary.planned { 35 } else { 92 };
        let policy =
            if dice.chance(strict) { PromotionPolicy::Strict } else { dice.pick(&[PromotionPolicy::Auto, PromotionPolicy::Available]) };
        let keeps = if adversary.losses { dice.pick(&[Keeps::Data, Keeps::Data, Keeps::Snapshot, Keeps::Nothing]) } else { Keeps::Data };
        Self { nodes: dice.pick(sizes), policy, max_lag_s: dice.pick(&[1, 2, 2]), down_after_ms: dice.pick(&[600, 1000, 1000]), keeps }
    }
}
