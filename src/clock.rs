//! The only place that reads a clock for those who reason with moments.

use std::time::{Duration, Instant, SystemTime};

use rustix::time::{ClockId, clock_gettime};

use crate::base::{Mono, WallTime};

/// This process's clocks. Copies agree with each other.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Of the boot clock.
    start: Duration,
}

impl Default for Clock {
    fn default() -> Self {
        Self { start: since_boot() }
    }
}

/// The age of this system, with the time that it was suspended (`CLOCK_BOOTTIME`): the runtime's own clock stands still meanwhile.
fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    // Neither is negative.
    Duration::new(u64::try_from(now.tv_sec).unwrap_or_default(), u32::try_from(now.tv_nsec).unwrap_or_default())
}

/// One moment by three clocks, to tell how much time passed at least: a clock may have stood still or been set back.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    boot: Duration,
    runtime: Instant,
    wall: SystemTime,
}

impl Moment {
    /// Milliseconds since then by the clock that went furthest. A wall clock that was set forward makes it look older than it is, never
    /// younger.
    pub fn age_ms(&self) -> u64 {
        let wall = self.wall.elapsed().unwrap_or_default();
        let longest = since_boot().saturating_sub(self.boot).max(self.runtime.elapsed()).max(wall);
        u64::try_from(longest.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Clock {
    /// The clock of this system's age: for every judgement of age. It goes on while the system is suspended.
    pub fn mono(&self) -> Mono {
        Mono(u64::try_from(since_boot().saturating_sub(self.start).as_micros()).unwrap_or(u64::MAX))
    }

    /// Now, by every clock there is.
    pub fn moment(&self) -> Moment {
        Moment { boot: since_boot(), runtime: Instant::now(), wall: SystemTime::now() }
    }

    /// The wall clock: for people only.
    pub fn wall(&self) -> WallTime {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        WallTime(u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX))
    }

    /// The runtime's name for a moment, to sleep until it. A suspension of the system makes the sleep longer by as much.
    pub fn instant(&self, at: Mono) -> Instant {
        Instant::now() + Duration::from_micros(at.0.saturating_sub(self.mono().0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_as_old_as_the_clock_that_went_furthest_says() {
        let now = Clock::default().moment();
        assert!(now.age_ms() < 5000);
        for past in [
            Moment { boot: now.boot - Duration::from_secs(7), ..now },
            Moment { runtime: now.runtime - Duration::from_secs(7), ..now },
            Moment { wall: now.wall - Duration::from_secs(7), ..now },
        ] {
            assert!(past.age_ms() >= 7000, "{past:?}");
        }
        let set_back = Moment { wall: now.wall + Duration::from_secs(86400), ..now };
        assert!(set_back.age_ms() < 5000, "a wall clock that was set back says nothing");
    }

    #[test]
    fn a_moment_of_the_past_is_now_for_the_runtime() {
        let clock = Clock::default();
        assert!(clock.instant(Mono(0)) <= Instant::now());
        assert!(clock.instant(clock.mono().plus_ms(60_000)) > Instant::now() + Duration::from_secs(50));
    }
}
