//! A group forms by itself, takes proposals anywhere, and answers linearizably everywhere.

use raft_sentinel::base::NodeId;
use raft_sentinel::machine::Outcome;
use raft_sentinel::raft::ProposeError;

use crate::cluster::{Cluster, eventually, monitor};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_forms_and_every_node_takes_proposals_and_answers() {
    let mut cluster = Cluster::formed(3).await;
    for id in 1..=3 {
        let name = format!("group-{id}");
        let committed = cluster.nodes[&id].propose(monitor(&name)).await.unwrap();
        assert_eq!(committed.outcome, Outcome::Done);
        assert!(cluster.nodes[&id].state().group(&name).is_some(), "applied on the node that proposed");
        for (reader, raft) in &cluster.nodes {
            let state = raft.linearizable().await.unwrap();
            assert!(state.group(&name).is_some(), "node {reader} answered with a state older than the proposal by {id}");
        }
    }
    let status = cluster.nodes[&1].status();
    assert_eq!(status.members.len(), 3);
    assert!(status.members.iter().all(|member| member.voter));
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_three_are_enough_to_form_and_the_third_joins_later() {
    let mut cluster = Cluster::planned(3, |_| {}).await;
    cluster.start(2).await;
    cluster.start(3).await;
    cluster.leader().await;
    cluster.nodes[&2].propose(monitor("early")).await.unwrap();
    cluster.start(1).await;
    let third = cluster.nodes[&1].clone();
    eventually("the third node has the log", || third.state().group("early").is_some()).await;
    let second = cluster.nodes[&2].clone();
    let heard = || second.peers().get(&NodeId(1)).is_some_and(|peer| peer.last_heard.is_some());
    eventually("the second node has heard of the third", heard).await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_three_never_forms_a_group_alone() {
    let mut cluster = Cluster::planned(3, |_| {}).await;
    cluster.start(1).await;
    let refused = cluster.nodes[&1].propose(monitor("lonely")).await;
    assert!(matches!(refused, Err(ProposeError::NoLeader(_))), "{refused:?}");
    assert!(cluster.nodes[&1].linearizable().await.is_err());
    assert!(cluster.nodes[&1].status().members.is_empty());
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_of_one_leads_itself_and_does_so_again_after_a_restart() {
    let mut cluster = Cluster::formed(1).await;
    cluster.nodes[&1].propose(monitor("alone")).await.unwrap();
    cluster.stop(1).await;
    cluster.start(1).await;
    cluster.leader().await;
    assert!(cluster.nodes[&1].linearizable().await.unwrap().group("alone").is_some());
    cluster.nodes[&1].confirm_leadership().await.unwrap();
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_is_too_large_is_refused_before_it_is_sent() {
    let mut cluster = Cluster::formed(1).await;
    let mut large = monitor("large");
    if let raft_sentinel::machine::Command::ConfigureGroup { replicas, .. } = &mut large {
        *replicas = (0..5000).map(|n| raft_sentinel::base::Addr::new(format!("host-{n}"), 6379).expect("an address")).collect();
    }
    assert!(matches!(cluster.nodes[&1].propose(large).await, Err(ProposeError::TooLarge { .. })));
    cluster.stop_all().await;
}
