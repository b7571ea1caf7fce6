//! Servers that are not the group's, at addresses that are: another one has moved in where a replica was.
//!
//! To make a server a replica empties it. So nothing is asked of one that has keys and shows no sign of belonging here: neither its process
//! nor its replication history is known to the record, it follows no server of the group, and it is not plainly the installation that was
//! seen at that address before. A server without keys has nothing to lose, and is attached as by stock Sentinel.
//!
//! An address at which a master of this group lived is different: a master that comes back from an append-only file has keys and a history
//! that nobody knows. It is taken back, unless another installation answers there or strangers follow it.

use super::group_judge::Judge;
use super::intent::{Intent, LocalEvent};
use super::view::{HeldBack, Home, NodeView, Owner};
use crate::base::observation::{NodeReport, RoleReport};
use crate::base::{Addr, ReplId, RunId, limits};
use crate::machine::{Group, Identity};

impl Judge {
    /// Whether a server at an address of the group is none of the group's.
    pub(super) fn is_foreign(&self, group: &Group, addr: &Addr) -> bool {
        self.owner(group, addr).is_some()
    }

    /// Whose server is at an address of the group, if not the group's.
    fn owner(&self, group: &Group, addr: &Addr) -> Option<Owner> {
        if let Some(other) = self.world.elsewhere.get(addr) {
            return Some(Owner::Group(other.clone()));
        }
        let node = self.view.nodes.get(addr)?;
        let (_, report) = node.report.as_ref()?;
        self.shows_nothing_of_ours(group, addr, (node, report)).then_some(Owner::Unknown)
    }

    fn shows_nothing_of_ours(&self, group: &Group, addr: &Addr, (node, report): (&NodeView, &NodeReport)) -> bool {
        let adopted = group.replicas.get(addr).and_then(|record| record.adopted.as_ref()) == Some(&report.run_id);
        // A master that was never seen is what the operator says that it is.
        let unseen = *addr == group.master.addr && group.master.identity.is_none();
        if is_known(group, report) || node.home == Home::Same || adopted || unseen {
            return false;
        }
        let inside = |said: &Addr| group.data_nodes().any(|known| self.view.is_same(known, said));
        match &report.role {
            RoleReport::Replica(replica) => replica.master != Addr::nobody() && !inside(&replica.master),
            RoleReport::Master { replicas, .. } => {
                let led_here =
                    *addr == group.master.addr || group.history.iter().any(|decision| decision.old == *addr || leads_to(decision, addr));
                let followed_by_strangers = !replicas.is_empty() && !replicas.iter().any(|attached| inside(&attached.addr));
                let other_installation = !led_here || node.home == Home::Other;
                may_have_keys(report) && (followed_by_strangers || other_installation)
            }
        }
    }

    /// Tells those who listen when a server turns out to be foreign, or no longer is there.
    pub(super) fn note_foreign(&mut self, addr: &Addr) {
        // Of a group that follows another one as a whole that is told at once, not server by server.
        let follows = matches!(self.world.held_back, Some(HeldBack::Shared(_)));
        let owner = self.owner(&self.world.group, addr).filter(|_| !follows);
        let Some(node) = self.view.nodes.get_mut(addr).filter(|node| node.foreign != owner) else { return };
        node.foreign.clone_from(&owner);
        self.want(Intent::Notify { node: addr.clone(), what: LocalEvent::Foreign { owner } });
    }
}

fn leads_to(decision: &crate::machine::Decision, addr: &Addr) -> bool {
    decision.decided.is_some() && decision.choice.as_ref().is_some_and(|(choice, _)| choice.chosen == *addr)
}

/// Whether the record knows the process, or the history that it holds or went on from.
fn is_known(group: &Group, report: &NodeReport) -> bool {
    let master = &group.master;
    let of_replicas = group.replicas.values().filter_map(|record| record.identity.as_ref());
    let known: Vec<&Identity> = master.identity.iter().chain(&master.inherits).chain(of_replicas).collect();
    let process = |run_id: &RunId| known.iter().any(|identity| identity.run_id == *run_id);
    let history = |replid: &ReplId| {
        if replid.is_unknown() {
            return false;
        }
        let recorded = known.iter().any(|identity| identity.replid == *replid || identity.replid2.as_ref() == Some(replid));
        recorded || master.former_history.as_ref() == Some(replid) || master.earlier.as_ref() == Some(replid)
    };
    process(&report.run_id) || history(&report.replid) || report.replid2.as_ref().is_some_and(history)
}

/// INFO has a line for each database that is not empty, at its end, which is not kept of a text that is too long.
fn may_have_keys(report: &NodeReport) -> bool {
    let cut = report.raw.len().saturating_add(8) >= limits::INFO_KEPT_BYTES;
    cut || report.raw.lines().any(|line| line.starts_with("db") && line.contains(":keys="))
}

/// The installation that a report is of: its program and its configuration file.
pub(super) fn installation(report: &NodeReport) -> (Option<&str>, Option<&str>) {
    let field = |name: &str| report.raw.lines().find_map(|line| line.strip_prefix(name));
    (field("executable:"), field("config_file:"))
}
