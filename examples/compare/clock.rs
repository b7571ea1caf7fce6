//! Moments of one run, as numbers that can be written down and compared.

use std::time::{Duration, Instant};

/// Microseconds since the run's clock was started. Only monotonic time is used.
pub(crate) type Us = u64;

/// One second.
pub(crate) const SECOND: Us = 1_000_000;

/// The clock of one run. Copies agree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> Us {
        us(self.0.elapsed())
    }
}

/// A span in microseconds.
pub(crate) fn us(span: Duration) -> Us {
    Us::try_from(span.as_micros()).unwrap_or(Us::MAX)
}

/// Microseconds as milliseconds with a fraction.
#[expect(clippy::cast_precision_loss, reason = "a run lasts minutes, and a microsecond more or less is not seen")]
pub(crate) fn ms(us: Us) -> f64 {
    us as f64 / 1000.0
}
