//! Any step of a failover may be the last that its leader takes: the next one reads the phase from the log and goes on.
//!
//! In each test a sentinel kills itself at one named place. What was committed before its death stands: the same
//! epoch, the same replica, decided by the dead one. What was not is done by the next leader.

use std::time::Duration;

use raft_sentinel::proto::sentinel as proto;

use crate::kit::history::{self, address};
use crate::kit::looks::local;
use crate::kit::{Cluster, Failpoints, Flavour, GROUP, History, Plan, Timeline};

const SOON: Duration = Duration::from_secs(20);
/// A failover that was wrongly begun anew would show within this time.
const QUIET: Duration = Duration::from_millis(700);
const ALL: [usize; 3] = [1, 2, 3];

/// When the decision has been committed, seen from the place of death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    /// Certainly not yet: another sentinel decides.
    Open,
    /// Certainly: by the one that dies.
    Made,
}

/// The master of a fresh cluster is killed, and one of the sentinels dies at `place` of the failover.
struct OneDied {
    cluster: Cluster,
    old: u16,
    dead: usize,
}

impl OneDied {
    fn at(place: &str) -> Self {
        let places = Failpoints::new();
        Self::of(Plan { env: places.env(), ..Plan::new(Flavour::Ours) }, &places, place)
    }

    fn of(plan: Plan, places: &Failpoints, place: &str) -> Self {
        let mut cluster = plan.start();
        let old = cluster.master();
        places.arm(place);
        cluster.server_mut(old).kill();
        let dead = wait_for_death(&mut cluster, places, place);
        Self { cluster, old, dead }
    }
}

/// Waits until one of the sentinels has died at `place`.
fn wait_for_death(cluster: &mut Cluster, places: &Failpoints, place: &str) -> usize {
    let timeline = cluster.timeline.clone();
    timeline.wait_for(&format!("a sentinel dies at {place}"), SOON, || {
        let dead = cluster.sentinels.iter_mut().find_map(|sentinel| (!sentinel.is_running()).then_some(sentinel.id));
        dead.ok_or_else(|| format!("all run, armed: {}", places.is_armed(place)))
    })
}

/// The one failover that `among` must agree on, and its new master.
fn the_only_failover(cluster: &Cluster, among: &[usize], old: u16) -> (proto::Decision, u16) {
    let report = || cluster.timeline.report();
    let told = cluster.wait_for_history(among, 1, SOON);
    let decision = told[0].clone();
    assert_eq!(decision.epoch, 1, "{}", report());
    assert_eq!(address(decision.old_master.as_ref()), local(old), "{}", report());
    let ending = decision.ending.as_ref().map(proto::Ending::kind);
    assert_eq!(ending, Some(proto::ending::Kind::Completed), "{decision:#?}\n{}", report());
    let choice = decision.choice.as_ref().expect("a completed failover has been decided");
    let new = choice.chosen.as_ref().and_then(|addr| u16::try_from(addr.port).ok()).expect("it names a port");
    for id in among {
        let master = cluster
            .timeline
            .wait_for(&format!("sentinel {id} names the master"), SOON, || History::of(cluster.sentinel(*id).ports.grpc).master(GROUP));
        assert_eq!((address(master.address.as_ref()), master.epoch), (local(new), 1), "{}", report());
    }
    (decision, new)
}

/// All survivors, the servers, and in the end the one that died agree on one failover from `old` in epoch 1.
fn expect_one_failover(cluster: &mut Cluster, old: u16, dead: &[usize]) -> proto::Decision {
    let survivors: Vec<usize> = ALL.into_iter().filter(|id| !dead.contains(id)).collect();
    let (decision, new) = the_only_failover(cluster, &survivors, old);
    assert_eq!(cluster.masters(), [new], "exactly one master\n{}", cluster.timeline.report());
    let follower: Vec<u16> = cluster.others(old).into_iter().filter(|port| *port != new).collect();
    cluster.wait_until_all_follow(new, &follower, SOON);
    dead.iter().for_each(|id| cluster.sentinel_mut(*id).restart());
    let (again, _) = the_only_failover(cluster, &ALL, old);
    assert_eq!(again, decision, "the history has changed\n{}", cluster.timeline.report());
    let timeline = cluster.timeline.clone();
    timeline.holds("nothing is begun anew", QUIET, || match cluster.recorded(survivors[0])? {
        master if master.epoch == 1 && master.failover.is_none() => Ok(()),
        master => Err(format!("{master:?}")),
    });
    decision
}

/// Kills the master; the leader dies at `place`; somebody else ends the same failover.
fn the_leader_dies(place: &str, decision: Decision) {
    let OneDied { mut cluster, old, dead } = OneDied::at(place);
    let told = expect_one_failover(&mut cluster, old, &[dead]);
    let by_the_dead = told.choice.as_ref().is_some_and(|choice| choice.decided_by == dead as u64);
    assert_eq!(by_the_dead, decision == Decision::Made, "who decided\n{}", cluster.timeline.report());
    say("from the start to the end with a death in between", &told, &cluster.timeline);
}

fn say(what: &str, decision: &proto::Decision, timeline: &Timeline) {
    let total = decision.timings.as_ref().and_then(|timings| timings.total_us).unwrap_or(0);
    timeline.note(format!("{what}: {} ms", total / 1000));
    println!("{what}: {} ms", total / 1000);
}

/// One test for each place.
macro_rules! the_leader_dies {
    ($($name:ident: $place:literal, $decision:ident;)*) => {$(
        #[test]
        fn $name() {
            the_leader_dies($place, Decision::$decision);
        }
    )*};
}

the_leader_dies! {
    the_leader_dies_before_it_decides: "before-promote", Open;
    the_leader_dies_after_it_decided: "after-promote", Made;
    the_leader_dies_before_it_promotes: "before-ask-promote", Made;
    the_leader_dies_after_it_promoted: "after-ask-promote", Made;
    the_leader_dies_before_it_records_the_promotion: "before-promoted", Made;
    the_leader_dies_after_it_recorded_the_promotion: "after-promoted", Made;
    the_leader_dies_before_it_points_a_replica: "before-ask-repoint", Made;
    the_leader_dies_after_it_pointed_a_replica: "after-ask-repoint", Made;
    the_leader_dies_before_it_records_a_follower: "before-replica-follows", Made;
    the_leader_dies_after_it_recorded_a_follower: "after-replica-follows", Made;
    the_leader_dies_before_it_ends_the_failover: "before-failover-done", Made;
    the_leader_dies_after_it_ended_the_failover: "after-failover-done", Made;
}

/// Any sentinel votes, so any may die there; the two others are enough.
fn a_voter_dies(place: &str) {
    let OneDied { mut cluster, old, dead } = OneDied::at(place);
    let told = expect_one_failover(&mut cluster, old, &[dead]);
    assert!(history::votes(&told).len() >= 2, "{told:#?}");
    say("from the start to the end without one of the voters", &told, &cluster.timeline);
}

#[test]
fn a_sentinel_dies_before_it_votes() {
    a_voter_dies("before-vote-down");
}

#[test]
fn a_sentinel_dies_after_it_voted() {
    a_voter_dies("after-vote-down");
}

#[test]
fn a_leader_that_dies_while_it_says_that_nothing_can_be_promoted_is_succeeded_too() {
    let places = Failpoints::new();
    let plan = Plan { env: places.env(), priorities: vec![0, 0], ..Plan::new(Flavour::Ours) };
    let OneDied { mut cluster, old, dead } = OneDied::of(plan, &places, "after-failover-blocked");
    let usable = cluster.others(old)[1];
    cluster.server(usable).set("replica-priority", "10");
    let told = expect_one_failover(&mut cluster, old, &[dead]);
    assert_eq!(address(told.choice.as_ref().and_then(|choice| choice.chosen.as_ref())), local(usable));
}

/// The whole cluster of sentinels dies when the leader comes to `place`, and is started again.
fn all_die(place: &str, decision: Decision) {
    let OneDied { mut cluster, old, dead } = OneDied::at(place);
    for id in ALL {
        cluster.sentinel_mut(id).kill();
    }
    let told_nobody = cluster.others(old).iter().all(|port| cluster.server(*port).orders() == Some(0));
    cluster.timeline.note(format!("died at {place} before any server was told: {told_nobody}"));
    for id in ALL {
        cluster.sentinel_mut(id).restart();
    }
    let told = expect_one_failover(&mut cluster, old, &[]);
    if decision == Decision::Made {
        assert_eq!(told.choice.map(|choice| choice.decided_by), Some(dead as u64), "the decision stood");
    }
}

#[test]
fn all_sentinels_die_before_a_decision() {
    all_die("before-promote", Decision::Open);
}

#[test]
fn all_sentinels_die_after_the_decision() {
    all_die("after-promote", Decision::Made);
}

#[test]
fn all_sentinels_die_after_the_promotion() {
    all_die("after-ask-promote", Decision::Made);
}

#[test]
fn a_decision_outlives_two_of_three_sentinels() {
    let OneDied { mut cluster, old, dead } = OneDied::at("after-promote");
    let second = ALL.into_iter().find(|id| *id != dead).expect("two are left");
    cluster.sentinel_mut(second).kill();
    let last = ALL.into_iter().find(|id| *id != dead && *id != second).expect("one is left");
    let untouched: Vec<u16> = cluster.others(old).into_iter().filter(|port| cluster.server(*port).orders() == Some(0)).collect();
    expect_silence(&cluster, last, old, &untouched);
    cluster.sentinel_mut(second).restart();
    let told = expect_one_failover(&mut cluster, old, &[dead]);
    assert_eq!(told.choice.map(|choice| choice.decided_by), Some(dead as u64));
}

#[test]
fn two_of_three_sentinels_dead_means_that_redis_is_not_touched() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let old = cluster.master();
    let leader = cluster.wait_for_leader(&ALL, SOON);
    // The one that is left has led: it must notice that it no longer does.
    let dead: Vec<usize> = ALL.into_iter().filter(|id| *id != leader).collect();
    dead.iter().for_each(|id| cluster.sentinel_mut(*id).kill());
    cluster.server_mut(old).kill();
    let replicas = cluster.others(old);
    expect_silence(&cluster, leader, old, &replicas);
    cluster.sentinel_mut(dead[0]).restart();
    expect_one_failover(&mut cluster, old, &[dead[1]]);
}

/// For longer than any detection takes, `last` says that it has no quorum, and nobody tells `replicas` anything.
fn expect_silence(cluster: &Cluster, last: usize, old: u16, replicas: &[u16]) {
    let timeline = cluster.timeline.clone();
    let sentinel = cluster.sentinel(last);
    let mut history = History::of(sentinel.ports.grpc);
    timeline.wait_for("the last sentinel says on both ports that it has no quorum", SOON, || {
        let (resp, grpc) = (sentinel.master(), history.master(GROUP));
        let no_quorum = resp.as_ref().is_err_and(|answer| answer.starts_with("-NOQUORUM"));
        let unavailable = grpc.as_ref().is_err_and(|status| status.contains("currently unavailable"));
        if no_quorum && unavailable { Ok(()) } else { Err(format!("{resp:?}, {grpc:?}")) }
    });
    timeline.holds("Redis is left alone", Duration::from_millis(3 * cluster.plan.down_after_ms), || {
        replicas.iter().try_for_each(|port| {
            let server = cluster.server(*port);
            let now = (server.role(), server.told_to_follow(), server.orders());
            let same = now == (Some("slave".to_owned()), Some(old), Some(0));
            if same { Ok(()) } else { Err(format!("{port}: {now:?}")) }
        })
    });
    assert!(sentinel.master().is_err_and(|answer| answer.starts_with("-NOQUORUM")), "{}", timeline.report());
}
