//! Another server at the recorded master's address: a name that leads elsewhere now, or to several servers, or an address that changed hands.
//!
//! What such a server says is nothing that the master says, so nothing of it is taken for the master's: not its role (which would be put right
//! by a promotion that nobody decided), not its fence, not its answers to PING. The master is out of sight, and voted down if that lasts. A
//! process that nobody knows is no such case: a master that restarted is one as well.

use super::down::{Verdict, due};
use super::group_judge::Judge;
use super::loss::expected_process;
use super::view::{Link, NodeView};
use crate::base::Addr;
use crate::base::observation::{NodeObservation, NodeReport, Observed, ReplicaReport, RoleReport};
use crate::machine::{Evidence, Group};

impl Judge {
    /// Whether something was seen of a server that only stands where the recorded master is to be; that is noted, and nothing else of it.
    pub(super) fn is_of_stand_in(&mut self, seen: &NodeObservation) -> bool {
        let is_master = seen.addr == self.world.group.master.addr;
        let who = match &seen.what {
            Observed::Report(report) if is_master => self.stand_in(&self.world.group, report),
            Observed::Report(_) => None,
            Observed::Fence(_) | Observed::Rewritten(_) | Observed::ClientsKilled(_) | Observed::Refusals(_) | Observed::BadReport(_) => {
                return is_master && self.view.nodes.get(&seen.addr).is_some_and(|node| node.stand_in.is_some());
            }
            Observed::Linked
            | Observed::Reached(_)
            | Observed::Unlinked(_)
            | Observed::Pinged
            | Observed::Valid(_)
            | Observed::Invalid(_) => return false,
        };
        let Some(node) = self.view.nodes.get_mut(&seen.addr) else { return false };
        let since = node.stand_in.as_ref().map_or(seen.at, |(since, _)| *since);
        node.stand_in = who.map(|who| (since, who));
        node.stand_in.is_some()
    }

    /// Who a process at the recorded master's address is, if it is certainly another server.
    fn stand_in(&self, group: &Group, report: &NodeReport) -> Option<String> {
        if expected_process(group).is_none_or(|expected| *expected == report.run_id) {
            return None;
        }
        let recorded = |addr: &&Addr| group.process_at(addr) == Some(&report.run_id);
        if let Some(addr) = group.replicas.keys().find(recorded) {
            return Some(format!("{addr}, a replica of it"));
        }
        // A master that restarted follows nobody whom it can reach, unless it was told to follow one of the group.
        let follows = match &report.role {
            RoleReport::Replica(replica) if replica.link_up || replica.syncing => replica,
            RoleReport::Replica(_) | RoleReport::Master { .. } => return None,
        };
        let seen_there = |addr: &&Addr| self.view.live_report(addr).is_some_and(|(_, other)| other.run_id == report.run_id);
        if let Some(addr) = group.replicas.keys().find(seen_there) {
            return Some(format!("{addr}, a replica of it"));
        }
        let inside = |followed: &ReplicaReport| group.replicas.keys().any(|addr| self.view.is_same(addr, &followed.master));
        (!inside(follows)).then(|| format!("a server that follows {}", follows.master))
    }

    /// How a server that stands where the master is to be counts: as the master's silence.
    pub(super) fn judge_stand_in(&self, node: &NodeView) -> Option<Verdict> {
        let (since, _) = node.stand_in.as_ref().filter(|_| matches!(node.link, Link::Up { .. }))?;
        let since = (*since).max(self.master_since);
        Some(due(since, self.world.group.settings.down_after_ms, Evidence::Elsewhere, self.now()))
    }

    /// What was monitored as a master, has never been one, and says that it is a replica.
    pub(super) fn never_a_master(&self, group: &Group) -> Option<String> {
        let (addr, unseen) = (&group.master.addr, group.master.identity.is_none() && group.announced == group.master.addr);
        let (_, report) = self.view.live_report(addr).filter(|_| unseen)?;
        let RoleReport::Replica(replica) = &report.role else { return None };
        Some(format!(
            "{addr} says that it is a replica of {}, and was never seen as a master: SENTINEL REMOVE it, and MONITOR that one",
            replica.master
        ))
    }

    /// The same for people.
    pub(super) fn stand_in_problem(&self, master: &Addr) -> Option<String> {
        let (_, who) = self.view.nodes.get(master)?.stand_in.as_ref()?;
        Some(format!("{master} does not lead to the master now, but to {who}: the master is out of sight (see what the name stands for)"))
    }
}
