//! When a sentinel calls for operators because of a fence.

use raft_sentinel::base::settings::PromotionPolicy;
use raft_sentinel::base::{Fence, FenceSight};
use raft_sentinel::judge::LocalEvent;

use super::world::{Bench, addr};

fn armed() -> Bench {
    let mut bench = Bench::with(&["blue", "green"], PromotionPolicy::Strict);
    bench.run_until("armed", |bench| bench.group().is_armed());
    bench.run(2000);
    bench
}

fn told(bench: &Bench, at: usize) -> Vec<LocalEvent> {
    let of_fence = |remark: &&LocalEvent| matches!(remark, LocalEvent::FenceProblem { .. } | LocalEvent::FenceWell);
    bench.remarks[at].iter().filter(of_fence).cloned().collect()
}

#[test]
fn arming_and_a_failover_are_no_alarm() {
    let mut bench = armed();
    bench.run(20_000);
    bench.node("red").alive = false;
    bench.run_until("another master", |bench| bench.group().epoch.0 == 1 && bench.group().failover.is_none());
    bench.node("red").alive = true;
    bench.run(20_000);
    for at in 0..3 {
        assert_eq!(told(&bench, at), [], "sentinel {at}");
        assert_eq!(bench.judge(at).view().fence_problem, None, "sentinel {at}");
    }
}

#[test]
fn what_lasts_is_told_once_and_its_end_too() {
    let mut bench = armed();
    // It answers no CONFIG any more.
    bench.node("blue").fence = None;
    let since = bench.now_ms;
    bench.run_until("seen", |bench| bench.judge(1).view().fence_problem.is_some());
    assert_eq!(told(&bench, 1), [], "a moment is no reason to call anybody");
    bench.run_until("told", |bench| !told(bench, 1).is_empty());
    assert!((5000..7500).contains(&(bench.now_ms - since)), "after {} ms", bench.now_ms - since);
    let alarm = bench.judge(1).view().fence_alarm.clone().expect("it is in the view");
    assert!(alarm.contains(&addr("blue").to_string()) && alarm.contains("NOPERM"), "{alarm}");
    bench.run(20_000);
    assert_eq!(told(&bench, 1), [LocalEvent::FenceProblem { why: alarm }]);
    bench.node("blue").fence = Some(Fence { min_replicas: 1, max_lag_s: 2 });
    bench.run_until("well again", |bench| bench.judge(1).view().fence_alarm.is_none());
    assert_eq!(told(&bench, 1).last(), Some(&LocalEvent::FenceWell));
    assert!(matches!(bench.judge(1).view().fence(&addr("blue")), Some(FenceSight::Holds(_))));
}

#[test]
fn another_problem_is_told_as_well_once_it_lasts() {
    let mut bench = armed();
    bench.node("blue").fence = None;
    bench.run_until("told", |bench| told(bench, 2).len() == 1);
    // Of two the first one is named: now the master does not say, either.
    bench.node("red").fence = None;
    bench.run_until("told again", |bench| told(bench, 2).len() == 2);
    let Some(LocalEvent::FenceProblem { why }) = told(&bench, 2).pop() else { panic!("no problem is told") };
    assert!(why.contains(&addr("red").to_string()), "{why}");
}
