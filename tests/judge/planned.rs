//! Planned changes: the old master's writes wait until the next one has all of them, or nothing is changed.

use raft_sentinel::base::{Addr, Epoch};
use raft_sentinel::judge::Ask;
use raft_sentinel::machine::{FailoverMode, FencingProof, Phase};

use super::strict::{armed, decision, request};
use super::world::{Bench, addr};

#[test]
fn a_planned_change_waits_for_the_last_write() {
    let mut bench = armed(&["blue", "green"]);
    bench.node("red").offset = 400;
    request(&mut bench, FailoverMode::Plain, Some(addr("green")));
    assert_eq!(bench.phase(), Some(Phase::Draining { target: Some(addr("green")) }));
    bench.run_until("it has ended", |bench| bench.group().epoch == Epoch(1) && bench.settled());
    let choice = decision(&bench);
    assert_eq!(
        (choice.chosen.clone(), choice.basis, choice.estimated_loss_bytes),
        (addr("green"), FencingProof::HandedOver { offset: 400 }, Some(0))
    );
    let first: Vec<Ask> = bench.node("red").obeyed.iter().filter(|ask| !matches!(ask, Ask::Arm(_))).take(2).cloned().collect();
    assert!(matches!(&first[..], [Ask::Pause { .. }, Ask::Demote { master }] if *master == Addr::nobody()), "{first:?}");
    assert!(bench.node("green").offset >= 400);
}

#[test]
fn the_old_master_closes_its_connections_twice_once_clients_were_told() {
    let mut bench = armed(&["blue", "green"]);
    request(&mut bench, FailoverMode::Plain, Some(addr("green")));
    bench.run_until("clients are told", |bench| bench.group().epoch == Epoch(1) && bench.group().master.identity.is_some());
    let closed = |bench: &mut Bench| bench.node("red").obeyed.iter().filter(|ask| **ask == Ask::Demote { master: addr("green") }).count();
    for (ms, times, why) in
        [(10, 0, "they have not heard yet"), (20, 1, "they have"), (30, 1, "the slow ones have not"), (20, 2, "all have")]
    {
        bench.run(ms);
        assert_eq!(closed(&mut bench), times, "{why}");
    }
    bench.run_until("it has ended", |bench| bench.group().failover.is_none());
    bench.run(2000);
    assert_eq!((closed(&mut bench), bench.node("red").obeyed.last()), (2, Some(&Ask::Demote { master: addr("green") })), "no more");
}

#[test]
fn a_planned_change_that_cannot_be_without_loss_is_given_up_in_time() {
    let mut bench = armed(&["blue", "green"]);
    bench.node("blue").lags = true;
    bench.node("green").lags = true;
    bench.node("red").offset = 400;
    request(&mut bench, FailoverMode::Coordinated, None);
    let asked = bench.now_ms;
    bench.run_until("it is given up", |bench| bench.group().failover.is_none());
    assert!(bench.now_ms - asked <= 10_100, "after {} ms", bench.now_ms - asked);
    bench.run(1000);
    assert_eq!(bench.group().epoch, Epoch(0));
    assert_eq!(bench.node("red").obeyed.last(), Some(&Ask::Unpause));
}

/// How much the old master has written when its writes wait is in the answer to the pause. What it said a moment before, and comes
/// beside that, is not enough: a write may have been confirmed in between.
#[test]
fn what_was_written_before_the_pause_counts_to_the_last_write() {
    fn last_write(bench: &mut Bench) {
        bench.node("red").offset = 400;
        bench.node("blue").lags = true;
        bench.node("green").lags = true;
    }
    fn told_first(bench: &mut Bench) {
        bench.tell_leader("red");
        last_write(bench);
    }
    fn told_last(bench: &mut Bench) {
        bench.tell_leader_late("red");
        last_write(bench);
    }
    for happen in [told_first as fn(&mut Bench), told_last] {
        let mut bench = armed(&["blue", "green"]);
        bench.node("red").offset = 350;
        bench.run(2000);
        bench.before = Some(("ask-pause", happen));
        request(&mut bench, FailoverMode::Plain, Some(addr("green")));
        bench.run_until("writes wait", |bench| bench.nodes[&addr("red")].obeyed.iter().any(|ask| matches!(ask, Ask::Pause { .. })));
        bench.run(300);
        assert_eq!(bench.phase(), Some(Phase::Draining { target: Some(addr("green")) }), "green lacks the last write");
        bench.node("blue").lags = false;
        bench.node("green").lags = false;
        bench.run_until("it has ended", |bench| bench.group().epoch == Epoch(1) && bench.settled());
        assert_eq!((bench.node("green").offset, decision(&bench).basis), (400, FencingProof::HandedOver { offset: 400 }));
    }
}

/// The leader of a planned change, of an earlier release, dies when it has begun to take the replicas; `blue` is one that was taken. The next
/// leader may be `blind` to the master.
fn begun_by_another(blind: bool) -> Bench {
    let mut bench = armed(&["blue", "green"]);
    if blind {
        bench.blind[1].insert(addr("red"));
        bench.run(2000);
    }
    bench.before = Some(("ask-demote", |bench| bench.node("blue").follows = Some(Addr::nobody())));
    bench.die_at = Some(("ask-demote".to_owned(), true));
    request(&mut bench, FailoverMode::Plain, None);
    bench.run_until("one is taken, and its leader dies", |bench| bench.leader == Some(1));
    assert_eq!(bench.node("blue").follows, Some(Addr::nobody()));
    bench
}

fn is_given_up_within(mut bench: Bench, ms: u64) {
    let begun = bench.now_ms;
    while !bench.settled() {
        assert!(bench.now_ms - begun < ms, "{:#?}\n{:#?}", bench.group().failover, bench.nodes);
        bench.run(1);
    }
    assert_eq!(bench.group().epoch, Epoch(0));
}

#[test]
fn a_planned_change_that_another_leader_had_begun_is_given_up_at_once() {
    is_given_up_within(begun_by_another(false), 1500);
}

#[test]
fn a_planned_change_is_given_up_also_by_a_leader_that_does_not_see_the_master() {
    is_given_up_within(begun_by_another(true), 12_000);
}

/// How many follow a node of these.
fn followers(bench: &Bench, name: &str) -> usize {
    bench.nodes.values().filter(|node| node.is_there() && node.follows == Some(addr(name))).count()
}

/// Redis looks at a master's replicas before it looks at the pause: writes that wait would be refused, if the replicas left first.
#[test]
fn the_replicas_of_a_paused_master_stay_until_it_gives_up_its_place() {
    let mut bench = armed(&["blue", "green"]);
    request(&mut bench, FailoverMode::Plain, Some(addr("green")));
    while bench.node("red").follows.is_none() {
        assert_eq!(followers(&bench, "red"), 2, "after {:?}", bench.node("red").obeyed);
        bench.run(1);
    }
    bench.run_until("it has ended", |bench| bench.group().epoch == Epoch(1) && bench.settled());
}

fn announced(bench: &Bench) -> bool {
    bench.group().epoch == Epoch(1) && !bench.group().is_changing_hands()
}

#[test]
fn the_new_master_is_announced_once_it_takes_writes() {
    let mut bench = armed(&["blue", "green", "grey", "white"]);
    request(&mut bench, FailoverMode::Plain, Some(addr("green")));
    bench.run_until("it is announced", announced);
    let needed = bench.node_fence("green").expect("it holds one") as usize;
    assert!(needed == 2 && followers(&bench, "green") >= needed, "{:#?}", bench.nodes);
}

/// Replicas that do not come are no reason to leave clients without an answer.
#[test]
fn the_new_master_is_announced_in_time_all_the_same() {
    let mut bench = armed(&["blue", "green"]);
    bench.before = Some(("ask-promote", |bench| {
        bench.node("red").stubborn = true;
        bench.node("blue").stubborn = true;
    }));
    request(&mut bench, FailoverMode::Plain, Some(addr("green")));
    bench.run_until("it is a master", |bench| bench.nodes[&addr("green")].follows.is_none());
    bench.run(250);
    assert!(!announced(&bench), "nobody follows it");
    bench.run(100);
    assert!(announced(&bench), "{:#?}", bench.group().failover);
}

/// A master sends a PING to its replicas now and then, also while its writes wait.
#[test]
fn a_few_bytes_after_the_last_write_are_waited_for() {
    let mut bench = armed(&["blue", "green"]);
    bench.node("red").offset = 400;
    bench.run(100);
    bench.before = Some(("ask-demote", |bench| {
        bench.node("green").lags = true;
        bench.node("red").offset += 14;
    }));
    request(&mut bench, FailoverMode::Plain, Some(addr("green")));
    bench.run_until("it has given up its place", |bench| bench.nodes[&addr("red")].follows == Some(Addr::nobody()));
    bench.run(100);
    assert_eq!(bench.group().epoch, Epoch(0), "green lacks them");
    bench.node("green").lags = false;
    bench.node("green").offset += 14;
    bench.run_until("it has ended", |bench| bench.group().epoch == Epoch(1) && bench.settled());
    assert_eq!(decision(&bench).basis, FencingProof::HandedOver { offset: 414 });
}

/// A master that cannot write its file would come back as a master from a restart: its replicas are taken from it as well.
#[test]
fn a_master_that_would_forget_that_it_left_loses_its_replicas_as_well() {
    let mut bench = armed(&["blue", "green"]);
    bench.before = Some(("ask-demote", |bench| bench.node("red").unwritable = true));
    request(&mut bench, FailoverMode::Plain, Some(addr("green")));
    bench.run_until("it has ended", |bench| bench.group().epoch == Epoch(1) && bench.settled());
    assert_eq!(decision(&bench).basis, FencingProof::Drained);
    assert!(bench.node("blue").obeyed.iter().any(|ask| matches!(ask, Ask::Detach { .. })), "{:?}", bench.nodes);
}
