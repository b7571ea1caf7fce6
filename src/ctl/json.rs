//! Answers as JSON for programs. Fields have the names of `proto/`; what is not known is null.

use serde_json::{Value, json};

use super::words;
use crate::proto::admin;
use crate::proto::sentinel as pb;

pub(super) fn one_master(answer: &pb::GetMasterResponse) -> Value {
    json!({ "master": answer.master.as_ref().map(master), "answer": answer.answer.as_ref().map(basis) })
}

pub(super) fn masters(answer: &pb::ListMastersResponse) -> Value {
    json!({ "masters": all(&answer.masters, master), "answer": answer.answer.as_ref().map(basis) })
}

pub(super) fn replicas(answer: &pb::ListReplicasResponse) -> Value {
    json!({
        "master": answer.master.as_ref().map(master),
        "replicas": all(&answer.replicas, node),
        "answer": answer.answer.as_ref().map(basis),
    })
}

pub(super) fn decisions(answer: &pb::ListDecisionsResponse) -> Value {
    json!({ "decisions": all(&answer.decisions, decision), "answer": answer.answer.as_ref().map(basis) })
}

pub(super) fn status(answer: &pb::StatusResponse) -> Value {
    let member = |member: &pb::Member| {
        json!({
            "id": member.id, "raft_address": at(member.raft_address.as_ref()), "voter": member.voter, "leader": member.leader,
            "sentinel_id": member.sentinel_id, "resp_address": at(member.resp_address.as_ref()),
            "grpc_address": at(member.grpc_address.as_ref()), "last_heard_age_ms": member.last_heard_age_ms,
            "refused": unless_empty(&member.refused), "state_compared_index": member.state_compared_index, "state_differs": member.state_differs,
        })
    };
    let stranger = |stranger: &pb::ForeignSentinel| {
        json!({
            "sentinel_id": stranger.sentinel_id, "address": at(stranger.address.as_ref()),
            "last_heard_age_ms": stranger.last_heard_age_ms, "group": stranger.group, "master": at(stranger.master.as_ref()),
            "epoch": stranger.epoch, "current_epoch": stranger.current_epoch, "subscription": unless_empty(&stranger.subscription),
            "locked": stranger.locked,
        })
    };
    let group = |group: &pb::GroupView| {
        json!({
            "group": group.group, "master": group.master.as_ref().map(master), "nodes": all(&group.nodes, node),
            "secret_keys": group.secret_keys, "foreign_sentinels": all(&group.foreign_sentinels, stranger), "fence_alarm": unless_empty(&group.fence_alarm),
            "held_back": unless_empty(&group.held_back), "readiness_alarm": unless_empty(&group.readiness_alarm),
        })
    };
    json!({
        "cluster_id": answer.cluster_id, "node_id": answer.node_id, "sentinel_id": answer.sentinel_id, "version": answer.version,
        "term": answer.term, "leader_id": answer.leader_id, "last_log_index": answer.last_log_index,
        "applied_index": answer.applied_index, "snapshot_index": answer.snapshot_index, "quorum_ack_age_ms": answer.quorum_ack_age_ms,
        "insecure_peers": answer.insecure_peers, "sync_us": answer.sync_us,
        "members": all(&answer.members, member), "groups": all(&answer.groups, group),
    })
}

pub(super) fn members(answer: &admin::MembershipResponse) -> Value {
    let at = |address: Option<&admin::Address>| address.map(|address| words::admin_address(Some(address)));
    let member = |member: &admin::Member| {
        json!({
            "id": member.id, "raft_address": at(member.raft_address.as_ref()), "voter": member.voter, "leader": member.leader,
            "grpc_address": at(member.grpc_address.as_ref()), "last_heard_age_ms": member.last_heard_age_ms,
            "refused": unless_empty(&member.refused),
        })
    };
    json!({ "steps": answer.steps, "members": all(&answer.members, member) })
}

fn readiness(readiness: &pb::Readiness) -> Value {
    json!({ "outlook": words::outlook_key(readiness.outlook()), "next": at(readiness.next.as_ref()), "reasons": readiness.reasons })
}

pub(super) fn master(master: &pb::Master) -> Value {
    json!({
        "group": master.group, "address": at(master.address.as_ref()), "epoch": master.epoch, "revision": master.revision,
        "decided_at_us": master.decided_at_us, "confirmed": master.confirmed,
        "configured_policy": words::policy(master.configured_policy()), "effective_policy": words::policy(master.effective_policy()),
        "wait_replicas": master.wait_replicas, "replicas_known": master.replicas_known, "down_votes": master.down_votes,
        "quorum": master.quorum, "objectively_down": master.objectively_down, "failover": master.failover.as_ref().map(failover),
        "history": unless_empty(&master.history), "fence": master.fence.as_ref().map(fence),
        "duty": words::duty_key(master.duty()), "duty_since": master.duty_since.as_ref().map(moment),
        "readiness": master.readiness.as_ref().map(readiness),
    })
}

fn fence(fence: &pb::Fence) -> Value {
    json!({
        "armed": fence.armed, "wanted": fence.wanted.as_ref().map(held), "recorded": fence.recorded.as_ref().map(held),
        "covered": fence.covered, "since": fence.since.as_ref().map(moment), "problem": unless_empty(&fence.problem),
    })
}

fn held(fence: &pb::HeldFence) -> Value {
    json!({ "min_replicas": fence.min_replicas, "max_lag_s": fence.max_lag_s })
}

fn failover(failover: &pb::FailoverProgress) -> Value {
    json!({
        "epoch": failover.epoch, "phase": words::phase(failover.phase()), "old_master": at(failover.old_master.as_ref()),
        "started": failover.started.as_ref().map(moment), "is_blocked": failover.is_blocked, "blocked": all(&failover.blocked, obstacle),
        "followed": all(&failover.followed, |addr| at(Some(addr))), "forced_by": failover.forced_by,
        "target": at(failover.target.as_ref()),
    })
}

fn node(node: &pb::DataNode) -> Value {
    json!({
        "address": at(node.address.as_ref()), "recorded_role": words::role(node.recorded_role()),
        "reported_role": words::role(node.reported_role()), "health": node.health().as_str_name(),
        "health_reason": unless_empty(&node.health_reason), "last_seen_age_ms": node.last_seen_age_ms, "offset": node.offset,
        "lag_bytes": node.lag_bytes, "link_status": words::link(node.link_status()), "follows": at(node.follows.as_ref()),
        "priority": node.priority, "eligible": node.eligible, "ineligible_reason": unless_empty(&node.ineligible_reason),
        "run_id": unless_empty(&node.run_id), "version": unless_empty(&node.version), "report_age_ms": node.report_age_ms,
        "history": unless_empty(&node.history), "keys": node.keys, "fence": node.fence.as_ref().map(held),
        "fence_unknown": unless_empty(&node.fence_unknown),
    })
}

fn decision(decision: &pb::Decision) -> Value {
    let timings = decision.timings.unwrap_or_default();
    let ending = decision.ending.as_ref().map(|ending| {
        json!({
            "kind": words::ending(ending.kind()), "reason": unless_empty(&ending.reason),
            "left": all(&ending.left, |addr| at(Some(addr))),
        })
    });
    json!({
        "group": decision.group, "epoch": decision.epoch, "old_master": at(decision.old_master.as_ref()),
        "cause": decision.cause.as_ref().and_then(|cause| cause.cause.as_ref()).map(cause),
        "choice": decision.choice.as_ref().map(choice),
        "started": decision.started.as_ref().map(moment), "decided": decision.decided.as_ref().map(moment),
        "promoted": decision.promoted.as_ref().map(moment), "ended": decision.ended.as_ref().map(moment),
        "ending": ending, "is_blocked": decision.is_blocked, "blocked": all(&decision.blocked, obstacle),
        "timings": {
            "started_to_decided_us": timings.started_to_decided_us, "decided_to_promoted_us": timings.decided_to_promoted_us,
            "promoted_to_ended_us": timings.promoted_to_ended_us, "total_us": timings.total_us,
        },
    })
}

fn cause(cause: &pb::cause::Cause) -> Value {
    match cause {
        pb::cause::Cause::Requested(request) => {
            let asked = request.asked.as_ref().map(|by| json!({ "user": by.user, "address": by.address, "port": by.port }));
            json!({ "requested": { "by": request.by, "manner": words::manner(request.manner()), "asked": asked } })
        }
        pb::cause::Cause::Down(down) => json!({ "down": { "quorum": down.quorum, "votes": all(&down.votes, vote) } }),
    }
}

pub(super) fn vote(vote: &pb::Vote) -> Value {
    let witness = |witness: &pb::Witness| json!({ "replica": at(witness.replica.as_ref()), "link_up": witness.link_up, "last_io_s": witness.last_io_s });
    json!({
        "voter": vote.voter, "evidence": words::evidence(vote.evidence()), "silent_ms": vote.silent_ms, "limit_ms": vote.limit_ms,
        "replicas": all(&vote.replicas, witness), "cast": vote.cast.as_ref().map(moment),
    })
}

pub(super) fn choice(choice: &pb::Choice) -> Value {
    let candidate = |candidate: &pb::Candidate| {
        json!({
            "address": at(candidate.address.as_ref()), "run_id": unless_empty(&candidate.run_id), "priority": candidate.priority,
            "offset": candidate.offset, "eligible": candidate.eligible, "ineligible_reason": unless_empty(&candidate.ineligible_reason),
            "detached": candidate.detached,
        })
    };
    json!({
        "chosen": at(choice.chosen.as_ref()), "reason": choice.reason, "decided_by": choice.decided_by,
        "candidates": all(&choice.candidates, candidate), "master_offset": choice.master_offset,
        "estimated_loss_bytes": choice.estimated_loss_bytes, "basis": words::decision_basis(choice.basis()),
        "arms": choice.arms.as_ref().map(held),
    })
}

pub(super) fn obstacle(obstacle: &pb::Obstacle) -> Value {
    json!({ "replica": at(obstacle.replica.as_ref()), "reason": obstacle.reason })
}

pub(super) fn basis(answer: &pb::Answer) -> Value {
    json!({ "applied_index": answer.applied_index, "stale": answer.stale, "answered_by": answer.answered_by })
}

pub(super) fn moment(moment: &pb::Moment) -> Value {
    json!({ "index": moment.index, "at_us": moment.at_us })
}

pub(super) fn at(address: Option<&pb::Address>) -> Value {
    address.map(|address| words::address(Some(address))).into()
}

fn unless_empty(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

pub(super) fn all<T>(items: &[T], shown: impl Fn(&T) -> Value) -> Value {
    items.iter().map(shown).collect()
}
