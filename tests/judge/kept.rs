//! What a client was told is kept stays kept in the corners: a master that restarts as a replica, a number for WAIT that
//! has just grown, replicas that come and go while a failover waits, a master whose followers are not all known.

use raft_sentinel::base::settings::{PromotionPolicy, SettingChange};
use raft_sentinel::base::{Addr, Epoch, NodeId, WallTime};
use raft_sentinel::judge::Ask;
use raft_sentinel::machine::{Command, Event, Evidence, FailoverMode, FencingProof, Ineligible, Phase};

use super::world::{Bench, Node, addr, group_name};

fn armed(replicas: &[&str]) -> Bench {
    let mut bench = Bench::with(replicas, PromotionPolicy::Strict);
    bench.run_until("the fence is armed", |bench| bench.group().fence.is_some());
    bench.run(2000);
    bench
}

fn was_promoted(bench: &mut Bench, name: &str) -> bool {
    bench.node(name).obeyed.iter().any(|ask| matches!(ask, Ask::Promote { .. }))
}

/// `red` runs anew from an old snapshot, as a replica: what its command line says, since it was a replica once.
fn restarted_as_a_replica(bench: &mut Bench, name: &str, of: &str, offset: u64) {
    *bench.node(name) = Node { follows: Some(addr(of)), offset, ..Node::new(2) };
}

#[test]
fn a_master_that_restarts_as_a_replica_is_not_made_the_master_of_those_who_hold_more() {
    let mut bench = armed(&["blue", "green"]);
    bench.node("red").offset = 400;
    bench.run(2000);
    restarted_as_a_replica(&mut bench, "red", "blue", 300);
    bench.run_until("it has been replaced", |bench| bench.group().epoch == Epoch(1) && bench.settled());
    assert!(!was_promoted(&mut bench, "red"), "its replicas would have copied what it has left");
    let votes = match &bench.group().history[0].cause {
        raft_sentinel::machine::Cause::Down { votes, .. } => votes.clone(),
        other @ raft_sentinel::machine::Cause::Requested { .. } => panic!("{other:?}"),
    };
    assert!(votes.values().all(|vote| vote.testimony.evidence == Evidence::LostHistory), "{votes:?}");
}

#[test]
fn nor_where_too_few_are_there_to_take_its_place() {
    let mut bench = armed(&["blue", "green"]);
    bench.node("red").offset = 400;
    bench.run(2000);
    bench.node("green").alive = false;
    bench.run(2000);
    restarted_as_a_replica(&mut bench, "red", "blue", 300);
    bench.run(10_000);
    assert!(!was_promoted(&mut bench, "red"));
    let blocked = bench.group().failover.clone().and_then(|failover| failover.blocked).expect("it is blocked");
    assert!(blocked.contains(&(addr("red"), Ineligible::Restarted)), "{blocked:?}");
    bench.node("green").alive = true;
    bench.run_until("it goes on", |bench| bench.group().epoch == Epoch(1) && bench.settled());
    assert!(!was_promoted(&mut bench, "red"));
}

#[test]
fn one_that_restarts_as_a_replica_with_all_that_there_is_stays_the_master() {
    let mut bench = armed(&["blue", "green"]);
    restarted_as_a_replica(&mut bench, "red", "blue", 100);
    bench.run_until("it is the master again", Bench::settled);
    assert_eq!((bench.group().epoch, bench.group().master.addr.clone()), (Epoch(0), addr("red")));
    // All of them at once: nobody is left who could have more.
    restarted_as_a_replica(&mut bench, "red", "blue", 60);
    for name in ["blue", "green"] {
        *bench.node(name) = Node { follows: Some(addr("red")), offset: 60, ..Node::new(2) };
    }
    bench.run_until("it is the master again", Bench::settled);
    assert_eq!(bench.group().master.addr, addr("red"));
}

#[test]
fn a_new_master_that_restarts_as_a_replica_while_the_failover_ends_is_replaced() {
    let mut bench = armed(&["blue", "green", "grey", "pink"]);
    bench.node("blue").offset = 400;
    bench.node("pink").stubborn = true;
    bench.run(2000);
    bench.node("red").alive = false;
    bench.run_until("blue is the master", |bench| matches!(bench.phase(), Some(Phase::Following { .. })));
    bench.run(3000);
    bench.node("blue").obeyed.clear();
    bench.node("grey").alive = false;
    bench.run(200);
    restarted_as_a_replica(&mut bench, "blue", "red", 300);
    bench.run(10_000);
    assert!(!was_promoted(&mut bench, "blue"), "green has more");
    bench.node("pink").stubborn = false;
    bench.node("grey").alive = true;
    bench.run_until("it has been replaced", |bench| bench.group().epoch == Epoch(2));
    assert!(!was_promoted(&mut bench, "blue"));
}

#[test]
fn what_was_confirmed_with_the_smaller_number_is_provided_for_until_nobody_uses_it_any_more() {
    let mut bench = armed(&["blue", "green"]);
    bench.nodes.insert(addr("grey"), Node { follows: Some(addr("red")), ..Node::new(1) });
    bench.run_until("it is raised", |bench| bench.group().fence.is_some_and(|fence| fence.wait_replicas == 2));
    bench.run(25_000);
    // A client that still waits for one is answered by blue.
    bench.node("green").lags = true;
    bench.node("grey").lags = true;
    bench.node("red").offset = 400;
    bench.run(15_000);
    assert_eq!(bench.group().fence.map(|fence| fence.covered), Some(1), "green and grey do not have it");
    bench.node("grey").lags = false;
    bench.run_until("two have it", |bench| bench.group().fence.is_some_and(|fence| fence.covered == 2));
}

#[test]
fn the_wait_for_a_silent_master_counts_from_the_last_of_those_that_are_still_off() {
    let mut bench = armed(&["blue", "green", "grey", "pink"]);
    assert_eq!(bench.group().needed().detached, 3);
    bench.node("pink").stubborn = true;
    bench.node("red").silent = true;
    let off = |bench: &Bench, name: &str| bench.nodes[&addr(name)].follows == Some(Addr::nobody());
    bench.run_until("three are off", |bench| ["blue", "green", "grey"].iter().all(|name| off(bench, name)));
    bench.run(2500);
    bench.node("pink").stubborn = false;
    bench.run_until("the fourth is off", |bench| off(bench, "pink"));
    let last = bench.now_ms;
    // One of the first three finds its way back, and will not leave again.
    bench.node("blue").stubborn = true;
    bench.node("blue").follows = Some(addr("red"));
    bench.run_until("it is decided", |bench| bench.group().epoch == Epoch(1));
    assert!(bench.now_ms - last >= 4000, "red may count pink, and blue, {} ms after pink had left", bench.now_ms - last);
}

/// Taking its replicas from it would not stop it, so it matters that it gives up its place itself.
#[test]
fn a_master_that_counts_somebody_who_is_no_data_node_is_out_of_writes_as_a_replica_only() {
    let mut bench = armed(&["blue", "green"]);
    // What follows it listens on no port, so that it is not known as a replica, and acknowledges all the same.
    bench.node("red").hangers_on = 1;
    let (group, epoch, at) = (group_name(), Epoch(0), WallTime(0));
    bench.apply(&Command::FailoverRequested {
        group,
        epoch,
        by: NodeId(1),
        manner: FailoverMode::Coordinated,
        target: None,
        at,
        asked: None,
    });
    bench.run_until("it has ended", |bench| bench.group().failover.is_none());
    let decided =
        bench.events.iter().find_map(|(_, event)| if let Event::Decided { choice, .. } = event { Some(choice.basis) } else { None });
    assert!(matches!(decided, Some(FencingProof::HandedOver { .. })), "{decided:?}");
    bench.run_until("red follows", Bench::settled);
}

#[test]
fn nor_is_one_that_is_silent_and_may_still_count_them() {
    let mut bench = armed(&["blue", "green"]);
    bench.node("red").hangers_on = 1;
    bench.run(8000);
    assert!(bench.judge(0).view().fence_alarm.is_some(), "operators are told");
    bench.node("red").silent = true;
    bench.run(20_000);
    let blocked = bench.group().failover.clone().and_then(|failover| failover.blocked);
    assert_eq!(blocked, Some(vec![(addr("red"), Ineligible::NotFenced)]));
    bench.node("red").silent = false;
    bench.node("red").alive = false;
    bench.run_until("it is known to be gone", |bench| bench.group().epoch == Epoch(1));
    // With so many gone that what is left does not suffice, it is as always.
    let mut bench = armed(&["blue", "green", "grey", "pink"]);
    bench.node("red").hangers_on = 1;
    bench.run(2000);
    bench.node("red").silent = true;
    bench.run_until("it is decided", |bench| bench.group().epoch == Epoch(1));
}

#[test]
fn a_master_that_a_script_keeps_busy_is_not_out_of_writes() {
    let mut bench = armed(&["blue", "green"]);
    // It has written, so that Redis does not end it.
    bench.node("red").busy = true;
    bench.node("red").stubborn = true;
    bench.run_until("its replicas are taken", |bench| bench.nodes[&addr("blue")].follows == Some(Addr::nobody()));
    bench.run(10_000);
    let told = bench.node("red").obeyed.iter().filter(|ask| **ask == Ask::KillScript).count();
    assert_eq!(told, 1, "once is enough");
    let failover = bench.group().failover.clone().expect("a failover");
    assert_eq!(failover.phase, Phase::Detaching, "what the script writes is taken until it ends");
    assert_eq!(failover.blocked, Some(vec![(addr("red"), Ineligible::NotFenced)]));
    // It is cut off, so that nobody hears whether it still is.
    bench.node("red").silent = true;
    let silent = bench.now_ms;
    bench.run_until("it is decided", |bench| bench.group().epoch == Epoch(1));
    assert!((3900..5000).contains(&(bench.now_ms - silent)), "{} ms", bench.now_ms - silent);
}

#[test]
fn a_master_whose_script_ends_keeps_its_place() {
    let mut bench = armed(&["blue", "green"]);
    bench.node("red").busy = true;
    bench.node("red").stubborn = true;
    bench.run_until("its replicas are taken", |bench| bench.nodes[&addr("blue")].follows == Some(Addr::nobody()));
    bench.run(5000);
    bench.node("red").busy = false;
    bench.node("red").stubborn = false;
    bench.run_until("all is as before", |bench| bench.group().failover.is_none() && bench.settled());
    assert_eq!(bench.group().epoch, Epoch(0));
}

#[test]
fn a_node_that_a_script_keeps_busy_is_told_to_end_it_when_it_is_down_for_that() {
    let mut bench = armed(&["blue", "green"]);
    for spell in 1..=2 {
        bench.node("blue").busy = true;
        let busy = bench.now_ms;
        bench.run_until("it is told", |bench| !bench.nodes[&addr("blue")].busy);
        assert!(bench.now_ms - busy >= 900, "only when it is down: after {} ms", bench.now_ms - busy);
        bench.run(3000);
        assert_eq!(bench.node("blue").obeyed.iter().filter(|ask| **ask == Ask::KillScript).count(), spell);
    }
    assert_eq!(bench.group().epoch, Epoch(0));
}

#[test]
fn a_change_that_was_asked_for_before_the_group_was_strict_is_decided_by_its_rules() {
    let mut bench = Bench::with(&["blue", "green"], PromotionPolicy::Available);
    bench.node("red").offset = 400;
    bench.node("blue").lags = true;
    bench.node("green").lags = true;
    let (group, epoch) = (group_name(), bench.group().epoch);
    let manner = FailoverMode::Plain;
    bench.apply(&Command::FailoverRequested { group, epoch, by: NodeId(1), manner, target: None, at: WallTime(0), asked: None });
    assert_eq!(bench.phase(), Some(Phase::Choosing));
    let changes = vec![SettingChange::PromotionPolicy(PromotionPolicy::Strict)];
    bench.apply(&Command::SetOptions { group: group_name(), changes, at: WallTime(0), asked: None });
    assert_eq!(bench.phase(), Some(Phase::Draining { target: None }));
    bench.run_until("it is given up", |bench| bench.group().failover.is_none());
    assert_eq!(bench.group().epoch, Epoch(0), "nobody has what red has written");
}
