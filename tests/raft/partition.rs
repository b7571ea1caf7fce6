//! The network is cut and heals.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use raft_sentinel::raft::{Leadership, ProposeError, RaftConfig};

use crate::cluster::{Cluster, eventually, leadership, monitor};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_was_cut_off_does_not_depose_the_leader() {
    let mut cluster = Cluster::formed(3).await;
    let follower = cluster.follower().await;
    let leader = cluster.leader().await;
    let term = cluster.nodes[&leader].status().term;
    cluster.isolate(follower);
    let lost = cluster.nodes[&follower].clone();
    eventually("it knows of no leader", || leadership(&lost) == Leadership::Unknown).await;
    // Many times its patience: a node without pre-vote would be terms ahead by now.
    tokio::time::sleep(Duration::from_secs(3)).await;
    cluster.nodes[&leader].propose(monitor("meanwhile")).await.unwrap();
    let healed = Instant::now();
    cluster.net.heal();
    eventually("it has what it missed", || lost.state().group("meanwhile").is_some()).await;
    println!("up to date {:?} after the cut was healed", healed.elapsed());
    assert_eq!(cluster.leader().await, leader);
    assert_eq!(cluster.nodes[&leader].status().term, term, "a healthy leader was deposed");
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_was_cut_off_knows_it_and_says_so() {
    let mut cluster = Cluster::formed(3).await;
    let old = cluster.leader().await;
    let raft = cluster.nodes[&old].clone();
    let begun = Instant::now();
    cluster.isolate(old);
    // Before it can know: the outcome must be called unknown, in bounded time.
    let proposed = raft.propose(monitor("into the void")).await;
    assert!(matches!(proposed, Err(ProposeError::Unknown { .. })), "{proposed:?}");
    assert!(begun.elapsed() < Duration::from_secs(4), "it hung for {:?}", begun.elapsed());
    assert_eq!(leadership(&raft), Leadership::Unknown);
    assert!(raft.linearizable().await.is_err());
    assert!(raft.confirm_leadership().await.is_err());
    let proposed = raft.propose(monitor("later")).await;
    assert!(matches!(proposed, Err(ProposeError::NoLeader(_))), "{proposed:?}");

    let rest: BTreeSet<u64> = cluster.nodes.keys().copied().filter(|id| *id != old).collect();
    let new = cluster.leader_among(&rest).await;
    cluster.nodes[&new].propose(monitor("majority")).await.unwrap();
    cluster.net.heal();
    assert_eq!(cluster.leader().await, new);
    let state = raft.linearizable().await.unwrap();
    assert!(state.group("majority").is_some());
    assert!(state.group("into-the-void").is_none() && state.group("later").is_none());
    cluster.stop_all().await;
}

/// Two nodes cannot reach each other, the third reaches both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_between_leader_and_one_follower_leaves_the_leader_in_place() {
    let mut cluster = Cluster::formed(3).await;
    let leader = cluster.leader().await;
    let follower = cluster.follower().await;
    let term = cluster.nodes[&leader].status().term;
    cluster.net.cut(leader, follower);
    let lost = cluster.nodes[&follower].clone();
    eventually("it hears no leader", || leadership(&lost) == Leadership::Unknown).await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        // Not its trust: on a machine that is busy enough the one follower that is left may answer late.
        assert_eq!(cluster.nodes[&leader].status().term, term, "the leader was deposed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    cluster.net.heal();
    assert_eq!(cluster.leader().await, leader);
    assert_eq!(cluster.nodes[&leader].status().term, term);
    cluster.stop_all().await;
}

/// Five nodes; the leader reaches one "bridge" only, and would keep it from voting for another by its heartbeats.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_reaches_only_a_bridge_makes_way() {
    let mut cluster = Cluster::formed(5).await;
    let old = cluster.leader().await;
    let begun = Instant::now();
    let others: Vec<u64> = (1..=5).filter(|id| *id != old).collect();
    for id in &others[1..] {
        cluster.net.cut(old, *id);
    }
    // One more is lost: the bridge's vote is needed.
    cluster.stop(others[3]).await;
    let rest: BTreeSet<u64> = others[..3].iter().copied().collect();
    let new = cluster.leader_among(&rest).await;
    println!("another leader {:?} after the cut", begun.elapsed());
    cluster.nodes[&new].propose(monitor("without the old one")).await.unwrap();
    cluster.stop_all().await;
}

/// A round asks those first who answered last. One of them has just fallen silent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_does_not_wait_for_a_voter_that_fell_silent() {
    let patient = |config: &mut RaftConfig| (config.election_timeout_min_ms, config.election_timeout_max_ms) = (4000, 8000);
    let mut cluster = Cluster::formed_with(3, patient).await;
    let leader = cluster.leader().await;
    let raft = cluster.nodes[&leader].clone();
    for silent in (1..=3).filter(|id| *id != leader) {
        raft.linearizable().await.unwrap();
        cluster.net.cut(leader, silent);
        // A call may take 4 s, a read no longer than 1 s: to wait for the silent one would fail.
        for _ in 0..20 {
            raft.linearizable().await.unwrap();
        }
        cluster.net.heal();
        // Both are heard again, so that either may have answered last.
        raft.propose(monitor(&format!("after {silent}"))).await.unwrap();
        let healed = cluster.nodes[&silent].clone();
        eventually("the healed one has it", || healed.state().group(&format!("after-{silent}")).is_some()).await;
    }
    assert_eq!(cluster.leader().await, leader);
    cluster.stop_all().await;
}
