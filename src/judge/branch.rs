//! Servers that went on with the recorded master's history under another name, by an operator's hand: what each holds of its own.

use super::candidate::continues;
use super::fence::held_by;
use super::group_judge::Judge;
use super::repair::{deviation, is_detached};
use crate::base::observation::{NodeReport, Role, RoleReport};
use crate::base::{Addr, Fence, Mono};
use crate::machine::Group;

/// The length of the PING that a master sends to its replicas every ten seconds (`repl-ping-replica-period`).
const PING_BYTES: u64 = 14;
/// No write is as short as three of them: the first one after a promotion is preceded by SELECT, 41 bytes with the shortest write.
const PINGS: u64 = 3;

/// A server that went on with the recorded master's history under another name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Branch {
    /// It holds nothing of its own. While it is not closed to writes, that may change at any moment.
    Idle {
        /// Whether it was seen so after it had been closed.
        closed: bool,
    },
    /// It may hold confirmed writes that the recorded master lacks.
    MayHold,
}

impl Judge {
    /// What a server holds of its own, if it went on with the recorded history under another name. By the policy `available` nothing
    /// depends on that.
    pub(super) fn branch(&self, group: &Group, addr: &Addr, (at, report): (Mono, &NodeReport)) -> Option<Branch> {
        if !group.is_strict() || !branches_off(group, report) {
            return None;
        }
        let record = group.replicas.get(addr).and_then(|record| record.identity.as_ref());
        let same_process = record.is_some_and(|record| record.run_id == report.run_id);
        match &report.role {
            RoleReport::Master { replicas, .. } => {
                if self.lends(addr) {
                    return None;
                }
                let followed = replicas.iter().any(|attached| group.data_nodes().any(|node| self.view.is_same(node, &attached.addr)));
                match (followed, same_process) {
                    (true, _) => Some(Branch::MayHold),
                    (false, true) if holds_own(report) => Some(Branch::MayHold),
                    (false, true) => Some(Branch::Idle { closed: self.is_closed(addr, at) }),
                    // One that restarted as a master, and that nobody follows, confirms nothing.
                    (false, false) => None,
                }
            }
            RoleReport::Replica(replica) => {
                let follows_lender = self.is_lender(group, &replica.master);
                // One that restarted as a master, and was taken off by a failover, is no more than it was then.
                let restarted = !same_process && is_detached(report);
                let own = self.holds_of_branch(report) && !self.is_of_master(group, report);
                (own && !follows_lender && !restarted).then_some(Branch::MayHold)
            }
        }
    }

    /// Whether a replica holds more than the history that its present one branched off from.
    ///
    /// It names the place at which it changed over itself, and has fetched from there on what its master had held before it went on under the
    /// new name: with `+CONTINUE` Redis lets nobody change over who is further than that (`masterTryPartialResynchronization`). So the
    /// furthest place that anybody names is the nearest to the branch.
    fn holds_of_branch(&self, report: &NodeReport) -> bool {
        let of_same = self.view.nodes.values().filter_map(|node| node.report.as_ref()).filter(|(_, other)| other.replid == report.replid);
        let forks = of_same.filter(|(_, other)| other.replid2 == report.replid2).filter_map(|(_, other)| fork(other));
        match fork(report) {
            Some(own) => is_more(report.offset, forks.fold(own, u64::max)),
            None => true,
        }
    }

    /// Whether what a report shows goes on as the recorded master itself does, which began another history when it restarted: it has come from there.
    fn is_of_master(&self, group: &Group, report: &NodeReport) -> bool {
        let master = self.view.live_report(&group.master.addr).map(|(_, master)| master);
        master.is_some_and(|master| master.role() == Role::Master && master.replid == report.replid)
    }

    /// Whether a server is a master by a failover that was given up, which let it lend its data. It has never taken a write.
    pub(super) fn lends(&self, addr: &Addr) -> bool {
        held_by(&self.view, addr) == Some(Fence::NO_WRITES)
    }

    /// Whether a replica follows one that lends, by the address that it names.
    pub(super) fn is_lender(&self, group: &Group, followed: &Addr) -> bool {
        group.replicas.keys().any(|node| self.lends(node) && self.view.is_same(node, followed))
    }

    /// Whether what a replica holds goes on under another name than the recorded one.
    pub(super) fn is_renamed(&self, group: &Group, addr: &Addr) -> bool {
        let newest = self.view.nodes.get(addr).and_then(|node| node.report.as_ref());
        newest.is_some_and(|(_, report)| report.role() == Role::Replica && continues(group, report))
    }

    /// Whether a server takes no writes for certain, and its newest report is from after that. One that does not say what it holds is taken
    /// to have obeyed.
    pub(super) fn is_shut(&self, addr: &Addr) -> bool {
        let Some(node) = self.view.nodes.get(addr) else { return false };
        let reported = node.report.as_ref().map(|(at, _)| *at);
        match &node.fence {
            Some((at, sight)) => {
                sight.held().is_none_or(|held| (held == Fence::NO_WRITES || held == Fence::CLOSED) && reported >= Some(*at))
            }
            None => true,
        }
    }

    /// Whether a report names the recorded master as the one that is followed.
    pub(super) fn is_pointed_at_master(&self, group: &Group, addr: &Addr) -> bool {
        self.view.live_report(addr).is_some_and(|(_, report)| deviation(&self.view, group, report).is_none())
    }

    /// Whether a master is that by somebody's hand, and may hold something of its own.
    pub(super) fn is_by_hand(&self, group: &Group, addr: &Addr) -> bool {
        let newest = self.view.nodes.get(addr).and_then(|node| node.report.as_ref());
        newest.is_some_and(|(at, report)| self.branch(group, addr, (*at, report)).is_some())
    }

    /// Whether it was closed to writes before it was seen at `at`. One that does not say what it holds cannot be.
    fn is_closed(&self, addr: &Addr, at: Mono) -> bool {
        let Some(node) = self.view.nodes.get(addr) else { return false };
        let closed_at = node.fence.as_ref().map(|(seen, sight)| (*seen, sight.held()));
        closed_at.is_none_or(|(seen, held)| held.is_none_or(|held| held == Fence::CLOSED && at >= seen))
    }
}

/// Whether a server went on with the recorded master's history under another name.
pub(super) fn branches_off(group: &Group, report: &NodeReport) -> bool {
    let Some(known) = &group.master.identity else { return false };
    let from = report.replid2.as_ref().filter(|_| report.replid != known.replid);
    // A master that restarted from an append-only file has its data under a name that says nothing of the former one.
    let names = [Some(&known.replid), group.master.earlier.as_ref(), group.master.former_history.as_ref()];
    from.is_some_and(|from| names.contains(&Some(from)))
}

/// Whether a server holds nothing that `other` lacks, which went on under another name: it has come no further than to where that one went on.
pub(super) fn is_part_of(report: &NodeReport, other: &NodeReport) -> bool {
    // It was with the other one, and left it without anything of its own.
    if report.replid2.as_ref() == Some(&other.replid) && !holds_own(report) && fork(report).is_some_and(|at| at <= other.offset) {
        return true;
    }
    let (Some(from), Some(parted)) = (&other.replid2, fork(other)) else { return false };
    let own_name = report.replid == *from && report.offset <= parted;
    own_name || (report.replid2.as_ref() == Some(from) && !holds_own(report) && fork(report).is_some_and(|at| at <= parted))
}

/// How much of its former history a server had when it went on under another name.
pub(super) fn fork(report: &NodeReport) -> Option<u64> {
    report.second_offset.map(|next| next.saturating_sub(1))
}

/// Whether it holds more than its former history; the PINGs that it sent to replicas are nothing.
pub(super) fn holds_own(report: &NodeReport) -> bool {
    fork(report).is_none_or(|fork| is_more(report.offset, fork))
}

const fn is_more(offset: u64, fork: u64) -> bool {
    let own = offset.saturating_sub(fork);
    !own.is_multiple_of(PING_BYTES) || own > PINGS * PING_BYTES
}
