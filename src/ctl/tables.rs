//! Answers as tables for people.

use comfy_table::{Table, presets};

use super::words;
use crate::base::Addr;
use crate::proto::admin;
use crate::proto::sentinel as pb;

pub(super) fn masters(answer: &pb::ListMastersResponse) -> String {
    let mut table = table(["GROUP", "MASTER", "EPOCH", "STATE", "DOWN VOTES", "REPLICAS", "POLICY", "WAIT", "SINCE"]);
    for master in &answer.masters {
        table.add_row([
            master.group.clone(),
            words::address(master.address.as_ref()),
            master.epoch.to_string(),
            master_state(master),
            format!("{}/{}", master.down_votes, master.quorum),
            master.replicas_known.to_string(),
            policy(master),
            if master.wait_replicas == 0 { "no fence".to_owned() } else { master.wait_replicas.to_string() },
            words::moment(master.decided_at_us),
        ]);
    }
    format!("{table}\n{}", basis(answer.answer.as_ref()))
}

pub(super) fn replicas(answer: &pb::ListReplicasResponse) -> String {
    let master = answer.master.clone().unwrap_or_default();
    let header =
        format!("{} is at {} (epoch {}), {}", master.group, words::address(master.address.as_ref()), master.epoch, master_state(&master));
    format!("{header}\n{}\n{}", nodes(&answer.replicas), basis(answer.answer.as_ref()))
}

pub(super) fn status(from: &Addr, answer: &pb::StatusResponse) -> String {
    let lines = [
        format!("Sentinel {} at {from}, version {}, id {}", answer.node_id, answer.version, answer.sentinel_id),
        format!(
            "Cluster {}: leader {}, term {}, log up to {}, applied up to {}, snapshot at {}",
            answer.cluster_id,
            answer.leader_id.map_or_else(|| "UNKNOWN (no quorum is in sight)".to_owned(), |id| id.to_string()),
            answer.term,
            answer.last_log_index,
            answer.applied_index,
            words::or_dash(answer.snapshot_index),
        ),
    ];
    let mut text: String = answer.groups.iter().map(|group| format!("{}\n", words::at_a_glance(group))).collect();
    text.push_str(&lines.join("\n"));
    if let Some(age) = answer.quorum_ack_age_ms {
        text.push_str(&format!("\nA quorum acknowledged this leader {} ago", words::millis(age)));
    }
    if answer.sync_us > 0 {
        text.push_str(&format!("\nA sync of its disk takes {}", words::micros(answer.sync_us)));
    }
    if answer.insecure_peers {
        text.push_str("\nINSECURE: whoever reaches its port for peers may pose as a sentinel (raft insecure yes); see raft secret-file");
    }
    text.push_str(&words::states(&answer.members));
    text.push_str(&format!("\n\n{}", members_of(answer)));
    for group in &answer.groups {
        let master = group.master.clone().unwrap_or_default();
        text.push_str(&format!(
            "\n\n{} (epoch {}), {}\n{}\n{}\n{}",
            group.group,
            master.epoch,
            master_state(&master),
            fence(&master, &group.fence_alarm),
            readiness(&master, &group.readiness_alarm),
            nodes(&group.nodes)
        ));
        if master.duty() != pb::Duty::Acts {
            text.push_str(&format!("\n{}: {}", group.group, words::duty(&master)));
        }
        if !group.secret_keys.is_empty() {
            text.push_str(&format!("\n{}", secrets(&group.secret_keys)));
        }
        if !group.held_back.is_empty() {
            text.push_str(&format!("\nHELD BACK: {}", group.held_back));
        }
        if !group.foreign_sentinels.is_empty() {
            let what_to_do = if master.duty() == pb::Duty::Shadow { "" } else { " (stop them)" };
            text.push_str(&format!(
                "\n\nNOT OF THIS CLUSTER, but watching {}{what_to_do}:\n{}",
                group.group,
                strangers(&group.foreign_sentinels)
            ));
        }
    }
    text
}

/// What would come of the loss of the master now.
fn readiness(master: &pb::Master, alarm: &str) -> String {
    let readiness = master.readiness.clone().unwrap_or_default();
    let next = words::address(readiness.next.as_ref());
    let (outlook, reasons) = (readiness.outlook(), readiness.reasons.join("; "));
    let alarm = if alarm.is_empty() { "" } else { "  FAILOVER UNREADY" };
    match outlook {
        pb::Outlook::Unspecified => "failover: not looked at yet".to_owned(),
        pb::Outlook::UnderWay => "failover: under way".to_owned(),
        pb::Outlook::Yes => format!("failover: ready, {next} would be promoted"),
        pb::Outlook::Partly => format!("failover: {next} would be promoted, but: {reasons}{alarm}"),
        pb::Outlook::No => format!("failover: would be blocked: {reasons}{alarm}"),
    }
}

/// The policy, W, L, N, what to confirm writes with, and what is wrong.
fn fence(master: &pb::Master, alarm: &str) -> String {
    let fence = master.fence.clone().unwrap_or_default();
    let state = match (fence.armed, fence.problem.is_empty()) {
        (true, true) => "armed".to_owned(),
        (true, false) => format!("armed, but {}", fence.problem),
        (false, _) => format!("not armed: {}", fence.problem),
    };
    let wanted = fence.wanted.map_or_else(
        || "no fence".to_owned(),
        |wanted| format!("{} of {} replicas within {} s", wanted.min_replicas, master.replicas_known, wanted.max_lag_s),
    );
    let wait = if master.wait_replicas == 0 {
        "no WAIT makes a write safe".to_owned()
    } else {
        format!("WAIT {} makes a write safe ({} are covered so far)", master.wait_replicas, fence.covered)
    };
    let alarm = if alarm.is_empty() { "" } else { "  FENCE PROBLEM" };
    format!("policy {}; fence: {wanted}, {state}; {wait}{alarm}", policy(master))
}

/// How the password and the webhook of a group are kept.
fn secrets(keys: &[String]) -> String {
    let mut keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    keys.dedup();
    let told = |key: &&str| {
        if *key == "clear" {
            "in clear text (they are sealed with 'raft secret-file', once every member has one and can read that)".to_owned()
        } else {
            format!("sealed with key {key}")
        }
    };
    format!("secrets: {}", keys.iter().map(told).collect::<Vec<_>>().join(", "))
}

fn strangers(all: &[pb::ForeignSentinel]) -> String {
    let mut table =
        table(["SENTINEL ID", "ADDRESS", "LAST HEARD", "KNOWS THE MASTER AS", "AT", "EPOCH", "CURRENT EPOCH", "CALLED BACK", "ITS EVENTS"]);
    for stranger in all {
        table.add_row([
            stranger.sentinel_id.clone(),
            words::address(stranger.address.as_ref()),
            heard(Some(stranger.last_heard_age_ms)),
            stranger.group.clone(),
            words::address(stranger.master.as_ref()),
            stranger.epoch.to_string(),
            stranger.current_epoch.to_string(),
            if stranger.locked { "wants a password" } else { "watches these servers" }.to_owned(),
            if stranger.subscription.is_empty() { "-".to_owned() } else { stranger.subscription.clone() },
        ]);
    }
    table.to_string()
}

fn members_of(answer: &pb::StatusResponse) -> String {
    let mut table = table(["SENTINEL", "RAFT", "SENTINEL PROTOCOL", "GRPC", "MEMBER", "LAST HEARD", "PROBLEM"]);
    for member in &answer.members {
        table.add_row([
            member.id.to_string(),
            words::address(member.raft_address.as_ref()),
            words::address(member.resp_address.as_ref()),
            words::address(member.grpc_address.as_ref()),
            member_kind(member.voter, member.leader).to_owned(),
            heard(member.last_heard_age_ms),
            member.refused.clone(),
        ]);
    }
    table.to_string()
}

pub(super) fn members(answer: &admin::MembershipResponse) -> String {
    let mut table = table(["SENTINEL", "RAFT", "GRPC", "MEMBER", "LAST HEARD", "PROBLEM"]);
    for member in &answer.members {
        table.add_row([
            member.id.to_string(),
            words::admin_address(member.raft_address.as_ref()),
            words::admin_address(member.grpc_address.as_ref()),
            member_kind(member.voter, member.leader).to_owned(),
            heard(member.last_heard_age_ms),
            member.refused.clone(),
        ]);
    }
    let steps: String = answer.steps.iter().map(|step| format!("{step}\n")).collect();
    format!("{steps}{table}")
}

pub(super) fn decisions(answer: &pb::ListDecisionsResponse) -> String {
    let told: Vec<String> = answer.decisions.iter().map(decision).collect();
    let told = if told.is_empty() { "No failover is remembered.".to_owned() } else { told.join("\n\n") };
    format!("{told}\n\n{}", basis(answer.answer.as_ref()))
}

/// One failover, told from its cause to its end.
fn decision(decision: &pb::Decision) -> String {
    let started = decision.started.unwrap_or_default();
    let mut lines = vec![format!(
        "{}  {} epoch {}: {} -> {}",
        words::moment(started.at_us),
        decision.group,
        decision.epoch,
        words::address(decision.old_master.as_ref()),
        decision.choice.as_ref().map_or_else(|| "no other".to_owned(), |choice| words::address(choice.chosen.as_ref())),
    )];
    lines.extend(cause(decision));
    lines.extend(decision.choice.iter().flat_map(choice));
    lines.extend(
        decision.blocked.iter().map(|obstacle| format!("  blocked   {}: {}", words::address(obstacle.replica.as_ref()), obstacle.reason)),
    );
    lines.push(format!("  course    {}", course(decision)));
    lines.push(format!("  ending    {}", ending(decision)));
    lines.join("\n")
}

fn cause(decision: &pb::Decision) -> Vec<String> {
    match decision.cause.as_ref().and_then(|cause| cause.cause.as_ref()) {
        None => Vec::new(),
        Some(pb::cause::Cause::Requested(request)) => {
            let who = request.asked.as_ref().map(|by| format!(": user '{}' from {}", by.user, by.address)).unwrap_or_default();
            vec![format!("  cause     an operator asked for it (at sentinel {}, {}){who}", request.by, words::manner(request.manner()))]
        }
        Some(pb::cause::Cause::Down(down)) => {
            let header = format!("  cause     {} of {} votes needed that the master is down", down.votes.len(), down.quorum);
            std::iter::once(header).chain(down.votes.iter().map(vote)).collect()
        }
    }
}

pub(super) fn vote(vote: &pb::Vote) -> String {
    let witnesses: Vec<_> = vote.replicas.iter().map(witness).collect();
    let said = if witnesses.is_empty() { String::new() } else { format!("; replicas say: {}", witnesses.join(", ")) };
    format!(
        "    sentinel {}: {}, silent for {} (limit {}){said}",
        vote.voter,
        words::evidence(vote.evidence()),
        words::millis(vote.silent_ms),
        words::millis(vote.limit_ms),
    )
}

fn witness(witness: &pb::Witness) -> String {
    let heard = witness.last_io_s.map(|s| format!(", heard of it {s} s ago")).unwrap_or_default();
    format!("{} link {}{heard}", words::address(witness.replica.as_ref()), if witness.link_up { "up" } else { "down" })
}

pub(super) fn choice(choice: &pb::Choice) -> Vec<String> {
    let loss = choice.estimated_loss_bytes.map_or_else(|| "unknown".to_owned(), |bytes| format!("{bytes} bytes"));
    let header = format!("  choice    {} by sentinel {}; known to be missing: {loss}", choice.reason, choice.decided_by);
    let rows = choice.candidates.iter().map(|candidate| {
        format!(
            "    {}: priority {}, offset {}, run id {}, {}",
            words::address(candidate.address.as_ref()),
            words::or_dash(candidate.priority),
            words::or_dash(candidate.offset),
            if candidate.run_id.is_empty() { "-" } else { &candidate.run_id },
            verdict(candidate),
        )
    });
    let arms = choice.arms.map(|arms| format!("; the new master holds {}", words::held(arms))).unwrap_or_default();
    let basis = format!("  old master {}{arms}", words::decision_basis(choice.basis()));
    [header, basis].into_iter().chain(rows).collect()
}

fn verdict(candidate: &pb::Candidate) -> String {
    let detached = if candidate.detached { "detached, " } else { "" };
    format!("{detached}{}", if candidate.eligible { "eligible" } else { &candidate.ineligible_reason })
}

fn course(decision: &pb::Decision) -> String {
    let timings = decision.timings.unwrap_or_default();
    let step = |name: &str, at: Option<pb::Moment>, took: Option<u64>| {
        let took = took.map(|us| format!(" after {}", words::micros(us))).unwrap_or_default();
        at.map(|at| format!("{name}{took} (entry {})", at.index))
    };
    let steps = [
        step("started", decision.started, None),
        step("decided", decision.decided, timings.started_to_decided_us),
        step("promoted", decision.promoted, timings.decided_to_promoted_us),
        step("ended", decision.ended, timings.promoted_to_ended_us),
    ];
    steps.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn ending(decision: &pb::Decision) -> String {
    let Some(ending) = &decision.ending else {
        let blocked = if decision.is_blocked { ", and BLOCKED: no replica can be promoted now" } else { "" };
        return format!("it is still running{blocked}");
    };
    let total = decision.timings.and_then(|timings| timings.total_us).map(|us| format!(" after {}", words::micros(us))).unwrap_or_default();
    let reason = if ending.reason.is_empty() { String::new() } else { format!(": {}", ending.reason) };
    let left: Vec<_> = ending.left.iter().map(|addr| words::address(Some(addr))).collect();
    let left = if left.is_empty() { String::new() } else { format!("; left to be repaired: {}", left.join(", ")) };
    format!("{}{total}{reason}{left}", words::ending(ending.kind()))
}

fn nodes(nodes: &[pb::DataNode]) -> String {
    let mut table =
        table(["NODE", "ROLE", "HEALTH", "LAST SEEN", "OFFSET", "LAG BYTES", "LINK", "PRIORITY", "FENCE", "PROMOTABLE", "REDIS"]);
    for node in nodes {
        let reason = if node.health_reason.is_empty() { String::new() } else { format!(": {}", node.health_reason) };
        table.add_row([
            words::address(node.address.as_ref()),
            roles(node),
            format!("{}{reason}", words::health(node.health())),
            heard(node.last_seen_age_ms),
            words::or_dash(node.offset),
            words::or_dash(node.lag_bytes),
            words::link(node.link_status()).to_owned(),
            words::or_dash(node.priority),
            held(node),
            promotable(node),
            node.version.clone(),
        ]);
    }
    table.to_string()
}

fn held(node: &pb::DataNode) -> String {
    match node.fence {
        Some(fence) => words::held(fence),
        None if node.fence_unknown.is_empty() => "-".to_owned(),
        None => format!("unknown: {}", node.fence_unknown),
    }
}

fn roles(node: &pb::DataNode) -> String {
    let (recorded, reported) = (node.recorded_role(), node.reported_role());
    if recorded == reported || reported == pb::Role::Unspecified {
        return words::role(recorded).to_owned();
    }
    format!("{}, says {}", words::role(recorded), words::role(reported))
}

fn promotable(node: &pb::DataNode) -> String {
    match node.recorded_role() {
        pb::Role::Master => "-".to_owned(),
        pb::Role::Replica | pb::Role::Unspecified if node.eligible => "yes".to_owned(),
        pb::Role::Replica | pb::Role::Unspecified => format!("no: {}", node.ineligible_reason),
    }
}

fn master_state(master: &pb::Master) -> String {
    if let Some(failover) = &master.failover {
        let blocked = if failover.is_blocked { ", BLOCKED" } else { "" };
        return format!("failover: {}{blocked}", words::phase(failover.phase()));
    }
    match (master.objectively_down, master.confirmed) {
        (true, _) => "objectively DOWN".to_owned(),
        (false, true) => "ok".to_owned(),
        (false, false) => "not seen as a master yet".to_owned(),
    }
}

fn policy(master: &pb::Master) -> String {
    let (configured, effective) = (words::policy(master.configured_policy()), words::policy(master.effective_policy()));
    if configured == effective { effective.to_owned() } else { format!("{effective} ({configured} is set)") }
}

const fn member_kind(voter: bool, leader: bool) -> &'static str {
    match (leader, voter) {
        (true, _) => "leader",
        (false, true) => "voter",
        (false, false) => "learner",
    }
}

fn heard(age_ms: Option<u64>) -> String {
    age_ms.map_or_else(|| "never".to_owned(), |ms| format!("{} ago", words::millis(ms)))
}

pub(super) fn basis(answer: Option<&pb::Answer>) -> String {
    let answer = answer.copied().unwrap_or_default();
    let trust = if answer.stale { "STALE: no quorum confirmed this" } else { "Confirmed by a quorum" };
    format!("{trust}; answered by sentinel {} from log entry {}", answer.answered_by, answer.applied_index)
}

pub(super) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table
}
