//! How acts are worded for one server, as learned from what it refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How one server takes orders. Clones share what is learned, so that a fresh link does not learn it again in the middle of a failover.
#[derive(Clone, Debug, Default)]
pub struct Dialect(Arc<Learned>);

#[derive(Debug, Default)]
struct Learned {
    other_name: AtomicBool,
    one_by_one: AtomicBool,
}

impl Dialect {
    /// Whether REPLICAOF goes by the second of its names.
    pub(super) fn uses_other_name(&self) -> bool {
        self.0.other_name.load(Ordering::Relaxed)
    }

    pub(super) fn use_other_name(&self, other: bool) {
        self.0.other_name.store(other, Ordering::Relaxed);
    }

    /// Whether commands go one by one, since the server does not let this user end a transaction that it lets it begin.
    pub(super) fn is_one_by_one(&self) -> bool {
        self.0.one_by_one.load(Ordering::Relaxed)
    }

    pub(super) fn speak_one_by_one(&self, one_by_one: bool) {
        self.0.one_by_one.store(one_by_one, Ordering::Relaxed);
    }
}
