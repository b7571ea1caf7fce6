//! Moments: a monotonic one to reason with, a wall one to show people.

use std::fmt;
use std::ops::Add;

use serde::{Deserialize, Serialize};

/// A moment on this process's monotonic clock, in microseconds since the process started.
///
/// All judgements of age use it. It means nothing in another process and is never stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mono(pub u64);

impl Mono {
    /// From milliseconds since the process started (for tests and stories).
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms * 1000)
    }

    /// Whole milliseconds from `earlier` to this moment; 0 if `earlier` is later.
    pub const fn ms_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0) / 1000
    }

    /// This moment, `ms` milliseconds later.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(1000)))
    }
}

/// A moment on the wall clock: microseconds since the Unix epoch, in UTC.
///
/// Stamped into log entries by their proposers so that people can read the history. Nothing is
/// ever decided by it, but whether a group that is monitored was removed a moment ago.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WallTime(pub u64);

impl WallTime {
    /// Milliseconds since the Unix epoch.
    pub const fn as_ms(self) -> u64 {
        self.0 / 1000
    }

    /// Microseconds from `earlier` to this moment; 0 if `earlier` is later (clocks differ).
    pub const fn micros_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<u64> for WallTime {
    type Output = Self;

    /// This moment, `micros` microseconds later.
    fn add(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.0 / 1_000_000;
        let (hour, minute, second) = (secs / 3600 % 24, secs / 60 % 60, secs % 60);
        write!(f, "{hour:02}:{minute:02}:{second:02}.{:03}Z", self.0 / 1000 % 1000)
    }
}
