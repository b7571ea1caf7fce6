//! SENTINEL SIMULATE-FAILURE: where an operator wants this process to end, so that a drill shows what the others do then.
//!
//! `serve` sets the switch, `agent` passes the places. Unlike [`failpoint`](crate::failpoint) it is part of every build, as in stock Sentinel.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// The exit code of a simulated failure, stock's.
const EXIT_CODE: i32 = 99;

/// A place in a failover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// This sentinel leads a failover and is about to decide it.
    AfterElection,
    /// This sentinel saw the chosen replica as a master, and that is in the log.
    AfterPromotion,
}

impl Place {
    /// Every place.
    pub const ALL: [Self; 2] = [Self::AfterElection, Self::AfterPromotion];

    /// Its word in the command.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AfterElection => "crash-after-election",
            Self::AfterPromotion => "crash-after-promotion",
        }
    }

    /// Its bit in `sentinel_simulate_failure_flags`.
    const fn bit(self) -> u8 {
        match self {
            Self::AfterElection => 1,
            Self::AfterPromotion => 2,
        }
    }
}

/// The switch. Copies are one switch.
#[derive(Clone, Debug, Default)]
pub struct Simulation(Arc<AtomicU8>);

impl Simulation {
    /// From now on these places and no others.
    pub fn set(&self, places: &[Place]) {
        self.0.store(places.iter().fold(0, |bits, place| bits | place.bit()), Ordering::SeqCst);
    }

    /// All bits, for INFO.
    pub fn bits(&self) -> u8 {
        self.0.load(Ordering::SeqCst)
    }

    /// Ends this process if that is wanted here: at once, as a crash would, with nothing closed or handed over.
    #[expect(clippy::disallowed_methods, reason = "a crash drops nothing and hands nothing over, and that is what is simulated")]
    pub fn pass(&self, place: Place) {
        if self.bits() & place.bit() != 0 {
            tracing::warn!("{}: this process ends now, as SENTINEL SIMULATE-FAILURE asked", place.as_str());
            process::exit(EXIT_CODE);
        }
    }
}
