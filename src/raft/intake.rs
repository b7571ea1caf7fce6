//! Room for snapshots that are on their way in: bounded in number, in bytes and in time, whoever sends them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::{NodeId, limits};

/// Snapshots at the same time. There is one leader, and for a moment its successor.
const AT_ONCE: usize = 2;

/// The snapshots that are being received.
#[derive(Clone, Debug, Default)]
pub(super) struct Intakes(Arc<Mutex<BTreeMap<NodeId, usize>>>);

/// Room for one snapshot, given back when dropped.
#[derive(Debug)]
pub(super) struct Room {
    intakes: Intakes,
    from: NodeId,
}

impl Intakes {
    fn open(&self) -> MutexGuard<'_, BTreeMap<NodeId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for a snapshot of so many bytes, or none: one from each peer, and all together no more bytes than the largest one.
    pub(super) fn enter(&self, from: NodeId, bytes: u64) -> Option<Room> {
        let bytes = usize::try_from(bytes).ok()?;
        let mut open = self.open();
        let held: usize = open.values().sum();
        if open.len() >= AT_ONCE || open.contains_key(&from) || held.saturating_add(bytes) > limits::SNAPSHOT_BYTES {
            return None;
        }
        open.insert(from, bytes);
        Some(Room { intakes: self.clone(), from })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.intakes.open().remove(&self.from);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails may panic")]
mod tests {
    use super::*;

    #[test]
    fn room_is_for_one_of_each_peer_and_for_the_bytes_of_one() {
        let intakes = Intakes::default();
        let all = limits::SNAPSHOT_BYTES as u64;
        let one = intakes.enter(NodeId(1), 10).unwrap();
        assert!(intakes.enter(NodeId(1), 10).is_none(), "it sends one already");
        assert!(intakes.enter(NodeId(2), all - 9).is_none(), "too many bytes together");
        assert!(intakes.enter(NodeId(2), u64::MAX).is_none());
        let two = intakes.enter(NodeId(2), all - 10).unwrap();
        assert!(intakes.enter(NodeId(3), 0).is_none(), "two are enough");
        drop((one, two));
        assert!(intakes.enter(NodeId(3), all).is_some());
    }
}
