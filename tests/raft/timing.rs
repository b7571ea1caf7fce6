//! Not a test but a measurement: `cargo test --test raft -- --ignored --nocapture timing`.

use std::time::{Duration, Instant};

use raft_sentinel::raft::Raft;

use crate::cluster::{Cluster, vote_away};

#[derive(Clone, Copy, Debug)]
enum Work {
    Propose,
    Read,
    Confirm,
}

async fn measure(what: &str, raft: &Raft, work: Work, times: u64) {
    let mut spans = Vec::new();
    for n in 0..times {
        let begun = Instant::now();
        match work {
            Work::Propose => drop(raft.propose(vote_away(n)).await.unwrap()),
            Work::Read => drop(raft.linearizable().await.unwrap()),
            Work::Confirm => drop(raft.confirm_leadership().await.unwrap()),
        }
        spans.push(begun.elapsed());
    }
    spans.sort_unstable();
    let at = |percent: usize| spans[(spans.len() - 1) * percent / 100];
    println!("{what:28} p50 {:>9.3?} p99 {:>9.3?} max {:>9.3?}", at(50), at(99), at(100));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints how long things take"]
async fn timing_of_proposals_and_reads() {
    let mut cluster = Cluster::formed(3).await;
    let leader = cluster.leader().await;
    let follower = cluster.follower().await;
    let (leader, follower) = (cluster.nodes[&leader].clone(), cluster.nodes[&follower].clone());
    for _ in 0..2 {
        measure("propose on the leader", &leader, Work::Propose, 500).await;
        measure("propose on a follower", &follower, Work::Propose, 500).await;
        measure("read on the leader", &leader, Work::Read, 500).await;
        measure("read on a follower", &follower, Work::Read, 500).await;
        measure("confirm on the leader", &leader, Work::Confirm, 500).await;
    }
    let begun = Instant::now();
    let readers: Vec<_> = (0..200)
        .map(|_| {
            let raft = follower.clone();
            tokio::spawn(async move {
                let mut reads = 0_u32;
                while begun.elapsed() < Duration::from_secs(2) {
                    raft.linearizable().await.unwrap();
                    reads += 1;
                }
                reads
            })
        })
        .collect();
    let mut reads = 0;
    for reader in readers {
        reads += reader.await.unwrap();
    }
    println!("200 readers on a follower: {} reads a second", reads / 2);
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints how long things take"]
async fn timing_of_a_leaders_loss() {
    let mut cluster = Cluster::formed(3).await;
    let mut spans = Vec::new();
    for _ in 0..20 {
        let old = cluster.leader().await;
        let begun = Instant::now();
        cluster.isolate(old);
        let rest = cluster.nodes.keys().copied().filter(|id| *id != old).collect();
        cluster.leader_among(&rest).await;
        spans.push(begun.elapsed());
        cluster.net.heal();
        cluster.leader().await;
    }
    spans.sort_unstable();
    println!("from the loss of a leader to the next: {spans:.0?}");
    cluster.stop_all().await;
}

/// How often a healthy leader is doubted while nothing happens but the machine's other work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints how often a healthy leader is doubted"]
async fn timing_of_idleness() {
    let mut cluster = Cluster::formed(3).await;
    let leader = cluster.leader().await;
    let before = cluster.nodes[&leader].status().term;
    let mut leadership = cluster.nodes[&leader].leadership();
    let (mut doubts, begun) = (0, Instant::now());
    while begun.elapsed() < Duration::from_secs(20) {
        if tokio::time::timeout(Duration::from_millis(100), leadership.changed()).await.is_ok() {
            doubts += 1;
        }
    }
    let after = cluster.nodes[&leader].status().term;
    println!("in 20 s: {doubts} changes of the leader's trust, terms {before} to {after}");
    cluster.stop_all().await;
}
