//! What a sentinel says would come of the loss of its master is what comes of it.

use raft_sentinel::base::settings::PromotionPolicy;
use raft_sentinel::base::{Addr, Epoch, Fence, WallTime};
use raft_sentinel::judge::{HeldBack, LocalEvent, Outlook, Readiness};
use raft_sentinel::machine::{Command, Ineligible};

use super::world::{Bench, addr, group_name};

fn formed(replicas: &[&str], policy: PromotionPolicy) -> Bench {
    let mut bench = Bench::with(replicas, policy);
    if policy != PromotionPolicy::Available {
        bench.run_until("the fence is armed", |bench| bench.group().is_armed());
    }
    bench.run(3000);
    bench
}

/// What the leader says, once it has had the time to see how things are.
fn said(bench: &mut Bench) -> Readiness {
    bench.run(3000);
    bench.judge(0).view().readiness.clone()
}

/// What comes of the loss: the next master, or what the failover is blocked by.
fn comes_of(mut bench: Bench, silent: bool) -> Result<Addr, Vec<(Addr, Ineligible)>> {
    let red = bench.node("red");
    (red.alive, red.silent) = (silent, silent);
    bench.run_until("a decision, or a reason", |bench| {
        let group = bench.group();
        group.epoch == Epoch(1) || group.failover.as_ref().is_some_and(|failover| failover.blocked.is_some())
    });
    let group = bench.group();
    match group.failover.as_ref().and_then(|failover| failover.blocked.clone()) {
        Some(reasons) => Err(reasons),
        None => Ok(group.master.addr.clone()),
    }
}

/// A state, and how it is made.
type Make = fn() -> Bench;

fn in_words(reasons: &[(Addr, Ineligible)]) -> Vec<String> {
    reasons.iter().map(|(addr, reason)| format!("{addr}: {reason}")).collect()
}

fn holds(name: &str, make: Make, expected: Outlook) {
    let readiness = said(&mut make());
    assert_eq!(readiness.would, expected, "{name}: {readiness:?}");
    let prepare = || {
        let mut bench = make();
        bench.run(3000);
        bench
    };
    match comes_of(prepare(), false) {
        Ok(next) => assert_eq!(readiness.next, Some(next), "{name}: {readiness:?}"),
        Err(reasons) => assert_eq!((readiness.would, &readiness.why), (Outlook::No, &in_words(&reasons)), "{name}"),
    }
    match (comes_of(prepare(), true), readiness.would) {
        (Ok(next), _) => assert_eq!(readiness.next, Some(next), "{name}, silent"),
        (Err(_), Outlook::No) => {}
        (Err(reasons), _) => {
            assert!(readiness.reasons().contains(&in_words(&reasons).join("; ")), "{name}, silent: {readiness:?} {reasons:?}")
        }
    }
}

#[test]
fn what_is_said_is_what_happens() {
    use PromotionPolicy::{Auto, Available, Strict};
    holds("all is well", || formed(&["blue", "green"], Strict), Outlook::Yes);
    holds("all is well by auto", || formed(&["blue", "green"], Auto), Outlook::Yes);
    holds("stock's way", || formed(&["blue"], Available), Outlook::Yes);
    holds("the most advanced one", || with(&["blue", "green"], |bench| bench.node("green").offset = 150), Outlook::Yes);
    let zero = || with(&["blue", "green"], |bench| (bench.node("green").offset, bench.node("green").priority) = (150, 0));
    holds("one of priority 0 lends its data", zero, Outlook::Yes);
    holds(
        "nobody may be promoted",
        || with(&["blue", "green"], |bench| ["blue", "green"].map(|name| bench.node(name).priority = 0).into_iter().for_each(drop)),
        Outlook::No,
    );
    holds("one is down", || with(&["blue", "green"], |bench| bench.node("blue").alive = false), Outlook::No);
    holds("one hangs", || with(&["blue", "green"], |bench| bench.node("blue").silent = true), Outlook::No);
    holds("one refuses credentials", || with(&["blue", "green"], |bench| bench.node("blue").refuses_credentials = true), Outlook::No);
    let behind = || with(&["blue", "green"], |bench| (bench.node("red").offset, bench.node("blue").lags) = (900, true));
    holds("one lags", behind, Outlook::Yes);
    let restarted = || {
        with(&["blue", "green"], |bench| {
            bench.node("red").offset = 900;
            (bench.node("blue").run, bench.node("blue").lags) = (2, true);
        })
    };
    holds("one restarted, and has not come after", restarted, Outlook::No);
    let loose = || with(&["blue", "green"], |bench| (bench.node("red").fence, bench.node("red").stubborn) = (Some(Fence::OFF), true));
    holds("the fence is not held", loose, Outlook::Partly);
    let unarmable = || with(&["blue", "green"], |bench| bench.node("green").fence = None);
    holds("one takes no fence", unarmable, Outlook::Yes);
    holds("others watch it", || with(&["blue", "green"], |bench| bench.held_back = Some(HeldBack::Stock)), Outlook::No);
    holds("after one was forgotten", forgotten, Outlook::No);
}

fn with(replicas: &[&str], change: fn(&mut Bench)) -> Bench {
    let mut bench = formed(replicas, PromotionPolicy::Strict);
    change(&mut bench);
    bench
}

/// Of two, one that is down was forgotten: it may have held what was confirmed.
fn forgotten() -> Bench {
    let mut bench = formed(&["blue", "green"], PromotionPolicy::Strict);
    bench.node("green").alive = false;
    bench.node("red").stubborn = true;
    bench.run(3000);
    bench.apply(&Command::ReplicaForgotten { group: group_name(), replica: addr("green"), at: WallTime(0), asked: None });
    bench
}

#[test]
fn without_a_replica_or_a_quorum_nothing_would_come() {
    let mut lone = formed(&[], PromotionPolicy::Available);
    assert_eq!(said(&mut lone).why, ["no replica is known"]);
    let mut bench = formed(&["blue", "green"], PromotionPolicy::Strict);
    bench.usable = 1;
    let readiness = said(&mut bench);
    assert_eq!(readiness.would, Outlook::No);
    assert!(readiness.reasons().contains("1 sentinels are in touch"), "{readiness:?}");
}

#[test]
fn a_new_master_that_would_take_no_writes_is_told() {
    let mut bench = with(&["blue", "green", "grey"], |bench| bench.node("grey").alive = false);
    let readiness = said(&mut bench);
    assert_eq!(readiness.would, Outlook::Partly, "{readiness:?}");
    assert!(readiness.reasons().contains("would take no writes"), "{readiness:?}");
}

#[test]
fn what_lasts_is_told_once_and_its_end_too() {
    let mut bench = formed(&["blue", "green"], PromotionPolicy::Strict);
    let told = |bench: &Bench| -> Vec<LocalEvent> {
        bench.remarks[1].iter().filter(|remark| matches!(remark, LocalEvent::Unready { .. } | LocalEvent::Ready)).cloned().collect()
    };
    assert_eq!(told(&bench), [], "arming is no alarm");
    bench.node("blue").alive = false;
    bench.run_until("told", |bench| !told(bench).is_empty());
    let alarm = bench.judge(1).view().readiness_alarm.clone().expect("it is in the view");
    assert!(alarm.contains("would be blocked") && alarm.contains(&addr("blue").to_string()), "{alarm}");
    assert_eq!(told(&bench), [LocalEvent::Unready { why: alarm }]);
    // Blue counts no more after a while: then green could be promoted, and would be alone.
    bench.run(20_000);
    let alarm = bench.judge(1).view().readiness_alarm.clone().expect("it is in the view");
    assert!(alarm.contains("would take no writes"), "{alarm}");
    assert_eq!(told(&bench).len(), 2);
    bench.node("blue").alive = true;
    bench.run_until("well again", |bench| bench.judge(1).view().readiness_alarm.is_none());
    assert_eq!(told(&bench).last(), Some(&LocalEvent::Ready));
    bench.node("red").alive = false;
    bench.run_until("another master", |bench| bench.group().epoch.0 == 1 && bench.group().failover.is_none());
    bench.node("red").alive = true;
    bench.run(20_000);
    assert_eq!(told(&bench).len(), 3, "a failover is no alarm");
}

/// What a replica that was forgotten may have confirmed is covered by the others as soon as they are seen to hold it.
#[test]
fn a_forgotten_replica_costs_a_moment_and_not_half_a_minute() {
    let mut bench = formed(&["blue", "green"], PromotionPolicy::Strict);
    bench.run(30_000);
    bench.node("green").alive = false;
    bench.run(3000);
    bench.apply(&Command::ReplicaForgotten { group: group_name(), replica: addr("green"), at: WallTime(0), asked: None });
    let since = bench.now_ms;
    assert_eq!(bench.group().needed().detached, 2, "green may have had what blue has not");
    bench.run_until("it is covered", |bench| bench.group().needed().detached == 1);
    assert!(bench.now_ms - since < 3000, "after {} ms", bench.now_ms - since);
}

/// A replica that restarted and lags all the time has what it may have lost once it has come as far as the master was then.
#[test]
fn a_replica_that_lags_for_ever_comes_to_count_again() {
    let mut bench = formed(&["blue", "green"], PromotionPolicy::Strict);
    bench.node("red").offset = 900;
    (bench.node("green").run, bench.node("green").lags) = (2, true);
    bench.run(3000);
    assert_eq!(bench.judge(0).view().readiness.would, Outlook::No);
    for second in 1..10 {
        bench.node("red").offset = 900 + 100 * second;
        bench.node("green").offset = 900 + 100 * second - 150;
        bench.run(1000);
    }
    assert_eq!(bench.judge(0).view().readiness.would, Outlook::Yes, "{:?}", bench.judge(0).view().readiness);
}
