//! Questions about masters, replicas, history and status, and the refusals they can meet.

use raft_sentinel::base::observation::LinkLoss;
use raft_sentinel::base::{Fence, FenceSight, LogIndex, Mono, NodeId, WallTime};
use raft_sentinel::judge::{GroupView, Link};
use raft_sentinel::machine::{Command, FailoverMode, FencingProof, Ineligible};
use raft_sentinel::proto::sentinel as pb;
use raft_sentinel::proto::sentinel::{Consistency, Evidence, Health, Role};
use raft_sentinel::raft::Leadership;
use tonic::{Code, Status};

use crate::world::{World, name, node, soon, view};

async fn master(world: &World, group: &str, consistency: Consistency) -> Result<pb::GetMasterResponse, Status> {
    let request = pb::GetMasterRequest { group: group.to_owned(), consistency: consistency.into() };
    soon("an answer", world.sentinel().await.get_master(request)).await.map(tonic::Response::into_inner)
}

async fn replicas(world: &World) -> Vec<pb::DataNode> {
    let request = pb::ListReplicasRequest { group: "a".to_owned(), consistency: 0 };
    soon("an answer", world.sentinel().await.list_replicas(request)).await.unwrap().into_inner().replicas
}

async fn decisions(world: &World, group: &str, limit: u32) -> Vec<pb::Decision> {
    let request = pb::ListDecisionsRequest { group: group.to_owned(), limit, consistency: 0 };
    soon("an answer", world.sentinel().await.list_decisions(request)).await.unwrap().into_inner().decisions
}

#[tokio::test]
async fn a_master_is_told_with_its_fencing_token() {
    let world = World::start().await;
    let first = world.monitor("a");
    let answer = master(&world, "a", Consistency::Linearizable).await.unwrap();
    let told = answer.master.unwrap();
    assert_eq!((told.address.unwrap().port, told.epoch, told.revision, told.decided_at_us), (1, 0, first.0, 1_000_000));
    assert!(!told.confirmed, "nobody has seen it yet");
    assert_eq!((told.wait_replicas, told.replicas_known, told.quorum), (0, 2, 2));
    let basis = answer.answer.unwrap();
    assert_eq!((basis.applied_index, basis.stale, basis.answered_by), (first.0, false, 1));

    let revision = world.move_master("a", &node(2));
    let told = master(&world, "a", Consistency::Linearizable).await.unwrap().master.unwrap();
    assert_eq!((told.address.unwrap().port, told.epoch, told.revision, told.confirmed), (2, 1, revision.0, true));
}

#[tokio::test]
async fn a_running_failover_is_visible_phase_by_phase() {
    let world = World::start().await;
    world.monitor("a");
    world.vote_down("a", 1, 2_000_000);
    let started = world.vote_down("a", 2, 2_500_000);
    let told = master(&world, "a", Consistency::Linearizable).await.unwrap().master.unwrap();
    assert!(told.objectively_down);
    let failover = told.failover.unwrap();
    assert_eq!((failover.phase(), failover.started.unwrap().index), (pb::FailoverPhase::Choosing, started.0));
    world.fake.commit(&Command::FailoverBlocked {
        group: name("a"),
        id: world.running("a"),
        reasons: vec![(node(2), Ineligible::Down)],
        at: Default::default(),
    });
    let blocked = master(&world, "a", Consistency::Linearizable).await.unwrap().master.unwrap().failover.unwrap().blocked;
    assert_eq!((blocked.len(), blocked[0].reason.as_str()), (1, "down"));
    assert!(decisions(&world, "a", 1).await[0].is_blocked);
    world.decide("a", &node(2), 3_000_000);
    let told = master(&world, "a", Consistency::Linearizable).await.unwrap().master.unwrap();
    assert_eq!((told.address.unwrap().port, told.confirmed), (2, false), "decided, and not yet seen as a master");
    assert_eq!(told.failover.unwrap().phase(), pb::FailoverPhase::Promoting);
}

#[tokio::test]
async fn unknown_groups_and_strange_requests_are_refused() {
    let world = World::start().await;
    world.monitor("a");
    let code = |answer: Result<pb::GetMasterResponse, Status>| answer.unwrap_err().code();
    assert_eq!(code(master(&world, "nobody", Consistency::Linearizable).await), Code::NotFound);
    assert_eq!(code(master(&world, &"x".repeat(5000), Consistency::Linearizable).await), Code::NotFound);
    assert_eq!(code(master(&world, "", Consistency::Linearizable).await), Code::InvalidArgument);
    let mut sentinel = world.sentinel().await;
    let strange = sentinel.get_master(pb::GetMasterRequest { group: "a".to_owned(), consistency: 9 }).await;
    assert_eq!(strange.unwrap_err().code(), Code::InvalidArgument);
    let huge = sentinel.get_master(pb::GetMasterRequest { group: "x".repeat(100_000), consistency: 0 }).await;
    assert_eq!(huge.unwrap_err().code(), Code::OutOfRange, "tonic's code for a message over the limit");
}

#[tokio::test]
async fn without_a_quorum_only_a_stale_answer_is_given_and_marked() {
    let world = World::start().await;
    world.monitor("a");
    world.fake.lead(Leadership::Unknown);
    let refused = master(&world, "a", Consistency::Linearizable).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().contains("the others are unreachable"), "{}", refused.message());
    assert!(master(&world, "a", Consistency::Stale).await.unwrap().answer.unwrap().stale);
}

#[tokio::test]
async fn a_linearizable_answer_does_not_come_from_a_state_that_lags_behind() {
    let world = World::start().await;
    world.monitor("a");
    world.fake.commit_quietly(&Command::RemoveGroup { group: name("a"), at: Default::default(), keep: None, asked: None });
    assert_eq!(master(&world, "a", Consistency::Linearizable).await.unwrap_err().code(), Code::NotFound);
    assert!(master(&world, "a", Consistency::Stale).await.is_ok(), "the stale one may");
}

#[tokio::test]
async fn replicas_are_told_as_they_look_from_here_and_flip() {
    let world = World::start().await;
    world.monitor("a");
    let unseen = replicas(&world).await;
    assert_eq!(unseen.iter().map(pb::DataNode::health).collect::<Vec<_>>(), [Health::Unspecified; 2]);
    assert!(!unseen[0].eligible && unseen[0].last_seen_age_ms.is_none());

    let now = world.clock.mono();
    world.board.show(&name("a"), view(now, |_| {}));
    let well = replicas(&world).await;
    assert_eq!(well.iter().map(pb::DataNode::health).collect::<Vec<_>>(), [Health::Up; 2]);
    assert_eq!(well.iter().map(|node| node.lag_bytes).collect::<Vec<_>>(), [Some(10), Some(0)]);
    assert!(well[0].eligible && well[0].last_seen_age_ms.is_some());
    assert_eq!((well[0].link_status(), well[0].reported_role(), well[0].priority), (pb::LinkStatus::Up, Role::Replica, Some(100)));

    let troubled = |view: &mut GroupView| {
        let down = view.nodes.get_mut(&node(2)).unwrap();
        down.down_since = Some(now);
        down.link = Link::Down { since: Mono(0), loss: LinkLoss::Refused };
        view.nodes.get_mut(&node(3)).unwrap().cannot_judge = Some("WRONGPASS".to_owned());
        view.candidates[1].ineligible = Some(Ineligible::Down);
        view.candidates[0].ineligible = Some(Ineligible::Credentials);
    };
    world.board.show(&name("a"), view(now, troubled));
    let ill = replicas(&world).await;
    assert_eq!(ill.iter().map(pb::DataNode::health).collect::<Vec<_>>(), [Health::Down, Health::CannotJudge]);
    assert!(ill[0].health_reason.contains("connection refused"), "{}", ill[0].health_reason);
    assert_eq!((ill[1].health_reason.as_str(), ill[1].ineligible_reason.as_str()), ("WRONGPASS", "refuses our credentials"));
    assert!(!ill[0].eligible && ill[0].ineligible_reason == "down");
}

#[tokio::test]
async fn what_a_replica_holds_is_told_unless_it_loads() {
    let world = World::start().await;
    world.monitor("a");
    let told = master(&world, "a", Consistency::Linearizable).await.unwrap().master.unwrap();
    assert_eq!(told.history, "", "it was never seen");
    let unseen = &replicas(&world).await[0];
    assert_eq!((unseen.history.as_str(), unseen.keys, unseen.report_age_ms), ("", None, None));

    let now = world.clock.mono();
    let holds = |loading| {
        move |view: &mut GroupView| {
            let (_, report) = view.nodes.get_mut(&node(2)).unwrap().report.as_mut().unwrap();
            let report = std::sync::Arc::make_mut(report);
            report.raw = "# Keyspace\r\ndb0:keys=40,expires=1,avg_ttl=0\r\ndb11:keys=2,expires=0,avg_ttl=0\r\ndbx:keys=7\r\n".to_owned();
            report.loading = loading;
        }
    };
    world.board.show(&name("a"), view(now, holds(false)));
    let told = &replicas(&world).await;
    assert_eq!((told[0].history.as_str(), told[0].keys), ("history", Some(42)));
    assert_eq!(told[1].keys, Some(0));
    assert!(told[0].report_age_ms.is_some_and(|age| age < 20_000));
    world.board.show(&name("a"), view(now, holds(true)));
    let loading = &replicas(&world).await[0];
    assert_eq!((loading.history.as_str(), loading.keys), ("", None), "not known before all is loaded");
}

#[tokio::test]
async fn a_decision_is_told_with_its_grounds_and_its_course() {
    let world = World::start().await;
    world.monitor("a");
    world.vote_down("a", 1, 2_000_000);
    let started = world.vote_down("a", 3, 2_500_000);
    let id = world.running("a");
    let decided = world.decide("a", &node(3), 2_750_000);
    let told = &decisions(&world, "a", 0).await[0];
    assert!(told.ended.is_none() && told.ending.is_none() && told.promoted.is_none(), "it is still running");
    let identity = crate::world::identity("new");
    world.fake.commit(&Command::Promoted { group: name("a"), id, identity, at: raft_sentinel::base::WallTime(2_760_000) });
    let left = vec![node(1)];
    let done = world.fake.commit(&Command::FailoverDone { group: name("a"), id, left, at: raft_sentinel::base::WallTime(2_700_000) });

    let told = &decisions(&world, "a", 0).await[0];
    let Some(pb::cause::Cause::Down(cause)) = told.cause.as_ref().unwrap().cause.as_ref() else { panic!("{:?}", told.cause) };
    assert_eq!((cause.votes.len(), cause.quorum), (2, 2));
    let vote = &cause.votes[1];
    assert_eq!((vote.voter, vote.evidence(), vote.silent_ms, vote.limit_ms), (3, Evidence::Refused, 30_017, 30_000));
    assert_eq!((vote.cast.unwrap().index, vote.replicas[0].link_up, vote.replicas[0].last_io_s), (started.0, false, Some(31)));
    let choice = told.choice.as_ref().unwrap();
    assert_eq!((choice.decided_by, choice.master_offset, choice.estimated_loss_bytes), (2, Some(1000), Some(100)));
    assert_eq!((choice.reason.as_str(), choice.candidates.len()), ("the only eligible replica", 2));
    assert!(choice.candidates[0].eligible && choice.candidates[1].ineligible_reason == "down");
    let index_of = |moment: Option<pb::Moment>| LogIndex(moment.unwrap().index);
    assert_eq!([told.started, told.decided, told.ended].map(index_of), [started, decided, done.index]);
    let timings = told.timings.unwrap();
    assert_eq!((timings.started_to_decided_us, timings.decided_to_promoted_us), (Some(250_000), Some(10_000)));
    assert_eq!(timings.promoted_to_ended_us, Some(0), "the clock of the one that ended it was behind");
    let ending = told.ending.as_ref().unwrap();
    assert_eq!((ending.kind(), ending.left[0].port), (pb::ending::Kind::Completed, 1));
}

/// The fence of the group's master is armed by the log, as a leader would have it.
fn arm(world: &World, group: &str) {
    let (epoch, replicas) = (world.group(group).epoch, world.group(group).known_replicas());
    let fence = Fence { min_replicas: 1, max_lag_s: 2 };
    world.fake.commit(&Command::FenceArmed { group: name(group), epoch, fence, replicas, at: WallTime(1_500_000) });
}

#[tokio::test]
async fn a_fence_is_told_with_what_each_node_holds() {
    let world = World::start().await;
    world.monitor("a");
    let told = master(&world, "a", Consistency::Linearizable).await.unwrap().master.unwrap();
    assert_eq!((told.configured_policy(), told.effective_policy()), (pb::PromotionPolicy::Auto, pb::PromotionPolicy::Available));
    let fence = told.fence.unwrap();
    let wanted = pb::HeldFence { min_replicas: 1, max_lag_s: 2 };
    assert_eq!((fence.armed, fence.wanted, fence.recorded, fence.covered), (false, Some(wanted), None, 0));
    assert_eq!(fence.problem, "it is not armed yet");

    arm(&world, "a");
    let now = world.clock.mono();
    let problem = "10.0.0.1:3 holds something else";
    world.board.show(
        &name("a"),
        view(now, |view| {
            let holds = Fence { min_replicas: 1, max_lag_s: 2 };
            view.nodes.get_mut(&node(1)).unwrap().fence = Some((now, FenceSight::Holds(holds)));
            view.nodes.get_mut(&node(2)).unwrap().fence = Some((now, FenceSight::Unknown("NOPERM".to_owned())));
            view.fence_problem = Some(problem.to_owned());
            view.fence_alarm = Some(problem.to_owned());
        }),
    );
    let told = master(&world, "a", Consistency::Linearizable).await.unwrap().master.unwrap();
    assert_eq!((told.effective_policy(), told.wait_replicas), (pb::PromotionPolicy::Strict, 1));
    let fence = told.fence.unwrap();
    assert_eq!((fence.armed, fence.recorded, fence.covered), (true, Some(wanted), 1));
    assert_eq!((fence.since.unwrap().at_us, fence.problem.as_str()), (1_500_000, problem));
    let status = soon("an answer", world.sentinel().await.status(pb::StatusRequest::default())).await.unwrap().into_inner();
    let group = &status.groups[0];
    assert_eq!(group.fence_alarm, problem);
    let held: Vec<_> = group.nodes.iter().map(|node| (node.fence, node.fence_unknown.as_str())).collect();
    assert_eq!(held, [(Some(wanted), ""), (None, "NOPERM"), (None, "")]);
}

#[tokio::test]
async fn a_forced_decision_says_so() {
    let world = World::start().await;
    world.monitor("a");
    let (epoch, by, at) = (world.group("a").epoch, NodeId(1), WallTime(2_000_000));
    let manner = FailoverMode::Force;
    world.fake.commit(&Command::FailoverRequested { group: name("a"), epoch, by, manner, target: None, at, asked: None });
    let running = master(&world, "a", Consistency::Linearizable).await.unwrap().master.unwrap().failover.unwrap();
    assert_eq!(running.forced_by, Some(1));
    world.decide_on("a", &node(2), FencingProof::Forced, Some(Fence { min_replicas: 1, max_lag_s: 2 }));
    let told = &decisions(&world, "a", 0).await[0];
    let Some(pb::cause::Cause::Requested(asked)) = &told.cause.as_ref().unwrap().cause else { panic!("{:?}", told.cause) };
    assert_eq!(asked.manner(), pb::FailoverManner::Force);
    let choice = told.choice.as_ref().unwrap();
    assert_eq!((choice.basis(), choice.estimated_loss_bytes), (pb::DecisionBasis::Forced, Some(100)));
    assert_eq!(choice.arms, Some(pb::HeldFence { min_replicas: 1, max_lag_s: 2 }));
    assert!(choice.candidates[0].detached && !choice.candidates[1].detached);
}

#[tokio::test]
async fn history_is_newest_first_across_groups_and_bounded() {
    let world = World::start().await;
    world.monitor("a");
    world.monitor("b");
    world.move_master("a", &node(2));
    world.move_master("b", &node(3));
    world.vote_down("a", 1, 5_000_000);
    world.vote_down("a", 2, 5_000_000);
    let (epoch, voter) = (world.group("a").epoch, NodeId(1));
    world.fake.commit(&Command::VoteUp { group: name("a"), epoch, voter, at: Default::default() });

    let all = decisions(&world, "", 0).await;
    assert_eq!(all.iter().map(|decision| decision.group.as_str()).collect::<Vec<_>>(), ["a", "b", "a"]);
    assert_eq!(all[0].ending.as_ref().unwrap().kind(), pb::ending::Kind::Aborted);
    assert!(all[0].choice.is_none() && all[0].decided.is_none());
    assert!(matches!(all[1].cause.as_ref().unwrap().cause, Some(pb::cause::Cause::Requested(pb::OperatorRequest { by: 1, .. }))));
    assert_eq!(decisions(&world, "", 1).await.len(), 1);
    assert_eq!(decisions(&world, "b", 50).await.len(), 1);
}

#[tokio::test]
async fn status_needs_no_quorum_and_shows_members_and_nodes() {
    let world = World::start().await;
    world.monitor("a");
    world.present(2, &node(28379));
    world.board.show(&name("a"), view(world.clock.mono(), |_| {}));
    world.fake.lead(Leadership::Unknown);
    let request = pb::StatusRequest::default();
    let status = soon("an answer", world.sentinel().await.status(request)).await.unwrap().into_inner();
    assert_eq!((status.cluster_id.as_str(), status.node_id, status.leader_id, status.term), ("test-cluster", 1, None, 7));
    assert_eq!(status.version, env!("CARGO_PKG_VERSION"));
    let [me, second, third] = &status.members[..] else { panic!("{:?}", status.members) };
    assert_eq!((me.last_heard_age_ms, second.last_heard_age_ms), (Some(0), None));
    assert_eq!(second.grpc_address.as_ref().unwrap().port, 28379);
    assert_eq!(third.refused, "it has another cluster id");
    let nodes: Vec<_> = status.groups[0].nodes.iter().map(|node| (node.address.as_ref().unwrap().port, node.recorded_role())).collect();
    assert_eq!(nodes, [(1, Role::Master), (2, Role::Replica), (3, Role::Replica)]);
}
