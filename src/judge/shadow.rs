//! What a leader does that carries nothing out: it comes to its verdict, keeps the record true, and follows what others do.
//!
//! For groups in shadow, and for those whose leader holds back because of others ([`HeldBack`]). No intent of this file
//! changes a server: they are proposals and looks.
//!
//! The verdict of a strict group is by what is seen: nobody is detached for it. Whoever could not be relied on (it restarted, or was never
//! in sync) is no candidate; whether the old master would have been out of writes cannot be tried.

use std::sync::Arc;

use super::candidate::{Look, choose, continues, rank_candidates};
use super::group_judge::{FRESH_MS, FailoverAttempt, Judge};
use super::intact::check_intact;
use super::intent::ProposalKey;
use super::repair::identity_of;
use super::view::HeldBack;
use crate::base::observation::{Role, RoleReport};
use crate::base::settings::PromotionPolicy;
use crate::base::{Addr, Mono};
use crate::machine::{AbortReason, Candidate, Cause, Choice, Command, Failover, FencingProof, Group, Ineligible, ShadowEntry, Tenure};

/// A replica that has been a master for so long was promoted, even if no stock sentinel was heard to say so: it says so at the end of
/// its failover, usually within a second or two.
const MOVED_AFTER_MS: u64 = 2000;
/// A data node that somebody spoke of is looked at this often: others work on these servers.
const LOOK_MS: u64 = 100;

impl Judge {
    /// Whether the leader only watches now. What was decided before is finished all the same: half a failover is worse than either end.
    pub(super) fn only_watches(&self) -> bool {
        let group = &self.world.group;
        let undecided = group.failover.as_ref().is_none_or(|failover| failover.phase.is_undecided());
        match &self.world.held_back {
            _ if group.in_shadow() => true,
            Some(HeldBack::OwnFile) => true,
            Some(HeldBack::Stock | HeldBack::Shared(_)) => undecided,
            Some(HeldBack::Listening) => group.failover.is_none(),
            None => false,
        }
    }

    pub(super) fn watch_only(&mut self) {
        let group = Arc::clone(&self.world.group);
        match &group.failover {
            Some(failover) if group.in_shadow() => self.judge_in_shadow(&group, failover),
            Some(failover) if failover.phase.is_undecided() => self.hold_back(&group, failover),
            Some(_) => {}
            None => {
                self.attempt = None;
                self.record_what_is_there(&group);
            }
        }
        self.follow_others(&group);
    }

    /// Comes to the decision that would be carried out.
    fn judge_in_shadow(&mut self, group: &Group, failover: &Failover) {
        if group.open_incident().is_some_and(|incident| incident.ours.verdict.is_some()) {
            return;
        }
        let attempt = self.attempt_at(failover);
        if !group.replicas.keys().all(|addr| self.settled(addr, &attempt)) {
            self.wake_by(self.gather_until(&attempt));
            return;
        }
        let candidates = self.candidates_in_shadow(group, &attempt);
        let id = failover.id;
        match choose(candidates.clone(), self.master_offset(group)) {
            Some(choice) => {
                let choice = Choice { basis: FencingProof::Unfenced, ..choice };
                let entry = ShadowEntry::Decided { id, choice, by: self.me };
                self.propose_shadow(ProposalKey::Step, group, entry);
            }
            None => {
                let reason = |candidate: Candidate| (candidate.addr, candidate.ineligible.unwrap_or(Ineligible::NoReport));
                self.stay_blocked(group, failover, &attempt, candidates.into_iter().map(reason).collect());
            }
        }
    }

    /// In the order of the policy `available`. A strict group would take the preferred one, too, after it has caught up.
    fn candidates_in_shadow(&self, group: &Group, attempt: &FailoverAttempt) -> Vec<Candidate> {
        let now = self.now();
        let not_before = attempt.since.max(Mono(now.0.saturating_sub(FRESH_MS * 1000)));
        let mut candidates = rank_candidates(group, &self.view, Look { not_before, now });
        let strict = group.wanted_fence().is_some() && group.settings.promotion_policy != PromotionPolicy::Available;
        for candidate in candidates.iter_mut().filter(|candidate| strict && candidate.ineligible.is_none()) {
            let report = self.view.nodes.get(&candidate.addr).and_then(|node| node.report.as_ref());
            candidate.ineligible = report.and_then(|(_, report)| check_intact(group, &candidate.addr, report).err());
        }
        candidates.sort_by_key(|candidate| candidate.ineligible.is_some());
        candidates
    }

    /// Says why nothing is done, where something would be due.
    fn hold_back(&mut self, group: &Group, failover: &Failover) {
        let attempt = self.attempt_at(failover);
        if matches!(failover.cause, Cause::Requested { .. }) {
            let (name, id, at) = (group.name.clone(), failover.id, self.world.wall);
            let command = Command::FailoverAborted { group: name, id, reason: AbortReason::HeldBack, at };
            self.propose(ProposalKey::Step, command);
            return;
        }
        let why = match &self.world.held_back {
            // Status and readiness say so; the log has no word for it that all releases know.
            Some(HeldBack::Shared(_)) => return,
            Some(HeldBack::OwnFile) => Ineligible::OwnFileSaysShadow,
            Some(HeldBack::Stock | HeldBack::Listening) | None => Ineligible::StockWatches,
        };
        self.stay_blocked(group, failover, &attempt, vec![(group.master.addr.clone(), why)]);
    }

    /// Keeps the record true: what the master and its replicas are, and who they are.
    fn record_what_is_there(&mut self, group: &Group) {
        let master = &group.master.addr;
        let mut fresh = self.live_reports();
        fresh.retain(|_, (at, _)| self.now().ms_since(*at) <= FRESH_MS);
        for (addr, (at, report)) in &fresh {
            match &report.role {
                RoleReport::Master { replicas, .. } if addr == master => {
                    if self.lost_history(group).is_none() {
                        self.record_master(group, report);
                    }
                    self.record_unknown(group, replicas);
                }
                RoleReport::Replica(replica) if addr != master && self.view.is_same(master, &replica.master) => {
                    if let Some((master_at, of_master)) = fresh.get(master) {
                        self.record_replica(group, addr, (*at, report), (*master_at, of_master));
                    }
                }
                // The record may be older than the servers' last failover: whom it names knows who came after it.
                RoleReport::Replica(replica) if addr == master && replica.master != Addr::nobody() => {
                    self.look_for(group, &replica.master.clone());
                }
                RoleReport::Master { .. } | RoleReport::Replica(_) => {}
            }
        }
    }

    /// Moves the record to where others moved the master, once that is seen to be one.
    fn follow_others(&mut self, group: &Group) {
        if group.acts_despite_stock()
            || self.world.held_back == Some(HeldBack::Listening)
            || group.failover.as_ref().is_some_and(|failover| !failover.phase.is_undecided())
        {
            return;
        }
        let said = group.open_incident().and_then(|incident| incident.stock.switched.as_ref()).and_then(|told| told.word.addr());
        let to = match said {
            Some(said) => self.look_for(group, said).filter(|known| self.is_seen_as_master(known)),
            None => self.moved_without_a_word(group),
        };
        let Some(to) = to.filter(|to| *to != group.master.addr) else { return };
        if let Some((_, report)) = self.view.live_report(&to) {
            let entry = ShadowEntry::MasterMoved { epoch: group.epoch, to: to.clone(), identity: identity_of(report) };
            self.propose_shadow(ProposalKey::Master, group, entry);
        }
    }

    /// The recorded name of a data node that somebody spoke of. One that is not known is looked at from now on.
    fn look_for(&mut self, group: &Group, said: &Addr) -> Option<Addr> {
        let known = group.data_nodes().find(|known| self.view.is_same(known, said)).cloned();
        match &known {
            Some(known) => self.look_every(known, LOOK_MS),
            None => self.propose_replica(group, said, None, Some(Tenure::Guest)),
        }
        known
    }

    fn is_seen_as_master(&self, addr: &Addr) -> bool {
        let fresh = |at: Mono| self.now().ms_since(at) <= FRESH_MS;
        self.view.live_report(addr).is_some_and(|(at, report)| fresh(at) && report.role() == Role::Master)
    }

    /// The one replica that has been a master for a while, where the recorded one is none, or is not there.
    ///
    /// Only one that goes on from the recorded master's data, or that the recorded one follows: the master before it may not have been
    /// demoted yet, which stock Sentinel takes ten seconds for, and is no successor of anybody.
    fn moved_without_a_word(&self, group: &Group) -> Option<Addr> {
        if self.is_seen_as_master(&group.master.addr) {
            return None;
        }
        let for_long = |addr: &Addr| {
            let node = self.view.nodes.get(addr)?;
            let report = node.report.as_ref().map(|(_, report)| report)?;
            let long = self.now().ms_since(node.role_since) >= MOVED_AFTER_MS;
            let succeeds = continues(group, report) || self.is_followed_by_the_recorded_one(group, addr);
            (long && succeeds && self.is_seen_as_master(addr) && !self.is_the_master(report)).then(|| addr.clone())
        };
        let mut masters = group.replicas.keys().filter_map(for_long);
        let first = masters.next()?;
        masters.next().is_none().then_some(first)
    }

    fn is_followed_by_the_recorded_one(&self, group: &Group, addr: &Addr) -> bool {
        self.view.live_report(&group.master.addr).is_some_and(|(_, report)| match &report.role {
            RoleReport::Replica(replica) => self.view.is_same(addr, &replica.master),
            RoleReport::Master { .. } => false,
        })
    }

    fn propose_shadow(&mut self, key: ProposalKey, group: &Group, entry: ShadowEntry) {
        let (name, at) = (group.name.clone(), self.world.wall);
        self.propose(key, Command::Shadow { group: name, entry, at, asked: None });
    }
}
