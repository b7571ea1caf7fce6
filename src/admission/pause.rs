//! A pause after an accept that failed: descriptors or memory that ran out do not come back within a microsecond.

use std::io;
use std::time::Duration;

use crate::base::Mono;
use crate::base::told::{Told, left_out};
use crate::clock::Clock;

/// The first pause; each further one is twice as long.
const SHORTEST_MS: u64 = 10;
/// The longest pause. An operator who waits for a place is not to wait longer than this.
const LONGEST_MS: u64 = 500;
/// A failure is told at most this often.
const TELL_EVERY_MS: u64 = 30_000;

/// The pauses of one listener.
#[derive(Debug)]
pub struct Pause {
    port: &'static str,
    clock: Clock,
    next_ms: u64,
    told: Told<Option<i32>>,
}

impl Pause {
    /// For the listener of `port`, the words for people.
    pub const fn new(port: &'static str, clock: Clock) -> Self {
        Self { port, clock, next_ms: SHORTEST_MS, told: Told::new(TELL_EVERY_MS) }
    }

    /// An accept succeeded: the next failure begins with a short pause again.
    pub const fn over(&mut self) {
        self.next_ms = SHORTEST_MS;
    }

    /// How long to wait after this error, which is logged if that is due. None where the error was the other side's: it left before it
    /// was looked at.
    pub fn after(&mut self, error: &io::Error) -> Option<Duration> {
        self.after_at(error, self.clock.mono())
    }

    fn after_at(&mut self, error: &io::Error, now: Mono) -> Option<Duration> {
        use io::ErrorKind::{ConnectionAborted, ConnectionReset, NotConnected};
        if matches!(error.kind(), ConnectionAborted | ConnectionReset | NotConnected) {
            return None;
        }
        if let Some(count) = self.told.due(error.raw_os_error(), now) {
            tracing::warn!("cannot accept connections to {}: {error}; trying again with pauses{}", self.port, left_out(count));
        }
        let pause = Duration::from_millis(self.next_ms);
        self.next_ms = (self.next_ms * 2).min(LONGEST_MS);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_while_descriptors_are_missing_and_begin_anew_afterwards() {
        let mut pause = Pause::new("a port", Clock::default());
        let missing = io::Error::from_raw_os_error(24);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            pauses.extend(pause.after(&missing).map(|pause| pause.as_millis()));
        }
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 500, 500]);
        pause.over();
        assert_eq!(pause.after(&missing), Some(Duration::from_millis(10)));
        assert_eq!(pause.after(&io::ErrorKind::ConnectionAborted.into()), None, "the other side left");
    }
}
