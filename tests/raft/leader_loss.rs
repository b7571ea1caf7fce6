//! The leader stops: another leads soon, and nothing committed is lost.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use raft_sentinel::raft::Leadership;

use crate::cluster::{Cluster, eventually, leadership, monitor};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_leader_stops_another_leads_soon() {
    let mut cluster = Cluster::formed(3).await;
    cluster.nodes[&1].propose(monitor("before")).await.unwrap();
    let old = cluster.leader().await;
    let begun = Instant::now();
    cluster.stop(old).await;
    let rest: BTreeSet<u64> = cluster.nodes.keys().copied().collect();
    let new = cluster.leader_among(&rest).await;
    let took = begun.elapsed();
    println!("a new leader {took:?} after the old one began to stop");
    assert!(took < Duration::from_secs(5));
    assert_ne!(new, old);
    let state = cluster.nodes[&new].linearizable().await.unwrap();
    assert!(state.group("before").is_some());
    cluster.nodes[&new].confirm_leadership().await.unwrap();
    for id in rest.iter().filter(|id| **id != new) {
        assert!(cluster.nodes[id].confirm_leadership().await.is_err(), "a follower must not take itself for the leader");
    }
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_restarts_alone_does_not_act() {
    let mut cluster = Cluster::formed(3).await;
    let leader = cluster.leader().await;
    cluster.stop_all().await;
    cluster.start(leader).await;
    let raft = cluster.nodes[&leader].clone();
    let mut leaderships = raft.leadership();
    let lied = tokio::time::timeout(Duration::from_secs(1), leaderships.wait_for(|now| matches!(now, Leadership::Leading { .. }))).await;
    assert!(lied.is_err(), "it led without an acknowledgement");
    assert!(raft.confirm_leadership().await.is_err());
    assert!(raft.linearizable().await.is_err());
    assert!(raft.propose(monitor("nowhere")).await.is_err());
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_one_of_three_left_nobody_leads() {
    let mut cluster = Cluster::formed(3).await;
    let leader = cluster.leader().await;
    for id in 1..=3 {
        if id != leader {
            cluster.stop(id).await;
        }
    }
    let raft = cluster.nodes[&leader].clone();
    let took = eventually("the last one does not lead any more", || leadership(&raft) == Leadership::Unknown).await;
    println!("leadership was given up {took:?} after the last follower had stopped");
    assert!(raft.linearizable().await.is_err());
    cluster.stop_all().await;
}
