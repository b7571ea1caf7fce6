//! The only place that reads a clock for those who reason with moments.

use std::time::{Duration, Instant, SystemTime};

use crate::base::{Mono, WallTime};

/// This process's clocks. Copies agree with each other.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock {
    /// The monotonic clock: for every judgement of age.
    pub fn mono(&self) -> Mono {
        Mono(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// The wall clock: for people only.
    pub fn wall(&self) -> WallTime {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        WallTime(u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX))
    }

    /// The runtime's name for a moment, to sleep until it.
    pub fn instant(&self, at: Mono) -> Instant {
        self.start + Duration::from_micros(at.0)
    }
}
