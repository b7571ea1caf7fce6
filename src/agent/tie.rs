//! What keeps this sentinel from changing the servers of a group, besides what the log says of it.

use super::Parts;
use crate::base::Mono;
use crate::judge::Tie;
use crate::machine::{Duty, Group};

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

/// Why it holds back now, with hands or without; `since` is when it began to tend the group.
pub(super) fn tie(parts: &Parts, group: &Group, since: Mono) -> Option<Tie> {
    let now = parts.clock.mono();
    let state = parts.raft.state();
    let beside_others = || parts.board.neighbours(&group.name).others(&state.former, now).next().is_some();
    match group.duty {
        Duty::Shadow { .. } | Duty::TookOver { despite_stock: true, .. } => None,
        Duty::Acts if parts.shadow => Some(Tie::OwnFile),
        Duty::Acts | Duty::TookOver { despite_stock: false, .. } if beside_others() => Some(Tie::Stock),
        Duty::Acts if now.ms_since(since) < LISTEN_FIRST_MS => Some(Tie::Listening),
        Duty::Acts | Duty::TookOver { .. } => None,
    }
}
