//! A master that came back under another address (a pod with its data), which its replicas have found by a name and the record has not.
//!
//! The address on record stays silent and is voted down; the replicas follow a server that the record does not know, and may have copied it. To
//! the failover their history is a foreign one then, and it would be blocked for ever. So where every replica that counts follows one and the
//! same unknown server, that one is looked at; and if it went on with the recorded master's history, it is noted as the master's process. What
//! follows is a failover like any other: the replicas are taken from it, so is its role, and it comes back as a replica.
//!
//! A server that shows no such history is another's, whoever follows it, and an operator has to say what is to become of it.

use super::candidate::continues;
use super::group_judge::{FRESH_MS, Judge};
use crate::base::observation::{NodeReport, RoleReport};
use crate::base::{Addr, Mono};
use crate::machine::{Group, Tenure};

/// How often the server is looked at.
const LOOK_MS: u64 = 100;

impl Judge {
    /// Looks for the recorded master where its replicas have found it. To be called while its address is silent.
    pub(super) fn seek_moved_master(&mut self, group: &Group) {
        let Some(at) = self.followed_by_all(group) else { return };
        let Some(known) = group.replicas.keys().find(|known| self.view.is_same(known, &at)).cloned() else {
            self.look_at_newcomer(group, &at);
            return;
        };
        self.look_every(&known, LOOK_MS);
        let Some((_, report)) = self.seen_now(&known) else { return };
        let told = !report.replid.is_unknown();
        if told && matches!(&report.role, RoleReport::Master { .. }) && self.is_shared_by_all(group, report) && goes_on(group, report) {
            let report = report.clone();
            self.record_master(group, &report);
        }
    }

    /// The address, other than that of any replica that counts, which all of those follow with their links up.
    fn followed_by_all(&self, group: &Group) -> Option<Addr> {
        let mut all = group.replicas.keys().filter(|addr| group.may_hold(addr)).map(|addr| match &self.seen_now(addr)?.1.role {
            RoleReport::Replica(replica) if replica.link_up && !replica.syncing => Some(&replica.master),
            RoleReport::Replica(_) | RoleReport::Master { .. } => None,
        });
        let first = all.next()??;
        let counts = |addr: &&Addr| **addr == group.master.addr || group.may_hold(addr);
        let unknown = *first != Addr::nobody() && !group.data_nodes().filter(counts).any(|known| self.view.is_same(known, first));
        (unknown && all.all(|other| other == Some(first))).then(|| first.clone())
    }

    /// Whether each replica that counts holds the history of this server.
    fn is_shared_by_all(&self, group: &Group, report: &NodeReport) -> bool {
        let holds = |addr: &Addr| self.seen_now(addr).is_some_and(|(_, replica)| replica.replid == report.replid);
        group.replicas.keys().filter(|addr| group.may_hold(addr)).all(holds)
    }

    fn seen_now(&self, addr: &Addr) -> Option<(Mono, &NodeReport)> {
        let (at, report) = self.view.live_report(addr)?;
        (self.now().ms_since(at) <= FRESH_MS).then_some((at, &**report))
    }

    fn look_at_newcomer(&mut self, group: &Group, at: &Addr) {
        let room = group.replicas.len() < group.settings.room_for_replicas();
        if room && !group.settings.replicas_fixed {
            self.propose_replica(group, at, None, Some(Tenure::Guest));
        }
    }

    /// Where the recorded master's process is: at the address on record, unless it is seen at another one.
    pub(super) fn masters_address<'a>(&self, group: &'a Group) -> &'a Addr {
        let process = group.master.identity.as_ref().map(|identity| &identity.run_id);
        let runs_at = |addr: &&Addr| process.is_some() && self.seen_now(addr).map(|(_, report)| &report.run_id) == process;
        group.replicas.keys().find(runs_at).unwrap_or(&group.master.addr)
    }
}

/// Whether a server is the recorded master's process, or went on with its history after a restart.
fn goes_on(group: &Group, report: &NodeReport) -> bool {
    let known = group.master.identity.as_ref();
    known.is_some_and(|known| known.run_id == report.run_id || known.replid == report.replid) || continues(group, report)
}
