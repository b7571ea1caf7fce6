//! The entry of a replica: fields 1 to 17, then its link to its master, then ours.

use super::{Fields, InstanceReply, node};
use crate::base::Addr;
use crate::base::observation::Role;
use crate::machine::{Failover, Phase};

/// All fields.
pub(super) fn fields(portrait: &InstanceReply<'_>, addr: &Addr) -> Fields {
    let record = portrait.group.replicas.get(addr);
    let mut fields = node::fields(
        portrait,
        node::Shown {
            name: portrait.names().told(addr).to_string(),
            addr,
            role: Role::Replica,
            run_id: record.and_then(|record| record.identity.as_ref()).map(|identity| &identity.run_id),
            flags: flags(portrait, addr),
            failover_state: None,
            objectively_down_ms: None,
        },
    );
    let view = portrait.view.nodes.get(addr);
    let report = node::replica_report(view);
    fields.put("master-link-down-time", report.and_then(|report| report.link_down_s).unwrap_or(0).saturating_mul(1000));
    fields.put("master-link-status", if report.is_some_and(|report| report.link_up) { "ok" } else { "err" });
    fields.put("master-host", report.map_or("?", |report| report.master.host()));
    fields.put("master-port", report.map_or(0, |report| report.master.port()));
    fields.put("slave-priority", report.map_or(100, |report| report.priority));
    fields.put("slave-repl-offset", node::report(view).map_or(0, |report| report.offset));
    fields.put("replica-announced", u8::from(report.is_none_or(|report| report.announced)));
    portrait.put_held(&mut fields, addr);
    fields
}

fn flags(portrait: &InstanceReply<'_>, addr: &Addr) -> Vec<&'static str> {
    let node = portrait.view.nodes.get(addr);
    let mut flags = Vec::new();
    if portrait.view.is_down(addr) {
        flags.push("s_down");
    }
    flags.push("slave");
    if portrait.disconnected(addr) {
        flags.push("disconnected");
    }
    if let Some(Failover { phase: Phase::Following { followed }, .. }) = &portrait.group.failover {
        let repointed = node::replica_report(node).is_some_and(|report| report.master == portrait.group.master.addr);
        match (followed.contains(addr), repointed) {
            (true, _) => flags.push("reconf_done"),
            (false, true) => flags.push("reconf_inprog"),
            (false, false) => {}
        }
    }
    if node::is_told_to_end_its_script(&portrait.view, addr) {
        flags.push("script_kill_sent");
    }
    flags
}
