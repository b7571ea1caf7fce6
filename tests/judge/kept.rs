//! What a client was told is kept stays kept in the corners: a master that restarts as a replica, a number for WAIT that
//! has just grown, replicas that come and go while a failover waits, a master whose followers are not all known.

use raft_sentinel::base::settings::PromotionPolicy;
use raft_sentinel::base::{Addr, Epoch, NodeId, WallTime};
use raft_sentinel::machine::{Command, Event, Manner};

use super::world::{Bench, Node, addr, group_name};

fn armed(replicas: &[&str]) -> Bench {
    let mut bench = Bench::with(replicas, PromotionPolicy::Strict);
    bench.run_until("the fence is armed", |bench| bench.group().fence.is_some());
    bench.run(2000);
    bench
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

#[test]
fn a_master_that_counts_somebody_who_is_no_data_node_is_not_out_of_writes() {
    let mut bench = armed(&["blue", "green"]);
    // What follows it listens on no port, so that it is not known as a replica, and acknowledges all the same.
    bench.node("red").hangers_on = 1;
    let (group, epoch, at) = (group_name(), Epoch(0), WallTime(0));
    bench.apply(&Command::FailoverRequested { group, epoch, by: NodeId(1), manner: Manner::Coordinated, target: None, at });
    bench.run_until("it has ended", |bench| bench.group().failover.is_none());
    assert!(!bench.events.iter().any(|(_, event)| matches!(event, Event::Decided { .. })), "red goes on when its pause ends");
    bench.run_until("all is as before", Bench::settled);
}
