//! When a server is dialled again that is not there.
//!
//! A server that has just gone is dialled as often as ever: it may only restart, and the limits of a crash run. The longer it has been
//! gone, the longer is the pause, a twentieth of that time: after 20 s it is dialled once a second, by each link. Whoever needs to know
//! (a failover that begins, an operator) looks, and a look ends the pause.

use std::time::Duration;

use rand::Rng;
use tokio::time::Instant;

/// The part of its absence after which a server is dialled again.
const PART: u32 = 20;

/// The absence of one server, as one link sees it.
#[derive(Debug, Default)]
pub(super) struct Redial {
    gone_since: Option<Instant>,
}

impl Redial {
    /// There is a link.
    pub(super) const fn linked(&mut self) {
        self.gone_since = None;
    }

    /// There is none at `now`; how long to wait before the next attempt, from `shortest` to `longest`. Varied by a tenth, so that
    /// many links do not dial in step.
    pub(super) fn pause(&mut self, now: Instant, shortest: Duration, longest: Duration) -> Duration {
        let gone = now.duration_since(*self.gone_since.get_or_insert(now));
        let pause = (gone / PART).min(longest);
        if pause <= shortest { shortest } else { pause.mul_f64(rand::thread_rng().gen_range(0.9..1.1)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_with_the_absence_and_ends_with_it() {
        let (mut redial, start) = (Redial::default(), Instant::now());
        let mut pause = |at_ms| {
            let pause = redial.pause(start + Duration::from_millis(at_ms), Duration::from_millis(100), Duration::from_secs(1));
            u64::try_from(pause.as_millis()).expect("it is short")
        };
        for at_ms in [0, 100, 1000, 2000] {
            assert_eq!(pause(at_ms), 100, "a server that restarts is seen as soon as ever");
        }
        assert!((450..=550).contains(&pause(10_000)));
        for at_ms in [20_000, 1_000_000] {
            assert!((900..=1100).contains(&pause(at_ms)));
        }
        redial.linked();
        let again = redial.pause(start + Duration::from_secs(2000), Duration::from_millis(100), Duration::from_secs(1));
        assert_eq!(again, Duration::from_millis(100));
    }
}
