//! What the state was at every so many entries, so that sentinels can compare theirs: the same entries must have made the same state.
//!
//! A digest is computed beside the application of entries, over a copy that shares what does not change, and tells nothing of the state itself.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};

use super::codec;
use crate::base::{LogIndex, limits};
use crate::machine::State;

/// Digests that are kept: others may be behind, or ahead.
const KEPT: usize = 8;
const BYTES: usize = 16;

/// What the state was at one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    /// The entry.
    pub index: LogIndex,
    /// The first half of the SHA-256 of the state as it is written down.
    pub sum: [u8; BYTES],
}

impl Digest {
    /// The digest of a state.
    ///
    /// # Errors
    /// When the state cannot be written down.
    pub fn of(state: &State) -> Result<Self, serde_json::Error> {
        let whole = Sha256::digest(codec::encode(state)?);
        let sum = std::array::from_fn(|at| whole.get(at).copied().unwrap_or_default());
        Ok(Self { index: state.applied, sum })
    }
}

/// The newest digests.
#[derive(Debug)]
pub struct Digests {
    every: AtomicU64,
    kept: Mutex<VecDeque<Digest>>,
}

impl Default for Digests {
    fn default() -> Self {
        Self { every: AtomicU64::new(limits::STATE_DIGEST_EVERY_ENTRIES), kept: Mutex::default() }
    }
}

impl Digests {
    /// From now on there is one at every multiple of this. All members must have the same to compare anything.
    pub fn set_every(&self, entries: u64) {
        self.every.store(entries.max(1), Ordering::Relaxed);
    }

    /// The newest.
    pub fn newest(&self) -> Option<Digest> {
        self.kept().back().copied()
    }

    /// That at an entry, if it is kept.
    pub fn at(&self, index: LogIndex) -> Option<Digest> {
        self.kept().iter().find(|digest| digest.index == index).copied()
    }

    /// An entry was applied. Computed on a thread of its own where that may take long.
    pub(super) fn look(self: &Arc<Self>, state: &Arc<State>) {
        if !state.applied.0.is_multiple_of(self.every.load(Ordering::Relaxed)) {
            return;
        }
        let (digests, state) = (Arc::clone(self), Arc::clone(state));
        let compute = move || match Digest::of(&state) {
            Ok(digest) => digests.keep(digest),
            Err(problem) => tracing::error!(%problem, "the state cannot be written down"),
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(compute)),
            Err(_) => compute(),
        }
    }

    fn keep(&self, digest: Digest) {
        let mut kept = self.kept();
        // A later one may be faster.
        let place = kept.partition_point(|known| known.index < digest.index);
        kept.insert(place, digest);
        if kept.len() > KEPT {
            kept.pop_front();
        }
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Digest>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails may panic")]
mod tests {
    use super::*;

    fn state(applied: u64) -> Arc<State> {
        Arc::new(State { applied: LogIndex(applied), ..State::default() })
    }

    #[test]
    fn the_newest_are_kept_in_order() {
        let digests = Arc::new(Digests::default());
        digests.set_every(10);
        for index in [0, 7, 20, 10, 30] {
            digests.look(&state(index));
        }
        assert_eq!(digests.newest(), Some(Digest::of(&state(30)).unwrap()));
        assert_eq!(digests.at(LogIndex(10)), Some(Digest::of(&state(10)).unwrap()));
        assert_eq!(digests.at(LogIndex(7)), None);
        (4..40).for_each(|n| digests.look(&state(n * 10)));
        assert_eq!((digests.at(LogIndex(30)), digests.kept().len()), (None, KEPT));
    }

    #[test]
    fn another_state_has_another_digest_and_the_same_one_survives_a_snapshot() {
        let one = State { applied: LogIndex(5), former: Vec::new(), compacted: LogIndex(1), ..State::default() };
        let other = State { compacted: LogIndex(2), ..one.clone() };
        assert_ne!(Digest::of(&one).unwrap(), Digest::of(&other).unwrap());
        let read: State = codec::decode(&codec::encode(&one).unwrap()).unwrap();
        assert_eq!(Digest::of(&one).unwrap(), Digest::of(&read).unwrap());
    }
}
