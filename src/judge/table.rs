//! The candidate table of a fenced failover: one row for each replica, with the reason why it cannot be promoted, if there is one.

use super::fenced_failover::{DetachState, Roster};
use super::group_judge::Judge;
use super::intact::{DataHeld, held};
use crate::base::Addr;
use crate::base::observation::RoleReport;
use crate::machine::{Candidate, ChosenFor, Group, Ineligible};

impl Judge {
    pub(super) fn priority_of(&self, addr: &Addr) -> Option<u32> {
        let loan = self.attempt.as_ref().and_then(|attempt| attempt.loan.as_ref()).filter(|loan| loan.source == *addr);
        let (_, report) = self.view.nodes.get(addr)?.report.as_ref()?;
        match &report.role {
            RoleReport::Replica(replica) => Some(replica.priority),
            RoleReport::Master { .. } => loan.and_then(|loan| loan.priority),
        }
    }

    /// The candidate table, in the order of addresses.
    pub(super) fn table(&self, group: &Group, roster: &Roster) -> Vec<TableRow> {
        roster.standings.iter().map(|(addr, standing)| self.row(group, addr, standing)).collect()
    }

    fn row(&self, group: &Group, addr: &Addr, standing: &DetachState) -> TableRow {
        let report = self.view.nodes.get(addr).and_then(|node| node.report.as_ref()).map(|(_, report)| report);
        let priority = self.priority_of(addr);
        let ineligible = match standing {
            DetachState::Off(_) if priority == Some(0) => Some(Ineligible::PriorityZero),
            DetachState::Off(_) => self.unpromotable(group, addr),
            DetachState::Attached(None) => Some(Ineligible::Attached),
            DetachState::Attached(Some(reason)) | DetachState::Useless(reason) => Some(reason.clone()),
        };
        let held = if let DetachState::Off(report) = standing { Some(held(group, report)) } else { None };
        let candidate = Candidate {
            addr: addr.clone(),
            run_id: report.map(|report| report.run_id.clone()),
            priority,
            offset: report.map(|report| report.offset),
            detached: held.is_some(),
            ineligible,
        };
        TableRow { candidate, held }
    }
}

/// One replica in the table, with what it holds if it has left the old master and is intact.
#[derive(Clone, Debug)]
pub(super) struct TableRow {
    pub(super) candidate: Candidate,
    pub(super) held: Option<DataHeld>,
}

impl TableRow {
    /// Lower is preferred.
    pub(super) fn priority(&self) -> u32 {
        self.candidate.priority.unwrap_or(u32::MAX)
    }

    /// Decides between replicas that hold equally much: priority, then run id, as in `compareSlavesForPromotion` of `sentinel.c`.
    pub(super) fn tie_break_key(&self) -> (u32, String, &Addr) {
        let run_id = self.candidate.run_id.as_ref().map(|run_id| run_id.as_str().to_ascii_lowercase()).unwrap_or_default();
        (self.priority(), run_id, &self.candidate.addr)
    }
}

/// What sets the chosen one apart from the others that could have been.
pub(super) fn reason_for(chosen: &Addr, rows: &[&TableRow]) -> ChosenFor {
    let Some(first) = rows.iter().find(|row| row.candidate.addr == *chosen) else { return ChosenFor::OnlyCandidate };
    let second = rows.iter().find(|row| row.candidate.addr != *chosen && row.candidate.ineligible.is_none());
    match second {
        None => ChosenFor::OnlyCandidate,
        Some(second) if first.held > second.held => ChosenFor::Offset,
        Some(second) if first.priority() != second.priority() => ChosenFor::Priority,
        Some(_) => ChosenFor::RunId,
    }
}
