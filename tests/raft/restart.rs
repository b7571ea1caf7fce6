//! What was committed survives restarts, compaction and a long absence.

use std::path::Path;

use raft_sentinel::base::LogIndex;
use raft_sentinel::raft::Raft;

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
    // The state is told before openraft's figures are.
    eventually("it came by snapshot", || raft.status().snapshot.is_some()).await;
    let state = raft.linearizable().await.unwrap();
    assert_eq!(state.groups, cluster.nodes[&leader].linearizable().await.unwrap().groups);
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_lost_its_commit_point_answers_nothing_older_than_it_acknowledged() {
    // The followers stay loyal for longer than the restart takes, so that nobody else leads in between.
    let mut cluster = Cluster::formed_with(3, |config| {
        config.election_timeout_min_ms = 1500;
        config.election_timeout_max_ms = 2500;
    })
    .await;
    let leader = cluster.leader().await;
    let raft = cluster.nodes[&leader].clone();
    for n in 0..10 {
        raft.propose(monitor(&format!("group-{n}"))).await.unwrap();
    }
    let term = raft.status().term;
    // What a power loss leaves: every entry, and a commit point that was never synced.
    let image = tempfile::tempdir().unwrap();
    copy_files(&disk_of(&cluster, leader), image.path());
    cluster.stop(leader).await;
    copy_files(image.path(), &disk_of(&cluster, leader));
    std::fs::write(disk_of(&cluster, leader).join("mark"), []).unwrap();
    cluster.start(leader).await;
    let back = cluster.nodes[&leader].clone();
    let state = first_answer(&back).await;
    for n in 0..10 {
        assert!(state.group(&format!("group-{n}")).is_some(), "group-{n} was acknowledged, and the answer lacks it: {}", state.applied);
    }
    assert!(back.status().term > term, "nobody leads on in the term of a life before");
    cluster.stop_all().await;
}

fn disk_of(cluster: &Cluster, id: u64) -> std::path::PathBuf {
    cluster.disk(id).join("raft-sentinel")
}

fn copy_files(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// The first answer that the node gives at all.
async fn first_answer(raft: &Raft) -> std::sync::Arc<raft_sentinel::machine::State> {
    let begun = std::time::Instant::now();
    loop {
        match raft.linearizable().await {
            Ok(state) => return state,
            Err(problem) => assert!(begun.elapsed() < crate::cluster::PATIENCE, "no answer: {problem}"),
        }
    }
}
