//! What an operator expects of a failover, seen from outside.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::kit::history::{self, address};
use crate::kit::{Cluster, Flavour, GROUP, History, Plan};

const SOON: Duration = Duration::from_secs(15);

/// Kills the master while a client writes; returns the old and the new one once a write was accepted there.
fn kill_the_master(cluster: &mut Cluster) -> (u16, u16) {
    let (writer, timeline) = (cluster.writer(), cluster.timeline.clone());
    timeline.wait_until("the client writes", SOON, || writer.count() >= 200);
    let old = cluster.sentinels[0].master().expect("a formed cluster has a master");
    let killed = Instant::now();
    cluster.server_mut(old).kill();
    timeline.wait_for("a write on another server", SOON, || writer.first_elsewhere(killed, old).ok_or("none".to_owned()));
    let new = cluster.wait_for_new_master(old, SOON);
    let log = writer.finish();
    assert_eq!(log.written_to_after(old, killed), 0, "a killed server accepted writes\n{}", timeline.report());
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
        match replicas.iter().find(|port| cluster.server(**port).role().as_deref() != Some("slave")) {
            None => Ok(()),
            Some(port) => Err(format!("{port} is no replica any more")),
        }
    });
    for sentinel in &mut cluster.sentinels[1..] {
        sentinel.restart();
    }
    cluster.wait_for_new_master(master, SOON);
}
