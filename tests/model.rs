//! Proof by model: the fencing and failover protocol, as it is in `machine` and `judge`, against a model of Redis replication.
//!
//! Each seed is a schedule of delays, cuts, crashes, restarts, stalls and operators' orders; in every fifth, servers join, move to another
//! address and leave, and connections pretend to be replicas. After every event the promises P1, P4 and P5
//! are checked, and P7 once all is healed. A number of schedules in which an operator changes roles at the servers is played beside them. `MODEL_SEEDS` is the number of schedules (default: as many as fit `MODEL_SECONDS`, 90);
//! `MODEL_SEED` plays one again and prints its story. Beside the drawn faults there are placed ones: every single fault at every boundary of one
//! failover, and pairs of them for `MODEL_PAIRS_SECONDS` (15). The model itself is checked by breaking the protocol's rules, one at a time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use raft_sentinel_model::check::Stats;
use raft_sentinel_model::placed::{self, Case, Tally};
use raft_sentinel_model::setup::Adversary;
use raft_sentinel_model::{Breach, Run, Setup, Violation};

/// Where the search for violations begins; the seeds of a run are consecutive, so that a run can be repeated.
const FIRST_SEED: u64 = 1;
/// So many schedules suffice to find each broken rule.
const SEEDS_FOR_A_BREACH: u64 = 40_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

struct Search {
    played: u64,
    stats: Stats,
    found: Option<(u64, Violation)>,
}

/// Plays schedules on all cores until one breaks a promise, or `seeds` were played, or the time is over.
fn search(setup: impl Fn(u64) -> Setup + Sync, seeds: u64, time: Duration) -> Search {
    let begun = Instant::now();
    let (next, over) = (AtomicU64::new(FIRST_SEED), AtomicBool::new(false));
    let total = Arc::new(Mutex::new(Search { played: 0, stats: Stats::default(), found: None }));
    let play = || {
        while !over.load(Ordering::Relaxed) && begun.elapsed() < time {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= FIRST_SEED + seeds {
                break;
            }
            let outcome = Run::play(&setup(seed), false);
            let mut total = total.lock().expect("no player panicked");
            total.played += 1;
            total.stats.add(&outcome.stats);
            if let Some(violation) = outcome.violation {
                over.store(true, Ordering::Relaxed);
                // The smallest of those found at once, so that the same is reported next time.
                if total.found.as_ref().is_none_or(|(known, _)| seed < *known) {
                    total.found = Some((seed, violation));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        for _ in 0..cores {
            scope.spawn(play);
        }
    });
    Arc::into_inner(total).expect("all players have left").into_inner().expect("no player panicked")
}

/// Plays a fixed number of schedules, whatever it takes; `name` is the variable that sets another one.
fn expect_none(setup: impl Fn(u64) -> Setup + Sync, name: &str, seeds: u64) {
    let search = search(&setup, number(name).unwrap_or(seeds), Duration::from_secs(600));
    println!("{} schedules; {:?}", search.played, search.stats);
    if let Some((seed, violation)) = search.found {
        panic!("{}\nschedule {seed}: {violation}", story_of(&setup(seed)));
    }
}

fn story_of(setup: &Setup) -> String {
    Run::play(setup, true).story.join("\n")
}

#[test]
fn the_promises_hold_in_every_schedule() {
    let setup = |seed| Setup::of(seed, Adversary::of(seed));
    if let Some(seed) = number("MODEL_SEED") {
        let outcome = Run::play(&setup(seed), true);
        println!("{}", outcome.story.join("\n"));
        assert_eq!(outcome.violation, None, "seed {seed}");
        return;
    }
    let (seeds, seconds) = (number("MODEL_SEEDS").unwrap_or(u64::MAX >> 1), number("MODEL_SECONDS"));
    // A number of schedules is played whatever it takes, unless a time is set as well.
    let seconds = seconds.unwrap_or(if number("MODEL_SEEDS").is_some() { u64::from(u32::MAX) } else { 90 });
    let begun = Instant::now();
    let search = search(setup, seeds, Duration::from_secs(seconds));
    let rate = search.played as f64 / begun.elapsed().as_secs_f64();
    println!("{} schedules, {rate:.0} a second; {:?}", search.played, search.stats);
    if let Some((seed, violation)) = search.found {
        let story = story_of(&setup(seed));
        panic!("{story}\nseed {seed}: {violation}\nMODEL_SEED={seed} plays it again");
    }
    assert!(search.played > 0, "no schedule was played");
}

/// A fixed number of schedules (`MODEL_HAND_SEEDS`, default 6,000), beside the search for the promises: a longer one finds a group that is not put
/// right without the operator. The documentation of the fence says what is left.
#[test]
fn roles_may_be_moved_by_hand() {
    expect_none(|seed| Setup::of(6 * seed + 4, Adversary::BY_HAND), "MODEL_HAND_SEEDS", 6000);
}

/// A fixed number of schedules (`MODEL_PLANNED_SEEDS`, default 2,000) full of planned changes: what was said to be without loss is, by
/// every policy.
#[test]
fn a_planned_change_loses_nothing_by_any_policy() {
    expect_none(|seed| Setup::of(seed, Adversary::PLANNED), "MODEL_PLANNED_SEEDS", 2000);
}

/// A fixed number of schedules (`MODEL_REMOVAL_SEEDS`, default 1,500) in which operators have groups removed.
#[test]
fn a_removed_group_leaves_nothing_behind() {
    expect_none(|seed| Setup::of(seed, Adversary::REMOVALS), "MODEL_REMOVAL_SEEDS", 1500);
}

#[test]
fn a_schedule_is_the_same_each_time() {
    let setup = Setup::of(7, Adversary::PROMISED);
    let first = story_of(&setup);
    assert!(first.contains("log "), "a story tells of entries:\n{first}");
    assert_eq!(first, story_of(&setup));
}

#[test]
fn every_broken_rule_is_noticed() {
    let unnoticed: Vec<String> = Breach::ALL
        .into_iter()
        .filter_map(|breach| {
            let search = search(|seed| breach.setup(seed), SEEDS_FOR_A_BREACH, Duration::from_secs(600));
            match &search.found {
                Some((seed, violation)) => println!("{breach:?}: seed {seed}, {violation}"),
                None => return Some(format!("{breach:?} in {} schedules", search.played)),
            }
            None
        })
        .collect();
    assert!(unnoticed.is_empty(), "not noticed: {unnoticed:?}");
}

/// Lets all cores play their parts.
fn on_all_cores(play: impl Fn((u64, u64)) -> Tally + Sync) -> Tally {
    let cores = std::thread::available_parallelism().map_or(2, usize::from) as u64;
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let play = &play;
        let players: Vec<_> = (0..cores).map(|part| scope.spawn(move || play((part, cores)))).collect();
        players.into_iter().map(|player| player.join().expect("no player panicked")).collect()
    });
    tallies.into_iter().fold(Tally::default(), |all, tally| Tally {
        placements: all.placements + tally.placements,
        boundaries: all.boundaries.max(tally.boundaries),
        found: all.found.or(tally.found),
    })
}

fn expect_kept(case: Case, tally: &Tally) {
    if let Some((faults, violation)) = &tally.found {
        let story = placed::story(case, None, faults).join("\n");
        panic!("{story}\n{case:?}, {faults:?}: {violation}");
    }
}

#[test]
fn every_single_fault_in_one_failover() {
    let seconds = number("MODEL_PAIRS_SECONDS").unwrap_or(15);
    for case in Case::ALL {
        let begun = Instant::now();
        let tally = on_all_cores(|part| placed::singles(case, None, part));
        let (placements, boundaries) = (tally.placements, tally.boundaries);
        println!("{case:?}: {placements} placements of one fault at {boundaries} boundaries, {:.1} s", begun.elapsed().as_secs_f64());
        expect_kept(case, &tally);
        assert!(placements > 1000, "{case:?}: only {placements} placements");
        let until = Instant::now() + Duration::from_millis(seconds * 1000 / Case::ALL.len() as u64);
        let tally = on_all_cores(|part| placed::pairs(case, part, until));
        println!("{case:?}: {} placements of two faults", tally.placements);
        expect_kept(case, &tally);
    }
}

#[test]
fn a_fault_in_its_place_finds_broken_rules() {
    for breach in [Breach::LagWindow, Breach::LowerBeforeLog, Breach::WaitForFewer] {
        let tally = on_all_cores(|part| placed::singles(Case::CutOff, Some(breach), part));
        let (faults, violation) = tally.found.unwrap_or_else(|| panic!("{breach:?} in {} placements", tally.placements));
        println!("{breach:?}: {faults:?}, {violation}");
    }
}
