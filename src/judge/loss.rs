//! A master that came back as another process, without what it had: seen before its replicas have copied that from it, it is replaced.

use super::candidate::{Lineage, continues, lineage};
use super::group_judge::{FailoverAttempt, Judge};
use super::intact::{check_intact, known_since};
use super::repair::is_detached;
use crate::base::observation::{NodeReport, Role, RoleReport};
use crate::base::{Addr, ReplId, RunId, limits};
use crate::machine::{Evidence, Group, Ineligible};

impl Judge {
    /// For how long the recorded master has been there again without data that replicas still hold, if so.
    ///
    /// They would copy the emptiness as soon as they attach to it. Only as long as enough of them have the data for one to be
    /// promoted: then what the master has is all there is. One that came back with no key at all is not followed
    /// even if a single replica has more, be it one that restarted: that one is promoted when nothing else will come, or an operator chooses.
    pub(super) fn lost_history(&self, group: &Group) -> Option<u64> {
        let expected = expected_process(group).filter(|_| group.is_strict())?;
        let (at, report) = self.view.live_report(&group.master.addr)?;
        if report.run_id == *expected || !self.view.is_of_this_link(&group.master.addr, at) {
            return None;
        }
        let Some(known) = &group.master.identity else {
            // Chosen, and restarted before anybody saw it promoted: it may lack what it was chosen for, whoever else has that.
            return Some(self.now().ms_since(at));
        };
        let known = &known.replid;
        let (mut intact, mut intact_has_more, mut anybody_has_keys) = (0, false, false);
        for addr in group.replicas.keys() {
            // On a fresh link the report before it may be of a process that is gone.
            let Some(replica) = self.in_sight(addr) else { continue };
            let more = has_more(group, known, replica, report);
            let checked = check_intact(group, addr, replica);
            if checked.is_ok() {
                intact += 1;
                intact_has_more |= more;
            }
            anybody_has_keys |= more && has_keys(replica) && (checked.is_ok() || is_whole_again(group, replica, checked));
        }
        let replaceable = intact_has_more && intact >= group.needed().detached;
        (replaceable || (anybody_has_keys && !has_keys(report))).then(|| self.now().ms_since(at))
    }

    /// Whether the recorded master is there without a key, as another process than before, and a replica that counts is out of sight for the
    /// moment: its link is made anew, and what it has may be all that is left. Until that is seen, or it is down, nobody is pointed at the master.
    pub(super) fn may_have_lost_history(&self, group: &Group) -> bool {
        let unseen = |addr: &Addr| group.may_hold(addr) && self.in_sight(addr).is_none() && !self.view.is_down(addr);
        group.is_strict() && self.master_returned_empty(group) && group.replicas.keys().any(unseen)
    }

    /// Whether a replica has copied what the recorded master came back with, which is nothing.
    pub(super) fn has_copied_nothing(&self, group: &Group, report: &NodeReport) -> bool {
        self.master_returned_empty(group)
            && !has_keys(report)
            && self.in_sight(&group.master.addr).is_some_and(|master| master.replid == report.replid)
    }

    /// Whether the recorded master was told to be nobody's, and everybody is in sight and has nothing that it lacks: then it is the master after all.
    pub(super) fn is_detached_for_nothing(&self, group: &Group) -> bool {
        let detached = self.in_sight(&group.master.addr).is_some_and(is_detached);
        let holders = || group.replicas.keys().filter(|addr| group.may_hold(addr));
        detached && holders().all(|addr| self.in_sight(addr).is_some()) && self.keeps_what_was_confirmed(group)
    }

    /// Whether the recorded master, which is a replica now, can be made a master again without what was confirmed being lost.
    ///
    /// That can be said of the process that it was. Another one (started as a replica, as a command line may have it) is compared with
    /// enough of those that were in sync, or with all that there are: its replicas would throw away what it lacks.
    pub(super) fn keeps_what_was_confirmed(&self, group: &Group) -> bool {
        if self.may_be_promoted(group) {
            return true;
        }
        let (Some(report), Some(known)) = (self.in_sight(&group.master.addr), &group.master.identity) else { return false };
        let holders = group.replicas.keys().filter(|addr| group.may_hold(addr));
        let seen: Vec<(&Addr, &NodeReport)> = holders.filter_map(|addr| Some((addr, self.in_sight(addr)?))).collect();
        let intact = seen.iter().filter(|(addr, replica)| check_intact(group, addr, replica).is_ok()).count();
        if seen.len() < group.holders() as usize && intact < group.needed().detached as usize {
            return false;
        }
        // One that restarted may lack something, and so cannot vouch for the others; what it has of this history is there all the same. One
        // that began another history when it restarted (from an append-only file) cannot be compared but by whether there are any keys at all.
        let speaks = |addr: &Addr, replica: &NodeReport| {
            let checked = check_intact(group, addr, replica);
            checked.is_ok() || is_whole_again(group, replica, checked)
        };
        let lacks = seen.iter().any(|(addr, replica)| speaks(addr, replica) && has_more(group, &known.replid, replica, report));
        let emptied = self.master_returned_empty(group) && seen.iter().any(|(_, replica)| has_keys(replica));
        !lacks && !emptied
    }

    /// Whether every server on record is back, and what they hold together is all that is left: the old master returned as another process
    /// without any key, and every replica is there, whole, and of the master's history. Then the one that holds most is as good as it gets,
    /// also if it restarted: whatever a restart may have lost is on no other server either, and to wait would bring nothing.
    pub(super) fn nothing_more_will_come(&self, group: &Group, attempt: &FailoverAttempt) -> bool {
        let whole = |addr: &Addr| {
            let node = self.view.nodes.get(addr);
            known_since(node, attempt.since).is_ok_and(|(at, report)| {
                let standing = matches!(&report.role, RoleReport::Replica(replica) if !replica.syncing && !replica.place_lost);
                let kept = is_of_ours(group, report) && report.offset > 0;
                self.is_there(addr, at) && standing && !report.loading && (kept || self.has_copied_nothing(group, report))
            })
        };
        let kept = |addr: &Addr| self.in_sight(addr).is_some_and(|report| is_of_ours(group, report) && report.offset > 0);
        let all = || group.replicas.keys();
        group.replicas.len() > 1 && self.master_returned_empty(group) && all().all(whole) && all().any(kept)
    }

    /// As what a master that lost history is voted down: without any key, or with some that may not be all.
    pub(super) fn loss_evidence(&self, group: &Group) -> Evidence {
        if self.master_returned_empty(group) { Evidence::Emptied } else { Evidence::LostHistory }
    }

    /// Whether the recorded master is there as another process than before, and has no key: INFO says so, by a section of databases
    /// that lists none.
    fn master_returned_empty(&self, group: &Group) -> bool {
        let expected = expected_process(group);
        self.in_sight(&group.master.addr).is_some_and(|report| {
            let other = expected.is_some_and(|expected| *expected != report.run_id);
            // A long text is kept in part only, and the databases are its end.
            let whole = report.raw.len().saturating_add(8) < limits::INFO_KEPT_BYTES;
            other && !report.loading && whole && report.raw.contains("# Keyspace") && !has_keys(report)
        })
    }

    /// The newest report of a node, if it is of the process at the other end of the present link.
    fn in_sight(&self, addr: &Addr) -> Option<&NodeReport> {
        self.view.live_report(addr).filter(|(at, _)| self.view.is_of_this_link(addr, *at)).map(|(_, report)| &**report)
    }

    /// Whether the recorded master may be told to be one: strict, it must be the process that was seen as one, or was chosen.
    pub(super) fn may_be_promoted(&self, group: &Group) -> bool {
        let newest = self.view.nodes.get(&group.master.addr).and_then(|node| node.report.as_ref());
        let other = |expected: &RunId| newest.is_some_and(|(_, report)| report.run_id != *expected);
        !(group.is_strict() && expected_process(group).is_some_and(other))
    }
}

/// The process that the recorded master was last seen to be; of one that was never seen as a master, the one that was chosen.
pub(super) fn expected_process(group: &Group) -> Option<&RunId> {
    if let Some(seen) = &group.master.identity {
        return Some(&seen.run_id);
    }
    let decision = group.history.iter().rev().find(|decision| decision.decided == Some(group.master.since))?;
    let (choice, _) = decision.choice.as_ref()?;
    choice.candidates.iter().find(|candidate| candidate.addr == choice.chosen)?.run_id.as_ref()
}

/// Whether a replica has something that another process in the place of the recorded master lacks; `known` is the history of the one before.
fn has_more(group: &Group, known: &ReplId, replica: &NodeReport, master: &NodeReport) -> bool {
    if replica.replid == master.replid && master.role() == Role::Replica {
        // It has not begun a history of its own: how far each has come in the one that they share says it.
        return replica.offset > master.offset;
    }
    let continued = continues(group, master) || *known == master.replid;
    !continued || master.second_offset.is_some_and(|until| replica.offset >= until)
}

/// Whether a server holds the recorded master's history, or what it continued.
fn is_of_ours(group: &Group, report: &NodeReport) -> bool {
    lineage(group, report) == Lineage::Same || continues(group, report)
}

/// Whether nothing but a restart speaks against a replica. It may lack something; what it has is of the group.
fn is_whole_again(group: &Group, report: &NodeReport, checked: Result<(), Ineligible>) -> bool {
    let syncing = matches!(&report.role, RoleReport::Replica(replica) if replica.syncing);
    checked == Err(Ineligible::Restarted) && !report.loading && !syncing && is_of_ours(group, report)
}

/// INFO has a line for each database that is not empty.
fn has_keys(report: &NodeReport) -> bool {
    report.raw.lines().any(|line| line.starts_with("db") && line.contains(":keys="))
}
