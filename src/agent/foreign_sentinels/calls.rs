//! The schedule of call-backs: which addresses are asked next, and how often at most. Reads no clock.
//!
//! Hellos name any address, so nothing here may be driven faster by more hellos: one call to an address at a time, a pause that doubles
//! while it fails, and only so many calls a second to addresses that have never proved anything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::base::{Addr, GroupName, Mono, SentinelId};

/// An address that proved what was said of it is asked again after this long.
pub(super) const AGAIN_AFTER_MS: u64 = 5000;
/// Shortest pause between two calls to one address.
const PAUSE_MS: u64 = 1000;
/// Longest pause after calls that failed.
const LONGEST_PAUSE_MS: u64 = 60_000;
/// Addresses remembered.
const ADDRESSES: usize = 256;
/// Questions in one call.
pub(super) const ASKS: usize = 256;
/// Calls to addresses that never proved anything: so many in a window.
const UNPROVEN_CALLS: usize = 8;
const WINDOW_MS: u64 = 2000;

/// A sentinel around one group, as a hello named it.
pub(super) type Named = (GroupName, SentinelId);

/// All addresses that hellos named.
#[derive(Debug, Default)]
pub(super) struct AddressCalls {
    addresses: BTreeMap<Addr, Called>,
    /// When the latest calls to unproven addresses began.
    unproven: VecDeque<Mono>,
}

#[derive(Debug, Default)]
struct Called {
    /// Who is to be asked about, and since when that waits.
    wanted: BTreeSet<Named>,
    wanted_since: Mono,
    in_flight: bool,
    /// Whether the file names it: it waits for no window.
    trusted: bool,
    /// Whether its last answer proved something.
    proven: bool,
    failures: u32,
    not_before: Mono,
}

impl Called {
    fn may_start(&self, now: Mono) -> bool {
        !self.in_flight && !self.wanted.is_empty() && self.not_before <= now
    }
}

impl AddressCalls {
    /// Asks for a call. False if there is no room for one more address.
    pub(super) fn want(&mut self, addr: &Addr, named: Named, trusted: bool, now: Mono) -> bool {
        if !self.addresses.contains_key(addr) && !self.has_room() {
            return false;
        }
        let called = self.addresses.entry(addr.clone()).or_default();
        called.trusted = trusted;
        if called.wanted.is_empty() {
            called.wanted_since = now;
        }
        if called.wanted.len() < ASKS {
            called.wanted.insert(named);
        }
        true
    }

    /// One that failed most often makes room; one that proved something, or is being asked, never does.
    fn has_room(&mut self) -> bool {
        if self.addresses.len() < ADDRESSES {
            return true;
        }
        let idle = self.addresses.iter().filter(|(_, called)| !called.in_flight && !called.proven && !called.trusted);
        let Some(addr) = idle.max_by_key(|(_, called)| called.failures).map(|(addr, _)| addr.clone()) else { return false };
        self.addresses.remove(&addr).is_some()
    }

    /// The calls to make now. Those that are trusted or proved something wait for nobody, the others in their order.
    pub(super) fn start(&mut self, now: Mono) -> Vec<(Addr, BTreeSet<Named>)> {
        while self.unproven.front().is_some_and(|at| now.ms_since(*at) >= WINDOW_MS) {
            self.unproven.pop_front();
        }
        let mut ready: Vec<_> = self.addresses.iter_mut().filter(|(_, called)| called.may_start(now)).collect();
        ready.sort_by_key(|(_, called)| called.wanted_since);
        let mut due = Vec::new();
        for (addr, called) in ready {
            if !called.trusted && !called.proven {
                if self.unproven.len() >= UNPROVEN_CALLS {
                    continue;
                }
                self.unproven.push_back(now);
            }
            called.in_flight = true;
            due.push((addr.clone(), std::mem::take(&mut called.wanted)));
        }
        due
    }

    /// Notes how a call ended: whether it proved anything.
    pub(super) fn ended(&mut self, addr: &Addr, proven: bool, now: Mono) {
        let Some(called) = self.addresses.get_mut(addr) else { return };
        called.in_flight = false;
        called.proven = proven;
        called.failures = if proven { 0 } else { called.failures.saturating_add(1) };
        let doubled = 1_u64.checked_shl(called.failures).unwrap_or(u64::MAX);
        called.not_before = now.plus_ms(PAUSE_MS.saturating_mul(doubled).min(LONGEST_PAUSE_MS));
    }

    /// Forgets addresses that nobody names any more, once their pause is over.
    pub(super) fn tidy(&mut self, is_named: impl Fn(&Addr) -> bool, now: Mono) {
        self.addresses.retain(|addr, called| called.in_flight || called.not_before > now || is_named(addr));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> Addr {
        Addr::new("10.0.0.1", port).expect("an address")
    }

    fn named() -> Named {
        (GroupName::new("mymaster").expect("it is a name"), SentinelId::new("7").expect("an id"))
    }

    #[test]
    fn an_address_is_asked_once_at_a_time_and_ever_more_rarely_while_it_proves_nothing() {
        let mut calls = AddressCalls::default();
        let mut starts = Vec::new();
        // A hello every 100 ms for five minutes, and each call fails at once.
        for ms in (0..300_000).step_by(100) {
            let now = Mono::from_ms(ms);
            assert!(calls.want(&at(1), named(), false, now));
            if calls.start(now).len() == 1 {
                assert!(calls.start(now).is_empty(), "it is being asked");
                starts.push(ms);
                calls.ended(&at(1), false, now);
            }
        }
        assert_eq!(starts, [0, 2000, 6000, 14_000, 30_000, 62_000, 122_000, 182_000, 242_000]);
    }

    #[test]
    fn a_flood_of_made_up_addresses_makes_few_calls_and_does_not_delay_those_that_proved_something() {
        let mut calls = AddressCalls::default();
        calls.want(&at(1), named(), false, Mono::from_ms(0));
        calls.start(Mono::from_ms(0));
        calls.ended(&at(1), true, Mono::from_ms(0));
        let mut made = 0;
        for ms in (1000..11_000).step_by(100) {
            let now = Mono::from_ms(ms);
            for port in 2..400 {
                calls.want(&at(port), named(), false, now);
            }
            calls.want(&at(1), named(), false, now);
            let started = calls.start(now);
            assert_eq!(started.iter().any(|(addr, _)| *addr == at(1)), ms.is_multiple_of(1000), "at {ms}");
            for (addr, _) in started {
                calls.ended(&addr, addr == at(1), now);
                made += usize::from(addr != at(1));
            }
        }
        assert_eq!(made, 5 * UNPROVEN_CALLS);
        assert!(calls.addresses.len() <= ADDRESSES);
        assert!(calls.want(&at(2000), named(), true, Mono::from_ms(10_999)), "one that the file names finds room");
        assert!(calls.start(Mono::from_ms(10_999)).iter().any(|(addr, _)| *addr == at(2000)));
    }
}
