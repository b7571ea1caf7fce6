//! How often data nodes are asked and spoken to, where an operator wants it faster (SENTINEL DEBUG).

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::settings::{INFO_PERIOD_MS, PING_PERIOD_MAX_MS};

/// From one hello to the next.
pub const HELLO_PERIOD_MS: u64 = 2000;

/// One of the periods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// From one INFO to the next (INFO-PERIOD).
    Info,
    /// From one PING to the next, where the group's own period is not shorter (PING-PERIOD).
    Ping,
    /// From one hello to the next (PUBLISH-PERIOD).
    Hello,
}

impl Pace {
    /// What it may be. Never slower than the default: what is decided rests on looks that are younger than that.
    pub const fn range_ms(self) -> RangeInclusive<u64> {
        match self {
            Self::Info => 50..=INFO_PERIOD_MS,
            Self::Ping => 10..=PING_PERIOD_MAX_MS,
            Self::Hello => 100..=HELLO_PERIOD_MS,
        }
    }
}

/// The periods in force. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Paces(Arc<[AtomicU64; 3]>);

impl Default for Paces {
    fn default() -> Self {
        Self(Arc::new([Pace::Info, Pace::Ping, Pace::Hello].map(|pace| AtomicU64::new(*pace.range_ms().end()))))
    }
}

/// All clones of one are equal, whatever they hold.
impl PartialEq for Paces {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Paces {}

impl Paces {
    /// The period in milliseconds.
    pub fn ms(&self, pace: Pace) -> u64 {
        self.0[pace as usize].load(Ordering::Relaxed)
    }

    /// Changes a period, for the next question; one outside its range is brought into it.
    pub fn set_ms(&self, pace: Pace, ms: u64) {
        let range = pace.range_ms();
        self.0[pace as usize].store(ms.clamp(*range.start(), *range.end()), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_can_only_be_quickened() {
        let paces = Paces::default();
        let seen = paces.clone();
        paces.set_ms(Pace::Info, 200);
        paces.set_ms(Pace::Ping, 0);
        paces.set_ms(Pace::Hello, 60_000);
        assert_eq!([Pace::Info, Pace::Ping, Pace::Hello].map(|pace| seen.ms(pace)), [200, 10, HELLO_PERIOD_MS]);
    }
}
