//! A replica that is not to be promoted lends what it holds more to the one that is: priority is honoured, and nothing is lost.
//!
//! It becomes a master that takes no writes, since a replica whose own link is down gives no data away.

use super::candidate::continues;
use super::fenced_failover::{DetachState, Roster};
use super::group_judge::{FailoverAttempt, Judge};
use super::intact::{check_intact, known_since};
use super::intent::Ask;
use crate::base::observation::{NodeReport, Role, RoleReport};
use crate::base::{Addr, Fence, Mono};
use crate::machine::Group;

/// How long the preferred replica may take to fetch what another one has ahead of it.
const CATCH_UP_MS: u64 = 2000;
/// How often that is looked at.
const CATCH_UP_LOOK_MS: u64 = 5;

/// A replica that lends its data to the one that is to be promoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CatchUp {
    pub(super) source: Addr,
    /// How much of the history is to be fetched.
    pub(super) goal: u64,
    since: Mono,
    /// Its priority, which it does not tell while it lends.
    pub(super) priority: Option<u32>,
}

impl Judge {
    /// Lets the preferred replica fetch what the most advanced one holds more; false once that has taken too long. It goes on
    /// all the same if there is no `alternative` to it.
    ///
    /// All others fetch it as well: the history goes on under another name with the loan, and who does not go with it could not go on with
    /// the preferred one without a full copy. For the same reason nobody lends what goes on under another name already, by an operator's hand:
    /// Redis keeps two names and no more.
    pub(super) fn catching_up(
        &mut self,
        group: &Group,
        attempt: &FailoverAttempt,
        roster: &Roster,
        (source, goal): (&Addr, u64),
        preferred: &Addr,
        alternative: bool,
    ) -> bool {
        if attempt.loan.is_none() && self.is_renamed(group, source) {
            return false;
        }
        let now = self.now();
        let loan = attempt.loan.clone().unwrap_or_else(|| CatchUp {
            source: source.clone(),
            goal,
            since: now,
            priority: self.priority_of(source),
        });
        let in_time = now < loan.since.plus_ms(CATCH_UP_MS);
        if !in_time && alternative {
            return false;
        }
        let lends = self.view.nodes.get(source).and_then(|node| node.role()) == Some(Role::Master);
        let follows =
            |report: &NodeReport| matches!(&report.role, RoleReport::Replica(replica) if self.view.is_same(source, &replica.master));
        if lends {
            let behind = roster.standings.iter().filter_map(|(addr, standing)| match standing {
                DetachState::Off(report) if addr != source && !follows(report) => Some(addr.clone()),
                DetachState::Off(_) | DetachState::Attached(_) | DetachState::Useless(_) => None,
            });
            for addr in behind.collect::<Vec<_>>() {
                self.ask(&addr, Ask::Repoint { master: source.clone() });
            }
            if in_time {
                self.look_every(preferred, CATCH_UP_LOOK_MS);
            }
        } else {
            self.ask(source, Ask::ServeCatchUp);
        }
        if in_time {
            self.wake_by(now.plus_ms(CATCH_UP_LOOK_MS));
        }
        debug_assert!(group.replicas.contains_key(source), "a replica lends to another");
        if let Some(attempt) = &mut self.attempt {
            attempt.loan = Some(loan);
        }
        in_time
    }

    /// Whether a server is a master already, by hand or by a former leader, and no other lends.
    pub(super) fn is_to_lend(&self, group: &Group, addr: &Addr) -> bool {
        let other = self.attempt.as_ref().and_then(|attempt| attempt.loan.as_ref()).is_some_and(|loan| loan.source != *addr);
        let newest = self.view.nodes.get(addr).and_then(|node| node.report.as_ref());
        !other
            && newest.is_some_and(|(_, report)| {
                report.role() == Role::Master && continues(group, report) && check_intact(group, addr, report).is_ok()
            })
    }

    /// A loan that another leader has begun goes on: to take the lender off would rename its history once more.
    pub(super) fn adopt_loan(&mut self, group: &Group, attempt: &FailoverAttempt) {
        if attempt.loan.is_some() {
            return;
        }
        let lends = |addr: &&Addr| {
            // What was seen of one that has left since is from before.
            if attempt.left.contains_key(*addr) {
                return false;
            }
            let report = known_since(self.view.nodes.get(*addr), attempt.since).ok().map(|(_, report)| report);
            report.is_some_and(|report| {
                report.role() == Role::Master && continues(group, report) && check_intact(group, addr, report).is_ok()
            })
        };
        let Some(source) = group.replicas.keys().find(lends).cloned() else { return };
        // What is a master already keeps its history; it is only made sure that it takes no writes. How much it holds is known from then on.
        // One that is that by hand is not taken for a lender afterwards: it may hold what nobody else has.
        let by_hand = self.is_by_hand(group, &source);
        self.ask(&source, if by_hand { Ask::Arm(Fence::CLOSED) } else { Ask::ServeCatchUp });
        if !self.is_shut(&source) {
            return;
        }
        let goal = self.view.nodes.get(&source).and_then(|node| node.report.as_ref()).map_or(0, |(_, report)| report.offset);
        let loan = CatchUp { source, goal, since: self.now(), priority: None };
        if let Some(attempt) = &mut self.attempt {
            attempt.loan = Some(loan);
        }
    }
}
