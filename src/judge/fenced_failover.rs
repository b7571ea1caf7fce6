//! The strict way to a decision: take the replicas from the old master, make sure that it is out of writes, choose the one that holds most.
//!
//! Nothing of it is kept in the log before the decision: a replica that follows nobody is seen to by looking, so that a
//! leader that takes over goes on with what it finds, and an abort leaves nothing but replicas that repair attaches again.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::candidate::overreach;
use super::fencing_proof::window_end;
use super::group_judge::{FRESH_MS, FailoverAttempt, Judge};
use super::intact::{DataHeld, check_intact, known_since};
use super::intent::{Ask, Intent, ProposalKey};
use super::table::{TableRow, reason_for};
use super::view::Link;
use crate::base::observation::{LinkLoss, NodeReport, Role, RoleReport};
use crate::base::{Addr, Mono};
use crate::machine::{Choice, ChosenFor, Command, Failover, FencingProof, Group, Ineligible, Needed};

/// How long the decision waits for replicas that are still being detached when enough of them are.
const STRAGGLERS_MS: u64 = 100;
/// After this long without a quorum it is said what is missing, even if everybody seems to be there.
const SAY_SO_MS: u64 = 2000;
/// How long a link that was cut may take to come back, with a report, until it is taken for gone.
const RELINK_MS: u64 = 300;

/// Where a replica stands on its way from the old master.
#[derive(Clone, Debug)]
pub(super) enum DetachState {
    /// It has left, and is intact.
    Off(Arc<NodeReport>),
    /// It is there and has not left yet; none if it is intact as far as is known.
    Attached(Option<Ineligible>),
    /// It counts for nothing: it is not there, or has left and cannot be relied on.
    Useless(Ineligible),
}

/// Where all of them stand.
pub(super) struct Roster {
    pub(super) standings: BTreeMap<Addr, DetachState>,
    /// Intact ones that have left.
    pub(super) off: u32,
    /// Intact ones that could be told to.
    pub(super) attached: u32,
}

impl Judge {
    pub(super) fn lead_detaching(&mut self, group: &Group, failover: &Failover, attempt: &FailoverAttempt) {
        let needed = group.needed();
        self.adopt_loan(group, attempt);
        let attempt = &self.attempt.clone().unwrap_or_else(|| attempt.clone());
        let roster = self.roster(group, attempt);
        let Some(since) = self.note_departures(&roster, needed) else {
            self.gather(group, failover, attempt, &roster, needed);
            return;
        };
        self.detach_attached(group, &roster);
        if self.is_returning(group, since) {
            return;
        }
        match self.out_of_writes(group, needed, (since, roster.off)) {
            Some(basis) if roster.attached == 0 || self.now() >= since.plus_ms(STRAGGLERS_MS) => {
                self.choose_most_advanced(group, failover, attempt, &roster, basis);
            }
            Some(_) => self.wake_by(since.plus_ms(STRAGGLERS_MS)),
            None => self.await_silence(group, failover, attempt, needed, (since, roster.off)),
        }
    }

    /// Where each replica stands.
    pub(super) fn roster(&self, group: &Group, attempt: &FailoverAttempt) -> Roster {
        let standings: BTreeMap<Addr, DetachState> =
            group.replicas.keys().map(|addr| (addr.clone(), self.standing(group, addr, attempt))).collect();
        let count =
            |is: fn(&DetachState) -> bool| u32::try_from(standings.values().filter(|standing| is(standing)).count()).unwrap_or(u32::MAX);
        let off = count(|standing| matches!(standing, DetachState::Off(_)));
        let attached = count(|standing| matches!(standing, DetachState::Attached(None)));
        Roster { standings, off, attached }
    }

    fn standing(&self, group: &Group, addr: &Addr, attempt: &FailoverAttempt) -> DetachState {
        let node = self.view.nodes.get(addr);
        match known_since(node, attempt.since) {
            Ok((at, report)) if self.is_off(addr, report, attempt) && self.is_there(addr, at) => {
                match (self.check_reliable(group, addr, (at, report), attempt), node.and_then(|node| node.report.as_ref())) {
                    (Ok(()), Some((_, report))) => DetachState::Off(Arc::clone(report)),
                    (Ok(()), None) => DetachState::Useless(Ineligible::NoReport),
                    (Err(reason), _) => DetachState::Useless(reason),
                }
            }
            Ok((_, report)) if self.is_off(addr, report, attempt) => DetachState::Useless(Ineligible::Down),
            Ok(seen) => self.attached(group, addr, seen, attempt),
            // Not seen since this began: a link that is up and a look of lately are as much as can be known before it is told.
            Err(reason) => match (node.map(|node| &node.link), known_since(node, Mono(self.now().0.saturating_sub(FRESH_MS * 1000)))) {
                (Some(Link::Up { .. }), Ok(seen)) => self.attached(group, addr, seen, attempt),
                _ => DetachState::Useless(reason),
            },
        }
    }

    /// Whether a replica has what it confirmed and says nothing impossible; or has what is left of that, where no server is missing.
    pub(super) fn check_reliable(
        &self,
        group: &Group,
        addr: &Addr,
        (at, report): (Mono, &NodeReport),
        attempt: &FailoverAttempt,
    ) -> Result<(), Ineligible> {
        if let Some(reason) = overreach(group, &self.view, addr, (at, report)) {
            return Err(reason);
        }
        match check_intact(group, addr, report) {
            Err(Ineligible::Restarted) if self.nothing_more_will_come(group, attempt) => Ok(()),
            // It counts as one that has left the old master; to be chosen it holds too little.
            Err(Ineligible::ForeignHistory { .. } | Ineligible::OutOfSync { .. })
                if self.has_copied_nothing(group, report) && self.nothing_more_will_come(group, attempt) =>
            {
                Ok(())
            }
            checked => checked,
        }
    }

    /// Whether the process that was seen at `at` is still there, as far as can be known. Being detached cuts all other links, ours
    /// as well: that one is made anew, and brings another report, in a moment.
    pub(super) fn is_there(&self, addr: &Addr, at: Mono) -> bool {
        let Some(node) = self.view.nodes.get(addr).filter(|node| node.down_since.is_none()) else { return false };
        let of_late = |since: Mono| self.now().ms_since(since) <= RELINK_MS;
        match &node.link {
            Link::Up { since } => at >= *since || of_late(*since),
            Link::Down { since, loss: LinkLoss::Closed } => of_late(*since),
            Link::Down { .. } | Link::Untried => false,
        }
    }

    /// Whether a replica follows nobody, or takes part in a loan, which is apart from the old master as well.
    fn is_off(&self, addr: &Addr, report: &NodeReport, attempt: &FailoverAttempt) -> bool {
        let source = attempt.loan.as_ref().map(|loan| &loan.source);
        match &report.role {
            RoleReport::Replica(replica) => {
                replica.master == Addr::nobody()
                    || source.is_some_and(|source| source != addr && self.view.is_same(source, &replica.master))
            }
            RoleReport::Master { .. } => source == Some(addr),
        }
    }

    /// Since when as many have left as must, if they have: counted from the last of them, and of those that are off now. One that was off and
    /// came back to the master gives its place to one that left later, which the master may still count.
    fn note_departures(&mut self, roster: &Roster, needed: Needed) -> Option<Mono> {
        let now = self.now();
        let attempt = self.attempt.as_mut()?;
        let mut off = Vec::new();
        for (addr, standing) in &roster.standings {
            match standing {
                DetachState::Off(_) => off.push(*attempt.left.entry(addr.clone()).or_insert(now)),
                DetachState::Attached(_) => {
                    attempt.left.remove(addr);
                }
                // One that is out of sight for a moment has not gone back.
                DetachState::Useless(_) => {}
            }
        }
        off.sort_unstable();
        (needed.detached as usize).checked_sub(1).and_then(|last| off.get(last)).copied()
    }

    /// Too few have left. They are told to only where enough of them are there: a master that keeps its quorum all the same must not
    /// lose the rest of its replicas for nothing. One whose process is gone has nothing to lose; what comes back in its place without data would
    /// be copied by them before anybody could act, and would take writes with their help.
    fn gather(&mut self, group: &Group, failover: &Failover, attempt: &FailoverAttempt, roster: &Roster, needed: Needed) {
        let have = roster.off + roster.attached;
        let hopeful = have >= needed.detached;
        let emptied = self.lost_history(group).is_some();
        if hopeful || emptied || self.is_gone(group) {
            self.detach_attached(group, roster);
        }
        if emptied && self.view.live_report(&group.master.addr).is_some_and(|(_, report)| report.role() == Role::Master) {
            // Nobody is to copy what came back, whether or not somebody can take its place.
            self.ask(&group.master.addr, Ask::Detach { fence: group.promotion_fence() });
        }
        let settled = group.replicas.keys().filter(|addr| group.may_hold(addr)).all(|addr| self.settled(addr, attempt));
        if (hopeful || !settled) && self.now() < attempt.since.plus_ms(SAY_SO_MS) {
            self.wake_by(if settled { attempt.since.plus_ms(SAY_SO_MS) } else { self.gather_until(attempt) });
            return;
        }
        if let Some(until) = self.answers_until(attempt, roster, needed.detached.saturating_sub(have)) {
            self.wake_by(until);
            return;
        }
        let reason = |standing: &DetachState| match standing {
            DetachState::Attached(None) if hopeful => Ineligible::Attached,
            DetachState::Off(_) | DetachState::Attached(None) => Ineligible::TooFew { have, need: needed.detached },
            DetachState::Attached(Some(reason)) | DetachState::Useless(reason) => reason.clone(),
        };
        let reasons = roster.standings.iter().map(|(addr, standing)| (addr.clone(), reason(standing))).collect();
        let mut reasons: Vec<(Addr, Ineligible)> = reasons;
        if !self.may_be_promoted(group) {
            reasons.push((group.master.addr.clone(), Ineligible::Restarted));
        }
        // The last decision was taken behind a fence of its own, so that it may still be carried out.
        self.fulfil_last_decision(group);
        self.stay_blocked(group, failover, attempt, reasons);
    }

    /// Until when it is not said that replicas are missing, because as many as are missing may only be slow to answer.
    fn answers_until(&self, attempt: &FailoverAttempt, roster: &Roster, missing: u32) -> Option<Mono> {
        let unheard = |standing: &DetachState| matches!(standing, DetachState::Useless(Ineligible::NoReport | Ineligible::Down));
        let slow = roster.standings.iter().filter(|(_, standing)| unheard(standing));
        let mut limits: Vec<Mono> = slow.filter_map(|(addr, _)| self.may_answer_until(addr, attempt)).collect();
        limits.sort_unstable_by(|a, b| b.cmp(a));
        missing.checked_sub(1).and_then(|last| limits.get(last as usize).copied())
    }

    /// Tells everybody who can be told, also those that count for nothing: the old master would count them. A master by hand is made a lender
    /// instead: taken off as well, it would go on under a third name when it lends.
    pub(super) fn detach_attached(&mut self, group: &Group, roster: &Roster) {
        let fence = group.promotion_fence();
        for (addr, standing) in &roster.standings {
            if matches!(standing, DetachState::Attached(_)) && !self.is_to_lend(group, addr) {
                self.ask(addr, Ask::Detach { fence });
            }
        }
    }

    /// Whether the old master has just begun to answer again: then the others are about to take their votes back, and it keeps its place.
    /// If they have not done so within the limit, it is only this sentinel that hears it.
    fn is_returning(&mut self, group: &Group, since: Mono) -> bool {
        let now = self.now();
        let report = self.view.live_report(&group.master.addr).filter(|(at, _)| *at > since).map(|(_, report)| report);
        let serves = report.is_some_and(|report| report.role() == Role::Master && !report.loading);
        let answers = serves && self.lost_history(group).is_none();
        let Some(attempt) = &mut self.attempt else { return false };
        attempt.returned = if answers { attempt.returned.or(Some(now)) } else { None };
        let until = attempt.returned.map(|since| since.plus_ms(group.settings.down_after_ms)).filter(|until| now < *until);
        until.into_iter().for_each(|until| self.wake_by(until));
        until.is_some()
    }

    /// Enough have left, and the old master may not have noticed.
    fn await_silence(&mut self, group: &Group, failover: &Failover, attempt: &FailoverAttempt, needed: Needed, (since, off): (Mono, u32)) {
        let master = &group.master.addr;
        if let Some((at, report)) = self.view.live_report(master) {
            let (at, role) = (at, report.role());
            if role == Role::Master && self.lost_history(group).is_some() {
                // What came back in its place has nothing that anybody wants, and perhaps no fence.
                self.ask(master, Ask::Detach { fence: group.promotion_fence() });
            } else if at <= since && self.stand_in_problem(master).is_none() {
                self.want(Intent::Look(master.clone()));
            }
        }
        match self.silence_ends(group, needed, (since, off)) {
            Some(end) if end == window_end(group, since) => self.wake_by(end),
            end => {
                end.into_iter().for_each(|end| self.wake_by(end));
                self.stay_blocked(group, failover, attempt, vec![(master.clone(), Ineligible::NotFenced)]);
            }
        }
    }

    fn choose_most_advanced(
        &mut self,
        group: &Group,
        failover: &Failover,
        attempt: &FailoverAttempt,
        roster: &Roster,
        basis: FencingProof,
    ) {
        if let Some(reasons) = self.torn(group, roster) {
            self.stay_blocked(group, failover, attempt, reasons);
            return;
        }
        let table = self.table(group, roster);
        let mut rows: Vec<&TableRow> = table.iter().filter(|row| row.held.is_some()).collect();
        rows.sort_by(|a, b| b.held.cmp(&a.held).then_with(|| a.tie_break_key().cmp(&b.tie_break_key())));
        let goal = match &attempt.loan {
            Some(loan) => rows.first().and_then(|row| row.held).map(|most| DataHeld { offset: loan.goal.min(most.offset), ..most }),
            None => rows.first().and_then(|row| row.held),
        };
        let preferred = rows.iter().filter(|row| row.candidate.ineligible.is_none()).min_by(|a, b| {
            a.priority().cmp(&b.priority()).then_with(|| b.held.cmp(&a.held)).then_with(|| a.tie_break_key().cmp(&b.tie_break_key()))
        });
        let (Some(most), Some(goal), Some(preferred)) = (rows.first(), goal, preferred) else {
            let reasons =
                table.iter().map(|row| (row.candidate.addr.clone(), row.candidate.ineligible.clone().unwrap_or(Ineligible::NoReport)));
            self.stay_blocked(group, failover, attempt, reasons.collect());
            return;
        };
        let source = attempt.loan.as_ref().map_or(&most.candidate.addr, |loan| &loan.source);
        if preferred.held >= Some(goal) {
            let chosen = preferred.candidate.addr.clone();
            self.decide_for(group, failover, &chosen, &rows, &table, basis);
        } else if self.catching_up(
            group,
            attempt,
            roster,
            (source, goal.offset),
            &preferred.candidate.addr,
            most.candidate.ineligible.is_none(),
        ) {
        } else if most.candidate.ineligible.is_none() {
            let chosen = most.candidate.addr.clone();
            self.decide_for(group, failover, &chosen, &rows, &table, basis);
        } else {
            let behind_bytes = goal.offset.saturating_sub(preferred.held.map_or(0, |held| held.offset));
            let behind = Ineligible::Behind { ahead: source.clone(), behind_bytes };
            let reason = |row: &TableRow| row.candidate.ineligible.clone().unwrap_or_else(|| behind.clone());
            let reasons = table.iter().map(|row| (row.candidate.addr.clone(), reason(row))).collect();
            self.stay_blocked(group, failover, attempt, reasons);
        }
    }

    fn decide_for(
        &mut self,
        group: &Group,
        failover: &Failover,
        chosen: &Addr,
        rows: &[&TableRow],
        table: &[TableRow],
        basis: FencingProof,
    ) {
        let choice = Choice {
            chosen: chosen.clone(),
            reason: reason_for(chosen, rows),
            candidates: table.iter().map(|row| row.candidate.clone()).collect(),
            basis,
            ..self.choice_of(group, chosen)
        };
        let (name, id, by, at) = (group.name.clone(), failover.id, self.me, self.world.wall);
        self.propose(ProposalKey::Step, Command::Promote { group: name, id, choice, by, at });
    }

    /// The parts of a choice that do not depend on how it was come by.
    pub(super) fn choice_of(&self, group: &Group, chosen: &Addr) -> Choice {
        let master_offset = self.master_offset(group);
        let offset = self.view.nodes.get(chosen).and_then(|node| node.report.as_ref()).map(|(_, report)| report.offset);
        Choice {
            chosen: chosen.clone(),
            candidates: Vec::new(),
            reason: ChosenFor::OnlyCandidate,
            master_offset,
            estimated_loss_bytes: master_offset.zip(offset).map(|(master, chosen)| master.saturating_sub(chosen)),
            basis: FencingProof::Unfenced,
            arms: group.promotion_fence(),
            by_hand: false,
        }
    }
}
