//! The birth of a group: with no log anywhere, it forms by itself once a majority of the initial members is up.
//!
//! All initial members would write the same first entry, so it does no harm when several do. A sentinel that lost its disk
//! cannot start a second group: the others refuse it, so it never sees a majority.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use openraft::BasicNode;

use super::acks::is_quorum;
use super::config::REACHABLE_MS;
use super::core::Core;
use crate::base::NodeId;

const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The member with the lowest number goes first; the others follow only when nothing came of it.
const PATIENCE_LOOKS: u32 = 20;

/// Runs until the group has formed.
pub(super) async fn run(core: Arc<Core>) {
    if !core.config.peers.contains_key(&core.me) {
        tracing::info!(node = %core.me, "not among the initial members; waiting to be added");
        return;
    }
    let mut looks = 0;
    while core.standing().members.is_empty() {
        let up = initial_members_up(&core);
        if is_quorum(&[core.config.peers.keys().copied().collect()], &up) && !core.peers.anyone_formed() {
            looks += 1;
            if up.first() == Some(&core.me) || looks > PATIENCE_LOOKS {
                form(&core).await;
            }
        }
        if !core.rest(LOOK_EVERY).await {
            return;
        }
    }
}

fn initial_members_up(core: &Core) -> BTreeSet<NodeId> {
    let heard = core.peers.heard_within(REACHABLE_MS).into_iter();
    heard.chain([core.me]).filter(|id| core.config.peers.contains_key(id)).collect()
}

async fn form(core: &Core) {
    let members: BTreeMap<NodeId, BasicNode> = core.config.peers.iter().map(|(id, addr)| (*id, BasicNode::new(addr.to_string()))).collect();
    match core.consensus.initialize(members).await {
        Ok(()) => tracing::info!(members = core.config.peers.len(), "the group has formed"),
        // Somebody else was faster, and its log is here already.
        Err(problem) => tracing::debug!(%problem, "the group has formed without us"),
    }
}
