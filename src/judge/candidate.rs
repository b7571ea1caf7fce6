//! Which replica to promote: who is eligible, in what order, and why the first one.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::sync::Arc;

use super::group_judge::{FRESH_MS, Judge};
use super::view::{GroupView, Link, NodeView};
use crate::base::observation::{AttachedReplica, NodeReport, ReplicaReport, RoleReport};
use crate::base::{Addr, Mono, ReplId};
use crate::machine::{Candidate, Choice, ChosenFor, FencingProof, Group, Ineligible, Tenure};

/// Stock's factor: data may be older than the outage by this many times `down-after-milliseconds`.
const STALE_AFTER_LIMITS: u64 = 10;

/// What a look at the candidates is held against.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Reports from before this moment do not count.
    pub not_before: Mono,
    /// The moment of judgement.
    pub now: Mono,
}

/// All replicas of the group as candidates, best first.
///
/// Order of the policy `available`, as in stock: data of the master's current history before data of
/// its former one, then lower priority, then higher offset, then smaller run id.
pub fn rank_candidates(group: &Group, view: &GroupView, look: Look) -> Vec<Candidate> {
    let mut ranked: Vec<(Rank, Candidate)> = group.replicas.keys().map(|addr| assess(group, view, addr, look)).collect();
    ranked.sort_by(|(a, _), (b, _)| a.cmp(b));
    ranked.into_iter().map(|(_, candidate)| candidate).collect()
}

impl Judge {
    pub(super) fn candidates_now(&self) -> Vec<Candidate> {
        let fresh_ms = FRESH_MS.max(2 * self.world.group.settings.ping_period_ms());
        let not_before = Mono(self.now().0.saturating_sub(fresh_ms * 1000));
        rank_candidates(&self.world.group, &self.view, Look { not_before, now: self.now() })
    }

    /// The nodes that could be asked something now, with their newest reports.
    pub(super) fn live_reports(&self) -> BTreeMap<Addr, (Mono, Arc<NodeReport>)> {
        let live = |addr: &Addr| self.view.live_report(addr).map(|(at, report)| (addr.clone(), (at, Arc::clone(report))));
        self.view.nodes.keys().filter_map(live).collect()
    }
}

/// The choice among `candidates` (as [`rank_candidates`] returns them); none if none is eligible.
pub fn choose(candidates: Vec<Candidate>, master_offset: Option<u64>) -> Option<Choice> {
    let first = candidates.first().filter(|candidate| candidate.ineligible.is_none())?;
    let second = candidates.get(1).filter(|candidate| candidate.ineligible.is_none());
    let reason = match second {
        None => ChosenFor::OnlyCandidate,
        Some(second) if first.priority != second.priority => ChosenFor::Priority,
        Some(second) if first.offset != second.offset => ChosenFor::Offset,
        Some(_) => ChosenFor::RunId,
    };
    let estimated_loss_bytes = master_offset.zip(first.offset).map(|(master, chosen)| master.saturating_sub(chosen));
    Some(Choice {
        chosen: first.addr.clone(),
        reason,
        master_offset,
        estimated_loss_bytes,
        candidates,
        basis: FencingProof::Unfenced,
        arms: None,
        by_hand: false,
    })
}

/// The sort key: eligible ones first, then by preference; the address makes the order total.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    refused: bool,
    former_history: bool,
    priority: u32,
    offset: Reverse<u64>,
    run_id: String,
    addr: Addr,
}

fn assess(group: &Group, view: &GroupView, addr: &Addr, look: Look) -> (Rank, Candidate) {
    let node = view.nodes.get(addr);
    let report = node.and_then(|node| node.report.as_ref()).map(|(_, report)| &**report);
    let replica = report.and_then(as_replica);
    let candidate = Candidate {
        addr: addr.clone(),
        run_id: report.map(|report| report.run_id.clone()),
        priority: replica.map(|replica| replica.priority),
        offset: report.map(|report| report.offset),
        detached: false,
        ineligible: node.map_or(Some(Ineligible::NoReport), |node| refuse(group, view, addr, node, look)),
    };
    let rank = Rank {
        refused: candidate.ineligible.is_some(),
        former_history: report.is_some_and(|report| lineage(group, report) == Lineage::Former),
        priority: candidate.priority.unwrap_or(u32::MAX),
        offset: Reverse(candidate.offset.unwrap_or(0)),
        run_id: report.map(|report| report.run_id.as_str().to_ascii_lowercase()).unwrap_or_default(),
        addr: addr.clone(),
    };
    (rank, candidate)
}

const fn as_replica(report: &NodeReport) -> Option<&ReplicaReport> {
    match &report.role {
        RoleReport::Replica(replica) => Some(replica),
        RoleReport::Master { .. } => None,
    }
}

/// Why the node cannot be promoted; none if it can.
fn refuse(group: &Group, view: &GroupView, addr: &Addr, node: &NodeView, look: Look) -> Option<Ineligible> {
    if node.cannot_judge.is_some() {
        return Some(Ineligible::Credentials);
    }
    if let Some(record) = group.replicas.get(addr) {
        if !group.is_wanted(record) {
            return Some(Ineligible::NotNamed);
        }
        if record.tenure == Tenure::Guest && record.identity.is_none() && !was_listed(group, view, addr) {
            return Some(Ineligible::NeverInSync);
        }
    }
    if node.down_since.is_some() || matches!(node.link, Link::Down { .. }) {
        return Some(Ineligible::Down);
    }
    if let Some(reason) = node.takes_no_orders() {
        return Some(reason);
    }
    let Some((at, report)) = node.report.as_ref().filter(|(at, _)| *at >= look.not_before) else {
        return Some(Ineligible::NoReport);
    };
    if report.loading {
        return Some(Ineligible::Loading);
    }
    let Some(replica) = as_replica(report) else { return refuse_master(group, addr, report) };
    if let Some(reason) = overreach(group, view, addr, (*at, report)) {
        return Some(reason);
    }
    refuse_replica(replica, report).or_else(|| refuse_data(group, view, report, replica, look.now.ms_since(*at), look.now))
}

/// A master is no candidate, but for the one that clients still know because the last decision was never seen carried out. It ranks
/// behind all replicas, and only with the data that it had.
fn refuse_master(group: &Group, addr: &Addr, report: &NodeReport) -> Option<Ineligible> {
    if !group.promotion_unconfirmed() || group.announced != *addr {
        return Some(Ineligible::NotAReplica);
    }
    let known = group.replicas.get(addr).and_then(|record| record.identity.as_ref()).map(|identity| &identity.replid);
    let same = known.is_none_or(|known| report.replid == *known || report.replid2.as_ref() == Some(known));
    (!same).then(|| Ineligible::ForeignHistory { replid: report.replid.clone() })
}

fn refuse_replica(replica: &ReplicaReport, report: &NodeReport) -> Option<Ineligible> {
    if replica.priority == 0 {
        Some(Ineligible::PriorityZero)
    } else if replica.syncing {
        Some(Ineligible::Syncing)
    } else if !replica.link_up && replica.link_down_s.is_none() && report.offset == 0 {
        Some(Ineligible::NeverSynced)
    } else {
        None
    }
}

fn refuse_data(
    group: &Group,
    view: &GroupView,
    report: &NodeReport,
    replica: &ReplicaReport,
    report_age_ms: u64,
    now: Mono,
) -> Option<Ineligible> {
    if lineage(group, report) == Lineage::Foreign && view.shared_history(group) != Some(&report.replid) {
        return Some(foreign(report));
    }
    let master_silent_ms = view.nodes.get(&group.master.addr).map_or(0, |master| now.ms_since(master.last_valid));
    let limit_ms = STALE_AFTER_LIMITS.saturating_mul(group.settings.down_after_ms).saturating_add(master_silent_ms);
    let link_down_ms = replica.link_down_s.map_or(0, |seconds| seconds.saturating_mul(1000).saturating_add(report_age_ms));
    (!replica.link_up && link_down_ms > limit_ms).then_some(Ineligible::StaleData { link_down_ms, limit_ms })
}

/// Whether the master, when it was last seen, listed the node as a replica that has its first copy. A master that died before it was asked
/// again may have listed it as one that was still copying: Redis gives a replica the name of its master's history once it has all of the
/// copy (`replicationCreateMasterClient`), so the node's own report tells then.
fn was_listed(group: &Group, view: &GroupView, addr: &Addr) -> bool {
    let report_of = |addr: &Addr| view.nodes.get(addr).and_then(|node| node.report.as_ref()).map(|(_, report)| &**report);
    let Some(master) = report_of(&group.master.addr) else { return false };
    let RoleReport::Master { replicas, .. } = &master.role else { return false };
    let has_copy = |report: &NodeReport| {
        let replica = as_replica(report);
        report.replid == master.replid && report.offset > 0 && replica.is_some_and(|replica| !replica.syncing && !replica.place_lost)
    };
    let listed = |listed: &&AttachedReplica| view.is_same(addr, &listed.addr);
    replicas.iter().find(listed).is_some_and(|listed| listed.online || report_of(addr).is_some_and(has_copy))
}

/// Bytes that a master can write in a millisecond at most: 1 GiB in a second, more than one thread of Redis takes in.
const BYTES_PER_MS: u64 = 1024 * 1024 * 1024 / 1000;
/// What is allowed on top of that: reports of two servers are not of the same moment.
const OFFSET_SLACK: u64 = 64 * 1024 * 1024;

/// What is impossible about what a replica says that it holds, if anything is: more than its master had written when it was last seen,
/// and can have written since. A replica that once told its master so is not believed either.
pub fn overreach(group: &Group, view: &GroupView, addr: &Addr, (at, report): (Mono, &NodeReport)) -> Option<Ineligible> {
    let (master_at, master) = view.nodes.get(&group.master.addr)?.report.as_ref()?;
    let RoleReport::Master { replicas, .. } = &master.role else { return None };
    let acknowledged = replicas.iter().find(|listed| view.is_same(addr, &listed.addr)).map(|listed| listed.offset);
    if let Some(offset) = acknowledged.filter(|offset| *offset > master.offset.saturating_add(OFFSET_SLACK)) {
        return Some(Ineligible::ImpossibleOffset { offset, most: master.offset });
    }
    if master.replid != report.replid {
        return None;
    }
    let since_ms = at.ms_since(*master_at);
    let most = master.offset.saturating_add(OFFSET_SLACK).saturating_add(since_ms.saturating_mul(BYTES_PER_MS));
    (report.offset > most).then_some(Ineligible::ImpossibleOffset { offset: report.offset, most })
}

/// How the data of a node relates to the recorded master's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lineage {
    /// The same history, or a prefix of it; or the master was never seen, so nothing is known against it.
    Same,
    /// The history that the master had before it came back with an unrelated one.
    Former,
    /// Another history.
    Foreign,
}

/// How the data that `report` describes relates to the recorded master's.
pub fn lineage(group: &Group, report: &NodeReport) -> Lineage {
    let Some(master) = &group.master.identity else {
        // Chosen, and never seen as a master: it goes on with its predecessor's history.
        // The former master of that one may have gone further than the point at which it was replaced.
        let ours = group.master.inherits.as_ref().is_none_or(|master| {
            report.replid == master.replid
                || (master.replid2.as_ref() == Some(&report.replid) && master.second_offset.is_none_or(|until| report.offset <= until))
                || report.replid2.as_ref() == Some(&master.replid)
        });
        return if ours { Lineage::Same } else { Lineage::Foreign };
    };
    if report.replid.is_unknown() {
        // Nothing can be said against it, and only stock's policy does with that.
        return Lineage::Same;
    }
    let prefix_of =
        |history: Option<&ReplId>, until: Option<u64>| history == Some(&report.replid) && until.is_none_or(|until| report.offset <= until);
    if report.replid == master.replid || prefix_of(master.replid2.as_ref(), master.second_offset) {
        Lineage::Same
    } else if group.master.former_history.as_ref() == Some(&report.replid) {
        Lineage::Former
    } else {
        Lineage::Foreign
    }
}

/// What to say of a server whose history is another one: that its link is down, if that is why.
pub(super) fn foreign(report: &NodeReport) -> Ineligible {
    let replid = report.replid.clone();
    match as_replica(report).filter(|replica| !replica.link_up && replica.master != Addr::nobody()) {
        Some(replica) => Ineligible::OutOfSync { replid, down_s: replica.link_down_s },
        None => Ineligible::ForeignHistory { replid },
    }
}

/// Whether the node holds the recorded master's data and goes on from there: somebody else made a master of a replica,
/// and the node is that one or follows it.
pub fn continues(group: &Group, report: &NodeReport) -> bool {
    let known = group.master.identity.as_ref().or(group.master.inherits.as_ref());
    known.is_some_and(|master| report.replid2.as_ref() == Some(&master.replid))
}

/// Orders replicas by how much data they hold, most first (who is pointed at a new master first).
pub fn by_data(view: &GroupView, a: &Addr, b: &Addr) -> Ordering {
    let offset = |addr| view.nodes.get(addr).and_then(|node| node.report.as_ref()).map_or(0, |(_, report)| report.offset);
    offset(b).cmp(&offset(a)).then_with(|| a.cmp(b))
}
