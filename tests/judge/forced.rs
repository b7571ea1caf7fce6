//! What is done by force ends with a master that takes writes; and an old master is none, whoever sees the new one.

use raft_sentinel::base::settings::PromotionPolicy;
use raft_sentinel::base::{Epoch, Fence};
use raft_sentinel::machine::{Event, FailoverMode};

use super::strict::{armed, decision, request};
use super::world::{Bench, addr};

#[test]
fn a_master_by_force_takes_writes_and_is_armed_when_enough_follow() {
    let mut bench = armed(&["blue", "green"]);
    (bench.node("red").alive, bench.node("blue").alive) = (false, false);
    bench.run_until("it is blocked", |bench| bench.group().failover.as_ref().is_some_and(|failover| failover.blocked.is_some()));
    request(&mut bench, FailoverMode::Force, None);
    bench.run_until("green is the master", |bench| bench.group().epoch == Epoch(1) && bench.group().failover.is_none());
    assert_eq!(decision(&bench).arms, Some(Fence { min_replicas: 0, max_lag_s: 2 }));
    bench.run(10_000);
    assert_eq!(bench.node_fence("green"), Some(0), "nobody follows it, and it was to take writes");
    let problem = bench.judge(0).view().fence_problem.clone().expect("that is told");
    assert!(problem.contains("promoted by force"), "{problem}");
    bench.node("blue").alive = true;
    bench.run_until("it is armed", |bench| bench.group().is_armed());
    assert_eq!(bench.node_fence("green"), Some(1));
}

/// With enough that follow, the time without a fence is that of their attaching.
#[test]
fn a_master_by_force_with_replicas_is_armed_at_once() {
    let mut bench = armed(&["blue", "green"]);
    bench.node("red").alive = false;
    request(&mut bench, FailoverMode::Force, None);
    bench.run_until("it is decided", |bench| bench.when(|event| matches!(event, Event::Decided { .. })).is_some());
    bench.run_until("it is armed", |bench| bench.group().is_armed());
    let since = bench.when(|event| matches!(event, Event::Decided { .. })).expect("it was");
    assert!(bench.now_ms - since < 3000, "after {} ms", bench.now_ms - since);
}

#[test]
fn an_old_master_is_demoted_also_by_a_leader_that_does_not_see_the_new_one() {
    for policy in [PromotionPolicy::Available, PromotionPolicy::Strict] {
        let mut bench = Bench::with(&["blue", "green"], policy);
        bench.run(5000);
        bench.node("blue").priority = 10;
        bench.run(2000);
        bench.node("red").alive = false;
        bench.run_until("blue is the master", |bench| bench.group().epoch == Epoch(1) && bench.group().failover.is_none());
        assert_eq!(bench.group().master.addr, addr("blue"));
        bench.blind[0].insert(addr("blue"));
        bench.run(3000);
        bench.node("red").alive = true;
        bench.run_until("red follows", |bench| bench.nodes[&addr("red")].follows == Some(addr("blue")));
        assert_eq!(bench.group().epoch, Epoch(1));
    }
}
