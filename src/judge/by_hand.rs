//! Roles that an operator changed at the servers themselves (`REPLICAOF` by hand).
//!
//! A replica that is told `REPLICAOF NO ONE` goes on with the group's history under another name, from a point that INFO names
//! (`master_replid2`, `second_repl_offset`). With enough followers it takes writes and `WAIT` confirms them, although the log knows
//! nothing of it: what it holds beyond that point may be nowhere else. So in a strict group
//!
//! * a server that holds nothing beyond that point is closed to writes, looked at once more, and only then taken back;
//! * one that does is adopted as the master of a new epoch as soon as the recorded master has nothing that it lacks;
//! * where each of two holds what the other lacks, neither is changed, and an operator is told.
//!
//! A recorded master that was made a replica is made a master again only if no server can have led in its place.

use std::sync::Arc;

use super::branch::{Branch, branches_off, fork, holds_own, is_part_of};
use super::fence::held_by;
use super::fenced_failover::{DetachState, Roster};
use super::group_judge::{FRESH_MS, FailoverAttempt, Judge};
use super::intact::check_intact;
use super::intent::{Ask, ProposalKey};
use super::repair::is_detached;
use crate::base::observation::{NodeReport, Role, RoleReport};
use crate::base::{Addr, Fence, Mono};
use crate::machine::{AbortReason, Asker, Candidate, Choice, ChosenFor, Command, Failover, FailoverMode, FencingProof, Group, Ineligible};

/// An adoption that was not decided after this long is given up.
const ADOPT_MS: u64 = 2000;
/// After an attempt at one, the next is made no sooner.
const AGAIN_MS: u64 = 3000;
/// How often servers that changed by hand are looked at.
const LOOK_MS: u64 = 50;

/// The recorded master, beside a server that leads by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GivenUp {
    /// It is a master still, and has nothing that the other lacks.
    NotYet,
    /// It is a replica, and had written so much, all of which the other has.
    At(u64),
    /// It is a replica and has copied the other's data, as has whoever could hold more. It holds so much now.
    Copied(u64),
}

/// A server that leads the group although the log does not say so, and can be adopted.
struct Adoption {
    leader: Addr,
    given_up: GivenUp,
}

impl Judge {
    /// Asks for `ask` of a server that is not as recorded, unless something confirmed could be lost by that.
    ///
    /// A replica that follows another server of the group is taken off first: until then it may fetch what that one, as a master by hand,
    /// has confirmed since it was seen. One that lends its data confirms nothing, and who has been with it would be nobody's afterwards: what it
    /// holds could not be told from a history that was made by hand.
    pub(super) fn correct(&mut self, group: &Group, addr: &Addr, (at, report): (Mono, &NodeReport), ask: Ask) {
        let of_the_group = |master: &Addr| group.data_nodes().any(|node| self.view.is_same(node, master));
        let attached = matches!(&report.role, RoleReport::Replica(replica)
            if group.is_strict() && of_the_group(&replica.master) && !self.is_lender(group, &replica.master));
        match self.branch(group, addr, (at, report)) {
            Some(Branch::MayHold) => self.look_by_hand(group, addr),
            None if attached => {
                self.ask(addr, Ask::Detach { fence: group.promotion_fence() });
            }
            Some(Branch::Idle { closed: false }) => {
                self.ask(addr, Ask::Arm(Fence::CLOSED));
            }
            Some(Branch::Idle { closed: true }) | None => {
                self.ask(addr, ask);
            }
        }
    }

    fn look_by_hand(&mut self, group: &Group, addr: &Addr) {
        self.look_every(addr, LOOK_MS);
        self.look_every(&group.master.addr, LOOK_MS);
    }

    /// Whether the recorded master, which is a replica now, can be made a master again without the risk that another server has taken
    /// confirmed writes in its place.
    pub(super) fn is_without_rival(&self, group: &Group) -> bool {
        let master = &group.master.addr;
        if !group.is_strict() || group.master.identity.is_none() {
            return true;
        }
        let holders = || group.replicas.keys().filter(|addr| group.may_hold(addr));
        if self.is_led_elsewhere(group) {
            return false;
        }
        // It was this cluster that made it nobody's.
        if self.fresh_in_sight(master).is_some_and(|(_, report)| is_detached(report)) {
            return true;
        }
        // What was seen of the others before the master was seen to follow is from before it was told to.
        let since = self.view.nodes.get(master).map_or(self.now(), |node| node.role_since);
        let seen = |addr: &Addr| self.fresh_in_sight(addr).filter(|(at, _)| *at >= since);
        let is_replica = |addr: &&Addr| seen(addr).is_some_and(|(_, report)| report.role() == Role::Replica);
        let others = holders().count() - holders().filter(is_replica).count();
        let needed = group.fence.map_or(0, |fence| fence.min_replicas);
        others == 0 || others <= needed as usize
    }

    /// Whether a server in sight may hold confirmed writes that the recorded master lacks.
    pub(super) fn is_led_elsewhere(&self, group: &Group) -> bool {
        let branch = |addr: &Addr| self.fresh_in_sight(addr).and_then(|seen| self.branch(group, addr, seen));
        group.replicas.keys().any(|addr| group.may_hold(addr) && branch(addr) == Some(Branch::MayHold))
    }

    /// The server's newest report, if it is of late and of the process at the other end of the present link.
    fn fresh_in_sight(&self, addr: &Addr) -> Option<(Mono, &NodeReport)> {
        let (at, report) = self.view.live_report(addr)?;
        (self.now().ms_since(at) <= FRESH_MS && self.view.is_of_this_link(addr, at)).then_some((at, &**report))
    }

    /// The one that leads the group by hand, if it can be adopted by what was seen since `not_before`.
    fn led_by_hand(&self, group: &Group, not_before: Mono) -> Option<Adoption> {
        let known = group.master.identity.as_ref()?;
        let sight = |addr: &Addr| self.fresh_in_sight(addr).filter(|(at, _)| *at >= not_before);
        let (_, old) = sight(&group.master.addr)?;
        let leads = |addr: &&Addr| {
            let wanted = group.replicas.get(*addr).is_some_and(|record| group.is_wanted(record));
            let seen = sight(addr).filter(|(_, report)| wanted && report.role() == Role::Master && !report.loading && !self.lends(addr));
            let branch = seen.and_then(|seen| self.branch(group, addr, seen));
            branch == Some(Branch::MayHold) || seen.is_some_and(|(_, report)| report.replid != known.replid && is_joined(old, report))
        };
        let mut leaders = group.replicas.keys().filter(leads);
        let leader = match (leaders.next(), leaders.next()) {
            (Some(leader), None) => leader,
            (Some(_), Some(_)) => return None,
            (None, _) => self.heir_by_hand(group, not_before)?,
        };
        let (_, report) = sight(leader)?;
        let intact = !group.is_strict() || check_intact(group, leader, report).is_ok();
        let same_process = old.run_id == known.run_id;
        let given_up = match &old.role {
            RoleReport::Master { .. } => {
                let shown = group.is_strict() && intact && same_process && is_part_of(old, report);
                shown.then_some(GivenUp::NotYet)?
            }
            RoleReport::Replica(_) if is_detached(old) => {
                let offset = self.demoted_at_offset(group, not_before).filter(|_| intact && is_part_of(old, report))?;
                GivenUp::At(offset)
            }
            RoleReport::Replica(_) if !is_joined(old, report) => return None,
            // It went on where it was: Redis itself has compared the two.
            RoleReport::Replica(_) if same_process && intact && old.replid2.as_ref() == Some(&known.replid) => GivenUp::At(fork(old)?),
            RoleReport::Replica(_) => {
                let holds_no_more =
                    |addr: &Addr| sight(addr).is_some_and(|(_, other)| other.replid == report.replid || is_part_of(other, report));
                let all = group.replicas.keys().filter(|addr| *addr != leader && group.may_hold(addr)).all(holds_no_more);
                (all || !group.is_strict()).then_some(GivenUp::Copied(old.offset.min(report.offset)))?
            }
        };
        Some(Adoption { leader: leader.clone(), given_up })
    }

    /// The replica that holds most of what a master had that was made by hand and is gone; none unless all of what that one can have confirmed is on
    /// it.
    fn heir_by_hand<'a>(&self, group: &'a Group, not_before: Mono) -> Option<&'a Addr> {
        let sight = |addr: &Addr| self.fresh_in_sight(addr).filter(|(at, _)| *at >= not_before);
        let holders = || group.replicas.keys().filter(|addr| group.may_hold(addr));
        let left_alone = |report: &NodeReport| matches!(&report.role, RoleReport::Replica(replica) if !replica.link_up && !replica.syncing);
        let branched = |addr: &&Addr| sight(addr).is_some_and(|seen| self.branch(group, addr, seen) == Some(Branch::MayHold));
        let heir = holders().filter(branched).max_by_key(|addr| sight(addr).map(|(_, report)| report.offset))?;
        let (_, most) = sight(heir)?;
        let agrees = |addr: &Addr| sight(addr).is_some_and(|(_, report)| report.replid == most.replid && left_alone(report));
        // The recorded master may have been told to follow the one that is gone, and have confirmed for it what nobody else has.
        let (_, old) = sight(&group.master.addr)?;
        let old_has_no_more = old.replid != most.replid || (left_alone(old) && old.offset <= most.offset);
        let unseen = holders().filter(|addr| sight(addr).is_none()).count();
        let needed = group.fence.map_or(0, |fence| fence.min_replicas) as usize;
        // The one that is gone is among those; with the others that are out of sight it could not have met the fence.
        (old_has_no_more && holders().filter(branched).all(agrees) && unseen <= needed).then_some(heir)
    }

    /// Begins to adopt a server that leads the group by hand; whether there is one.
    pub(super) fn adopt_by_hand(&mut self, group: &Group) -> bool {
        let Some(Adoption { leader, .. }) = self.led_by_hand(group, Mono::default()) else { return false };
        let now = self.now();
        if let Some(at) = self.tenures.adopt_after.filter(|at| now < *at) {
            self.wake_by(at);
            return true;
        }
        self.tenures.adopt_after = Some(now.plus_ms(AGAIN_MS));
        let (name, epoch, by, at) = (group.name.clone(), group.epoch, self.me, self.world.wall);
        let words = format!("REPLICAOF by hand: {leader} is adopted in the place of {}", group.master.addr);
        let asked = Some(Arc::new(Asker::new("by hand", leader.host(), "redis", by).saying(&words)));
        let command =
            Command::FailoverRequested { group: name, epoch, by, manner: FailoverMode::Coordinated, target: Some(leader), at, asked };
        self.propose(ProposalKey::Step, command);
        true
    }

    /// Whether a planned change is the adoption of a server that leads already.
    pub(super) fn is_adoption(&self, group: &Group, target: &Addr) -> bool {
        let newest = self.view.nodes.get(target).and_then(|node| node.report.as_ref());
        newest.is_some_and(|(at, report)| match report.role() {
            Role::Master => !self.lends(target),
            Role::Replica => self.branch(group, target, (*at, report)) == Some(Branch::MayHold),
        })
    }

    /// Adopts it: it holds the fence, the old master is a replica and has nothing that it lacks; then that is decided.
    pub(super) fn lead_adopting(&mut self, group: &Group, failover: &Failover, attempt: &FailoverAttempt, target: &Addr) {
        let adoption = self.led_by_hand(group, attempt.since).filter(|adoption| adoption.leader == *target);
        let Some(Adoption { leader, given_up }) = adoption else {
            let until = attempt.since.plus_ms(ADOPT_MS);
            if self.now() >= until {
                self.give_up(group, failover, AbortReason::NotDrained);
            } else {
                self.wake_by(until);
                self.look_by_hand(group, target);
            }
            return;
        };
        if let Some(fence) = group.promotion_fence().filter(|fence| held_by(&self.view, &leader) != Some(*fence)) {
            if self.now() >= attempt.since.plus_ms(ADOPT_MS) {
                self.give_up(group, failover, AbortReason::NotDrained);
            } else {
                self.ask(&leader, Ask::Arm(fence));
            }
            return;
        }
        let (offset, loss) = match given_up {
            GivenUp::NotYet => {
                self.ask(&group.master.addr, Ask::Demote { master: Addr::nobody() });
                return;
            }
            GivenUp::At(offset) => (offset, Some(0)),
            GivenUp::Copied(offset) => (offset, None),
        };
        let choice = Choice {
            basis: FencingProof::HandedOver { offset },
            by_hand: true,
            reason: ChosenFor::OnlyCandidate,
            candidates: self.rows_by_hand(group, attempt, &leader),
            ..self.choice_of(group, &leader)
        };
        let choice = Choice { estimated_loss_bytes: loss, ..choice };
        let (name, id, by, at) = (group.name.clone(), failover.id, self.me, self.world.wall);
        self.propose(ProposalKey::Step, Command::Promote { group: name, id, choice, by, at });
    }

    /// The candidate table of an adoption: whoever follows the one that leads has left the old master.
    fn rows_by_hand(&self, group: &Group, attempt: &FailoverAttempt, leader: &Addr) -> Vec<Candidate> {
        let report = |addr: &Addr| self.view.live_report(addr).map(|(_, report)| report);
        let history = report(leader).map(|report| &report.replid);
        let roster = self.roster(group, attempt);
        let rows = self.table(group, &roster).into_iter().map(|row| {
            let follows = report(&row.candidate.addr).is_some_and(|report| Some(&report.replid) == history);
            if follows { Candidate { ineligible: None, detached: true, ..row.candidate } } else { row.candidate }
        });
        rows.collect()
    }

    /// Why nobody can be chosen among those that have left the old master, where two of them hold what the other lacks: one went on
    /// under another name, one with the old master.
    pub(super) fn torn(&self, group: &Group, roster: &Roster) -> Option<Vec<(Addr, Ineligible)>> {
        let known = group.master.identity.as_ref()?;
        let off = || {
            roster.standings.iter().filter_map(|(addr, standing)| match standing {
                DetachState::Off(report) => Some((addr, report)),
                DetachState::Attached(_) | DetachState::Useless(_) => None,
            })
        };
        let branched = |report: &NodeReport| branches_off(group, report) && holds_own(report);
        let (ours, theirs) = off().filter(|(_, report)| branched(report)).max_by_key(|(_, report)| report.offset)?;
        let parted = fork(theirs)?;
        let apart = |report: &NodeReport| {
            (report.replid == known.replid && report.offset > parted) || (branched(report) && report.replid != theirs.replid)
        };
        let (other, most) = off().filter(|(_, report)| apart(report)).max_by_key(|(_, report)| report.offset)?;
        let behind = |ahead: &Addr, offset: u64| Ineligible::Behind { ahead: ahead.clone(), behind_bytes: offset.saturating_sub(parted) };
        let why = |report: &NodeReport| {
            if report.replid == theirs.replid { behind(other, most.offset) } else { behind(ours, theirs.offset) }
        };
        Some(off().map(|(addr, report)| (addr.clone(), why(report))).collect())
    }

    /// What an operator has to settle, since each of two servers may hold what the other lacks.
    pub(super) fn hand_problem(&self, group: &Group) -> Option<String> {
        let master = &group.master.addr;
        let held = group.replicas.keys().find_map(|addr| {
            let seen = self.fresh_in_sight(addr)?;
            (self.branch(group, addr, seen) == Some(Branch::MayHold)).then(|| (addr, seen.1.role()))
        });
        held.map(|(addr, role)| match role {
            Role::Master => format!(
                "{addr} was made a master by hand; it and {master} may each hold confirmed writes that the other lacks, so neither is changed: \
                 tell the one whose writes may go to follow the other (REPLICAOF)"
            ),
            Role::Replica => format!(
                "{addr} holds writes of a master that was made by hand, which {master} lacks, so it is not pointed back: bring that master \
                 back, or tell {addr} to follow {master} (REPLICAOF), which gives those writes up"
            ),
        })
    }
}

/// Whether the recorded master follows `leader`, or a replica of it, and has come to its end.
fn is_joined(old: &NodeReport, leader: &NodeReport) -> bool {
    matches!(&old.role, RoleReport::Replica(replica) if replica.link_up && !replica.syncing) && old.replid == leader.replid
}
