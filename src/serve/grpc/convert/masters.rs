//! A group's master, its running failover, and its changes.

use super::{address, count, moment, shadow};
use crate::base::settings::PromotionPolicy;
use crate::base::{Addr, Fence};
use crate::judge::GroupView;
use crate::judge::view::{Outlook, Readiness};
use crate::machine::{Failover, Group, Ineligible, MasterChange, Phase};
use crate::proto::sentinel as pb;
use crate::serve::fence::complaint;

/// `view` is what this sentinel sees of it.
pub(in super::super) fn master(group: &Group, view: Option<&GroupView>) -> pb::Master {
    let (duty, duty_since) = shadow::duty(group.duty);
    pb::Master {
        group: group.name.to_string(),
        address: Some(address(&group.master.addr)),
        epoch: group.epoch.0,
        revision: group.master.since.index.0,
        decided_at_us: group.master.since.at.0,
        confirmed: confirmed(group),
        configured_policy: policy(group.settings.promotion_policy).into(),
        effective_policy: policy(group.effective_policy()).into(),
        wait_replicas: group.wait_replicas(),
        replicas_known: count(group.replicas.len()),
        down_votes: count(group.ballot.votes().len()),
        quorum: group.settings.quorum,
        objectively_down: group.objectively_down(),
        failover: group.failover.as_ref().map(progress),
        history: group.master.identity.as_ref().map(|identity| identity.replid.to_string()).unwrap_or_default(),
        fence: Some(fence(group, view)),
        duty: duty.into(),
        duty_since: duty_since.map(moment),
        readiness: view.map(|view| readiness(&view.readiness)),
    }
}

fn readiness(readiness: &Readiness) -> pb::Readiness {
    let outlook = match readiness.would {
        Outlook::Unknown => pb::Outlook::Unspecified,
        Outlook::Yes => pb::Outlook::Yes,
        Outlook::Partly => pb::Outlook::Partly,
        Outlook::No => pb::Outlook::No,
        Outlook::UnderWay => pb::Outlook::UnderWay,
    };
    pb::Readiness { outlook: outlook.into(), next: readiness.next.as_ref().map(address), reasons: readiness.why.clone() }
}

fn fence(group: &Group, view: Option<&GroupView>) -> pb::Fence {
    let known = group.fence;
    pb::Fence {
        armed: group.is_armed(),
        wanted: group.wanted_fence().map(held),
        recorded: known.map(|known| held(Fence { min_replicas: known.min_replicas, max_lag_s: known.max_lag_s })),
        covered: known.map_or(0, |known| known.covered),
        since: known.map(|known| moment(known.since)),
        problem: complaint(group, view).unwrap_or_default(),
    }
}

pub(super) const fn held(fence: Fence) -> pb::HeldFence {
    pb::HeldFence { min_replicas: fence.min_replicas, max_lag_s: fence.max_lag_s }
}

/// `group` is the group as it is now; none if it is gone.
pub(in super::super) fn change(change: &MasterChange, group: Option<&Group>) -> pb::MasterChange {
    pb::MasterChange {
        group: change.group.to_string(),
        master: change.master.as_ref().map(address),
        epoch: change.epoch.0,
        revision: change.revision.0,
        decided_at_us: change.at.0,
        wait_replicas: group.map_or(0, Group::wait_replicas),
    }
}

/// Whether the recorded master was seen to work as one since it was recorded.
fn confirmed(group: &Group) -> bool {
    let promotion = group.history.iter().rev().find(|decision| decision.decided == Some(group.master.since));
    promotion.map_or(group.master.identity.is_some(), |decision| decision.promoted.is_some())
}

const fn policy(policy: PromotionPolicy) -> pb::PromotionPolicy {
    match policy {
        PromotionPolicy::Auto => pb::PromotionPolicy::Auto,
        PromotionPolicy::Strict => pb::PromotionPolicy::Strict,
        PromotionPolicy::Available => pb::PromotionPolicy::Available,
    }
}

fn progress(failover: &Failover) -> pb::FailoverProgress {
    let (phase, followed) = match &failover.phase {
        Phase::Choosing => (pb::FailoverPhase::Choosing, Vec::new()),
        Phase::Detaching => (pb::FailoverPhase::Detaching, Vec::new()),
        Phase::Draining { .. } => (pb::FailoverPhase::Draining, Vec::new()),
        Phase::Promoting => (pb::FailoverPhase::Promoting, Vec::new()),
        Phase::Following { followed } => (pb::FailoverPhase::Following, followed.iter().map(address).collect()),
    };
    pb::FailoverProgress {
        epoch: failover.id.epoch.0,
        phase: phase.into(),
        old_master: Some(address(&failover.old.addr)),
        started: Some(moment(failover.started)),
        blocked: obstacles(failover.blocked.as_deref().unwrap_or_default()),
        followed,
        is_blocked: failover.blocked.is_some(),
        forced_by: failover.forced.map(|by| by.0),
        target: target(&failover.phase),
    }
}

fn target(phase: &Phase) -> Option<pb::Address> {
    match phase {
        Phase::Draining { target } => target.as_ref().map(address),
        Phase::Choosing | Phase::Detaching | Phase::Promoting | Phase::Following { .. } => None,
    }
}

pub(super) fn obstacles(blocked: &[(Addr, Ineligible)]) -> Vec<pb::Obstacle> {
    blocked.iter().map(|(replica, reason)| pb::Obstacle { replica: Some(address(replica)), reason: reason.to_string() }).collect()
}
