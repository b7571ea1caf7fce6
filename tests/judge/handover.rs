//! A planned change with too few replicas there to be taken from the old master: it hands over itself, or keeps its place.

use raft_sentinel::base::settings::PromotionPolicy;
use raft_sentinel::base::{Addr, Epoch, NodeId, WallTime};
use raft_sentinel::judge::Ask;
use raft_sentinel::machine::{Command, FailoverMode, FencingProof, Phase};

use super::world::{Bench, addr, group_name};

/// `red` is the master, `blue` is away, so that a voted failover would be blocked; a change to `green` is planned.
fn planned() -> Bench {
    let mut bench = Bench::with(&["blue", "green"], PromotionPolicy::Strict);
    bench.run_until("the fence is armed", |bench| bench.group().fence.is_some());
    bench.run(2000);
    bench.node("blue").alive = false;
    bench.run(2000);
    bench.node("red").offset = 400;
    bench
}

fn request(bench: &mut Bench) {
    let (group, epoch) = (group_name(), bench.group().epoch);
    let target = Some(addr("green"));
    bench.apply(&Command::FailoverRequested {
        group,
        epoch,
        by: NodeId(1),
        manner: FailoverMode::Coordinated,
        target,
        at: WallTime(0),
        asked: None,
    });
    bench.intents.clear();
}

fn told_to_leave(bench: &mut Bench) -> bool {
    bench.node("red").obeyed.contains(&Ask::Demote { master: Addr::nobody() })
}

/// The one that is there follows the other, and both hold all that was written.
fn serves(bench: &Bench) -> bool {
    let master = bench.group().master.addr.clone();
    let writes = bench.nodes[&master].follows.is_none() && bench.nodes[&master].offset >= 400;
    bench.group().failover.is_none() && bench.settled() && writes
}

#[test]
fn the_old_master_hands_over_itself_where_too_few_replicas_can_be_taken_from_it() {
    let mut bench = planned();
    request(&mut bench);
    let asked = bench.now_ms;
    bench.run_until("it has ended", |bench| bench.group().epoch == Epoch(1) && serves(bench));
    assert!(bench.now_ms - asked < 1000, "after {} ms", bench.now_ms - asked);
    let (choice, _) = bench.group().history[0].choice.clone().expect("a decision");
    assert_eq!((choice.chosen, choice.basis), (addr("green"), FencingProof::HandedOver { offset: 400 }));
    let first: Vec<Ask> = bench.node("red").obeyed.iter().filter(|ask| !matches!(ask, Ask::Arm(_))).take(2).cloned().collect();
    assert!(matches!(first[..], [Ask::Pause { .. }, Ask::Demote { .. }]), "{first:?}");
    bench.node("blue").alive = true;
    bench.run_until("blue follows, too", |bench| bench.nodes[&addr("blue")].follows == Some(addr("green")));
}

#[test]
fn what_the_old_master_wrote_before_it_left_and_the_next_one_lacks_is_not_lost() {
    let mut bench = planned();
    bench.run(100);
    request(&mut bench);
    bench.run_until("its writes are paused", |bench| bench.intents.contains(&"ask-pause".to_owned()));
    bench.node("green").lags = true;
    bench.node("red").offset += 14;
    bench.run_until("it is given up", |bench| bench.group().failover.is_none());
    assert!(told_to_leave(&mut bench));
    let given_up = bench.now_ms;
    bench.run_until("it is a master again", |bench| bench.nodes[&addr("red")].follows.is_none());
    assert!(bench.now_ms - given_up < 1000, "after {} ms", bench.now_ms - given_up);
    bench.node("green").lags = false;
    bench.run_until("all is as before", serves);
    assert_eq!((bench.group().epoch, bench.group().master.addr.clone()), (Epoch(0), addr("red")));
}

#[test]
fn a_target_that_does_not_get_there_costs_the_old_master_nothing() {
    let mut bench = planned();
    bench.node("green").lags = true;
    bench.node("red").offset = 100 + (64 << 20);
    request(&mut bench);
    bench.run_until("it is given up", |bench| bench.group().failover.is_none());
    assert!(!told_to_leave(&mut bench));
}

#[test]
fn another_process_at_the_old_masters_address_hands_nothing_over() {
    let mut bench = planned();
    request(&mut bench);
    bench.run_until("its writes are paused", |bench| bench.intents.contains(&"ask-pause".to_owned()));
    bench.node("red").run = 2;
    bench.node("red").offset = 0;
    bench.run_until("it is given up", |bench| bench.phase() != Some(Phase::Draining { target: Some(addr("green")) }));
    let handed_over = |bench: &Bench| bench.group().history.iter().any(|decision| decision.choice.is_some());
    bench.run(2000);
    assert!(!handed_over(&bench), "{:?}", bench.group().history);
}

/// Any step may be the last: the change is finished, or the old master has its place back, within a bounded time.
#[test]
fn a_change_whose_leader_dies_leaves_a_master() {
    let mut places = {
        let mut bench = planned();
        request(&mut bench);
        bench.run_until("it has ended", |bench| bench.group().epoch == Epoch(1) && serves(bench));
        bench.intents
    };
    places.sort();
    places.dedup();
    assert!(places.iter().any(|place| place == "ask-demote"), "{places:?}");
    for (place, before) in places.iter().flat_map(|place| [(place, true), (place, false)]) {
        let mut bench = planned();
        request(&mut bench);
        bench.die_at = Some((place.clone(), before));
        let asked = bench.now_ms;
        bench.run_until(&format!("there is a master after a death at {place}"), serves);
        assert!(bench.die_at.is_none(), "nobody died at {place}");
        assert!(bench.now_ms - asked < 5000, "{place} ({before}): after {} ms", bench.now_ms - asked);
    }
}

/// The sentinels that vote see a replica where a master should be, and nobody can take its place: it is made one again.
#[test]
fn a_master_that_left_for_nothing_is_not_waited_for_for_ever() {
    let mut bench = planned();
    request(&mut bench);
    bench.die_at = Some(("ask-demote".to_owned(), false));
    bench.run_until("it has left", |bench| bench.die_at.is_none());
    bench.node("red").stubborn = true;
    bench.run_until("it is voted down", |bench| bench.phase() == Some(Phase::Detaching));
    bench.run(3000);
    bench.node("red").stubborn = false;
    bench.run_until("it is a master again", |bench| bench.nodes[&addr("red")].follows.is_none() && bench.group().failover.is_none());
    assert_eq!(bench.group().epoch, Epoch(0));
}
