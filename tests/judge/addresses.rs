//! One server at several addresses, and several servers behind one.

use raft_sentinel::base::Epoch;
use raft_sentinel::base::settings::PromotionPolicy;
use raft_sentinel::judge::Ask;
use raft_sentinel::machine::{Cause, Evidence};

use super::world::{Bench, addr};

fn formed(policy: PromotionPolicy) -> Bench {
    let mut bench = Bench::with(&["blue", "green"], policy);
    if policy != PromotionPolicy::Available {
        bench.run_until("the fence is armed", |bench| bench.group().is_armed());
    }
    bench.run(2000);
    bench.node("blue").obeyed.clear();
    bench
}

fn was_promoted(bench: &mut Bench, name: &str) -> bool {
    bench.node(name).obeyed.iter().any(|ask| matches!(ask, Ask::Promote { .. }))
}

/// The name of the master leads to a replica from now on; the master lives.
#[test]
fn a_replica_at_the_masters_address_is_not_made_the_master_without_a_decision() {
    for policy in [PromotionPolicy::Strict, PromotionPolicy::Available] {
        let mut bench = formed(policy);
        bench.aliases.insert(addr("red"), addr("blue"));
        bench.run(900);
        assert!(!was_promoted(&mut bench, "blue"), "{policy:?}: nobody has voted");
        assert_eq!(bench.group().epoch, Epoch(0));
        let problem = bench.judge(0).view().fence_problem.clone();
        assert!(problem.as_ref().is_some_and(|why| why.contains("blue")), "{policy:?}: {problem:?}");
        bench.run_until("it is decided", |bench| bench.group().epoch == Epoch(1));
        let cause = bench.group().history[0].cause.clone();
        let Cause::Down { votes, .. } = cause else { panic!("{cause:?}") };
        assert!(votes.values().all(|vote| vote.testimony.evidence == Evidence::Elsewhere), "{votes:?}");
    }
}

#[test]
fn a_name_that_leads_back_in_time_changes_nothing() {
    let mut bench = formed(PromotionPolicy::Strict);
    bench.aliases.insert(addr("red"), addr("blue"));
    bench.run(700);
    bench.aliases.clear();
    bench.run(5000);
    assert_eq!((bench.group().epoch, bench.group().failover.is_none()), (Epoch(0), true));
    assert!(!was_promoted(&mut bench, "blue") && bench.settled());
    assert_eq!(bench.judge(0).view().fence_problem, None);
}

/// Kvrocks and old Redis: nothing can be compared, so stock's way is the only one.
#[test]
fn servers_without_a_history_are_failed_over_as_by_stock_and_never_fenced() {
    const UNKNOWN: &str = "0000000000000000000000000000000000000000";
    for policy in [PromotionPolicy::Available, PromotionPolicy::Auto, PromotionPolicy::Strict] {
        let mut bench = Bench::start(&["blue", "green"], policy, |node| node.history = UNKNOWN);
        bench.run(8000);
        let told = bench.judge(0).view().fence_problem.clone();
        assert!(bench.group().fence.is_none());
        if policy != PromotionPolicy::Available {
            assert!(told.as_ref().is_some_and(|why| why.contains("master_replid")), "{policy:?}: {told:?}");
        }
        bench.node("red").alive = false;
        if policy == PromotionPolicy::Strict {
            bench.run(8000);
            assert_eq!(bench.group().epoch, Epoch(0));
            let blocked = bench.group().failover.clone().and_then(|failover| failover.blocked).expect("it says why");
            assert!(blocked.iter().all(|(_, why)| why.to_string().contains("no replication history")), "{blocked:?}");
        } else {
            bench.run_until("it is replaced", |bench| bench.group().epoch == Epoch(1) && bench.settled());
        }
    }
}

/// A virtual address went over to the new master: the record of the old one leads to the new one.
#[test]
fn an_address_that_went_over_with_the_role_is_told_and_is_no_server() {
    for policy in [PromotionPolicy::Strict, PromotionPolicy::Auto] {
        let mut bench = formed(policy);
        bench.node("red").alive = false;
        bench.run_until("it is replaced", |bench| bench.group().epoch == Epoch(1) && bench.group().failover.is_none());
        let new = bench.group().master.addr.clone();
        bench.aliases.insert(addr("red"), new);
        if policy == PromotionPolicy::Strict {
            bench.run_until("it counts no more", |bench| !bench.group().replicas.contains_key(&addr("red")));
        } else {
            // With one replica the group would not be strict any more: what was promised is not taken back.
            bench.run(10_000);
            assert_eq!(bench.group().known_replicas(), 2);
            let problem = bench.judge(0).view().fence_alarm.clone();
            assert!(problem.as_ref().is_some_and(|why| why.contains("virtual address")), "{problem:?}");
        }
    }
}
