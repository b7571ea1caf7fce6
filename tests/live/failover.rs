//! What an operator expects of a failover, seen from outside.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use raft_sentinel::proto::sentinel::cause::Cause;
use raft_sentinel::proto::sentinel::ending::Kind;
use raft_sentinel::proto::sentinel::{Decision, Ending};

use crate::kit::history::{self, address};
use crate::kit::{Cluster, Failpoints, Flavour, GROUP, History, Plan};

const SOON: Duration = Duration::from_secs(20);
const ALL: [usize; 3] = [1, 2, 3];

/// The port of the replica that was chosen.
fn chosen(decision: &Decision) -> u16 {
    let port = decision.choice.as_ref().and_then(|choice| choice.chosen.as_ref()).map(|addr| addr.port);
    port.and_then(|port| u16::try_from(port).ok()).expect("it came to a decision")
}

/// Kills the master while a client writes; returns the old and the new one once a write was accepted there.
fn kill_the_master(cluster: &mut Cluster) -> (u16, u16) {
    let (writer, timeline) = (cluster.writer(), cluster.timeline.clone());
    timeline.wait_until("the client writes", SOON, || writer.count() >= 200);
    let old = cluster.sentinels[0].master().expect("a formed cluster has a master");
    cluster.server_mut(old).kill();
    let killed = Instant::now();
    timeline.wait_for("a write on another server", SOON, || writer.first_elsewhere(killed, old).ok_or("none".to_owned()));
    let new = cluster.wait_for_new_master(old, SOON);
    let log = writer.finish();
    // One answer may have been on its way to the client.
    assert!(log.written_to_after(old, killed) <= 1, "a killed server accepted writes\n{}", timeline.report());
    (old, new)
}

#[test]
fn a_killed_master_is_replaced_and_comes_back_as_a_replica() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let (old, new) = kill_the_master(&mut cluster);
    let other = cluster.servers.iter().map(|server| server.port).find(|port| ![old, new].contains(port)).expect("there are three");
    cluster.wait_for_replica(other, new, SOON);
    cluster.server_mut(old).restart();
    cluster.wait_for_replica(old, new, SOON);
    cluster.wait_until_formed();
}

#[test]
fn every_sentinel_tells_the_same_history_with_its_grounds() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let (old, new) = kill_the_master(&mut cluster);
    let timeline = cluster.timeline.clone();
    let told: Vec<_> = cluster
        .sentinels
        .iter()
        .map(|sentinel| {
            let mut history = History::of(sentinel.ports.grpc);
            timeline.wait_for(&format!("sentinel {} knows how it ended", sentinel.id), SOON, || {
                let decisions = history.decisions(GROUP)?;
                decisions.into_iter().next().filter(|decision| decision.ending.is_some()).ok_or("it has not ended".to_owned())
            })
        })
        .collect();
    assert!(told.iter().all(|decision| *decision == told[0]), "they differ: {told:#?}");
    let decision = &told[0];
    assert_eq!(address(decision.old_master.as_ref()), format!("127.0.0.1:{old}"));
    let voters: BTreeSet<u64> = history::votes(decision).iter().map(|vote| vote.voter).collect();
    assert!(voters.len() >= 2, "the quorum is two, but {voters:?} voted");
    for vote in history::votes(decision) {
        assert!(vote.silent_ms >= vote.limit_ms, "voted after {} ms of silence, the limit is {} ms", vote.silent_ms, vote.limit_ms);
    }
    let choice = decision.choice.as_ref().expect("it came to a decision");
    assert_eq!(address(choice.chosen.as_ref()), format!("127.0.0.1:{new}"));
    assert_eq!(choice.candidates.len(), 2, "both replicas were considered");
}

#[test]
fn without_a_quorum_of_sentinels_nothing_is_promoted_and_a_healthy_master_is_left_alone() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let writer = cluster.writer();
    let timeline = cluster.timeline.clone();
    timeline.wait_until("the client writes", SOON, || writer.count() >= 200);
    let master = cluster.sentinels[0].master().expect("a formed cluster has a master");
    for sentinel in &mut cluster.sentinels[1..] {
        sentinel.kill();
    }
    timeline.wait_for("the last sentinel says that it has no quorum", SOON, || match cluster.sentinels[0].master() {
        Err(answer) if answer.starts_with("-NOQUORUM") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let before = writer.count();
    timeline.wait_until("writes go on", SOON, || writer.count() >= before + 200);
    cluster.server_mut(master).kill();
    let replicas: Vec<u16> = cluster.servers.iter().map(|server| server.port).filter(|port| *port != master).collect();
    timeline.holds("nobody is promoted", Duration::from_millis(3 * cluster.plan.down_after_ms), || {
        match replicas.iter().find(|port| cluster.server(**port).role().as_deref() == Some("master")) {
            None => Ok(()),
            Some(port) => Err(format!("{port} is no replica any more")),
        }
    });
    for sentinel in &mut cluster.sentinels[1..] {
        sentinel.restart();
    }
    cluster.wait_for_new_master(master, SOON);
}

#[test]
fn a_replaced_master_is_demoted_as_soon_as_it_is_seen() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let (old, new) = kill_the_master(&mut cluster);
    cluster.wait_for_history(&ALL, 1, SOON);
    cluster.server_mut(old).restart();
    let seen = Instant::now();
    let timeline = cluster.timeline.clone();
    timeline.wait_until("it is a replica", SOON, || cluster.server(old).role().as_deref() == Some("slave"));
    let took = seen.elapsed();
    println!("the old master was demoted {} ms after it answered", took.as_millis());
    assert!(took < Duration::from_secs(3), "{took:?}\n{}", timeline.report());
    cluster.wait_for_replica(old, new, SOON);
}

#[test]
fn an_operator_may_replace_a_master_that_is_up() {
    let cluster = Plan::new(Flavour::Ours).start();
    let old = cluster.master();
    let asked = Instant::now();
    let reply = cluster.sentinels[1].ask(&["SENTINEL", "FAILOVER", GROUP]).expect("it answers");
    assert!(reply.is_ok(), "{reply}");
    let told = cluster.wait_for_history(&ALL, 1, SOON);
    println!("a requested failover was over after {} ms", asked.elapsed().as_millis());
    let requested = told[0].cause.as_ref().and_then(|cause| cause.cause.as_ref());
    assert!(matches!(requested, Some(Cause::Requested(by)) if by.by == 2), "{told:#?}");
    let ending = told[0].ending.as_ref().expect("it is over");
    assert!(ending.left.is_empty(), "all servers are up, so nothing is left to be done: {told:#?}");
    let new = chosen(&told[0]);
    assert_ne!(new, old);
    cluster.wait_until_all_follow(new, &cluster.others(new), SOON);
    assert_eq!(cluster.recorded(1).map(|master| master.epoch), Ok(1));
    cluster.wait_until_formed();
}

/// A cluster with a password, in which a replica with a wrong one cannot attach: it stays where the test wants it.
fn with_password(plan: Plan) -> Plan {
    Plan { password: Some("sesame".to_owned()), failover_timeout_ms: 30_000, ..plan }
}

#[test]
fn replicas_are_pointed_one_after_the_other() {
    let plan = Plan { replicas: 3, priorities: vec![10, 100, 100], ..Plan::new(Flavour::Ours).with_policy("available") };
    let mut cluster = with_password(plan).start();
    let (old, new) = (cluster.master(), cluster.servers[1].port);
    let waiting: Vec<u16> = cluster.others(old).into_iter().filter(|port| *port != new).collect();
    waiting.iter().for_each(|port| cluster.server(*port).set("masterauth", "wrong"));
    cluster.server_mut(old).kill();
    let timeline = cluster.timeline.clone();
    let told = |cluster: &Cluster| -> Vec<u16> {
        waiting.iter().copied().filter(|port| cluster.server(*port).told_to_follow() == Some(new)).collect()
    };
    let first = timeline.wait_for("one replica is pointed at the new master", SOON, || match told(&cluster)[..] {
        [port] => Ok(port),
        _ => Err(format!("{:?}", told(&cluster))),
    });
    timeline.holds("the other one waits until the first has attached", Duration::from_secs(2), || {
        if told(&cluster) == [first] { Ok(()) } else { Err(format!("{:?}", told(&cluster))) }
    });
    cluster.server(first).set("masterauth", "sesame");
    let second = waiting.iter().copied().find(|port| *port != first).expect("two are waiting");
    timeline.wait_until("the other one is pointed too", SOON, || told(&cluster).contains(&second));
    cluster.server(second).set("masterauth", "sesame");
    cluster.wait_until_all_follow(new, &waiting, SOON);
    cluster.wait_for_history(&ALL, 1, SOON);
}

#[test]
fn a_new_master_that_dies_during_its_failover_is_followed_by_the_next_epoch() {
    let mut cluster = with_password(Plan { priorities: vec![10, 100], ..Plan::new(Flavour::Ours) }).start();
    let (old, first, second) = (cluster.servers[0].port, cluster.servers[1].port, cluster.servers[2].port);
    // It cannot attach to the first, so the failover does not end.
    cluster.server(second).set("masterauth", "wrong");
    cluster.server_mut(old).kill();
    let timeline = cluster.timeline.clone();
    timeline.wait_until("the first one is promoted", SOON, || cluster.server(first).role().as_deref() == Some("master"));
    timeline.wait_until("the second one is pointed at it", SOON, || cluster.server(second).told_to_follow() == Some(first));
    cluster.server_mut(first).kill();
    let told = cluster.wait_for_history(&ALL, 2, SOON);
    assert_eq!(told.iter().map(|decision| decision.epoch).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(told[1].ending.as_ref().map(Ending::kind), Some(Kind::Superseded), "{told:#?}");
    assert_eq!((chosen(&told[1]), chosen(&told[0])), (first, second));
    cluster.wait_until_all_follow(second, &[], SOON);
}

#[test]
fn a_chosen_replica_that_dies_before_it_is_promoted_is_followed_by_the_next_epoch() {
    let places = Failpoints::new();
    let plan = Plan { env: places.env(), priorities: vec![10, 100], ..Plan::new(Flavour::Ours) };
    let mut cluster = plan.start();
    let (old, first, second) = (cluster.servers[0].port, cluster.servers[1].port, cluster.servers[2].port);
    places.arm("before-ask-promote");
    cluster.server_mut(old).kill();
    let timeline = cluster.timeline.clone();
    timeline.wait_until("the leader dies with its decision", SOON, || cluster.running().len() == 2);
    cluster.server_mut(first).kill();
    let running = cluster.running();
    let told = cluster.wait_for_history(&running, 2, SOON);
    assert_eq!((chosen(&told[1]), chosen(&told[0])), (first, second), "{told:#?}");
    cluster.wait_until_all_follow(second, &[], SOON);
}
