//! What is measured: the Raft group, the monitored groups and their data nodes, as this sentinel knows them now.
//!
//! Needs no quorum: metrics matter most when there is none.

use std::collections::BTreeMap;
use std::time::Duration;

use super::counters::Failovers;
use super::families::Family;
use super::shadow;
use crate::base::{Addr, FenceSight, GroupName, Mono};
use crate::judge::GroupView;
use crate::judge::view::Outlook;
use crate::machine::{Failover, Group, Phase};
use crate::raft::{PeerHealth, RaftStatus};
use crate::serve::grpc::Context;

/// All metrics at this moment.
pub(super) fn families(ctx: &Context, counts: &BTreeMap<GroupName, Failovers>) -> Vec<Family> {
    let state = ctx.agreement.state();
    let status = ctx.agreement.status();
    let now = ctx.clock.mono();
    let mut all = of_raft(&status);
    let peers = ctx.agreement.peers();
    all.push(of_peers(&peers, now));
    all.push(of_states(&peers));
    let mut groups = Groups::default();
    for group in state.groups.values() {
        let foreign = ctx.board.neighbours(&group.name).foreign.len();
        groups.add(group, ctx.board.group(&group.name).as_deref().unwrap_or(&GroupView::default()), foreign);
    }
    all.extend(groups.0);
    all.push(of_failovers(counts));
    all.extend(shadow::families(ctx, counts, now));
    let malformed = Family::counter("malformed_hellos", "Messages on hello channels, or published here, that were no hello");
    all.push(malformed.with(big(ctx.board.malformed_hellos())));
    all
}

fn of_raft(status: &RaftStatus) -> Vec<Family> {
    let mut build = Family::gauge("build_info", "The version that runs, always 1");
    build.add([("version", env!("CARGO_PKG_VERSION"))], 1.0);
    let mut members = Family::gauge("raft_members", "Members of the Raft group");
    for (kind, voter) in [("voter", true), ("learner", false)] {
        members.add([("kind", kind)], number(status.members.iter().filter(|member| member.voter == voter).count()));
    }
    vec![
        build,
        members,
        Family::gauge("raft_term", "The Raft term").with(big(status.term)),
        Family::gauge("raft_leader", "1 on the sentinel that leads").with(flag(status.leader == Some(status.id))),
        Family::gauge("raft_leader_known", "1 if a leader is known and trusted").with(flag(status.leader.is_some())),
        Family::gauge("raft_insecure_peers", "1 if whoever reaches the port for peers may pose as a sentinel (raft insecure yes)")
            .with(flag(status.insecure)),
        Family::gauge("raft_last_log_index", "The last entry in the log").with(big(status.last_log.0)),
        Family::gauge("raft_applied_index", "The last entry applied").with(big(status.applied.0)),
        Family::gauge("raft_snapshot_index", "The last entry in the newest snapshot").with_some(status.snapshot.map(|at| big(at.0))),
        Family::gauge("raft_quorum_ack_age_seconds", "Time since a quorum acknowledged this leader")
            .with_some(status.quorum_ack_age_ms.map(seconds)),
        Family::gauge(
            "raft_sync_seconds",
            "How long a sync of this sentinel's disk takes: at once what a slower one took, slowly what faster ones do",
        )
        .with(Duration::from_micros(status.sync_us).as_secs_f64()),
    ]
}

fn of_peers(peers: &BTreeMap<crate::base::NodeId, PeerHealth>, now: Mono) -> Family {
    let mut heard = Family::gauge("raft_peer_last_heard_age_seconds", "Time since this sentinel heard of the other one");
    for (id, peer) in peers {
        if let Some(at) = peer.last_heard {
            heard.add([("peer", &id.to_string())], seconds(now.ms_since(at)));
        }
    }
    heard
}

fn of_states(peers: &BTreeMap<crate::base::NodeId, PeerHealth>) -> Family {
    let mut differs =
        Family::gauge("raft_state_differs", "1 if the state of the other sentinel was not that of this one at the same entry");
    for (id, peer) in peers {
        if let Some(compared) = peer.state {
            differs.add([("peer", &id.to_string())], flag(!compared.same));
        }
    }
    differs
}

fn of_failovers(counts: &BTreeMap<GroupName, Failovers>) -> Family {
    let mut failovers = Family::counter("failovers", "Failovers by the step that they reached, since this process started");
    for (group, count) in counts {
        let steps = [
            ("started", count.started),
            ("decided", count.decided),
            ("completed", count.completed),
            ("aborted", count.aborted),
            ("blocked", count.blocked),
        ];
        for (step, times) in steps {
            failovers.add([("group", group.as_str()), ("step", step)], big(times));
        }
    }
    failovers
}

/// The metrics of the groups; the order is that of the constants below.
struct Groups([Family; 24]);

impl Default for Groups {
    fn default() -> Self {
        Self([
            Family::gauge("group_epoch", "The epoch of the master; grows by one with each promotion"),
            Family::gauge("group_master_info", "Where the recorded master listens, always 1"),
            Family::gauge("group_down_votes", "Sentinels that see the master down"),
            Family::gauge("group_quorum", "Votes needed to hold the master down"),
            Family::gauge("group_objectively_down", "1 if enough sentinels see the master down"),
            Family::gauge("group_failover_phase", "1 for the phase that the failover is in; phase none without one"),
            Family::gauge("group_failover_blocked", "1 if the failover cannot go on now"),
            Family::gauge("group_replicas_known", "Replicas on record, up or down"),
            Family::gauge("group_replicas_eligible", "Replicas that this sentinel could promote now"),
            Family::gauge("group_last_failover_estimated_loss_bytes", "What the last decision is known to have lost"),
            Family::gauge("group_last_failover_duration_seconds", "From the start of the last failover until its new master was seen"),
            Family::gauge("group_failovers_remembered", "Failovers that ListDecisions can tell of"),
            Family::gauge(
                "foreign_sentinels",
                "Sentinels that are not of this cluster but watch the same data nodes; there should be none",
            ),
            Family::gauge("fence_armed", "1 if the log says that the master holds the whole fence"),
            Family::gauge("fence_min_replicas", "Replicas that must follow the master closely for it to take writes; 0 is no fence"),
            Family::gauge("fence_wait_replicas", "The number to use with WAIT; 0: none makes a write safe"),
            Family::gauge("fence_covered", "Known replicas that hold every write that was confirmed as told"),
            Family::gauge("fence_problem", "1 if something has been wrong with the fence for a while, in this sentinel's eyes"),
            Family::gauge(
                "failover_ready",
                "1 if a replica would be promoted now, whichever way the master is lost; 0.5 if not in every case, 0 if none would be; absent while a failover is under way, and before the first look",
            ),
            Family::gauge("node_up", "1 if this sentinel sees the data node up, 0 if down; absent if it cannot judge"),
            Family::gauge("node_offset_bytes", "How much of the replication history the data node holds"),
            Family::gauge("node_cannot_judge", "1 if the data node refuses this sentinel's credentials"),
            Family::gauge("node_lag_bytes", "By how much a replica is behind the last offset seen of the master"),
            Family::gauge("node_min_replicas_to_write", "What the data node holds of the fence, as last seen"),
        ])
    }
}

impl Groups {
    fn add(&mut self, group: &Group, view: &GroupView, foreign: usize) {
        let name = group.name.as_str();
        let [epoch, master, votes, quorum, down, phases, blocked, known, eligible, loss, duration, remembered, strangers, rest @ ..] =
            &mut self.0;
        let [armed, min_replicas, wait, covered, problem, ready, nodes @ ..] = rest;
        epoch.add([("group", name)], big(group.epoch.0));
        master.add([("group", name), ("address", &group.master.addr.to_string())], 1.0);
        votes.add([("group", name)], number(group.ballot.votes().len()));
        quorum.add([("group", name)], f64::from(group.settings.quorum));
        down.add([("group", name)], flag(group.objectively_down()));
        for phase in ["none", "choosing", "detaching", "draining", "promoting", "following"] {
            phases.add([("group", name), ("phase", phase)], flag(phase == phase_name(group.failover.as_ref())));
        }
        blocked.add([("group", name)], flag(group.failover.as_ref().is_some_and(|failover| failover.blocked.is_some())));
        known.add([("group", name)], number(group.replicas.len()));
        eligible.add([("group", name)], number(view.candidates.iter().filter(|candidate| candidate.ineligible.is_none()).count()));
        if let Some(bytes) =
            group.history.iter().rev().find_map(|decision| decision.choice.as_ref()).and_then(|(c, _)| c.estimated_loss_bytes)
        {
            loss.add([("group", name)], big(bytes));
        }
        if let Some((last, promoted)) = group.history.iter().rev().find_map(|decision| Some((decision, decision.promoted?))) {
            duration.add([("group", name)], big(promoted.at.micros_since(last.started.at)) / 1e6);
        }
        remembered.add([("group", name)], number(group.history.len()));
        strangers.add([("group", name)], number(foreign));
        armed.add([("group", name)], flag(group.is_armed()));
        min_replicas.add([("group", name)], group.wanted_fence().map_or(0.0, |wanted| f64::from(wanted.min_replicas)));
        wait.add([("group", name)], f64::from(group.wait_replicas()));
        covered.add([("group", name)], group.fence.map_or(0.0, |fence| f64::from(fence.covered)));
        problem.add([("group", name)], flag(view.fence_alarm.is_some()));
        let readiness = match view.readiness.would {
            Outlook::Yes => Some(1.0),
            Outlook::Partly => Some(0.5),
            Outlook::No => Some(0.0),
            Outlook::Unknown | Outlook::UnderWay => None,
        };
        readiness.into_iter().for_each(|value| ready.add([("group", name)], value));
        for addr in group.data_nodes() {
            add_node(nodes, group, view, addr);
        }
    }
}

fn add_node([up, offset, cannot_judge, lag, holds]: &mut [Family; 5], group: &Group, view: &GroupView, addr: &Addr) {
    let Some(node) = view.nodes.get(addr) else { return };
    let (name, at) = (group.name.as_str(), addr.to_string());
    let is_master = *addr == group.master.addr;
    let labels = [("group", name), ("address", &*at)];
    if node.cannot_judge.is_none() && (node.report.is_some() || node.down_since.is_some()) {
        let role = if is_master { "master" } else { "replica" };
        up.add([("group", name), ("address", &at), ("role", role)], flag(node.down_since.is_none()));
    }
    cannot_judge.add(labels, flag(node.cannot_judge.is_some()));
    if let Some(fence) = view.fence(addr).and_then(FenceSight::held) {
        holds.add(labels, f64::from(fence.min_replicas));
    }
    let Some((_, report)) = &node.report else { return };
    offset.add(labels, big(report.offset));
    let master = view.nodes.get(&group.master.addr).and_then(|master| master.report.as_ref());
    if let (false, Some((_, master))) = (is_master, master) {
        lag.add(labels, big(master.offset.saturating_sub(report.offset)));
    }
}

const fn phase_name(failover: Option<&Failover>) -> &'static str {
    match failover {
        None => "none",
        Some(Failover { phase: Phase::Choosing, .. }) => "choosing",
        Some(Failover { phase: Phase::Detaching, .. }) => "detaching",
        Some(Failover { phase: Phase::Draining { .. }, .. }) => "draining",
        Some(Failover { phase: Phase::Promoting, .. }) => "promoting",
        Some(Failover { phase: Phase::Following { .. }, .. }) => "following",
    }
}

pub(super) fn flag(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}

pub(super) fn number(many: usize) -> f64 {
    big(many as u64)
}

/// Exact up to 2^53, which no index, offset or count here comes near.
#[expect(clippy::cast_precision_loss, reason = "Prometheus knows only floating point numbers")]
pub(super) const fn big(number: u64) -> f64 {
    number as f64
}

fn seconds(ms: u64) -> f64 {
    big(ms) / 1e3
}
