//! The steps of a failover, as its leader takes them: look at the candidates, decide, promote, point the others, end.
//! How a strict one comes to its decision is `fenced_failover`; a planned one, `switchover`.
//!
//! Each step is taken because the log says that it is due, and is over when the log, or an observation, says so.
//! A leader that takes over in the middle therefore goes on where the last one stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::candidate::{Look, by_data, choose, rank_candidates};
use super::cut_again::CutAgain;
use super::group_judge::{FRESH_MS, FailoverAttempt, Judge};
use super::intent::{Ask, Intent, ProposalKey};
use super::repair::{deviation, identity_of, is_detached};
use super::view::{GroupView, Link, NodeView};
use crate::base::observation::{LinkLoss, NodeReport, Role, RoleReport};
use crate::base::{Addr, Fence, Mono};
use crate::machine::{
    AbortReason, Candidate, Cause, Choice, Command, Failover, FencingProof, Group, Ineligible, Phase, ShadowEntry, fit_reasons,
};

/// A replica that does not answer INFO within this time is not waited for.
const GATHER_MS: u64 = 300;
/// One that has said nothing for so long stands in the way; until then it may be slow to answer. As long as an act may take.
const ANSWER_MS: u64 = 1000;
/// A blocked failover looks at its candidates anew this often, besides at every report that comes by itself.
const LOOK_AGAIN_MS: u64 = 500;
/// A replica that has been out of reach for this long is not waited for.
const OUT_OF_REACH_MS: u64 = 1000;
/// While a replica attaches to the new master it is looked at this often.
const ATTACH_LOOK_MS: u64 = 20;

impl Judge {
    pub(super) fn lead_failover(&mut self) {
        let group = Arc::clone(&self.world.group);
        let Some(failover) = &group.failover else { return };
        let attempt = self.attempt_at(failover);
        if failover.phase.is_undecided() && matches!(failover.cause, Cause::Down { .. }) {
            self.seek_moved_master(&group);
        }
        match &failover.phase {
            Phase::Choosing => self.choose_master(&group, failover, &attempt),
            Phase::Detaching => self.lead_detaching(&group, failover, &attempt),
            Phase::Draining { target } => self.lead_draining(&group, failover, &attempt, target.as_ref()),
            Phase::Promoting => self.promote_chosen(&group, failover),
            Phase::Following { followed } => {
                let waiting: Vec<Addr> = group.replicas.keys().filter(|addr| !followed.contains(*addr)).cloned().collect();
                self.keep_promoted(&group, &attempt);
                self.keep_records(&group);
                self.follow_up(&group, failover, &attempt, followed, waiting);
            }
        }
    }

    /// The attempt at this failover, which is begun if there is none.
    pub(super) fn attempt_at(&mut self, failover: &Failover) -> FailoverAttempt {
        match self.attempt.clone() {
            Some(attempt) if attempt.id == failover.id && !self.began_to_lead => attempt,
            known => self.begin_attempt(failover, known.as_ref()),
        }
    }

    /// Begins to lead a failover, or does so again after a lapse of leadership: then its time limit goes on, but its
    /// candidates are looked at anew.
    fn begin_attempt(&mut self, failover: &Failover, known: Option<&FailoverAttempt>) -> FailoverAttempt {
        let now = self.now();
        let first = known.filter(|known| known.id == failover.id).map_or(now, |known| known.first);
        let (id, left) = (failover.id, BTreeMap::new());
        let attempt = FailoverAttempt {
            id,
            first,
            since: now,
            looked: now,
            left,
            quorum_at: None,
            returned: None,
            loan: None,
            pause: None,
            cut_again: CutAgain::default(),
        };
        self.attempt = Some(attempt.clone());
        self.look_at_replicas();
        self.want(Intent::Look(self.world.group.master.addr.clone()));
        attempt
    }

    pub(super) fn look_at_replicas(&mut self) {
        let replicas: Vec<Addr> = self.world.group.replicas.keys().cloned().collect();
        replicas.into_iter().for_each(|addr| self.want(Intent::Look(addr)));
    }

    /// Until when replicas are waited for that have not answered.
    pub(super) const fn gather_until(&self, attempt: &FailoverAttempt) -> Mono {
        attempt.since.plus_ms(GATHER_MS)
    }

    /// Until when a replica of which nothing is known may only be slow to answer; none where that is over, or its end is certain.
    pub(super) fn may_answer_until(&self, addr: &Addr, attempt: &FailoverAttempt) -> Option<Mono> {
        let node = self.view.nodes.get(addr).filter(|node| node.down_since.is_none() && node.cannot_judge.is_none())?;
        let since = match &node.link {
            Link::Down { loss: LinkLoss::Refused, .. } => return None,
            Link::Untried => attempt.since,
            Link::Up { since } | Link::Down { since, .. } => attempt.since.max(*since),
        };
        Some(since.plus_ms(ANSWER_MS)).filter(|until| self.now() < *until)
    }

    fn choose_master(&mut self, group: &Group, failover: &Failover, attempt: &FailoverAttempt) {
        let now = self.now();
        // Whoever was never seen to be there is not waited for.
        if !group.replicas.keys().filter(|addr| group.may_hold(addr)).all(|addr| self.settled(addr, attempt)) {
            self.wake_by(self.gather_until(attempt));
            return;
        }
        let not_before = attempt.since.max(Mono(now.0.saturating_sub(FRESH_MS * 1000)));
        let mut candidates = rank_candidates(group, &self.view, Look { not_before, now });
        if failover.forced.is_some() {
            // Whoever accepts a loss wants the smallest one.
            candidates.sort_by_key(|candidate| (candidate.ineligible.is_some(), std::cmp::Reverse(candidate.offset)));
        }
        let (name, id, by, at) = (group.name.clone(), failover.id, self.me, self.world.wall);
        let choice = choose(candidates.clone(), self.master_offset(group));
        if choice.is_none()
            && let Some(until) = self.slow_candidate(attempt, &candidates)
        {
            self.wake_by(until);
            return;
        }
        match choice {
            Some(choice) => {
                let basis = if failover.forced.is_some() { FencingProof::Forced } else { FencingProof::Unfenced };
                // By force it is to take writes, however few are left to follow it. It is armed as soon as enough do.
                let forced = |fence: Fence| if basis == FencingProof::Forced { Fence { min_replicas: 0, ..fence } } else { fence };
                let choice = Choice { basis, arms: group.promotion_fence().map(forced), ..choice };
                self.propose(ProposalKey::Step, Command::Promote { group: name, id, choice, by, at });
            }
            None if matches!(failover.cause, Cause::Requested { .. }) => {
                self.propose(ProposalKey::Step, Command::FailoverAborted { group: name, id, reason: AbortReason::NoGoodReplica, at });
            }
            None => {
                self.fulfil_last_decision(group);
                let reason = |candidate: Candidate| (candidate.addr, candidate.ineligible.unwrap_or(Ineligible::NoReport));
                self.stay_blocked(group, failover, attempt, candidates.into_iter().map(reason).collect());
            }
        }
    }

    /// Until when a candidate that nothing is known of may be a good one after all.
    fn slow_candidate(&self, attempt: &FailoverAttempt, candidates: &[Candidate]) -> Option<Mono> {
        let unheard = candidates.iter().filter(|candidate| candidate.ineligible == Some(Ineligible::NoReport));
        unheard.filter_map(|candidate| self.may_answer_until(&candidate.addr, attempt)).max()
    }

    /// With nobody else to choose, the replica that the last decision chose is promoted after all if it has returned. So is a master that
    /// a planned change had told to be nobody's, if nothing came of it.
    pub(super) fn fulfil_last_decision(&mut self, group: &Group) {
        let chosen = &group.master.addr;
        let fresh = |at: Mono| self.now().ms_since(at) <= FRESH_MS;
        let a_replica = self.view.live_report(chosen).is_some_and(|(at, report)| fresh(at) && report.role() == Role::Replica);
        let unfulfilled = group.promotion_unconfirmed() && a_replica && self.may_be_promoted(group);
        let of_late = Mono(self.now().0.saturating_sub(FRESH_MS * 1000));
        if !self.is_without_rival(group) {
            return;
        }
        if unfulfilled || self.is_detached_for_nothing(group) || self.demoted_at_offset(group, of_late).is_some() {
            self.ask(chosen, Ask::Promote { fence: group.masters_fence() });
        }
    }

    /// A new master that is a replica again (by a late REPLICAOF of a former leader, say) is made a master again. Only if
    /// two reports say so: a single one may be from before its promotion.
    fn keep_promoted(&mut self, group: &Group, attempt: &FailoverAttempt) {
        let master = &group.master.addr;
        let Some(node) = self.view.nodes.get(master) else { return };
        let (role_since, newest) = (node.role_since, self.view.live_report(master).map(|(at, report)| (at, report.role())));
        match newest {
            // Another process may have lost what the replicas got from the one before: it is voted down.
            Some((_, Role::Replica)) if !self.keeps_what_was_confirmed(group) => {}
            Some((_, Role::Replica)) if !self.is_without_rival(group) => {
                self.look_at_replicas_every(ATTACH_LOOK_MS);
            }
            Some((at, Role::Replica)) if at > role_since && at >= attempt.since => {
                self.ask(master, Ask::Promote { fence: group.masters_fence() });
            }
            Some((_, Role::Replica)) => {
                self.look_every(master, ATTACH_LOOK_MS);
            }
            Some((_, Role::Master)) | None => {}
        }
    }

    /// Whether nothing more is to be learned of a replica by waiting.
    pub(super) fn settled(&self, addr: &Addr, attempt: &FailoverAttempt) -> bool {
        let Some(node) = self.view.nodes.get(addr) else { return true };
        let answered = node.report.as_ref().is_some_and(|(at, _)| *at >= attempt.since);
        answered || self.now() >= attempt.since.plus_ms(GATHER_MS) || out_of_sight(node)
    }

    pub(super) fn master_offset(&self, group: &Group) -> Option<u64> {
        let (_, report) = self.view.nodes.get(&group.master.addr)?.report.as_ref()?;
        matches!(report.role, RoleReport::Master { .. }).then_some(report.offset)
    }

    /// Says what stands in the way, and looks again every now and then.
    pub(super) fn stay_blocked(&mut self, group: &Group, failover: &Failover, attempt: &FailoverAttempt, reasons: Vec<(Addr, Ineligible)>) {
        let reasons = fit_reasons(reasons);
        if !failover.blocked.as_ref().is_some_and(|known| same_reasons(known, &reasons)) {
            let (name, id, at) = (group.name.clone(), failover.id, self.world.wall);
            let command = if group.in_shadow() {
                Command::Shadow { group: name, entry: ShadowEntry::Blocked { id, reasons }, at, asked: None }
            } else {
                Command::FailoverBlocked { group: name, id, reasons, at }
            };
            self.propose(ProposalKey::Step, command);
        }
        let again = attempt.looked.plus_ms(LOOK_AGAIN_MS);
        if self.now() >= again {
            self.note_looked();
            self.look_at_replicas();
        }
        self.wake_by(self.now().plus_ms(LOOK_AGAIN_MS));
    }

    /// Its candidates are being looked at now.
    pub(super) fn note_looked(&mut self) {
        let now = self.now();
        if let Some(attempt) = &mut self.attempt {
            attempt.looked = now;
        }
    }

    fn promote_chosen(&mut self, group: &Group, failover: &Failover) {
        let chosen = &group.master.addr;
        // Whatever the link: the promotion itself cuts it, as it does all clients.
        let newest = self.view.nodes.get(chosen).and_then(|node| node.report.as_ref());
        let seen = newest.filter(|(at, report)| *at >= self.master_since && report.role() == Role::Master);
        match seen.map(|(_, report)| identity_of(report)) {
            // Another process may lack what it was chosen for, even if it obeyed: it is voted down, as one that does not.
            _ if !self.may_be_promoted(group) => {}
            Some(identity) => {
                // A fenced master takes writes as soon as it has its replicas: they do not wait for the log.
                if group.promotion_fence().is_some() {
                    let waiting = group.replicas.keys().cloned().collect();
                    self.point(group, waiting);
                }
                if !self.is_to_take_writes_first(group, failover) {
                    let (name, id, at) = (group.name.clone(), failover.id, self.world.wall);
                    self.propose(ProposalKey::Step, Command::Promoted { group: name, id, identity, at });
                }
            }
            None => {
                self.ask(chosen, Ask::Promote { fence: group.masters_fence() });
                if group.promotion_fence().is_some() {
                    self.demote_others(group);
                }
            }
        }
    }

    /// A master that was replaced takes no writes from the moment on at which it can be told so.
    fn demote_others(&mut self, group: &Group) {
        for (addr, (_, report)) in self.live_reports() {
            let other = addr != group.master.addr && !self.is_the_master(&report);
            if other && let Some(ask @ Ask::Demote { .. }) = deviation(&self.view, group, &report) {
                self.ask(&addr, ask);
            }
        }
    }

    fn follow_up(&mut self, group: &Group, failover: &Failover, attempt: &FailoverAttempt, followed: &BTreeSet<Addr>, waiting: Vec<Addr>) {
        let (now, name, id, at) = (self.now(), group.name.clone(), failover.id, self.world.wall);
        let (waiting, following) = self.point(group, waiting);
        for addr in following {
            let command = Command::ReplicaFollows { group: name.clone(), id, replica: addr.clone(), at };
            self.propose(ProposalKey::Follows(addr), command);
        }
        let deadline = attempt.first.plus_ms(group.settings.failover_timeout_ms);
        let cutting = self.is_to_cut_again(group, failover, attempt);
        if (waiting.is_empty() && !cutting) || now >= deadline {
            let left = group.replicas.keys().filter(|addr| !followed.contains(*addr)).cloned().collect();
            self.propose(ProposalKey::Step, Command::FailoverDone { group: name, id, left, at });
        } else {
            self.wake_by(deadline);
        }
    }

    /// Points at the new master whoever does not follow it. Returns those of `waiting` that can be expected to follow, and those that do.
    fn point(&mut self, group: &Group, waiting: Vec<Addr>) -> (Vec<Addr>, Vec<Addr>) {
        let now = self.now();
        let reports = self.live_reports();
        let is_master = |addr: &Addr| reports.get(addr).is_some_and(|(_, report)| self.is_the_master(report));
        // What was made of a server by hand meanwhile is looked into when this is over.
        let by_hand = |addr: &Addr| {
            let seen = reports.get(addr).map(|(at, report)| (*at, &**report));
            seen.and_then(|seen| self.branch(group, addr, seen)).is_some() && !self.is_pointed_at_master(group, addr)
        };
        let due = |addr: &Addr| !self.out_of_reach(addr) && !is_master(addr) && !by_hand(addr) && !self.is_foreign(group, addr);
        let mut waiting: Vec<Addr> = waiting.into_iter().filter(due).collect();
        waiting.sort_by(|a, b| by_data(&self.view, a, b));
        let mut attaching = 0;
        let mut following = Vec::new();
        let mut to_point = Vec::new();
        for addr in &waiting {
            let newest = self.view.nodes.get(addr).and_then(|node| node.report.as_ref());
            // One that was detached goes on from where it was, whatever the link says: being detached has cut that.
            let detached = newest.filter(|(_, report)| is_detached(report));
            let Some((_, report)) = reports.get(addr).or(detached) else {
                // Its link is lost while it attaches: the place stays taken until more is seen.
                let told = newest.is_some_and(|(_, report)| is_attaching(&self.view, group, report));
                attaching += usize::from(told || self.asks.is_under_way(addr, now));
                continue;
            };
            match (deviation(&self.view, group, report), &report.role) {
                (Some(ask @ Ask::Demote { .. }), _) => {
                    self.ask(addr, ask);
                }
                (Some(ask), _) if is_detached(report) => {
                    self.ask(addr, ask);
                }
                (Some(ask), _) => to_point.push((addr.clone(), ask)),
                (None, RoleReport::Replica(replica)) if replica.link_up => following.push(addr.clone()),
                (None, RoleReport::Replica(_) | RoleReport::Master { .. }) => {
                    attaching += 1;
                    self.look_every(addr, ATTACH_LOOK_MS);
                }
            }
        }
        // It takes no writes without these.
        let needed = group.masters_fence().map_or(0, |fence| fence.min_replicas);
        let room = (group.settings.parallel_syncs.max(needed) as usize).saturating_sub(attaching);
        for (addr, ask) in to_point.into_iter().take(room) {
            self.ask(&addr, ask);
        }
        (waiting, following)
    }

    /// Whether a replica has been unreachable for so long that the failover does not wait for it.
    fn out_of_reach(&self, addr: &Addr) -> bool {
        let Some(node) = self.view.nodes.get(addr) else { return true };
        let unlinked_for_long = match &node.link {
            Link::Down { since, .. } => self.now().ms_since(*since) >= OUT_OF_REACH_MS,
            Link::Untried | Link::Up { .. } => false,
        };
        unlinked_for_long || node.down_since.is_some() || node.cannot_judge.is_some()
    }
}

/// Whether a replica has been told to follow the master and has no link to it yet.
fn is_attaching(view: &GroupView, group: &Group, report: &NodeReport) -> bool {
    matches!(&report.role, RoleReport::Replica(replica) if !replica.link_up) && deviation(view, group, report).is_none()
}

const fn out_of_sight(node: &NodeView) -> bool {
    node.down_since.is_some() || node.cannot_judge.is_some() || matches!(node.link, Link::Down { .. })
}

/// Whether two lists of reasons say the same, numbers that only grow with time left aside.
fn same_reasons(a: &[(Addr, Ineligible)], b: &[(Addr, Ineligible)]) -> bool {
    let kind = |reasons: &[(Addr, Ineligible)]| -> Vec<_> {
        reasons.iter().map(|(addr, reason)| (addr.clone(), std::mem::discriminant(reason))).collect()
    };
    let (mut a, mut b) = (kind(a), kind(b));
    a.sort_by(|x, y| x.0.cmp(&y.0));
    b.sort_by(|x, y| x.0.cmp(&y.0));
    a == b
}
