//! What was committed survives restarts, compaction and a long absence.

use raft_sentinel::base::LogIndex;

use crate::cluster::{Cluster, eventually, monitor, vote_away};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_all_nodes_keeps_the_state() {
    let mut cluster = Cluster::formed(3).await;
    for n in 0..20 {
        cluster.nodes[&(n % 3 + 1)].propose(monitor(&format!("group-{n}"))).await.unwrap();
    }
    let before = cluster.nodes[&1].linearizable().await.unwrap();
    cluster.stop_all().await;
    for id in 1..=3 {
        cluster.start(id).await;
    }
    cluster.leader().await;
    for raft in cluster.nodes.values() {
        let after = raft.linearizable().await.unwrap();
        assert_eq!(after.groups, before.groups);
        assert!(after.applied >= before.applied);
    }
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_far_behind_receives_a_snapshot() {
    let mut cluster = Cluster::formed_with(3, |config| {
        config.snapshot_every_entries = 40;
        config.entries_kept_behind_snapshot = 5;
    })
    .await;
    let late = cluster.follower().await;
    cluster.stop(late).await;
    let leader = *cluster.nodes.keys().next().unwrap();
    for n in 0..200 {
        cluster.nodes[&leader].propose(vote_away(n)).await.unwrap();
    }
    cluster.nodes[&leader].propose(monitor("in the snapshot")).await.unwrap();
    for n in 0..100 {
        cluster.nodes[&leader].propose(vote_away(n)).await.unwrap();
    }
    eventually("snapshots were taken", || cluster.nodes.values().all(|raft| raft.status().snapshot > Some(LogIndex(200)))).await;
    cluster.start(late).await;
    let raft = cluster.nodes[&late].clone();
    let took = eventually("it has what it missed", || raft.state().group("in-the-snapshot").is_some()).await;
    println!("caught up after {took:?}");
    assert!(raft.status().snapshot.is_some(), "it can only have come by snapshot");
    let state = raft.linearizable().await.unwrap();
    assert_eq!(state.groups, cluster.nodes[&leader].linearizable().await.unwrap().groups);
    cluster.stop_all().await;
}
