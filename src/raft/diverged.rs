//! Whether the log of this sentinel is another one than that of the others: an entry that is committed here is another one there.
//!
//! With disks that keep what was acknowledged that cannot be. When a leader's call contradicts what is committed here, the others are asked which entry they
//! have in that place; also when a disk is found that went back in time. Where a quorum cannot have ours any more (they answer with another one, or their disks went back in time), this sentinel stands alone
//! with what it applied: it stops, with the reason, and gives no more answers. The word of one leader alone stops nobody.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;

use super::acks::is_quorum;
use super::config::PING_WITHIN;
use super::core::Core;
use super::types::LogId;
use super::wire;
use crate::base::NodeId;

/// What is known about it.
#[derive(Debug)]
pub(super) struct Suspicion {
    asking: AtomicBool,
    proven: watch::Sender<Option<String>>,
}

impl Default for Suspicion {
    fn default() -> Self {
        Self { asking: AtomicBool::new(false), proven: watch::Sender::new(None) }
    }
}

impl Suspicion {
    /// Waits until it is certain, and says why.
    pub(super) async fn proven(&self) -> String {
        let mut proven = self.proven.subscribe();
        match proven.wait_for(Option::is_some).await.ok().and_then(|now| now.clone()) {
            Some(why) => why,
            None => std::future::pending().await,
        }
    }
}

/// The others may have another entry in this place, which is committed here. Asks them, once at a time.
pub(super) fn suspect(core: &Arc<Core>, place: LogId) {
    if core.suspicion.asking.swap(true, Ordering::Relaxed) {
        return;
    }
    let core = Arc::clone(core);
    core.tasks.clone().spawn(async move {
        ask(&core, place).await;
        core.suspicion.asking.store(false, Ordering::Relaxed);
    });
}

async fn ask(core: &Core, place: LogId) {
    let standing = core.standing();
    let Some(ours) = core.log.log_id_at(place.index) else { return };
    let other_entry = |id: NodeId| async move {
        if core.disks.went_back(id) {
            return Some((id, format!("the disk of sentinel {id} went back in time")));
        }
        let entry = core.calls.ping(id, PING_WITHIN, Some(place.index)).await.ok()?.entry.map(wire::log_id_from_wire)?;
        (entry != ours).then(|| (id, format!("sentinel {id} has {entry}")))
    };
    let others = standing.all_voters().into_iter().filter(|id| *id != core.me);
    let asked: FuturesUnordered<_> = others.map(other_entry).collect();
    let found: Vec<(NodeId, String)> = tokio::select! {
        () = core.stop.cancelled() => return,
        found = asked.filter_map(std::future::ready).collect() => found,
    };
    let without_ours: BTreeSet<NodeId> = found.iter().map(|(id, _)| *id).collect();
    if is_quorum(&standing.voters, &without_ours) {
        let told: Vec<String> = found.into_iter().map(|(_, told)| told).collect();
        core.suspicion.proven.send_replace(Some(alone(core.me, ours, &told.join(", "))));
    }
}

fn alone(me: NodeId, ours: LogId, others: &str) -> String {
    format!(
        "sentinel {me} has applied entry {ours}, and no quorum of the others has it ({others}). The disk of a sentinel that had acknowledged it went back in time (a \
         restored copy, or a machine that was rolled back), so what this one knows since then is not what the others know. Find that one ('raft-sentinel status' \
         at each), and decide which of the two to keep. To go on with what the others know: 'raft-sentinel members replace {me} NEW HOST:PORT' there, with \
         an empty 'dir' and 'raft node-id NEW' for the new one"
    )
}
