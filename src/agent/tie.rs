//! What keeps this sentinel from changing the servers of a group, besides what the log says of it.

use super::Parts;
use crate::base::{Addr, GroupName, Mono};
use crate::judge::Tie;
use crate::machine::{Duty, Group, State};

/// How long the hello channels are listened to before anything is repaired or said there. Hellos come every two seconds, and who
/// says them is believed at the second one.
const LISTEN_FIRST_MS: u64 = 5000;

/// Whether this sentinel is to have hands on the servers of the group at all.
pub(super) fn may_touch(parts: &Parts, group: &Group) -> bool {
    match group.duty {
        Duty::Acts => !parts.shadow,
        Duty::Shadow { .. } => false,
        Duty::TookOver { .. } => true,
    }
}

/// The group that acts on the servers in the place of this one: its master is a data node of that one as well. Of two the first by name acts.
pub(super) fn sharer<'a>(state: &'a State, group: &Group) -> Option<&'a GroupName> {
    let has = |other: &Group| other.data_nodes().any(|node| *node == group.master.addr);
    state.groups.range(..&group.name).find(|(_, other)| has(other)).map(|(name, _)| name)
}

/// The group whose master a node is that this group has as a replica, or has as its master, too, and comes after the other by name.
pub(super) fn master_elsewhere<'a>(state: &'a State, group: &Group, node: &Addr) -> Option<&'a GroupName> {
    let leads = |other: &Group| other.name != group.name && other.master.addr == *node;
    let defers = |other: &Group| *node != group.master.addr || other.name < group.name;
    state.groups.values().find(|other| leads(other) && defers(other)).map(|other| &other.name)
}

/// Why it holds back now, with hands or without; `since` is when it began to tend the group, `shared` whether another group acts on its master.
pub(super) fn tie(parts: &Parts, group: &Group, since: Mono, shared: bool) -> Option<Tie> {
    let now = parts.clock.mono();
    let state = parts.raft.state();
    let beside_others = || parts.board.neighbours(&group.name).others(&state.former, now).next().is_some();
    match group.duty {
        Duty::Shadow { .. } => None,
        _ if shared => Some(Tie::Shared),
        Duty::TookOver { despite_stock: true, .. } => None,
        Duty::Acts if parts.shadow => Some(Tie::OwnFile),
        Duty::Acts | Duty::TookOver { despite_stock: false, .. } if beside_others() => Some(Tie::Stock),
        Duty::Acts if now.ms_since(since) < LISTEN_FIRST_MS => Some(Tie::Listening),
        Duty::Acts | Duty::TookOver { .. } => None,
    }
}
