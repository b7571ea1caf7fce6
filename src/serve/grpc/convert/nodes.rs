//! Data nodes as this sentinel sees them, beside what the log says of them.

use std::sync::Arc;

use super::address;
use super::masters::held;
use crate::base::observation::{LinkLoss, NodeReport, ReplicaReport, Role, RoleReport};
use crate::base::{Addr, FenceSight, Mono};
use crate::board::Neighbours;
use crate::judge::{GroupView, Link, NodeView};
use crate::machine::Group;
use crate::proto::sentinel as pb;

/// This sentinel's view of a group, and the moment of looking at it.
pub(in super::super) struct Eyes {
    pub(in super::super) view: Option<Arc<GroupView>>,
    pub(in super::super) neighbours: Arc<Neighbours>,
    pub(in super::super) now: Mono,
}

impl Eyes {
    /// One data node of `group`.
    pub(in super::super) fn node(&self, group: &Group, addr: &Addr) -> pb::DataNode {
        let is_master = *addr == group.master.addr;
        let view = self.view_of(addr);
        let report = view.and_then(|view| view.report.as_ref()).map(|(_, report)| &**report);
        let replica = report.and_then(as_replica);
        let offset = report.map(|report| report.offset);
        // What it says of its data while it loads them is not about them yet.
        let loaded = report.filter(|report| !report.loading);
        let (health, mut health_reason) = view.map_or((pb::Health::Unspecified, String::new()), |view| self.health(view));
        if let Some(complaint) = self.neighbours.complaint(addr).filter(|_| health_reason.is_empty()) {
            health_reason = complaint;
        }
        let mut node = pb::DataNode {
            address: Some(address(addr)),
            recorded_role: if is_master { pb::Role::Master } else { pb::Role::Replica }.into(),
            reported_role: report.map_or(pb::Role::Unspecified, |report| role(report.role())).into(),
            health: health.into(),
            health_reason,
            last_seen_age_ms: view.and_then(|view| self.last_seen_age_ms(view)),
            offset,
            lag_bytes: (!is_master).then(|| self.lag_bytes(group, offset)).flatten(),
            link_status: replica.map_or(pb::LinkStatus::Unspecified, link_status).into(),
            follows: replica.map(|replica| address(&replica.master)),
            priority: replica.map(|replica| replica.priority),
            eligible: false,
            ineligible_reason: String::new(),
            run_id: report.map(|report| report.run_id.to_string()).unwrap_or_default(),
            version: report.map(|report| report.version.clone()).unwrap_or_default(),
            report_age_ms: view.and_then(|view| view.report.as_ref()).map(|(at, _)| self.now.ms_since(*at)),
            history: loaded.map(|report| report.replid.to_string()).unwrap_or_default(),
            keys: loaded.map(|report| keys(&report.raw)),
            fence: None,
            fence_unknown: String::new(),
        };
        match self.view.as_ref().and_then(|view| view.fence(addr)) {
            None => {}
            Some(FenceSight::Holds(fence)) => node.fence = Some(held(*fence)),
            Some(FenceSight::Unknown(why)) => node.fence_unknown.clone_from(why),
        }
        if !is_master {
            self.judge_eligibility(addr, &mut node);
        }
        node
    }

    fn view_of(&self, addr: &Addr) -> Option<&NodeView> {
        self.view.as_ref()?.nodes.get(addr)
    }

    fn judge_eligibility(&self, addr: &Addr, node: &mut pb::DataNode) {
        let candidates = self.view.as_ref().map(|view| view.candidates.as_slice()).unwrap_or_default();
        match candidates.iter().find(|candidate| candidate.addr == *addr) {
            None => "not looked at yet".clone_into(&mut node.ineligible_reason),
            Some(candidate) => match &candidate.ineligible {
                None => node.eligible = true,
                Some(reason) => node.ineligible_reason = reason.to_string(),
            },
        }
    }

    fn lag_bytes(&self, group: &Group, offset: Option<u64>) -> Option<u64> {
        let (_, master) = self.view_of(&group.master.addr)?.report.as_ref()?;
        Some(master.offset.saturating_sub(offset?))
    }

    /// Before the first valid reply `last_valid` is only the moment at which looking began.
    fn last_seen_age_ms(&self, view: &NodeView) -> Option<u64> {
        let answered = view.report.is_some() || matches!(view.link, Link::Up { since } if view.last_valid > since);
        answered.then(|| self.now.ms_since(view.last_valid))
    }

    fn health(&self, view: &NodeView) -> (pb::Health, String) {
        if let Some(reason) = &view.cannot_judge {
            return (pb::Health::CannotJudge, reason.clone());
        }
        match (view.down_since, &view.link) {
            (Some(since), link) => {
                let (down_ms, silent_ms) = (self.now.ms_since(since), self.now.ms_since(view.last_valid));
                let why = view.answers().filter(|_| matches!(link, Link::Up { .. })).map(|why| format!(" ({why})"));
                let why = why.unwrap_or_else(|| loss_phrase(link));
                (pb::Health::Down, format!("down for {down_ms} ms, no valid reply for {silent_ms} ms{why}"))
            }
            (None, Link::Untried) => (pb::Health::Unspecified, String::new()),
            (None, link @ Link::Down { .. }) => {
                (pb::Health::Up, format!("no valid reply for {} ms{}", self.now.ms_since(view.last_valid), loss_phrase(link)))
            }
            (None, Link::Up { .. }) => (pb::Health::Up, view.answers().unwrap_or_default()),
        }
    }
}

fn loss_phrase(link: &Link) -> String {
    let Link::Down { loss, .. } = link else { return String::new() };
    let phrase = match loss {
        LinkLoss::Refused => "connection refused",
        LinkLoss::Closed => "connection closed",
        LinkLoss::TimedOut => "no answer within the time limit",
        LinkLoss::Local(lack) => lack.as_str(),
        LinkLoss::Unresolved(why) | LinkLoss::Credentials(why) | LinkLoss::Other(why) => why,
    };
    format!(" ({phrase})")
}

const fn as_replica(report: &NodeReport) -> Option<&ReplicaReport> {
    match &report.role {
        RoleReport::Master { .. } => None,
        RoleReport::Replica(replica) => Some(replica),
    }
}

/// The keys of all databases. INFO has a line for each database that is not empty: `db0:keys=12,expires=0,...`.
fn keys(info: &str) -> u64 {
    let database = |line: &str| -> Option<u64> {
        let (number, fields) = line.trim_end().strip_prefix("db")?.split_once(":keys=")?;
        number.parse::<u32>().ok()?;
        fields.split(',').next()?.parse().ok()
    };
    info.lines().filter_map(database).fold(0, u64::saturating_add)
}

const fn role(role: Role) -> pb::Role {
    match role {
        Role::Master => pb::Role::Master,
        Role::Replica => pb::Role::Replica,
    }
}

const fn link_status(replica: &ReplicaReport) -> pb::LinkStatus {
    match (replica.syncing, replica.link_up) {
        (true, _) => pb::LinkStatus::Syncing,
        (false, true) => pb::LinkStatus::Up,
        (false, false) => pb::LinkStatus::Down,
    }
}
