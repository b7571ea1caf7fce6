//! Planned changes: the old master's writes wait until the next one has all of them, or nothing is changed.

use raft_sentinel::base::{Addr, Epoch};
use raft_sentinel::judge::Ask;
use raft_sentinel::machine::{Basis, Manner, Phase};

use super::strict::{armed, decision, request};
use super::world::{Bench, addr};

#[test]
fn a_planned_change_waits_for_the_last_write() {
    let mut bench = armed(&["blue", "green"]);
    bench.node("red").offset = 400;
    request(&mut bench, Manner::Plain, Some(addr("green")));
    assert_eq!(bench.phase(), Some(Phase::Draining { target: Some(addr("green")) }));
    bench.run_until("it has ended", |bench| bench.group().epoch == Epoch(1) && bench.settled());
    let choice = decision(&bench);
    assert_eq!((choice.chosen.clone(), choice.basis, choice.estimated_loss_bytes), (addr("green"), Basis::Drained, Some(0)));
    let first = bench.node("red").obeyed.iter().find(|ask| !matches!(ask, Ask::Arm(_))).cloned();
    assert!(matches!(first, Some(Ask::Pause { .. })), "{first:?}");
    assert!(bench.node("green").offset >= 400);
}

#[test]
fn the_old_master_closes_its_connections_again_once_clients_were_told() {
    let demote = |master: &str| Ask::Demote { master: addr(master) };
    let mut bench = armed(&["blue", "green"]);
    request(&mut bench, Manner::Plain, Some(addr("green")));
    bench.run_until("clients are told", |bench| bench.group().epoch == Epoch(1) && bench.group().master.identity.is_some());
    bench.run(40);
    let closed = |bench: &mut Bench| bench.node("red").obeyed.iter().filter(|ask| **ask == demote("green")).count();
    assert_eq!(closed(&mut bench), 1, "when it gave up its place");
    bench.run_until("it has ended", |bench| bench.group().failover.is_none());
    assert_eq!(closed(&mut bench), 2);
    bench.run(2000);
    assert_eq!((closed(&mut bench), bench.node("red").obeyed.last()), (2, Some(&demote("green"))), "once, and by the change itself");
}

#[test]
fn a_planned_change_that_cannot_be_without_loss_is_given_up_in_time() {
    let mut bench = armed(&["blue", "green"]);
    bench.node("blue").lags = true;
    bench.node("green").lags = true;
    bench.node("red").offset = 400;
    request(&mut bench, Manner::Coordinated, None);
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
        request(&mut bench, Manner::Plain, Some(addr("green")));
        bench.run_until("writes wait", |bench| bench.nodes[&addr("red")].obeyed.iter().any(|ask| matches!(ask, Ask::Pause { .. })));
        bench.run(300);
        assert_eq!(bench.phase(), Some(Phase::Draining { target: Some(addr("green")) }), "green lacks the last write");
        bench.node("blue").lags = false;
        bench.node("green").lags = false;
        bench.run_until("it has ended", |bench| bench.group().epoch == Epoch(1) && bench.settled());
        assert_eq!((bench.node("green").offset, decision(&bench).basis), (400, Basis::Drained));
    }
}

/// The leader of a planned change dies when it has begun to take the replicas; `blue` is one that was taken. The next leader may be `blind`
/// to the master.
fn begun_by_another(blind: bool) -> Bench {
    let mut bench = armed(&["blue", "green"]);
    if blind {
        bench.blind[1].insert(addr("red"));
        bench.run(2000);
    }
    bench.die_at = Some(("ask-detach".to_owned(), false));
    request(&mut bench, Manner::Plain, None);
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
