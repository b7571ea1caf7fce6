//! Members come and go while proposals go on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use raft_sentinel::base::NodeId;
use raft_sentinel::raft::{MembershipError, Raft};

use crate::cluster::{Cluster, eventually, monitor, vote_away};

/// Proposes all the time; every proposal must succeed.
fn keep_proposing(raft: Raft) -> (Arc<AtomicBool>, tokio::task::JoinHandle<u64>) {
    let stop = Arc::new(AtomicBool::new(false));
    let (asked, count) = (stop.clone(), AtomicU64::new(0));
    let task = tokio::spawn(async move {
        while !asked.load(Ordering::Relaxed) {
            let n = count.fetch_add(1, Ordering::Relaxed);
            raft.propose(vote_away(n)).await.unwrap();
        }
        count.load(Ordering::Relaxed)
    });
    (stop, task)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_is_added_made_a_voter_and_another_removed_while_proposals_go_on() {
    let mut cluster = Cluster::formed(3).await;
    let leader = cluster.leader().await;
    let raft = cluster.nodes[&leader].clone();
    raft.propose(monitor("old times")).await.unwrap();
    let term = raft.status().term;
    let (stop, proposing) = keep_proposing(raft.clone());

    let at = cluster.plan_newcomer(4).await;
    cluster.start(4).await;
    let new = cluster.nodes[&4].clone();
    let follower = cluster.follower_of(leader);
    let misplaced = cluster.nodes[&follower].add_learner(NodeId(4), at.clone()).await;
    assert!(matches!(misplaced, Err(MembershipError::NotLeading(Some(id))) if id == NodeId(leader)), "{misplaced:?}");
    raft.add_learner(NodeId(4), at).await.unwrap();
    eventually("the newcomer has the log", || new.state().group("old-times").is_some()).await;
    assert!(raft.status().members.iter().any(|member| member.id == NodeId(4) && !member.voter));

    let voters: BTreeSet<NodeId> = (1..=4).map(NodeId).collect();
    raft.set_voters(voters, false).await.unwrap();
    assert!(raft.status().members.iter().all(|member| member.voter));
    raft.remove_member(NodeId(follower), false).await.unwrap();
    assert!(raft.status().members.iter().all(|member| member.id != NodeId(follower)));
    eventually("the newcomer knows the members", || new.status().members.len() == 3).await;

    stop.store(true, Ordering::Relaxed);
    assert!(proposing.await.unwrap() > 0);
    cluster.nodes[&4].propose(monitor("new times")).await.unwrap();
    let gone = cluster.nodes[&follower].clone();
    eventually("the removed one learns of it", || {
        gone.peers().values().any(|peer| peer.refused.as_deref().is_some_and(|why| why.contains("no member any more")))
            || !gone.status().members.iter().any(|member| member.id == NodeId(follower))
    })
    .await;
    eventually("the leader is trusted", || raft.status().leader == Some(NodeId(leader))).await;
    assert_eq!(raft.status().term, term, "the removed one deposed the leader");
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_lost_its_disk_is_replaced_by_a_new_member() {
    let mut cluster = Cluster::formed(3).await;
    let leader = cluster.leader().await;
    let victim = cluster.follower().await;
    cluster.stop(victim).await;
    let at = cluster.plan_newcomer(7).await;
    cluster.start(7).await;
    let raft = cluster.nodes[&leader].clone();
    raft.add_learner(NodeId(7), at).await.unwrap();
    let voters: BTreeSet<NodeId> = (1..=3).filter(|id| *id != victim).chain([7]).map(NodeId).collect();
    raft.set_voters(voters, false).await.unwrap();
    raft.remove_member(NodeId(victim), false).await.unwrap();
    assert_eq!(raft.status().members.len(), 3);
    assert!(matches!(raft.remove_member(NodeId(victim), false).await, Err(MembershipError::Refused(_))));
    cluster.nodes[&7].propose(monitor("replaced")).await.unwrap();
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_can_be_removed() {
    let mut cluster = Cluster::formed(3).await;
    let leader = cluster.leader().await;
    cluster.nodes[&leader].remove_member(NodeId(leader), false).await.unwrap();
    let rest: BTreeSet<u64> = (1..=3).filter(|id| *id != leader).collect();
    let new = cluster.leader_among(&rest).await;
    cluster.nodes[&new].propose(monitor("without it")).await.unwrap();
    assert_eq!(cluster.nodes[&new].status().members.len(), 2);
    cluster.stop_all().await;
}

impl Cluster {
    fn follower_of(&self, leader: u64) -> u64 {
        *self.nodes.keys().find(|id| **id != leader && **id <= 3).unwrap()
    }
}
