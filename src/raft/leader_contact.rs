//! When this sentinel last heard a leader, and when it last gave its vote away.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use crate::base::{Mono, NodeId};

/// What was heard. Shared by the peer service, the guard and the leadership watch.
#[derive(Debug)]
pub(super) struct Ear {
    leader: watch::Sender<Option<(NodeId, Mono)>>,
    /// Microseconds plus one; zero for never.
    voted: AtomicU64,
}

impl Default for Ear {
    fn default() -> Self {
        Self { leader: watch::Sender::new(None), voted: AtomicU64::new(0) }
    }
}

impl Ear {
    /// A legitimate leader called.
    pub(super) fn note_leader(&self, leader: NodeId, at: Mono) {
        self.leader.send_replace(Some((leader, at)));
    }

    /// A vote was given to another.
    pub(super) fn note_vote(&self, at: Mono) {
        self.voted.fetch_max(at.0 + 1, Ordering::Relaxed);
    }

    /// When a leader was last heard.
    pub(super) fn heard(&self) -> Option<Mono> {
        self.leader.borrow().map(|(_, at)| at)
    }

    /// Which leader was last heard, and when.
    pub(super) fn leader(&self) -> watch::Receiver<Option<(NodeId, Mono)>> {
        self.leader.subscribe()
    }

    /// The last reason not to campaign: a leader's call, or a vote given away.
    pub(super) fn last(&self) -> Option<Mono> {
        let voted = self.voted.load(Ordering::Relaxed).checked_sub(1).map(Mono);
        self.heard().max(voted)
    }
}
