//! What operators may change, and how refusals read.

use raft_sentinel::base::NodeId;
use raft_sentinel::base::settings::PromotionPolicy;
use raft_sentinel::proto::admin as pb;
use raft_sentinel::raft::Leadership;
use tonic::Code;

use crate::world::{World, node, soon};

fn at(host: &str, port: u32) -> Option<pb::Address> {
    Some(pb::Address { host: host.to_owned(), port })
}

fn monitor(name: &str, quorum: u32) -> pb::MonitorGroupRequest {
    pb::MonitorGroupRequest { name: name.to_owned(), master: at("10.0.0.1", 1), quorum, options: None }
}

#[tokio::test]
async fn a_group_is_monitored_changed_and_removed() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let options = pb::GroupOptions { down_after_ms: Some(500), auth_pass: Some("hunter2".to_owned()), ..Default::default() };
    let request = pb::MonitorGroupRequest { options: Some(options), ..monitor("a", 2) };
    assert!(soon("an answer", admin.monitor_group(request.clone())).await.unwrap().into_inner().changed);
    assert!(!admin.monitor_group(request).await.unwrap().into_inner().changed, "it is so already");
    let taken = admin.monitor_group(monitor("b", 2)).await.unwrap_err();
    assert_eq!(taken.code(), Code::FailedPrecondition);
    assert!(taken.message().contains("10.0.0.1:1 is a data node of 'a'"), "{}", taken.message());
    assert_eq!(world.group("a").settings.down_after_ms, 500);
    assert_eq!(admin.monitor_group(monitor("a", 3)).await.unwrap_err().code(), Code::AlreadyExists);

    let set = |options| pb::SetOptionsRequest { group: "a".to_owned(), options: Some(options) };
    let good = pb::GroupOptions { quorum: Some(1), auth_pass: Some(String::new()), ..Default::default() };
    assert!(admin.set_options(set(good)).await.unwrap().into_inner().changed);
    assert_eq!((world.group("a").settings.quorum, world.group("a").settings.auth_pass.clone()), (1, None));
    let half_bad = pb::GroupOptions { quorum: Some(3), down_after_ms: Some(0), ..Default::default() };
    assert_eq!(admin.set_options(set(half_bad)).await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(world.group("a").settings.quorum, 1, "all or nothing");
    let fence = pb::GroupOptions {
        promotion_policy: Some("strict".to_owned()),
        fence_max_lag_s: Some(5),
        replica_forget_after_ms: Some(60_000),
        ..Default::default()
    };
    assert!(admin.set_options(set(fence)).await.unwrap().into_inner().changed);
    let settings = world.group("a").settings.clone();
    assert_eq!((settings.promotion_policy, settings.fence_max_lag_s), (PromotionPolicy::Strict, 5));
    assert_eq!(settings.replica_forget_after_ms, 60_000);
    for seconds in [0, 3601] {
        let bad_lag = pb::GroupOptions { fence_max_lag_s: Some(seconds), ..Default::default() };
        let refused = admin.set_options(set(bad_lag)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("fence_max_lag_s"), "{}", refused.message());
    }
    let bad_policy = pb::GroupOptions { promotion_policy: Some("brave".to_owned()), ..Default::default() };
    assert_eq!(admin.set_options(set(bad_policy)).await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(admin.set_options(set(pb::GroupOptions::default())).await.unwrap_err().code(), Code::InvalidArgument);

    let remove = pb::RemoveGroupRequest { group: "a".to_owned(), force: false };
    assert!(admin.remove_group(remove.clone()).await.unwrap().into_inner().changed);
    assert_eq!(admin.remove_group(remove).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn bad_input_is_refused_before_it_reaches_the_log() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    for (request, problem) in [
        (monitor("", 1), "no name"),
        (monitor("two words", 1), "a blank"),
        (monitor("a", 0), "quorum 0"),
        (pb::MonitorGroupRequest { master: None, ..monitor("a", 1) }, "no master"),
        (pb::MonitorGroupRequest { master: at("", 1), ..monitor("a", 1) }, "no host"),
        (pb::MonitorGroupRequest { master: at("h\r\nost", 1), ..monitor("a", 1) }, "a line break"),
        (pb::MonitorGroupRequest { master: at("host", 0), ..monitor("a", 1) }, "port 0"),
        (pb::MonitorGroupRequest { master: at("host", 65_536), ..monitor("a", 1) }, "too large a port"),
    ] {
        let before = raft_sentinel::serve::ReplicatedState::state(&world.fake).applied;
        assert_eq!(admin.monitor_group(request).await.unwrap_err().code(), Code::InvalidArgument, "{problem}");
        assert_eq!(raft_sentinel::serve::ReplicatedState::state(&world.fake).applied, before, "{problem}");
    }
}

#[tokio::test]
async fn a_failover_is_requested_once() {
    let world = World::start().await;
    world.monitor("a");
    let mut admin = world.admin().await;
    let request = pb::RequestFailoverRequest { group: "a".to_owned(), epoch: None, ..Default::default() };
    let started = soon("an answer", admin.request_failover(request.clone())).await.unwrap().into_inner();
    assert_eq!((started.epoch, started.revision), (1, world.running("a").started.0));
    assert_eq!(admin.request_failover(request).await.unwrap_err().code(), Code::FailedPrecondition);
    world.decide("a", &node(2), 5_000_000);
    let again = pb::RequestFailoverRequest { group: "a".to_owned(), epoch: Some(0), ..Default::default() };
    assert_eq!(admin.request_failover(again).await.unwrap_err().code(), Code::FailedPrecondition, "epoch 0 is over");
    let nobody = pb::RequestFailoverRequest { group: "nobody".to_owned(), epoch: None, ..Default::default() };
    assert_eq!(admin.request_failover(nobody).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn replicas_are_forgotten_but_not_invented() {
    let world = World::start().await;
    world.monitor("a");
    let mut admin = world.admin().await;
    let forget = |port| pb::ForgetReplicaRequest { group: "a".to_owned(), replica: at("10.0.0.1", port) };
    assert!(soon("an answer", admin.forget_replica(forget(2))).await.unwrap().into_inner().changed);
    assert!(!world.group("a").replicas.contains_key(&node(2)));
    assert_eq!(admin.forget_replica(forget(2)).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn members_are_added_promoted_replaced_and_removed() {
    let world = World::start().await;
    world.present(3, &node(28379));
    let mut admin = world.admin().await;
    let replace = pb::ReplaceMemberRequest { old_id: 3, new_id: 4, new_raft_address: at("127.0.0.1", 27382), force: false };
    let done = soon("an answer", admin.replace_member(replace.clone())).await.unwrap().into_inner();
    assert_eq!(done.steps.len(), 4, "{:?}", done.steps);
    let voters: Vec<_> = done.members.iter().filter(|member| member.voter).map(|member| member.id).collect();
    assert_eq!(voters, [1, 2, 4]);
    assert!(!raft_sentinel::serve::ReplicatedState::state(&world.fake).sentinels.contains_key(&NodeId(3)));
    assert!(admin.replace_member(replace).await.unwrap().into_inner().steps.is_empty(), "nothing is left to be done");

    admin.add_learner(pb::AddLearnerRequest { id: 5, raft_address: at("127.0.0.1", 27383) }).await.unwrap();
    let listed = admin.list_members(pb::ListMembersRequest {}).await.unwrap().into_inner().members;
    assert!(listed.iter().any(|member| member.id == 5 && !member.voter));
    admin.promote(pb::PromoteRequest { id: 5, force: false }).await.unwrap();
    let left = admin.remove_member(pb::RemoveMemberRequest { id: 2, force: false }).await.unwrap().into_inner().members;
    assert_eq!(left.iter().map(|member| (member.id, member.voter)).collect::<Vec<_>>(), [(1, true), (4, true), (5, true)]);
    assert_eq!(admin.remove_member(pb::RemoveMemberRequest { id: 2, force: false }).await.unwrap_err().code(), Code::NotFound);

    let moved = pb::MoveMemberRequest { id: 5, raft_address: at("127.0.0.1", 27399), force: false };
    let after = admin.move_member(moved.clone()).await.unwrap().into_inner();
    assert!(after.members.iter().any(|member| member.id == 5 && member.raft_address == at("127.0.0.1", 27399)));
    assert!(admin.move_member(moved.clone()).await.unwrap().into_inner().steps.is_empty(), "it is there already");
    let taken = admin.move_member(pb::MoveMemberRequest { id: 4, ..moved }).await.unwrap_err();
    assert_eq!(taken.code(), Code::AlreadyExists);
}

#[tokio::test]
async fn a_follower_names_the_leader_and_where_it_answers() {
    let world = World::start().await;
    world.fake.lead(Leadership::Following { leader: NodeId(2) });
    let mut admin = world.admin().await;
    let refused = admin.promote(pb::PromoteRequest { id: 3, force: false }).await.unwrap_err();
    assert_eq!((refused.code(), refused.metadata().get("leader-grpc")), (Code::FailedPrecondition, None));
    world.present(2, &node(28380));
    let refused = admin.promote(pb::PromoteRequest { id: 3, force: false }).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(refused.metadata().get("leader-grpc").unwrap(), "10.0.0.1:28380");
    assert!(refused.message().contains("sentinel 2, ask it at 10.0.0.1:28380"), "{}", refused.message());
    // Changes of groups go through any sentinel.
    admin.monitor_group(monitor("a", 2)).await.unwrap();
    world.fake.lead(Leadership::Unknown);
    assert_eq!(admin.promote(pb::PromoteRequest { id: 3, force: false }).await.unwrap_err().code(), Code::Unavailable);
    let other = pb::MonitorGroupRequest { master: at("10.0.0.2", 1), ..monitor("b", 2) };
    assert_eq!(admin.monitor_group(other).await.unwrap_err().code(), Code::Unavailable);
}
