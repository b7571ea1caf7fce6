//! Which replicas count: servers that were seen in sync over a link of our own for a while, and none that have left for good.
//!
//! A master lists whoever attached to it, under whatever address that one announced. So what it lists is looked at, and counts for
//! nothing before it was seen to be a server that follows this master, has finished its first copy and holds this master's history
//! (`record_replica`). One that was counted and has left is no longer counted once enough of those that stay hold all that the master
//! had written when it was last seen without it: until then confirmed writes may be on the one that left.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::candidate::overreach;
use super::fence::counted;
use super::group_judge::Judge;
use super::intact::check_intact;
use super::intent::ProposalKey;
use super::repair::{deviation, identity_of, is_recorded};
use super::view::Link;
use crate::base::observation::{AttachedReplica, NodeReport, RoleReport};
use crate::base::settings::PromotionPolicy;
use crate::base::{Addr, Fence, Mono, ReplId, RunId};
use crate::machine::{Command, Group, Identity, Retirement, Tenure};

/// Replicas that are looked at and were never seen in sync. What somebody else opens by the thousand must not fill the log.
const GUESTS: usize = 16;
/// For how long a replica must be in sync to be counted by a fence that is armed.
const SETTLE_MS: u64 = 10_000;
/// For how long the master must not have listed a replica for it to have left.
const LEFT_MS: u64 = 5000;
/// For how long a counted one must have been gone, where another waits for its place, or the fence cannot be met with it, or a failover
/// would be blocked.
const AWAY_MS: u64 = 10_000;
/// One that turned out to be nobody is not looked at again for so long.
const TURNED_AWAY_MS: u64 = 15_000;
/// A replica that has just begun to be another process, or to be one at all, is looked at this often until it is recorded.
const REJOIN_LOOK_MS: u64 = 50;
/// For so long.
const REJOIN_MS: u64 = 10_000;

/// What this judge remembers of replicas besides what it sees of them now.
#[derive(Clone, Debug, Default)]
pub(super) struct Tenures {
    /// Since when each that is not counted has been in sync.
    settling: BTreeMap<Addr, Mono>,
    /// Since when the master has been seen not to list a replica.
    unlisted: BTreeMap<Addr, Mono>,
    /// When a replica that came back was last looked at out of turn.
    rejoin_looked: Option<Mono>,
    /// When a server that leads by hand may be adopted again.
    pub(super) adopt_after: Option<Mono>,
    /// How much the master had written after each replica that restarted was seen as another process: with so much, that one has all that
    /// the process before may have confirmed. It need not come closer to a master that goes on writing.
    rejoining: BTreeMap<Addr, Goal>,
    /// Whom the master lists although nobody was found there, and when that was found.
    turned_away: BTreeMap<Addr, Mono>,
}

/// What a process has to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Goal {
    of: RunId,
    history: ReplId,
    offset: u64,
}

impl Tenures {
    /// Keeps what is about replicas on record; the master of another epoch has other lists.
    pub(super) fn keep(&mut self, group: &Group, new_master: bool) {
        if new_master {
            *self = Self::default();
        }
        self.settling.retain(|addr, _| group.replicas.contains_key(addr));
        self.unlisted.retain(|addr, _| group.replicas.contains_key(addr));
        self.rejoining.retain(|addr, _| group.replicas.contains_key(addr));
    }

    /// Whether a process has what its master had written after it was first seen; `master` is a look at that from then or later.
    fn has_rejoined(&mut self, addr: &Addr, report: &NodeReport, master: Option<&NodeReport>) -> bool {
        let is_of = |goal: &Goal| goal.of == report.run_id && goal.history == report.replid;
        if !self.rejoining.get(addr).is_some_and(is_of) {
            self.rejoining.remove(addr);
            if let Some(master) = master.filter(|master| master.replid == report.replid) {
                let goal = Goal { of: report.run_id.clone(), history: report.replid.clone(), offset: master.offset };
                self.rejoining.insert(addr.clone(), goal);
            }
        }
        self.rejoining.get(addr).is_some_and(|goal| report.offset >= goal.offset)
    }
}

type Reports = BTreeMap<Addr, (Mono, Arc<NodeReport>)>;

impl Judge {
    pub(super) fn tend_replicas(&mut self, group: &Group, (master_at, of_master): (Mono, &NodeReport), reports: &Reports) {
        self.note_unlisted(group, (master_at, of_master));
        self.forget_second_names(group, of_master, reports);
        self.forget_addresses_of_master(group, reports);
        let now = self.now();
        for (addr, since) in self.tenures.unlisted.clone() {
            let Some(record) = group.replicas.get(&addr) else { continue };
            let for_ms = now.ms_since(since);
            let down_ms = self.view.nodes.get(&addr).and_then(|node| node.down_since).map_or(0, |down| now.ms_since(down));
            let long_gone = for_ms.min(down_ms) >= group.settings.forget_after_ms();
            let fixed = group.settings.replicas_fixed && !record.found;
            match record.tenure {
                Tenure::Guest if record.identity.is_none() && record.found && for_ms >= LEFT_MS => {
                    self.tenures.turned_away.insert(addr.clone(), now);
                    self.retire(group, &addr, Retirement::Unconfirmed, group.fence.map_or(0, |fence| fence.covered));
                }
                Tenure::Guest if record.identity.is_some() && for_ms >= LEFT_MS => {
                    self.retire_covered(group, &addr, Retirement::Left);
                }
                Tenure::Counted if long_gone && !fixed => self.retire_covered(group, &addr, Retirement::Gone),
                Tenure::Counted
                    if for_ms >= AWAY_MS && (self.fence_is_unmet(group, of_master) || self.short_of_replicas(group).is_some()) =>
                {
                    self.retire_covered(group, &addr, Retirement::Away);
                }
                Tenure::Away if long_gone && !fixed => {
                    self.retire(group, &addr, Retirement::Gone, group.fence.map_or(0, |fence| fence.covered));
                }
                Tenure::Guest | Tenure::Counted | Tenure::Away => {}
            }
        }
    }

    /// What the master lists and is not on record is looked at.
    pub(super) fn record_unknown(&mut self, group: &Group, attached: &[AttachedReplica]) {
        let now = self.now();
        self.tenures.turned_away.retain(|_, since| now.ms_since(*since) < TURNED_AWAY_MS);
        // What does not fit the record is not proposed: it would be refused again and again.
        let guests = group.replicas.values().filter(|record| record.tenure == Tenure::Guest && record.identity.is_none()).count();
        let room = group.settings.room_for_replicas().saturating_sub(group.replicas.len()).min(GUESTS.saturating_sub(guests));
        // A master lists its replicas by address. One that is recorded by name must not become two, by which the fence would count.
        let known =
            |addr: &Addr| group.data_nodes().any(|known| self.view.is_same(known, addr)) || self.tenures.turned_away.contains_key(addr);
        if group.settings.replicas_fixed {
            return;
        }
        let unknown: Vec<Addr> = attached.iter().map(|attached| &attached.addr).filter(|addr| !known(addr)).take(room).cloned().collect();
        unknown.iter().for_each(|addr| self.propose_replica(group, addr, None, Some(Tenure::Guest)));
    }

    /// Records what a replica in sync is: what it is to be recognised by when the master is gone, and that it counts.
    ///
    /// Another process than before may have come back with less than it once acknowledged, and has its link up before it has fetched
    /// the rest: it must have what the master had since.
    pub(super) fn record_replica(
        &mut self,
        group: &Group,
        addr: &Addr,
        (at, report): (Mono, &NodeReport),
        (master_at, of_master): (Mono, &NodeReport),
    ) {
        let Some(record) = group.replicas.get(addr) else { return };
        let in_sync = matches!(&report.role, RoleReport::Replica(replica) if replica.link_up && !replica.syncing);
        let known = record.identity.as_ref();
        let other_process = known.is_some_and(|known| known.run_id != report.run_id);
        let since = self.view.nodes.get(addr).map_or(at, |node| node.process_since);
        let complete = other_process && in_sync && {
            let seen_since = (master_at >= since && at >= since).then_some(of_master);
            self.tenures.has_rejoined(addr, report, seen_since)
        };
        let trusted = complete || !other_process || !group.is_strict();
        let identity = || Some(identity_of(report));
        if record.tenure == Tenure::Counted {
            if in_sync && !is_recorded(known, report) && trusted {
                self.propose_replica(group, addr, identity(), None);
            } else if !is_recorded(known, report) && !trusted {
                self.look_at_rejoining(group, addr, since);
            }
            return;
        }
        let listed = self.is_listed(of_master, addr, true);
        let ours = report.replid == of_master.replid && overreach(group, &self.view, addr, (at, report)).is_none();
        if !(in_sync && listed && ours && group.is_wanted(record)) {
            self.tenures.settling.remove(addr);
            return;
        }
        let now = self.now();
        let since = *self.tenures.settling.entry(addr.clone()).or_insert(now);
        let due = since.plus_ms(SETTLE_MS);
        let counts = match record.tenure {
            Tenure::Away => complete || !other_process,
            // Before a fence was ever armed nothing is raised by it.
            Tenure::Guest | Tenure::Counted => group.fence.is_none() || now >= due,
        };
        if counts && trusted {
            match self.replaced(group, addr).filter(|_| record.tenure == Tenure::Guest) {
                Some((gone, covered)) => self.retire(group, &gone, Retirement::Replaced { by: addr.clone() }, covered),
                None => self.propose_replica(group, addr, identity(), Some(Tenure::Counted)),
            }
        } else {
            if !is_recorded(known, report) && trusted {
                self.propose_replica(group, addr, identity(), Some(record.tenure));
            }
            self.wake_by(due);
        }
    }

    /// A replica that came back as another process is looked at until it is known to have what the master had since: until then it
    /// cannot be relied on, whatever happens to the master.
    fn look_at_rejoining(&mut self, group: &Group, addr: &Addr, since: Mono) {
        if self.now().ms_since(since) < REJOIN_MS && self.tenures_look_due() {
            self.want(super::intent::Intent::Look(group.master.addr.clone()));
            self.want(super::intent::Intent::Look(addr.clone()));
        }
    }

    fn tenures_look_due(&mut self) -> bool {
        let now = self.now();
        let due = self.tenures.rejoin_looked.is_none_or(|looked| now >= looked.plus_ms(REJOIN_LOOK_MS));
        if due {
            self.tenures.rejoin_looked = Some(now);
        }
        self.wake_by(now.plus_ms(REJOIN_LOOK_MS));
        due
    }

    pub(super) fn propose_replica(&mut self, group: &Group, replica: &Addr, identity: Option<Identity>, tenure: Option<Tenure>) {
        let (name, epoch, at) = (group.name.clone(), group.epoch, self.world.wall);
        let command = Command::ReplicaSeen { group: name, epoch, replica: replica.clone(), identity, tenure, at };
        self.propose(ProposalKey::Replica(replica.clone()), command);
    }

    /// Whether the master listed a replica when it was last asked; `online`: as one that has its first copy.
    fn is_listed(&self, of_master: &NodeReport, addr: &Addr, online: bool) -> bool {
        let RoleReport::Master { replicas, .. } = &of_master.role else { return false };
        replicas.iter().any(|listed| (listed.online || !online) && self.view.is_same(addr, &listed.addr))
    }

    fn note_unlisted(&mut self, group: &Group, (master_at, of_master): (Mono, &NodeReport)) {
        for addr in group.replicas.keys() {
            // One that is there and is only not attached (just now, or pointed elsewhere) is put right, not forgotten.
            let gone = !matches!(self.view.nodes.get(addr).map(|node| &node.link), Some(Link::Up { .. })) || self.is_foreign(group, addr);
            let guest = group.replicas.get(addr).is_some_and(|record| record.identity.is_none() && record.tenure == Tenure::Guest);
            let report = self.view.live_report(addr);
            let nobody = guest && report.is_none_or(|(_, report)| deviation(&self.view, group, report).is_some());
            if (gone || nobody) && !self.is_listed(of_master, addr, false) {
                self.tenures.unlisted.entry(addr.clone()).or_insert(master_at);
            } else {
                self.tenures.unlisted.remove(addr);
            }
        }
    }

    /// Whether the master refuses writes, or would, for want of replicas.
    fn fence_is_unmet(&self, group: &Group, of_master: &NodeReport) -> bool {
        group.wanted_fence().is_some_and(|wanted| group.fence.is_some() && counted(of_master, wanted) < wanted.min_replicas)
    }

    /// A counted one that is gone, whose place another takes that has settled: the same server under another address, or its successor.
    fn replaced(&self, group: &Group, by: &Addr) -> Option<(Addr, u32)> {
        let now = self.now();
        group.fence?;
        self.tenures.unlisted.iter().find_map(|(addr, since)| {
            let counted = group.replicas.get(addr).is_some_and(|record| record.tenure == Tenure::Counted && group.is_wanted(record));
            let gone = addr != by && counted && now.ms_since(*since) >= AWAY_MS;
            self.covering(group, addr, 0).filter(|_| gone).map(|covered| (addr.clone(), covered))
        })
    }

    /// No longer counts a replica, if enough of those that stay hold all that it may have confirmed.
    fn retire_covered(&mut self, group: &Group, addr: &Addr, why: Retirement) {
        let least = if group.settings.promotion_policy == PromotionPolicy::Auto { 2 } else { 1 };
        // What an operator has set is kept to, also where it takes the group out of the strict policy.
        let floor = if why == Retirement::Gone && group.settings.replica_forget_after_ms > 0 { 0 } else { least };
        let counts = group.replicas.get(addr).is_some_and(|record| record.tenure == Tenure::Counted);
        if let Some(covered) = self.covering(group, addr, if counts { floor } else { 0 }) {
            self.retire(group, addr, why, covered);
        }
    }

    fn retire(&mut self, group: &Group, addr: &Addr, why: Retirement, covered: u32) {
        let (name, epoch, at, replicas) = (group.name.clone(), group.epoch, self.world.wall, group.known_replicas());
        let command = Command::ReplicaRetired { group: name, epoch, replica: addr.clone(), why, covered, replicas, at };
        self.propose(ProposalKey::Forget(addr.clone()), command);
    }

    /// How many of those that stay hold all that the master had written when it was last seen, without `leaving`, if that suffices for a
    /// fence without it. The last look and no earlier one: in between `leaving` may have been attached for a moment.
    fn covering(&self, group: &Group, leaving: &Addr, floor: u32) -> Option<u32> {
        let Some(_) = group.fence else { return Some(0) };
        let (master_at, of_master) = self.view.live_report(&group.master.addr)?;
        if self.is_listed(of_master, leaving, false) {
            return None;
        }
        let holds = |addr: &&Addr| {
            let counts = group.replicas.get(*addr).is_some_and(|record| record.tenure == Tenure::Counted && group.is_wanted(record));
            counts
                && *addr != leaving
                && self.is_listed(of_master, addr, true)
                && self.view.live_report(addr).is_some_and(|(at, report)| {
                    at >= master_at
                        && report.offset >= of_master.offset
                        && report.replid == of_master.replid
                        && check_intact(group, addr, report).is_ok()
                        && overreach(group, &self.view, addr, (at, report)).is_none()
                })
        };
        let held = u32::try_from(group.replicas.keys().filter(holds).count()).unwrap_or(u32::MAX);
        let leaves = group.replicas.get(leaving).is_some_and(|record| record.tenure == Tenure::Counted && group.is_wanted(record));
        let after = group.known_replicas().saturating_sub(u32::from(leaves));
        (after >= floor && held >= Fence::majority_of(after).max(1)).then_some(held)
    }

    /// A replica that is recorded under two addresses would be counted twice by the fence. A name is kept rather than the address that
    /// it stands for, since that may become another one; else the address under which the master lists it, which would be found again; and an
    /// address at which it answers rather than one at which it did.
    fn forget_second_names(&mut self, group: &Group, of_master: &NodeReport, reports: &Reports) {
        let mut kept: BTreeMap<&RunId, &Addr> = BTreeMap::new();
        let mut second = Vec::new();
        let worth = |addr: &Addr| (!addr.is_literal(), self.is_listed(of_master, addr, false));
        for (addr, (_, report)) in reports.iter().filter(|(addr, _)| group.replicas.contains_key(*addr)) {
            let Some(first) = kept.insert(&report.run_id, addr) else { continue };
            let (left, to) = if worth(addr) > worth(first) { (first, addr) } else { (addr, first) };
            kept.insert(&report.run_id, to);
            // It takes the place once it is known for what it is.
            if group.process_at(to) == Some(&report.run_id) {
                second.push((left.clone(), to.clone()));
            }
        }
        // Another's server may be where it was.
        let left = |addr: &Addr| !reports.contains_key(addr) || self.is_foreign(group, addr);
        for (addr, record) in group.replicas.iter().filter(|(addr, _)| left(addr)) {
            let now_at = record.identity.as_ref().and_then(|identity| kept.get(&identity.run_id));
            second.extend(now_at.map(|to| (addr.clone(), (*to).clone())));
        }
        for (replica, to) in second {
            self.retire(group, &replica, Retirement::Moved { to }, group.fence.map_or(0, |fence| fence.covered));
        }
    }

    /// An address of a replica at which the master itself answers (a virtual one, that went over with its role) is no server: it stops counting as
    /// soon as the others hold what the server that was there may have confirmed.
    fn forget_addresses_of_master(&mut self, group: &Group, reports: &Reports) {
        for addr in self.second_addresses_of_master(group, reports) {
            self.retire_covered(group, &addr, Retirement::Moved { to: group.master.addr.clone() });
        }
    }

    fn second_addresses_of_master(&self, group: &Group, reports: &Reports) -> Vec<Addr> {
        let masters = reports.get(&group.master.addr).map(|(_, report)| &report.run_id);
        let same = |addr: &&Addr| masters.is_some() && reports.get(*addr).map(|(_, report)| &report.run_id) == masters;
        group.replicas.keys().filter(same).cloned().collect()
    }

    /// A replica's address at which the master answers, for people.
    pub(super) fn second_address_problem(&self, group: &Group) -> Option<String> {
        let (second, master) = (self.second_addresses_of_master(group, &self.live_reports()), &group.master.addr);
        let second = second.first()?;
        Some(format!(
            "{second} leads to the master {master} (a virtual address?): it is no server of its own, and the one that is recorded there is out of \
             sight (monitor servers by addresses that are theirs alone, and let the group forget this one: SENTINEL FORGET)"
        ))
    }
}
