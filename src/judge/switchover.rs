//! A planned change: nobody's write is lost, or there is none.
//!
//! The old master's writes are paused, so that nothing is added to what the next one has to fetch; when it has all of it (and, by the
//! strict policy, the old master was seen to be out of writes) the change is decided. The pause ends by itself: whatever
//! becomes of the sentinels, the old master goes on after it. What is decided later than that would not be without loss, so
//! the old master is out of writes before anything is proposed.
//!
//! It is told to be a replica, of nobody: what it had written by then is what the next one must have. Its clients are held by the pause until
//! that moment, closed in it, and sent to the sentinels, who hold their answers until the new master takes writes (`announce`). A master that takes no such order, or whose
//! file cannot be written so that a restart would undo it, has its replicas taken from it instead, or as well. Redis looks at the replicas before it
//! looks at the pause, so its clients are refused meanwhile (`NOREPLICAS`).

use super::candidate::{Look, rank_candidates};
use super::fenced_failover::{DetachState, Roster};
use super::group_judge::{FRESH_MS, FailoverAttempt, Judge};
use super::intact::known_since;
use super::intent::{Ask, Intent, ProposalKey};
use super::repair::is_detached;
use crate::base::observation::{NodeReport, Role, RoleReport};
use crate::base::{Addr, Mono};
use crate::machine::{AbortReason, Candidate, Choice, ChosenFor, Command, Failover, FencingProof, Group};

/// How long the old master's writes wait at most.
const PAUSE_MS: u64 = 2000;
/// From the order to pause to the one to give up its place: clients that come back to the old master at once are there by then, and wait.
const RETURN_MS: u64 = 8;
/// What is left of the pause when a decision is proposed, so that it is carried out in time.
const MARGIN_MS: u64 = 1000;
/// A planned change that was not decided after this long is given up; also sooner, where `failover-timeout` is shorter.
const GIVE_UP_MS: u64 = 10_000;
/// Writes are paused when the next master is this close: what is left is fetched in a moment.
const CLOSE_BYTES: u64 = 4 << 20;
/// How often the next master is looked at while writes wait.
const PAUSED_LOOK_MS: u64 = 2;
/// How often it is looked at before.
const LOOK_MS: u64 = 100;

/// A pause of the old master's writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WritePause {
    /// When it was asked for, which is before it began.
    sent: Mono,
    /// The most that the old master was seen to have written since.
    most: Option<u64>,
    /// How much it had written when the pause had begun; none until it is known to have.
    written: Option<u64>,
}

impl Judge {
    pub(super) fn lead_draining(&mut self, group: &Group, failover: &Failover, attempt: &FailoverAttempt, target: Option<&Addr>) {
        let now = self.now();
        let deadline = attempt.first.plus_ms(GIVE_UP_MS.min(group.settings.failover_timeout_ms));
        if now >= deadline {
            self.give_up(group, failover, AbortReason::NotDrained);
            return;
        }
        self.wake_by(deadline);
        if !group.replicas.keys().all(|addr| self.settled(addr, attempt)) {
            self.wake_by(self.gather_until(attempt));
            return;
        }
        if let Some(target) = target.filter(|target| self.is_adoption(group, target)) {
            self.lead_adopting(group, failover, attempt, target);
            return;
        }
        if group.is_strict() && self.is_led_elsewhere(group) {
            self.give_up(group, failover, AbortReason::NotDrained);
            return;
        }
        let roster = self.roster(group, attempt);
        let candidates = self.drain_candidates(group, &roster, attempt);
        let next =
            target.or_else(|| candidates.iter().find(|candidate| candidate.ineligible.is_none()).map(|candidate| &candidate.addr)).cloned();
        let good = |addr: &Addr| candidates.iter().any(|candidate| candidate.addr == *addr && candidate.ineligible.is_none());
        let Some(next) = next.filter(good) else {
            self.give_up(group, failover, AbortReason::NoGoodReplica);
            return;
        };
        match attempt.pause {
            // Another leader began it: with its replicas taken, or being none itself any more, the old master would wait for nothing.
            None if roster.off > 0 || self.demoted_at_offset(group, attempt.since).is_some() => {
                self.give_up(group, failover, AbortReason::NotDrained)
            }
            None => self.approach(group, attempt, &next),
            Some(pause) => self.drain(group, failover, attempt, &roster, Drained { next, pause, candidates }),
        }
    }

    pub(super) fn give_up(&mut self, group: &Group, failover: &Failover, reason: AbortReason) {
        let (name, id, at) = (group.name.clone(), failover.id, self.world.wall);
        self.propose(ProposalKey::Step, Command::FailoverAborted { group: name, id, reason, at });
    }

    /// How much the old master has written, if it is there and is one.
    fn written(&self, master: &Addr, attempt: &FailoverAttempt) -> Option<u64> {
        let (at, report) = self.view.live_report(master)?;
        (at >= attempt.since && report.role() == Role::Master).then_some(report.offset)
    }

    /// Whether a replica's offset says how much of the master's writes it has: a master that was restarted from an append-only file counts anew,
    /// in a history of its own, which its replicas have yet to copy.
    fn continues(&self, master: &Addr, replica: &NodeReport) -> bool {
        let of_master = self.view.nodes.get(master).and_then(|node| node.report.as_ref());
        of_master.is_some_and(|(_, report)| report.replid == replica.replid)
    }

    /// Who may be next, best first: by the rules of `available`, and of `strict` where that is the policy.
    fn drain_candidates(&self, group: &Group, roster: &Roster, attempt: &FailoverAttempt) -> Vec<Candidate> {
        let now = self.now();
        let not_before = Mono(now.0.saturating_sub(FRESH_MS * 1000));
        let mut candidates = rank_candidates(group, &self.view, Look { not_before: attempt.since.max(not_before), now });
        if group.is_strict() {
            for row in self.table(group, roster) {
                let Some(candidate) = candidates.iter_mut().find(|candidate| candidate.addr == row.candidate.addr) else { continue };
                candidate.detached = row.candidate.detached;
                let usable = matches!(roster.standings.get(&candidate.addr), Some(DetachState::Off(_) | DetachState::Attached(None)));
                // Detached or not, it is next if it is intact and its link lives; the link to the master may be cut by now.
                candidate.ineligible = match (usable, candidate.ineligible.take(), row.candidate.ineligible) {
                    (true, Some(reason @ crate::machine::Ineligible::PriorityZero), _) => Some(reason),
                    (true, _, _) => None,
                    (false, known, reason) => known.or(reason),
                };
            }
        }
        candidates.sort_by_key(|candidate| candidate.ineligible.is_some());
        candidates
    }

    /// Nothing is paused yet: the next master must be close first.
    fn approach(&mut self, group: &Group, attempt: &FailoverAttempt, next: &Addr) {
        let (now, master) = (self.now(), &group.master.addr);
        let report = self.view.live_report(next).map(|(_, report)| report).filter(|report| self.continues(master, report));
        let has = report.map_or(0, |report| report.offset);
        let follows = report.is_some_and(|report| matches!(&report.role, RoleReport::Replica(replica) if replica.link_up));
        if follows && self.written(master, attempt).is_some_and(|written| written.saturating_sub(has) <= CLOSE_BYTES) {
            if self.ask(master, Ask::Pause { ms: PAUSE_MS })
                && let Some(attempt) = &mut self.attempt
            {
                attempt.pause = Some(WritePause { sent: now, most: None, written: None });
            }
        } else {
            let again = attempt.looked.plus_ms(LOOK_MS);
            if now >= again {
                self.note_looked();
                self.want(Intent::Look(next.clone()));
                self.want(Intent::Look(master.clone()));
            }
            self.wake_by(if now >= again { now.plus_ms(LOOK_MS) } else { again });
        }
    }

    /// The old master was seen to have written so much. The report that comes with the pause is among these; one that was made
    /// before it and comes later says less, and is not to be taken for it.
    pub(super) fn note_written(&mut self, offset: u64) {
        if let Some(FailoverAttempt { pause: Some(pause), .. }) = &mut self.attempt
            && pause.written.is_none()
        {
            pause.most = pause.most.max(Some(offset));
        }
    }

    /// A pause was answered.
    pub(super) fn note_paused(&mut self, well: bool) {
        let Some(attempt) = &mut self.attempt else { return };
        attempt.pause = match attempt.pause {
            Some(pause) if well && pause.most.is_some() => Some(WritePause { written: pause.most, ..pause }),
            // Whether it pauses is not known; it is asked again.
            Some(_) | None => None,
        };
    }

    /// Writes wait. The next master fetches the rest; then the change is decided, while enough of the pause is left.
    fn drain(&mut self, group: &Group, failover: &Failover, attempt: &FailoverAttempt, roster: &Roster, drained: Drained) {
        let Drained { next, pause, candidates } = drained;
        let now = self.now();
        let ends = pause.sent.plus_ms(PAUSE_MS - MARGIN_MS);
        if now >= ends {
            self.give_up(group, failover, AbortReason::NotDrained);
            return;
        }
        self.wake_by(ends);
        let Some(written) = pause.written else { return };
        let report = known_since(self.view.nodes.get(&next), attempt.since).ok().map(|(_, report)| report);
        let has = report.filter(|report| self.continues(&group.master.addr, report)).map_or(0, |report| report.offset);
        if has < written {
            return self.look_every(&next, PAUSED_LOOK_MS);
        }
        // The old master would go on when the pause ends, however long the decision takes to be committed: it gives up its place first.
        let basis = if self.is_to_lose_its_replicas(group, roster) {
            if !self.is_taken_from(group, attempt, roster, &next) {
                return;
            }
            let most = roster
                .standings
                .values()
                .filter_map(|standing| if let DetachState::Off(report) = standing { Some(report.offset) } else { None });
            // The pause may have been ended by somebody else: then it has gone on writing. It may also have been told to leave already, when
            // fewer replicas were there.
            let written = self.written(&group.master.addr, attempt).or_else(|| self.demoted_at_offset(group, pause.sent));
            if most.max().max(written).is_some_and(|most| most > has) {
                self.give_up(group, failover, AbortReason::NotDrained);
                return;
            }
            FencingProof::Drained
        } else {
            let Some(offset) = self.demoted_at_offset(group, pause.sent) else {
                let due = pause.sent.plus_ms(RETURN_MS);
                if now < due {
                    return self.wake_by(due);
                }
                self.ask(&group.master.addr, Ask::Demote { master: Addr::nobody() });
                return;
            };
            // Whether its file was written comes after the report.
            if self.asks.is_under_way(&group.master.addr, now) {
                return;
            }
            // One that was made a master by hand, or a replica of that one, has taken what the old master never had.
            let known = candidates.iter().filter(|candidate| candidate.ineligible.is_none());
            if known.filter_map(|candidate| candidate.offset).any(|held| held > offset) {
                self.give_up(group, failover, AbortReason::NotDrained);
                return;
            }
            // It may have sent a PING to its replicas since, or have been unpaused by somebody else: its replicas get that from it still.
            if offset > has {
                return self.look_every(&next, PAUSED_LOOK_MS);
            }
            FencingProof::HandedOver { offset }
        };
        let choice = Choice { basis, reason: reason_for(&candidates, &next), candidates, ..self.choice_of(group, &next) };
        let choice = Choice { estimated_loss_bytes: Some(0), ..choice };
        let (name, id, by, at) = (group.name.clone(), failover.id, self.me, self.world.wall);
        self.propose(ProposalKey::Step, Command::Promote { group: name, id, choice, by, at });
    }

    /// Whether the old master is put out of writes by its replicas, as in a failover: its own word is not to be had, or does not outlast a restart.
    fn is_to_lose_its_replicas(&self, group: &Group, roster: &Roster) -> bool {
        let needed = group.needed();
        let refuses = self.view.nodes.get(&group.master.addr).is_some_and(|node| node.takes_no_orders().is_some());
        let unreliable = refuses || self.forgets(&group.master.addr).is_some();
        unreliable && group.is_strict() && needed.fences && roster.off + roster.attached >= needed.detached
    }

    /// Takes the replicas from the old master; true once enough are, the next one among them, and it was seen to notice.
    fn is_taken_from(&mut self, group: &Group, attempt: &FailoverAttempt, roster: &Roster, next: &Addr) -> bool {
        self.detach_attached(group, roster);
        let next_is_off = matches!(roster.standings.get(next), Some(DetachState::Off(_)));
        if !next_is_off || roster.off < group.needed().detached {
            return false;
        }
        let since = attempt.quorum_at.unwrap_or(self.now());
        if let Some(attempt) = &mut self.attempt {
            attempt.quorum_at = Some(since);
        }
        let out = self.seen_out(group, since);
        if !out {
            self.look_every(&group.master.addr, PAUSED_LOOK_MS);
        }
        out
    }

    /// How much the recorded master had written when it was told to be a replica of nobody, if it was seen to be that since
    /// `not_before`. Only the process that is on record has all that was ever confirmed.
    pub(super) fn demoted_at_offset(&self, group: &Group, not_before: Mono) -> Option<u64> {
        let recorded = &group.master.identity.as_ref()?.run_id;
        // Whatever the link: to be told so cuts it, as it does all clients.
        let (_, report) = known_since(self.view.nodes.get(&group.master.addr), not_before).ok()?;
        (is_detached(report) && report.run_id == *recorded).then_some(report.offset)
    }

    /// A planned change that came to nothing, or was decided: the old master need not wait for the end of the pause if it is still one.
    pub(super) fn end_pause(&mut self, group: &Group, ended: &FailoverAttempt) {
        if ended.pause.is_some() && group.epoch.next() == ended.id.epoch {
            self.ask(&group.master.addr, Ask::Unpause);
        }
    }
}

/// What is known when writes wait.
struct Drained {
    next: Addr,
    pause: WritePause,
    candidates: Vec<Candidate>,
}

fn reason_for(candidates: &[Candidate], next: &Addr) -> ChosenFor {
    let good: Vec<&Candidate> = candidates.iter().filter(|candidate| candidate.ineligible.is_none()).collect();
    let of_next = good.iter().find(|candidate| candidate.addr == *next);
    match good.iter().find(|candidate| candidate.addr != *next) {
        None => ChosenFor::OnlyCandidate,
        Some(other) if of_next.is_some_and(|candidate| candidate.priority != other.priority) => ChosenFor::Priority,
        Some(other) if of_next.is_some_and(|candidate| candidate.offset != other.offset) => ChosenFor::Offset,
        Some(_) => ChosenFor::RunId,
    }
}
