//! What three sentinels hold of a master, and when they vote.

use raft_sentinel::machine::{Event, Evidence};

use super::world::{Bench, addr};

fn votes(bench: &Bench) -> usize {
    bench.group().ballot.votes().len()
}

#[test]
fn a_dead_master_is_voted_down_one_limit_after_its_last_reply() {
    let mut bench = Bench::new(&["blue", "green"]);
    bench.node("red").alive = false;
    let killed = bench.now_ms;
    bench.run_until("objectively down", |bench| bench.when(|event| matches!(event, Event::ObjectivelyDown { .. })).is_some());
    let took = bench.now_ms - killed;
    // The last reply is up to one ping period (100 ms) older than the death.
    assert!((900..=1000).contains(&took), "took {took} ms");
}

#[test]
fn a_dead_replica_harms_nothing() {
    let mut bench = Bench::new(&["blue", "green"]);
    bench.node("blue").alive = false;
    bench.run(30_000);
    assert_eq!(votes(&bench), 0);
    assert!(bench.group().failover.is_none());
    assert!(bench.judge(0).view().is_down(&addr("blue")));
}

#[test]
fn a_sentinel_that_slept_looks_again_before_it_votes() {
    let mut bench = Bench::new(&["blue", "green"]);
    bench.asleep = [false, true, true];
    bench.run(20_000);
    bench.asleep = [false, false, false];
    bench.run(5000);
    assert_eq!(bench.when(|event| matches!(event, Event::VotedDown { .. })), None, "nobody may vote on what it slept through");
    // It does vote on what it sees itself after that.
    bench.node("red").alive = false;
    bench.run_until("objectively down", |bench| bench.group().failover.is_some());
}

#[test]
fn a_sentinel_that_wakes_up_after_the_masters_death_takes_its_time() {
    let mut bench = Bench::new(&["blue", "green"]);
    bench.asleep = [false, true, true];
    bench.node("red").alive = false;
    bench.run(5000);
    assert_eq!(votes(&bench), 1);
    bench.asleep = [false, false, false];
    let woke = bench.now_ms;
    bench.run_until("two votes", |bench| bench.when(|event| matches!(event, Event::ObjectivelyDown { .. })).is_some());
    assert!(bench.now_ms - woke >= 1000, "voted {} ms after waking", bench.now_ms - woke);
}

#[test]
fn refused_credentials_are_no_reason_to_vote() {
    let mut bench = Bench::new(&["blue", "green"]);
    bench.node("red").refuses_credentials = true;
    bench.run(30_000);
    assert_eq!(votes(&bench), 0);
    assert!(bench.judge(1).view().nodes[&addr("red")].cannot_judge.is_some());
}

#[test]
fn votes_are_taken_back_when_the_master_answers_again() {
    let mut bench = Bench::new(&[]);
    bench.node("red").alive = false;
    bench.run_until("a failover begins", |bench| bench.group().failover.is_some());
    bench.node("red").alive = true;
    bench.run_until("all votes are withdrawn", |bench| votes(bench) == 0);
    assert!(bench.group().failover.is_none());
    assert_eq!(bench.group().epoch.0, 0);
    assert!(bench.node("red").obeyed.is_empty(), "nothing was done to a master that only was away");
}

#[test]
fn a_vote_says_on_what_grounds_it_was_cast() {
    let mut bench = Bench::new(&["blue"]);
    bench.node("red").alive = false;
    bench.run_until("a vote", |bench| bench.when(|event| matches!(event, Event::VotedDown { .. })).is_some());
    let testimony = bench.events.iter().find_map(|(_, event)| match event {
        Event::VotedDown { testimony, .. } => Some(testimony.clone()),
        _ => None,
    });
    let testimony = testimony.expect("a vote");
    assert_eq!((testimony.evidence, testimony.limit_ms), (Evidence::Refused, 1000));
    assert_eq!(testimony.replicas.len(), 1);
}
