//! What masters and replicas have in common: fields 1 to 17.

use super::{Fields, InstanceReply};
use crate::base::observation::{NodeReport, ReplicaReport, Role, RoleReport};
use crate::base::{Addr, RunId};
use crate::judge::{GroupView, Link, NodeView};

/// Whether a replica wants clients to know it (`replica_announced`); so if it never said.
pub(super) fn announced(view: &GroupView, addr: &Addr) -> bool {
    replica_report(view.nodes.get(addr)).is_none_or(|report| report.announced)
}

/// What a node says of itself as a replica.
pub(super) fn replica_report(node: Option<&NodeView>) -> Option<&ReplicaReport> {
    match report(node).map(|report| &report.role) {
        Some(RoleReport::Replica(replica)) => Some(replica),
        Some(RoleReport::Master { .. }) | None => None,
    }
}

/// The newest INFO of a node.
pub(super) fn report(node: Option<&NodeView>) -> Option<&NodeReport> {
    node.and_then(|node| node.report.as_ref()).map(|(_, report)| &**report)
}

/// Whether it is down because of a script, and this sentinel told it to end that.
pub(super) fn is_told_to_end_its_script(view: &GroupView, addr: &Addr) -> bool {
    view.nodes.get(addr).is_some_and(|node| node.script_kill_sent)
}

/// Whether there is no command link.
pub(super) fn unlinked(node: Option<&NodeView>) -> bool {
    !matches!(node.map(|node| &node.link), Some(Link::Up { .. }))
}

/// What one node is shown as.
pub(super) struct Shown<'a> {
    /// Field `name`.
    pub(super) name: String,
    /// Where it listens.
    pub(super) addr: &'a Addr,
    /// The recorded role.
    pub(super) role: Role,
    /// The recorded process, for when it was not seen from here yet.
    pub(super) run_id: Option<&'a RunId>,
    /// The flags.
    pub(super) flags: Vec<&'static str>,
    /// Field `failover-state`.
    pub(super) failover_state: Option<&'static str>,
    /// Field `o-down-time`.
    pub(super) objectively_down_ms: Option<u64>,
}

/// Fields 1 to 17.
pub(super) fn fields(portrait: &InstanceReply<'_>, shown: Shown<'_>) -> Fields {
    let node = portrait.view.nodes.get(shown.addr);
    let report = report(node);
    // Before the first look, ages count from the start of this process.
    let age = |moment: fn(&NodeView) -> crate::base::Mono| portrait.now.ms_since(node.map_or(portrait.context.me.start, moment));
    let mut fields = Fields::default();
    fields.put("name", shown.name);
    let told = portrait.names().told(shown.addr);
    fields.put("ip", told.host());
    fields.put("port", told.port());
    fields.put("runid", report.map(|report| &report.run_id).or(shown.run_id).map_or("", RunId::as_str));
    fields.put("flags", shown.flags.join(","));
    let waiting_since = node.and_then(|node| node.waiting_since);
    fields.put("link-pending-commands", u8::from(waiting_since.is_some()));
    fields.put("link-refcount", 1);
    fields.put_some("failover-state", shown.failover_state);
    fields.put("last-ping-sent", waiting_since.map_or(0, |since| portrait.now.ms_since(since)));
    fields.put("last-ok-ping-reply", age(|node| node.last_valid));
    fields.put("last-ping-reply", age(|node| node.last_reply));
    fields.put_some("s-down-time", node.and_then(|node| node.down_since).map(|since| portrait.now.ms_since(since)));
    fields.put_some("o-down-time", shown.objectively_down_ms);
    fields.put("down-after-milliseconds", portrait.group.settings.down_after_ms);
    fields.put("info-refresh", node.and_then(|node| node.report.as_ref()).map_or(0, |(at, _)| portrait.now.ms_since(*at)));
    fields.put("role-reported", if report.map_or(shown.role, NodeReport::role) == Role::Master { "master" } else { "slave" });
    fields.put("role-reported-time", age(|node| node.role_since));
    fields
}
