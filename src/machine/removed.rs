//! Groups that were removed a moment ago, and are the same ones when they are monitored again.
//!
//! Operators' loops and charts remove a master and monitor it again, every few seconds, on one sentinel after the other. What they mean is that the options of
//! stock Sentinel begin anew; the record of the group, its decisions and what was confirmed under its fence are none of their business, and a policy that stock does
//! not know nobody would set again. The sentinel that is asked to monitor decides whether the removal was a moment ago, and names it in the entry.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ballot::Ballot;
use super::failover::Stamp;
use super::fence::ArmedFence;
use super::group::Group;
use super::replica::ReplicaRecord;
use super::shadow::ControlMode;
use super::state::State;
use crate::base::places::is_same;
use crate::base::settings::PromotionPolicy;
use crate::base::{Addr, GroupName, GroupSettings, LogIndex, WallTime, limits};

/// For how long a removed group is taken up again. By the clocks of two sentinels, which is good enough for that.
const TAKEN_UP_WITHIN_MS: u64 = 60_000;
/// Entries after which it is not kept any more.
const KEPT_ENTRIES: u64 = 10_000;

/// What the one who removes a group says of it, since the record does not: the fence was given back for the removal, by another policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keep {
    /// The policy before.
    pub policy: PromotionPolicy,
    /// The fence before, as far as it still covers what was confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<ArmedFence>,
    /// Replicas that were down: the loop may be there to be rid of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub down: Vec<Addr>,
}

/// A group that was removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// The entry that removed it.
    at: Stamp,
    /// What is kept of it: no secret, and no option that stock Sentinel has.
    group: Group,
}

impl Removed {
    /// None where a failover was under way: what becomes of its servers is not known.
    fn of(group: &Group, keep: &Keep, at: Stamp) -> Option<Self> {
        if group.failover.is_some() || group.promotion_unconfirmed() {
            return None;
        }
        let mut group = group.clone();
        let ours = GroupSettings { promotion_policy: keep.policy, ..group.settings };
        group.settings = with_ours(GroupSettings::default(), &ours);
        group.ballot = Ballot::default();
        // Nothing holds the fence any more. What was confirmed under it is still where it was.
        group.fence =
            keep.fence.map(|fence| ArmedFence { min_replicas: 0, covered: fence.covered.min(fence.wait_replicas), since: at, ..fence });
        for down in &keep.down {
            if group.replicas.remove(down).as_ref().is_some_and(ReplicaRecord::may_hold) {
                group.uncover_one();
            }
        }
        Some(Self { at, group })
    }

    /// The entry that removed it: what one that takes it up again names.
    pub const fn entry(&self) -> LogIndex {
        self.at.index
    }

    /// The settings of a group that is monitored again: those of stock Sentinel as they are given, the others as they were.
    pub fn settings(&self, given: GroupSettings) -> GroupSettings {
        with_ours(given, &self.group.settings)
    }

    /// Its servers without `master`, which is one of them.
    pub fn replicas(&self, master: &Addr) -> Vec<Addr> {
        self.group.data_nodes().filter(|node| !is_same(node, master)).cloned().collect()
    }

    /// The group, taken up again.
    fn taken_up(self, Given { settings, duty, at }: Given<'_>) -> Group {
        let duty = if self.group.duty == ControlMode::Acts { duty } else { self.group.duty };
        // Secrets of its former life are none of this one's.
        Group { settings: settings.clone(), duty, secrets_set: at.index, ..self.group }
    }
}

/// What is said anew of a group that is taken up again.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) settings: &'a GroupSettings,
    /// What a new group would begin with.
    pub(super) duty: ControlMode,
    pub(super) at: Stamp,
}

impl State {
    /// What was kept of a group of that name of which `master` was a server, if it was removed lately.
    pub fn removed_lately(&self, name: &GroupName, master: &Addr, now: WallTime) -> Option<&Removed> {
        let removed = self.removed.get(name)?;
        let known = removed.group.data_nodes().any(|node| is_same(node, master));
        let age_ms = now.as_ms().saturating_sub(removed.at.at.as_ms());
        (known && age_ms < TAKEN_UP_WITHIN_MS).then_some(removed)
    }

    /// Keeps what may be taken up again; the oldest goes where there are many.
    pub(super) fn note_removed(&mut self, group: &Group, keep: &Keep, at: Stamp) {
        self.removed.retain(|_, removed| at.index.0.saturating_sub(removed.at.index.0) < KEPT_ENTRIES);
        self.removed.extend(Removed::of(group, keep, at).map(|removed| (group.name.clone(), removed)));
        if self.removed.len() > limits::REMOVED_GROUPS {
            let oldest = self.removed.iter().min_by_key(|(_, removed)| removed.at.index).map(|(name, _)| name.clone());
            oldest.map(|name| self.removed.remove(&name));
        }
    }

    /// The group as it was before the removal `entry`, where its name is monitored with its master again. Whatever comes of it, nothing is kept of the name
    /// any more.
    pub(super) fn take_up(&mut self, name: &GroupName, master: &Addr, entry: Option<LogIndex>, given: Given<'_>) -> Option<Group> {
        let removed = self.removed.remove(name)?;
        let same = removed.group.master.addr == *master && entry == Some(removed.at.index);
        same.then(|| removed.taken_up(given))
    }
}

pub(super) fn is_empty(removed: &BTreeMap<GroupName, Removed>) -> bool {
    removed.is_empty()
}

/// The settings with those of `from` that stock Sentinel does not have.
fn with_ours(settings: GroupSettings, from: &GroupSettings) -> GroupSettings {
    GroupSettings {
        promotion_policy: from.promotion_policy,
        fence_max_lag_s: from.fence_max_lag_s,
        crash_down_after_ms: from.crash_down_after_ms,
        replica_forget_after_ms: from.replica_forget_after_ms,
        replicas_fixed: from.replicas_fixed,
        max_replicas: from.max_replicas,
        ..settings
    }
}

#[cfg(test)]
#[path = "removed_test.rs"]
mod tests;
