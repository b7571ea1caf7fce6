//! The one loop that makes the data nodes what the log says they are, and the log say what the data nodes are.
//!
//! Runs on the leader whenever no failover is under way. A master that comes back after it was replaced, a
//! replica of the wrong master, a loop of replicas: each is a node that reports something else than is recorded.

use std::sync::Arc;

use super::candidate::{Lineage, continues, lineage};
use super::intent::{Ask, ProposalKey};
use super::mind::{FRESH_MS, Judge};
use crate::base::observation::{NodeReport, Role, RoleReport};
use crate::base::{Addr, Mono, limits};
use crate::machine::{Command, Group, Identity};

impl Judge {
    pub(super) fn repair(&mut self) {
        let group = Arc::clone(&self.world.group);
        let master = &group.master.addr;
        let reports = self.live_reports();
        let current = |at: Mono| self.is_fresh(at) && self.view.is_of_this_link(master, at);
        let Some((_, of_master)) = reports.get(master).filter(|(at, _)| current(*at)) else { return };
        match &of_master.role {
            RoleReport::Master { replicas } => {
                self.record_master(&group, of_master);
                // What does not fit the record is not proposed: it would be refused again and again.
                let room = limits::REPLICAS_PER_GROUP.saturating_sub(group.replicas.len());
                let unknown =
                    replicas.iter().map(|attached| &attached.addr).filter(|addr| *addr != master && !group.replicas.contains_key(addr));
                unknown.take(room).for_each(|addr| self.propose_replica(&group, addr, None));
            }
            RoleReport::Replica(_) => {
                self.reinstate(&group, of_master);
                return;
            }
        }
        if self.view.is_down(master) {
            return;
        }
        let copying = reports.values().filter(|(_, report)| is_copying(report)).count();
        let mut room = (group.settings.parallel_syncs as usize).saturating_sub(copying);
        for (addr, (at, report)) in reports.iter().filter(|(addr, _)| *addr != master) {
            if self.is_the_master(report) {
                continue;
            }
            match deviation(&group, report) {
                None => self.record_replica(&group, addr, report),
                Some(_) if !self.is_fresh(*at) => {}
                // A second master is not left one for want of room.
                Some(ask @ (Ask::Promote | Ask::Demote { .. })) => self.ask(addr, ask),
                Some(ask @ Ask::Repoint { .. }) if room > 0 => {
                    room -= 1;
                    self.ask(addr, ask);
                }
                Some(Ask::Repoint { .. }) => {}
            }
        }
    }

    /// Whether this report of a recorded replica is the master's own, seen at a second address of it (a name beside an IP, say).
    /// Whoever told that one to follow the master would make the master follow itself.
    pub(super) fn is_the_master(&self, report: &NodeReport) -> bool {
        let master = &self.world.group.master;
        let recorded = master.identity.as_ref().map(|identity| &identity.run_id);
        let seen = self.view.nodes.get(&master.addr).and_then(|node| node.report.as_ref()).map(|(_, report)| &report.run_id);
        recorded == Some(&report.run_id) || seen == Some(&report.run_id)
    }

    fn is_fresh(&self, at: Mono) -> bool {
        self.now().ms_since(at) <= FRESH_MS
    }

    /// The recorded master became a replica by somebody else's doing: it is made a master again.
    ///
    /// Also if the log chose it and nobody has seen that carried out. Not if it was never seen as the configured master, or holds foreign data: then the record may be what is wrong. Data that goes
    /// on from the recorded history is no such thing: nothing of it was given up for another master's.
    fn reinstate(&mut self, group: &Group, report: &NodeReport) {
        let ours = lineage(group, report) == Lineage::Same || continues(group, report);
        if (group.master.identity.is_some() && ours) || group.is_unfulfilled() {
            self.ask(&group.master.addr, Ask::Promote);
        }
    }

    fn record_master(&mut self, group: &Group, report: &NodeReport) {
        let identity = identity_of(report);
        if group.master.identity.as_ref() != Some(&identity) {
            let (name, epoch, at) = (group.name.clone(), group.epoch, self.world.wall);
            self.propose(ProposalKey::Master, Command::MasterSeen { group: name, epoch, identity, at });
        }
    }

    /// Records what a replica in sync is: what it is to be recognised by when the master is gone.
    fn record_replica(&mut self, group: &Group, addr: &Addr, report: &NodeReport) {
        let in_sync = matches!(&report.role, RoleReport::Replica(replica) if replica.link_up && !replica.syncing);
        let identity = identity_of(report);
        let known = group.replicas.get(addr).and_then(|record| record.identity.as_ref());
        if in_sync && known != Some(&identity) {
            self.propose_replica(group, addr, Some(identity));
        }
    }

    fn propose_replica(&mut self, group: &Group, replica: &Addr, identity: Option<Identity>) {
        let (name, epoch, at) = (group.name.clone(), group.epoch, self.world.wall);
        let command = Command::ReplicaSeen { group: name, epoch, replica: replica.clone(), identity, at };
        self.propose(ProposalKey::Replica(replica.clone()), command);
    }
}

/// Whether a replica is receiving a full copy, which `parallel-syncs` is to bound.
fn is_copying(report: &NodeReport) -> bool {
    matches!(&report.role, RoleReport::Replica(replica) if replica.syncing)
}

/// What has to be asked of a node that is recorded as a replica; nothing if it is one of the recorded master.
pub(super) fn deviation(group: &Group, report: &NodeReport) -> Option<Ask> {
    let master = &group.master.addr;
    match &report.role {
        RoleReport::Master { .. } => Some(Ask::Demote { master: master.clone() }),
        RoleReport::Replica(replica) if replica.master != *master => Some(Ask::Repoint { master: master.clone() }),
        RoleReport::Replica(_) => None,
    }
}

/// What a report says of a node's identity.
pub(super) fn identity_of(report: &NodeReport) -> Identity {
    debug_assert!(matches!(report.role(), Role::Master | Role::Replica));
    Identity {
        run_id: report.run_id.clone(),
        replid: report.replid.clone(),
        replid2: report.replid2.clone(),
        second_offset: report.second_offset,
    }
}
