//! The leading sentinel dies at each step of a failover, with the master cut off; and the network heals in each phase.

use std::time::{Duration, Instant};

use crate::kit::{Failpoints, Plan};
use crate::world::{Policy, World, prove_with};

/// Some steps come only after the heal.
const CUT: Duration = Duration::from_secs(6);
const DEATH_LIMIT: Duration = Duration::from_secs(20);

/// What happens when the leader has died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// The others go on, with the master still cut off.
    StaysCut,
    /// The network heals at once, in the middle of that step.
    Heals,
}

/// Waits for the death of a sentinel, for so long.
pub(crate) fn dead(world: &mut World, limit: Duration) -> Option<usize> {
    let start = Instant::now();
    while start.elapsed() < limit {
        if let Some(dead) = world.cluster.sentinels.iter_mut().find_map(|sentinel| (!sentinel.is_running()).then_some(sentinel.id)) {
            return Some(dead);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    None
}

/// Where a place lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum On {
    /// On the way of every failover.
    EveryWay,
    /// Only on the way behind the fence.
    StrictWay,
    /// Only where the preferred replica must fetch what another one has.
    PreferredBehind,
}

fn killed_at(place: &'static str, on: On, then: Then) {
    if on != On::EveryWay && Policy::wanted() != Policy::Strict {
        println!("{place} is on the way of the strict policy only");
        return;
    }
    let places = Failpoints::new();
    let env = places.env();
    let priorities = if on == On::PreferredBehind { vec![100, 10] } else { Vec::new() };
    let healing = if then == Then::Heals { ", heal" } else { "" };
    let name = format!("cut: master; leader dies {place}{healing}");
    prove_with(
        &name,
        |plan| Plan { env, priorities, ..plan },
        move |world| {
            if on == On::PreferredBehind {
                world.cut("redis-2 from the master", |net| net.cut("redis-0", "redis-2"));
                world.last(Duration::from_millis(500));
            }
            places.arm(place);
            world.cut_off(&["redis-0"]);
            let start = Instant::now();
            let died = dead(world, CUT);
            if then == Then::StaysCut || died.is_none() {
                // The next leader has to be elected, and to wait for the fence.
                world.last(CUT.saturating_sub(start.elapsed()).max(Duration::from_secs(5)));
            }
            world.heal();
            let died =
                died.or_else(|| dead(world, DEATH_LIMIT)).unwrap_or_else(|| panic!("nobody came to {place}\n{}", world.timeline.report()));
            world.cluster.sentinel_mut(died).restart();
            world.timeline.note(format!("sentinel {died} had died {place}"));
        },
    );
}

macro_rules! places {
    ($($name:ident $place:literal $on:ident,)*) => {
        mod and_the_cut_stays {
            use super::{On, Then, killed_at};
            $(#[test] fn $name() { killed_at($place, On::$on, Then::StaysCut); })*
        }
        mod and_the_network_heals {
            use super::{On, Then, killed_at};
            $(#[test] fn $name() { killed_at($place, On::$on, Then::Heals); })*
        }
    };
}

// The names of entries and acts are those of `Command::name` and `Ask::name`.
places! {
    before_vote_down      "before-vote-down"      EveryWay,
    after_vote_down       "after-vote-down"       EveryWay,
    before_ask_detach     "before-ask-detach"     StrictWay,
    after_ask_detach      "after-ask-detach"      StrictWay,
    before_ask_lend       "before-ask-lend"       PreferredBehind,
    after_ask_lend        "after-ask-lend"        PreferredBehind,
    before_promote        "before-promote"        EveryWay,
    after_promote         "after-promote"         EveryWay,
    before_ask_promote    "before-ask-promote"    EveryWay,
    after_ask_promote     "after-ask-promote"     EveryWay,
    before_promoted       "before-promoted"       EveryWay,
    after_promoted        "after-promoted"        EveryWay,
    before_ask_repoint    "before-ask-repoint"    EveryWay,
    after_ask_repoint     "after-ask-repoint"     EveryWay,
    before_failover_done  "before-failover-done"  EveryWay,
    after_failover_done   "after-failover-done"   EveryWay,
    before_ask_demote     "before-ask-demote"     EveryWay,
    after_ask_demote      "after-ask-demote"      EveryWay,
}
