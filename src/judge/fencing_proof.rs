//! Whether the old master can take writes no more: that it is gone, what it says of itself, and how long it takes not to notice.

use std::collections::BTreeSet;

use super::group_judge::Judge;
use super::view::Link;
use crate::base::observation::{LinkLoss, RoleReport};
use crate::base::{Addr, FenceSight, Mono};
use crate::machine::{Evidence, FencingProof, Group, Needed, ReplicaRecord, Tenure};

/// A master counts a replica for its longest lag, and notices that once a second: this much after that it has noticed for certain.
const NOTICE_S: u64 = 2;

impl Judge {
    /// Why the old master can take no writes any more, if that is so; `since` is when enough replicas had left it, `off` how many have.
    pub(super) fn out_of_writes(&self, group: &Group, needed: Needed, (since, off): (Mono, u32)) -> Option<FencingProof> {
        if self.is_gone(group) {
            return Some(FencingProof::Gone);
        }
        if self.seen_out(group, since) {
            return Some(FencingProof::SeenOut);
        }
        let ended = self.silence_ends(group, needed, (since, off)).is_some_and(|end| self.now() >= end);
        // Not if it is seen to hold less than it is relied on for.
        let held = self.view.fence(self.masters_address(group)).and_then(FenceSight::held);
        let relied_on = group.fence.map_or(0, |fence| fence.min_replicas);
        let holds = held.is_none_or(|held| held.min_replicas >= relied_on);
        (ended && holds).then_some(FencingProof::LagWindow)
    }

    /// Whether the old master's process is gone: a majority found that its port refuses.
    pub(super) fn is_gone(&self, group: &Group) -> bool {
        // It may be elsewhere by now.
        let at = self.masters_address(group);
        // Seen by this one as well, and now: a process that was gone when the votes were cast may be back.
        let gone = matches!(self.view.nodes.get(at).map(|node| &node.link), Some(Link::Down { loss: LinkLoss::Refused, .. }));
        let refusing = group.ballot.votes().values().filter(|vote| vote.testimony.evidence == Evidence::Refused).count();
        gone && refusing >= self.world.majority
    }

    /// When a silent master has noticed for certain that it is left; none while that cannot be said.
    pub(super) fn silence_ends(&self, group: &Group, needed: Needed, (since, off): (Mono, u32)) -> Option<Mono> {
        let left_to_it = self.may_serve(group).saturating_sub(off).saturating_add(self.non_data_followers(&group.master.addr));
        let too_few = group.fence.is_some_and(|fence| left_to_it < fence.min_replicas);
        (needed.fences && too_few).then(|| window_end(group, self.counts_since(group, since)))
    }

    /// How many of the replicas on record may follow the master somewhere out of sight: those that count, those that were seen in sync and
    /// do not count yet, what it listed when it was last seen, and those that have been gone for long, unless their port refuses.
    fn may_serve(&self, group: &Group) -> u32 {
        let listed = |addr: &Addr| {
            let report = self.view.nodes.get(&group.master.addr).and_then(|node| node.report.as_ref());
            let Some(RoleReport::Master { replicas, .. }) = report.map(|(_, report)| &report.role) else { return false };
            replicas.iter().any(|replica| self.view.is_same(addr, &replica.addr))
        };
        let refuses =
            |addr: &Addr| matches!(self.view.nodes.get(addr).map(|node| &node.link), Some(Link::Down { loss: LinkLoss::Refused, .. }));
        let may = |(addr, record): &(&Addr, &ReplicaRecord)| match record.tenure {
            Tenure::Counted => true,
            Tenure::Guest => record.identity.is_some() || listed(addr),
            Tenure::Away => !refuses(addr),
        };
        u32::try_from(group.replicas.iter().filter(may).count()).unwrap_or(u32::MAX)
    }

    /// How many the master was last seen to count for its fence that are no data nodes: what follows it without listening on a port, all
    /// but the first of those that it lists by one address, and whoever it lists and is not on record.
    pub(super) fn non_data_followers(&self, master: &Addr) -> u32 {
        let newest = self.view.nodes.get(master).and_then(|node| node.report.as_ref());
        let Some(RoleReport::Master { replicas, good_replicas: Some(good), .. }) = newest.map(|(_, report)| &report.role) else { return 0 };
        let listed: BTreeSet<&Addr> = replicas.iter().filter(|replica| replica.online).map(|replica| &replica.addr).collect();
        let group = &self.world.group;
        let on_record = |addr: &&&Addr| group.data_nodes().any(|known| self.view.is_same(known, addr));
        let data_nodes = listed.iter().filter(on_record).count();
        good.saturating_sub(u32::try_from(data_nodes).unwrap_or(u32::MAX))
    }

    /// From when on the old master has the time to notice: not while it answers that a script keeps it busy. That one goes on writing,
    /// whatever became of the replicas since it began.
    fn counts_since(&self, group: &Group, since: Mono) -> Mono {
        let busy = self.view.nodes.get(&group.master.addr).filter(|node| node.last_reply > node.last_valid && node.error.is_none());
        busy.map_or(since, |node| since.max(node.last_reply))
    }

    /// Whether the old master itself says, later than `since`, that it takes no writes: it is a replica, or it counts too few.
    pub(super) fn seen_out(&self, group: &Group, since: Mono) -> bool {
        let master = self.masters_address(group);
        let Some((_, report)) = self.view.live_report(master).filter(|(at, _)| *at > since) else { return false };
        match (&report.role, self.view.fence(master)) {
            (RoleReport::Replica(_), _) => true,
            // By the connections that it has open, since an acknowledgement that was on its way would count again; and by what it counts,
            // since that may be more than data nodes. That it counts at all shows that the fence is in force at this moment.
            (RoleReport::Master { replicas, good_replicas, .. }, Some(FenceSight::Holds(fence))) => {
                // What was seen of the fence may have been lowered since; the log was told first.
                let relied_on = group.fence.map_or(0, |record| record.min_replicas).min(fence.min_replicas);
                replicas.len() < relied_on as usize && good_replicas.is_some_and(|good| good < relied_on)
            }
            (RoleReport::Master { .. }, _) => false,
        }
    }
}

/// When a master that lost its replicas at `since` without noticing has noticed for certain.
pub(super) fn window_end(group: &Group, since: Mono) -> Mono {
    let max_lag_s = group.fence.map_or(group.settings.fence_max_lag_s, |fence| fence.max_lag_s);
    since.plus_ms(u64::from(max_lag_s).saturating_add(NOTICE_S).saturating_mul(1000))
}
