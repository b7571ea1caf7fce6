//! The fence, kept in force while no failover is under way: what the servers hold is made what the group wants, and the log told.
//!
//! More is relied on only after it was seen; less is relied on before it is asked for. So at no moment does the log say more than
//! the master holds, but for somebody else's change, which the next look finds.

use super::group_judge::Judge;
use super::intact::check_intact;
use super::intent::{Ask, ProposalKey};
use super::repair::deviation;
use super::view::{GroupView, NodeView};
use crate::base::observation::{NodeReport, RoleReport};
use crate::base::{Addr, Fence, FenceSight, Mono};
use crate::machine::{ArmedFence, Command, Group};

/// A server that could not write its file is told to again after this long.
const REWRITE_AGAIN_MS: u64 = 10_000;

/// Clients are told the k for WAIT with the address, and may go on with the one before for so long.
const COVER_AFTER_MS: u64 = 30_000;

/// Until when clients may confirm writes with a smaller number than they are told now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Smaller {
    /// The smallest that may be in use.
    least: u32,
    until: Mono,
}

impl Smaller {
    /// Nothing is known of what clients were told before `now`.
    pub(super) const fn unknown(now: Mono) -> Self {
        Self { least: 0, until: now.plus_ms(COVER_AFTER_MS) }
    }

    /// Clients were told `before`, and are told `after` from `now` on.
    fn note(&mut self, before: u32, after: u32, now: Mono) {
        if before < after {
            let least = if now < self.until { self.least.min(before) } else { before };
            *self = Self { least, until: now.plus_ms(COVER_AFTER_MS) };
        } else if self.least >= after {
            self.until = now;
        }
    }
}

/// Since when this judge has known the fence as it is recorded, and how much the master had written when clients had had the time to learn of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FenceMark {
    pub(super) record: ArmedFence,
    pub(super) seen: Mono,
    pub(super) written: Option<u64>,
}

impl Judge {
    /// The master is there, is one, and nothing else is under way.
    pub(super) fn tend_fence(&mut self, group: &Group, of_master: &NodeReport) {
        match (group.wanted_fence(), group.fence) {
            (None, None) => {}
            (None, Some(record)) => self.take_down(group, record),
            (Some(wanted), record) => {
                self.raise_or_lower(group, of_master, wanted, record);
                // One that held it before its master could be relied on to would take no writes as a master of stock's kind.
                if record.is_some() {
                    self.arm_replicas(group, wanted);
                }
            }
        }
        if let Some(record) = group.fence.filter(|record| record.covered < record.wait_replicas) {
            self.cover(group, of_master, record);
        }
    }

    /// Takes note of another record of the fence, and of leading.
    pub(super) fn note_fence(&mut self, before: Option<ArmedFence>) {
        if self.began_to_lead || before != self.world.group.fence {
            self.fence_since = self.now();
        }
    }

    /// Takes note of another number for WAIT.
    pub(super) fn note_wait_number(&mut self, before: Option<ArmedFence>) {
        let told = |fence: Option<ArmedFence>| fence.map_or(0, |fence| fence.wait_replicas);
        self.smaller.note(told(before), told(self.world.group.fence), self.now());
    }

    pub(super) fn held_by(&self, addr: &Addr) -> Option<Fence> {
        held_by(&self.view, addr)
    }

    /// Whether what a server holds was seen while this sentinel led with the fence as it is recorded.
    fn is_known_to_hold(&self, addr: &Addr) -> bool {
        let seen = self.view.nodes.get(addr).and_then(|node| node.fence.as_ref());
        seen.is_some_and(|(at, _)| *at > self.fence_since)
    }

    fn raise_or_lower(&mut self, group: &Group, of_master: &NodeReport, wanted: Fence, record: Option<ArmedFence>) {
        let Some(held) = self.held_by(&group.master.addr) else { return };
        // What was seen before an order that is under way is no ground for relying on it.
        if self.asks.is_under_way(&group.master.addr, self.now()) {
            return;
        }
        if record.is_none() && of_master.replid.is_unknown() {
            return;
        }
        let forgets = self.forgets(&group.master.addr).is_some();
        if let Some(record) = record {
            // Somebody took it away, or it is about to be made less of, or it would be gone after a restart.
            let kept = if forgets { Fence { min_replicas: 0, ..held } } else { held };
            let relied_on = least(least(recorded(record), kept), wanted);
            if relied_on.min_replicas < record.min_replicas || relied_on.max_lag_s > record.max_lag_s {
                let (name, epoch, at) = (group.name.clone(), group.epoch, self.world.wall);
                self.propose(ProposalKey::Fence, Command::FenceLoosened { group: name, epoch, held: relied_on, at });
                return;
            }
        }
        if forgets && record.is_none() {
            self.leave_unarmed(group, held, wanted);
        } else if held != wanted {
            // Not so that arming itself would stop the writes; but what was promised is kept whatever it costs.
            let promised = !group.is_unprotected() && record.is_some_and(|record| record.wait_replicas >= wanted.min_replicas);
            if promised || counted(of_master, wanted) >= wanted.min_replicas {
                self.ask(&group.master.addr, Ask::Arm(wanted));
            }
        } else if !record.is_some_and(|record| is_recorded(record, wanted)) && self.is_known_to_hold(&group.master.addr) {
            // It is relied on once this process was seen to write it down.
            let written = self.view.nodes.get(&group.master.addr).and_then(|node| node.rewritten.as_ref());
            if forgets || written.is_none() {
                self.try_to_keep(&group.master.addr, wanted);
                return;
            }
            let (name, epoch, replicas, at) = (group.name.clone(), group.epoch, group.known_replicas(), self.world.wall);
            self.propose(ProposalKey::Fence, Command::FenceArmed { group: name, epoch, fence: wanted, replicas, at });
        }
    }

    pub(super) fn forgets(&self, addr: &Addr) -> Option<String> {
        self.view.nodes.get(addr).and_then(NodeView::forgets)
    }

    /// A master that forgets its fence is never relied on to hold one: what it was made to hold before that was known is taken back, since
    /// it would stop writes and promise nothing.
    fn leave_unarmed(&mut self, group: &Group, held: Fence, wanted: Fence) {
        if held == wanted {
            self.ask(&group.master.addr, Ask::Arm(Fence::OFF));
        } else {
            self.try_to_keep(&group.master.addr, held);
        }
    }

    /// Has the server write down what it holds, or is to hold: at once if it was never told, and every now and then if it could not.
    fn try_to_keep(&mut self, addr: &Addr, fence: Fence) {
        let (now, node) = (self.now(), self.view.nodes.get(addr));
        let due = match node.and_then(|node| node.rewritten.as_ref()) {
            Some((_, Ok(()))) => None,
            Some((at, Err(_))) => Some(at.plus_ms(REWRITE_AGAIN_MS)),
            None => Some(now),
        };
        match due {
            Some(due) if now >= due => {
                self.ask(addr, Ask::Arm(fence));
            }
            Some(due) => self.wake_by(due),
            None => {}
        }
    }

    /// Whoever is promoted is to hold it already, and to hold it if it comes back as a master by itself.
    fn arm_replicas(&mut self, group: &Group, wanted: Fence) {
        let unarmed = |addr: &&Addr| {
            let Some((_, report)) = self.view.live_report(addr) else { return false };
            deviation(&self.view, group, report).is_none() && self.held_by(addr).is_some_and(|held| held != wanted)
        };
        let unarmed: Vec<Addr> = group.replicas.keys().filter(unarmed).cloned().collect();
        unarmed.iter().for_each(|addr| {
            self.ask(addr, Ask::Arm(wanted));
        });
    }

    fn take_down(&mut self, group: &Group, record: ArmedFence) {
        let (name, epoch, at) = (group.name.clone(), group.epoch, self.world.wall);
        if record.min_replicas > 0 {
            let held = Fence { max_lag_s: record.max_lag_s, ..Fence::OFF };
            self.propose(ProposalKey::Fence, Command::FenceLoosened { group: name, epoch, held, at });
            return;
        }
        // What another's server holds is that one's.
        let ours = group.data_nodes().filter(|addr| !self.is_foreign(group, addr));
        let nodes: Vec<(Addr, Option<Fence>)> = ours.map(|addr| (addr.clone(), self.held_by(addr))).collect();
        for (addr, _) in nodes.iter().filter(|(_, held)| held.is_some_and(|held| held.min_replicas != 0)) {
            // A master that was replaced by a fenced promotion keeps what it holds until it follows: only then it is harmless.
            let follows = || self.view.live_report(addr).is_some_and(|(_, report)| deviation(&self.view, group, report).is_none());
            if *addr == group.master.addr || follows() {
                self.ask(addr, Ask::Arm(Fence::OFF));
            }
        }
        let gave_back =
            |(addr, held): &(Addr, Option<Fence>)| held.is_some_and(|held| held.min_replicas == 0) && self.is_known_to_hold(addr);
        if nodes.iter().all(gave_back) {
            self.propose(ProposalKey::Fence, Command::FenceDropped { group: name, epoch, at });
        }
    }

    /// Writes that were confirmed with fewer replicas than now, or on one that was forgotten since: they are covered again when enough
    /// replicas have what the master had written when nobody could be using another number than the present one any more.
    fn cover(&mut self, group: &Group, of_master: &NodeReport, record: ArmedFence) {
        let master = &group.master.addr;
        let seen_at = self.view.live_report(master).map(|(at, _)| at);
        let mark = match self.mark {
            Some(mark) if mark.record == record => mark,
            Some(_) | None => FenceMark { record, seen: self.now(), written: None },
        };
        // Where only the replicas became fewer, no client uses another number, and what was confirmed until now is all that is to be covered.
        let due = mark.seen.max(self.smaller.until);
        // Not before: what is confirmed with the smaller number until then is to be covered as well.
        let written = mark.written.or_else(|| seen_at.filter(|at| *at >= due).map(|_| of_master.offset));
        self.mark = Some(FenceMark { written, ..mark });
        let Some(written) = written else {
            if self.now() < due {
                self.wake_by(due);
            }
            return;
        };
        let has_it = |addr: &&Addr| {
            self.view.live_report(addr).is_some_and(|(at, report)| {
                at > mark.seen && report.offset >= written && check_intact(group, addr, report).is_ok() && report.replid == of_master.replid
            })
        };
        let covered = u32::try_from(group.replicas.keys().filter(has_it).count()).unwrap_or(u32::MAX);
        if covered > record.covered {
            let (name, epoch, replicas, at) = (group.name.clone(), group.epoch, group.known_replicas(), self.world.wall);
            self.propose(ProposalKey::Fence, Command::FenceCovered { group: name, epoch, covered, replicas, at });
        }
    }
}

/// What a server was seen to hold, over the present link.
pub(super) fn held_by(view: &GroupView, addr: &Addr) -> Option<Fence> {
    view.fence(addr).and_then(FenceSight::held)
}

const fn recorded(record: ArmedFence) -> Fence {
    Fence { min_replicas: record.min_replicas, max_lag_s: record.max_lag_s }
}

/// The weaker of two.
fn least(a: Fence, b: Fence) -> Fence {
    Fence { min_replicas: a.min_replicas.min(b.min_replicas), max_lag_s: a.max_lag_s.max(b.max_lag_s) }
}

fn is_recorded(record: ArmedFence, wanted: Fence) -> bool {
    recorded(record) == wanted && record.wait_replicas == wanted.min_replicas
}

/// How many replicas a master with this fence would count now.
pub(super) fn counted(of_master: &NodeReport, fence: Fence) -> u32 {
    let RoleReport::Master { replicas, .. } = &of_master.role else { return 0 };
    let close = replicas.iter().filter(|replica| replica.online && replica.lag_s <= u64::from(fence.max_lag_s)).count();
    u32::try_from(close).unwrap_or(u32::MAX)
}
