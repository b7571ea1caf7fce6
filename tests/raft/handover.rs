//! Leadership is handed over: one change of term, and nothing that was committed or asked for is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use raft_sentinel::base::NodeId;
use raft_sentinel::raft::MembershipError;

use crate::cluster::{Cluster, eventually, leadership, monitor, vote_away};

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_goes_to_the_one_that_is_named_and_changes_go_on() {
    let mut cluster = Cluster::formed(3).await;
    let stop = Arc::new(AtomicBool::new(false));
    let changes: Vec<_> = cluster
        .nodes
        .iter()
        .map(|(id, raft)| {
            let (id, raft, stop) = (*id, raft.clone(), stop.clone());
            tokio::spawn(async move {
                let mut made = 0_u32;
                while !stop.load(Ordering::Relaxed) {
                    // On a busy machine a handover may take longer than one attempt is pursued.
                    let begun = Instant::now();
                    while let Err(problem) = raft.propose(vote_away(id)).await {
                        assert!(begun.elapsed() < PATIENCE, "through {id}, after {made}: {problem}");
                    }
                    while let Err(problem) = raft.linearizable().await {
                        assert!(begun.elapsed() < PATIENCE, "through {id}, after {made}: {problem}");
                    }
                    made += 1;
                }
                made
            })
        })
        .collect();
    let (begun, mut given) = (Instant::now(), 0);
    while given < 4 {
        assert!(begun.elapsed() < PATIENCE, "handed over {given} times");
        let old = cluster.leader().await;
        let new = cluster.follower().await;
        match cluster.nodes[&old].hand_over(NodeId(new)).await {
            Ok(()) => given += 1,
            // A voter that finds no core when it is asked may cost another campaign, which a third may win.
            Err(MembershipError::Unknown(why)) => println!("{old} to {new}: {why}"),
            Err(MembershipError::Refused(why)) if why.contains("goes on leading") => println!("{old} to {new}: {why}"),
            Err(MembershipError::NotLeading(_)) => println!("{old} leads no more"),
            Err(other) => panic!("{old} to {new}: {other}"),
        }
    }
    stop.store(true, Ordering::Relaxed);
    for made in changes {
        assert!(made.await.unwrap() > 0);
    }
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_goes_to_nobody_who_cannot_take_it() {
    let mut cluster = Cluster::formed(3).await;
    let leader = cluster.leader().await;
    let raft = cluster.nodes[&leader].clone();
    let term = raft.status().term;
    assert!(matches!(raft.hand_over(NodeId(9)).await, Err(MembershipError::Refused(_))), "it is no member");
    raft.hand_over(NodeId(leader)).await.unwrap();
    let follower = cluster.follower().await;
    let asked = cluster.nodes[&follower].hand_over(NodeId(follower)).await;
    assert!(matches!(asked, Err(MembershipError::NotLeading(Some(known))) if known == NodeId(leader)), "{asked:?}");
    cluster.isolate(follower);
    raft.propose(monitor("while it is away")).await.unwrap();
    let away = raft.hand_over(NodeId(follower)).await.unwrap_err();
    assert!(matches!(&away, MembershipError::Refused(why) if why.contains("goes on leading")), "{away}");
    raft.propose(monitor("afterwards")).await.unwrap();
    assert_eq!(raft.status().term, term, "the leader changed");
    cluster.net.heal();
    cluster.stop_all().await;
}

/// The new leader dies right after it was invited, so nobody follows the invitation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_gone_leaves_the_cluster_with_a_leader() {
    let mut cluster = Cluster::formed(3).await;
    let leader = cluster.leader().await;
    let follower = cluster.follower().await;
    let raft = cluster.nodes[&leader].clone();
    let handed = tokio::spawn(async move { raft.hand_over(NodeId(follower)).await });
    // The invitation takes a round trip, its effect a lease.
    tokio::time::sleep(Duration::from_millis(100)).await;
    cluster.stop(follower).await;
    let _ = handed.await.unwrap();
    let rest: Vec<u64> = cluster.nodes.keys().copied().collect();
    let new = cluster.leader_among(&rest.iter().copied().collect()).await;
    cluster.nodes[&new].propose(monitor("afterwards")).await.unwrap();
    eventually("all follow", || rest.iter().all(|id| leadership(&cluster.nodes[id]) != raft_sentinel::raft::Leadership::Unknown)).await;
    cluster.stop_all().await;
}
