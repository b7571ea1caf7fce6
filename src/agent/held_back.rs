//! What keeps this sentinel from changing the servers of a group, besides what the log says of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Parts;
use crate::base::{Addr, GroupName, Mono};
use crate::judge::HeldBack;
use crate::machine::{ControlMode, Group, State};

/// How long the hello channels are listened to before anything is repaired or said there. Hellos come every two seconds, and who
/// says them is believed at the second one.
const LISTEN_FIRST_MS: u64 = 5000;

/// The other groups are searched for this one's data nodes this often.
const SHARED_LOOK_MS: u64 = 5000;

/// Whether this sentinel is to have hands on the servers of the group at all.
pub(super) fn may_touch(parts: &Parts, group: &Group) -> bool {
    match group.duty {
        ControlMode::Acts => !parts.shadow,
        ControlMode::Shadow { .. } => false,
        ControlMode::TookOver { .. } => true,
    }
}

/// The data nodes that other groups act on. They are rare, and there may be a thousand groups: to look now and then is enough, since every act is
/// checked once more.
pub(super) struct Shared {
    pub(super) elsewhere: Arc<BTreeMap<Addr, GroupName>>,
    looked: Mono,
    /// The data nodes at that time.
    of: BTreeSet<Addr>,
}

impl Shared {
    pub(super) fn of(parts: &Parts, group: &Group) -> Self {
        let elsewhere = Arc::new(elsewhere(&parts.raft.state(), group));
        Self { elsewhere, looked: parts.clock.mono(), of: group.data_nodes().cloned().collect() }
    }

    pub(super) fn is_current(&self, group: &Group, now: Mono) -> bool {
        now.ms_since(self.looked) < SHARED_LOOK_MS
            && group.data_nodes().count() == self.of.len()
            && group.data_nodes().all(|node| self.of.contains(node))
    }
}

/// The group that acts on a data node in the place of this one: it has that server as well, and was there first.
pub(super) fn owner<'a>(state: &'a State, group: &Group, node: &Addr) -> Option<&'a GroupName> {
    let process = group.process_at(node);
    let has = |other: &&Arc<Group>| other.precedes(group) && other.has_server(node, process);
    state.groups.values().filter(has).min_by_key(|other| (other.created, &other.name)).map(|other| &other.name)
}

/// The data nodes of a group that others act on.
pub(super) fn elsewhere(state: &State, group: &Group) -> BTreeMap<Addr, GroupName> {
    group.data_nodes().filter_map(|node| owner(state, group, node).map(|other| (node.clone(), other.clone()))).collect()
}

/// Tells whoever reads the log that a group is held back for another.
pub(super) fn tell_of_shared(group: &Group, other: &GroupName) {
    tracing::warn!(group = %group.name, %other, master = %group.master.addr,
        "two groups have the same server: only the other one, which was there first, acts on it; this one follows. Remove one of the two");
}

/// Whether a server that is to be recorded as found is a data node of another group, whichever was there first.
pub(super) fn is_taken(state: &State, group: &GroupName, found: &Addr) -> bool {
    state.groups.values().any(|other| other.name != *group && other.has_server(found, None))
}

/// Why it holds back now, with hands or without; `since` is when it began to tend the group, `elsewhere` are the data nodes that others act on.
pub(super) fn held_back(parts: &Parts, group: &Group, since: Mono, elsewhere: &BTreeMap<Addr, GroupName>) -> Option<HeldBack> {
    let now = parts.clock.mono();
    let state = parts.raft.state();
    let beside_others = || parts.board.neighbours(&group.name).others(&state.former, now).next().is_some();
    match (group.duty, elsewhere.get(&group.master.addr)) {
        (ControlMode::Shadow { .. }, _) => None,
        (_, Some(other)) => Some(HeldBack::Shared(other.clone())),
        (ControlMode::TookOver { despite_stock: true, .. }, _) => None,
        (ControlMode::Acts, _) if parts.shadow => Some(HeldBack::OwnFile),
        (ControlMode::Acts | ControlMode::TookOver { despite_stock: false, .. }, _) if beside_others() => Some(HeldBack::Stock),
        (ControlMode::Acts, _) if now.ms_since(since) < LISTEN_FIRST_MS => Some(HeldBack::Listening),
        (ControlMode::Acts | ControlMode::TookOver { .. }, _) => None,
    }
}
