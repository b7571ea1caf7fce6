//! Who is not who it was, or belongs elsewhere, is refused, and both sides say so.

use std::time::Duration;

use raft_sentinel::base::{Addr, ClusterId, NodeId};
use raft_sentinel::machine::SentinelRecord;
use raft_sentinel::raft::{Leadership, Raft};

use crate::cluster::{Cluster, eventually, leadership, monitor};

fn refusal(raft: &Raft, of: u64) -> String {
    raft.peers().get(&NodeId(of)).and_then(|peer| peer.refused.clone()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_another_cluster_is_refused() {
    let mut cluster = Cluster::planned(3, |_| {}).await;
    cluster.start(1).await;
    cluster.start(2).await;
    cluster.leader().await;
    let mut config = cluster.config(3);
    config.cluster_id = Some(ClusterId::new("another").expect("an id"));
    std::fs::create_dir_all(cluster.disk(3)).unwrap();
    let stranger = cluster.start_as(3, config).await;
    eventually("the stranger knows why", || refusal(&stranger, 1).contains("belongs to cluster another")).await;
    eventually("the members know why", || refusal(&cluster.nodes[&1], 3).contains("cluster")).await;
    assert!(stranger.status().members.is_empty(), "it got the log");
    assert_eq!(leadership(&stranger), Leadership::Unknown);
    stranger.shutdown().await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_lost_its_disk_is_refused_and_never_votes() {
    let mut cluster = Cluster::formed(3).await;
    cluster.nodes[&1].propose(monitor("known")).await.unwrap();
    let victim = cluster.follower().await;
    eventually("all have met", || cluster.nodes.values().all(|raft| raft.peers().values().all(|peer| peer.last_heard.is_some()))).await;
    cluster.stop(victim).await;
    std::fs::remove_dir_all(cluster.disk(victim)).unwrap();
    cluster.start(victim).await;
    let emptied = cluster.nodes[&victim].clone();
    let leader = *cluster.nodes.keys().find(|id| matches!(leadership(&cluster.nodes[id]), Leadership::Leading { .. })).unwrap();
    eventually("the leader refuses it", || refusal(&cluster.nodes[&leader], victim).contains("lost or swapped")).await;
    eventually("it knows, and what to do", || refusal(&emptied, leader).contains("new node id")).await;
    // Its vote would now be needed: with it there would be a quorum, without it there is none.
    let third = *cluster.nodes.keys().find(|id| **id != leader && **id != victim).unwrap();
    cluster.stop(third).await;
    let led = cluster.nodes[&leader].clone();
    eventually("the leader has lost its quorum", || leadership(&led) == Leadership::Unknown).await;
    assert!(led.propose(monitor("too late")).await.is_err());
    assert_eq!(leadership(&emptied), Leadership::Unknown);
    let status = emptied.status();
    assert!(status.members.is_empty() && status.term == 0, "it took part: {status:?}");
    cluster.stop_all().await;
}

/// As with an `emptyDir`: a majority comes back with nothing, and would make a group of its own beside the one that remembers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_majority_that_lost_its_disks_forms_no_second_group() {
    let mut cluster = Cluster::formed(3).await;
    cluster.nodes[&1].propose(monitor("known")).await.unwrap();
    eventually("all have met", || cluster.nodes.values().all(|raft| raft.peers().values().all(|peer| peer.last_heard.is_some()))).await;
    eventually("the survivor has it", || cluster.nodes[&3].state().group("known").is_some()).await;
    for lost in [1, 2] {
        cluster.stop(lost).await;
        std::fs::remove_dir_all(cluster.disk(lost)).unwrap();
    }
    for lost in [1, 2] {
        cluster.start(lost).await;
    }
    for lost in [1, 2] {
        let emptied = cluster.nodes[&lost].clone();
        eventually("it knows, and what to do", || refusal(&emptied, 3).contains("new node id")).await;
    }
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        for lost in [1, 2] {
            let status = cluster.nodes[&lost].status();
            assert!(status.members.is_empty() && status.term == 0, "sentinel {lost} is in a second group: {status:?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(cluster.nodes[&3].state().group("known").is_some());
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_present_themselves_and_a_removed_one_is_forgotten() {
    let mut cluster = Cluster::formed(3).await;
    for (id, raft) in &cluster.nodes {
        let at = |port| Addr::new("127.0.0.1", port).expect("an address");
        raft.announce(SentinelRecord {
            sentinel_id: raft.sentinel_id().clone(),
            incarnation: raft.incarnation().clone(),
            resp: at(26379 + *id as u16),
            grpc: at(28379 + *id as u16),
            raft: at(27379 + *id as u16),
            shadow: false,
            key_ids: None,
            level: None,
        });
    }
    let leader = cluster.leader().await;
    let led = cluster.nodes[&leader].clone();
    eventually("all are recorded", || led.state().sentinels.len() == 3).await;
    let gone = cluster.follower().await;
    led.remove_member(NodeId(gone), false).await.unwrap();
    assert_eq!(led.state().sentinels.len(), 2);
    let refused = cluster.nodes[&gone].propose(monitor("not mine to say")).await;
    assert!(refused.is_err(), "{refused:?}");
    // It may not present itself again by its own word.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(led.linearizable().await.unwrap().sentinels.len(), 2);
    cluster.stop_all().await;
}
