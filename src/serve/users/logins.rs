//! The limit on wrong passwords, for each place that they come from.
//!
//! Guesses are limited, not addresses: a wrong password that is said again is no new guess, so that a forgotten client with an old password
//! uses up nothing; and who has said the right one from an address is let in there, whatever else comes from it. So a guesser behind a shared
//! address keeps out nobody who was in before, and nobody else for longer than the guessing lasts. This host itself is never refused.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};

use sha2::{Digest as _, Sha256};

use crate::base::Mono;
use crate::serve::Endpoint;

/// Different wrong passwords that one place may say at once.
const GUESSES: u64 = 10;
/// One more is allowed after this time.
const GUESS_EVERY_MS: u64 = 5_000;
/// Places that are remembered.
const SOURCES: usize = 4096;
/// Wrong and right pairs of user and password that are remembered of a place; each.
const PAIRS: usize = 16;
/// A place is written of in the log this often at most, and all of them together so many times within that time.
const TOLD_EVERY_MS: u64 = 60_000;
/// See [`TOLD_EVERY_MS`].
const TOLD: u32 = 20;

/// Where logins come from: an address, or the network that one host may fill with addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Here,
    Address(IpAddr),
}

impl Source {
    fn of(peer: &Endpoint) -> Self {
        match peer {
            Endpoint::Ip(addr) if !peer.is_here() => Self::Address(match addr.ip().to_canonical() {
                IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
                v4 @ IpAddr::V4(_) => v4,
            }),
            Endpoint::Ip(_) | Endpoint::Unix(_) => Self::Here,
        }
    }
}

/// The hash of a user with a password.
type Pair = [u8; 32];

#[derive(Debug, Default)]
struct LoginRecord {
    /// Guesses that are not forgiven yet, in milliseconds of forgiving.
    debt_ms: u64,
    /// The moment that `debt_ms` is about.
    at: Mono,
    wrong: VecDeque<Pair>,
    right: VecDeque<Pair>,
    /// The last line in the log, and failures since.
    told: Option<Mono>,
    untold: u64,
}

impl LoginRecord {
    fn forgive(&mut self, now: Mono) {
        let passed_ms = now.ms_since(self.at);
        self.debt_ms = self.debt_ms.saturating_sub(passed_ms);
        // By whole milliseconds, so that quick attempts do not keep the time from passing.
        self.at = self.at.plus_ms(passed_ms);
    }

    /// Milliseconds until the next guess is allowed.
    const fn wait_ms(&self) -> u64 {
        (self.debt_ms + GUESS_EVERY_MS).saturating_sub(GUESSES * GUESS_EVERY_MS)
    }
}

/// What becomes of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ruling {
    /// The password is compared, and counts.
    Compared,
    /// Too many guesses came from there: not even a right one counts, for so many milliseconds.
    TooMany(u64),
}

/// What the log is to say of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LoginReport {
    /// Failures from there since the last line.
    pub(super) failures: u64,
}

/// All places.
#[derive(Debug, Default)]
pub(super) struct Logins {
    sources: BTreeMap<Source, LoginRecord>,
    window: Mono,
    lines: u32,
}

impl Logins {
    /// Whether an attempt counts. `right` is whether the password is the user's.
    pub(super) fn rule(&mut self, peer: &Endpoint, user: &[u8], password: &[u8], right: bool, now: Mono) -> Ruling {
        let source = Source::of(peer);
        let pair = pair(user, password);
        if !self.sources.contains_key(&source) {
            self.make_room(now);
        }
        let record = self.sources.entry(source).or_insert_with(|| LoginRecord { at: now, ..LoginRecord::default() });
        record.forgive(now);
        if right && record.right.contains(&pair) {
            return Ruling::Compared;
        }
        if source != Source::Here && record.wait_ms() > 0 {
            return Ruling::TooMany(record.wait_ms());
        }
        if right {
            remember(&mut record.right, pair);
        } else if !record.wrong.contains(&pair) {
            remember(&mut record.wrong, pair);
            record.debt_ms = (record.debt_ms + GUESS_EVERY_MS).min(GUESSES * GUESS_EVERY_MS);
        }
        Ruling::Compared
    }

    /// Whether a wrong password from there is answered late: this host is not refused, so guesses are slowed down instead.
    pub(super) fn is_slow(&self, peer: &Endpoint) -> bool {
        self.sources.get(&Source::of(peer)).is_some_and(|record| record.wait_ms() > 0)
    }

    /// Counts a failure; what the log is to say now, if anything.
    pub(super) fn report(&mut self, peer: &Endpoint, now: Mono) -> Option<LoginReport> {
        let record = self.sources.get_mut(&Source::of(peer))?;
        record.untold += 1;
        if record.told.is_some_and(|told| now.ms_since(told) < TOLD_EVERY_MS) {
            return None;
        }
        if now.ms_since(self.window) >= TOLD_EVERY_MS {
            (self.window, self.lines) = (now, 0);
        }
        if self.lines >= TOLD {
            return None;
        }
        self.lines += 1;
        record.told = Some(now);
        Some(LoginReport { failures: std::mem::take(&mut record.untold) })
    }

    /// Forgets places: first those that owe nothing, then those that were heard of longest ago.
    fn make_room(&mut self, now: Mono) {
        if self.sources.len() < SOURCES {
            return;
        }
        self.sources.retain(|_, record| record.debt_ms > now.ms_since(record.at));
        while self.sources.len() >= SOURCES {
            let Some(oldest) = self.sources.iter().min_by_key(|(_, record)| record.at).map(|(source, _)| *source) else { return };
            self.sources.remove(&oldest);
        }
    }
}

fn remember(pairs: &mut VecDeque<Pair>, pair: Pair) {
    pairs.push_back(pair);
    if pairs.len() > PAIRS {
        pairs.pop_front();
    }
}

fn pair(user: &[u8], password: &[u8]) -> Pair {
    Sha256::new().chain_update(user).chain_update([0]).chain_update(password).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(addr: &str) -> Endpoint {
        Endpoint::Ip(addr.parse().expect("an address"))
    }

    fn wrong(logins: &mut Logins, peer: &Endpoint, password: &str, now: u64) -> Ruling {
        logins.rule(peer, b"ops", password.as_bytes(), false, Mono::from_ms(now))
    }

    fn right(logins: &mut Logins, peer: &Endpoint, now: u64) -> Ruling {
        logins.rule(peer, b"ops", b"right", true, Mono::from_ms(now))
    }

    #[test]
    fn guessing_ends_and_is_forgiven() {
        let (mut logins, peer) = (Logins::default(), from("10.0.0.1:1"));
        for guess in 0..GUESSES {
            assert_eq!(wrong(&mut logins, &peer, &guess.to_string(), 0), Ruling::Compared, "{guess}");
        }
        assert_eq!(wrong(&mut logins, &from("10.0.0.1:2"), "x", 0), Ruling::TooMany(GUESS_EVERY_MS));
        assert_eq!(right(&mut logins, &peer, 0), Ruling::TooMany(GUESS_EVERY_MS), "not even the right one");
        assert_eq!(right(&mut logins, &from("10.0.0.2:1"), 0), Ruling::Compared, "another address");
        assert_eq!(right(&mut logins, &peer, GUESS_EVERY_MS), Ruling::Compared);
        assert_eq!(wrong(&mut logins, &peer, "y", GUESS_EVERY_MS), Ruling::Compared);
        assert!(matches!(wrong(&mut logins, &peer, "z", GUESS_EVERY_MS), Ruling::TooMany(_)));
    }

    #[test]
    fn who_was_in_stays_in_and_an_old_password_uses_up_nothing() {
        let (mut logins, peer) = (Logins::default(), from("10.0.0.1:1"));
        for _ in 0..1000 {
            assert_eq!(wrong(&mut logins, &peer, "last year's", 0), Ruling::Compared);
        }
        assert_eq!(right(&mut logins, &peer, 0), Ruling::Compared);
        for guess in 0..1000 {
            wrong(&mut logins, &peer, &guess.to_string(), 0);
        }
        assert_eq!(right(&mut logins, &peer, 0), Ruling::Compared);
        assert!(matches!(logins.rule(&peer, b"app", b"right", true, Mono(0)), Ruling::TooMany(_)));
    }

    #[test]
    fn this_host_is_slowed_down_and_never_refused() {
        let mut logins = Logins::default();
        for peer in [from("127.0.0.1:1"), from("[::ffff:127.0.0.1]:1"), Endpoint::Unix(std::path::Path::new("/s").into())] {
            for guess in 0..100 {
                assert_eq!(wrong(&mut logins, &peer, &guess.to_string(), 0), Ruling::Compared);
            }
            assert!(logins.is_slow(&peer));
            assert_eq!(right(&mut logins, &peer, 0), Ruling::Compared);
        }
    }

    #[test]
    fn a_host_with_many_addresses_is_one_place_and_places_are_bounded() {
        let mut logins = Logins::default();
        for guess in 0..100 {
            wrong(&mut logins, &from(&format!("[2001:db8::{guess:x}]:1")), &guess.to_string(), 0);
        }
        assert!(matches!(right(&mut logins, &from("[2001:db8::ffff]:1"), 0), Ruling::TooMany(_)));
        for high in 0..40_u8 {
            for low in 0..250_u8 {
                wrong(&mut logins, &from(&format!("10.0.{high}.{low}:1")), "x", 0);
            }
        }
        assert!(logins.sources.len() <= SOURCES);
    }

    #[test]
    fn the_log_is_not_flooded() {
        let mut logins = Logins::default();
        let mut fail = |addr: String, now| {
            let peer = from(&addr);
            wrong(&mut logins, &peer, "x", now);
            logins.report(&peer, Mono::from_ms(now))
        };
        assert_eq!(fail("10.0.0.1:1".to_owned(), 0), Some(LoginReport { failures: 1 }));
        for _ in 0..500 {
            assert_eq!(fail("10.0.0.1:1".to_owned(), 0), None);
        }
        let lines = (0..200).filter(|host| fail(format!("10.1.0.{host}:1"), 0).is_some()).count();
        assert_eq!(lines, TOLD as usize - 1);
        assert_eq!(fail("10.0.0.1:1".to_owned(), TOLD_EVERY_MS), Some(LoginReport { failures: 501 }));
    }
}
