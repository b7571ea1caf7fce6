//! The birth of a group: with no log anywhere, it forms by itself once a majority of the initial members is up.
//!
//! All initial members would write the same first entry, so it does no harm when several do. Sentinels that lost their disks must not start
//! a second group beside those that kept theirs, not even where they are a majority: so each initial member is asked before, and one that knows
//! another life of this data directory forbids it. What stays is a survivor that cannot be reached: it looks like one that has yet to start.

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
        let (me, at) = (core.me, &core.config.advertise);
        tracing::info!(
            node = %me,
            "not among the initial members; waiting to be added, by a command that is given at the members: 'raft-sentinel members replace OLD {me} {at}' \
             puts it in the place of one, 'raft-sentinel members add {me} {at}' and 'raft-sentinel members promote {me}' add one more"
        );
        return;
    }
    let (mut looks, mut told) = (0, false);
    while core.standing().members.is_empty() {
        let up = initial_members_up(&core);
        if let Some(survivor) = core.peers.survivor() {
            if !std::mem::replace(&mut told, true) {
                tracing::error!("{}", second_group(core.me, survivor));
            }
        } else if core.peers.all_tried() && is_quorum(&[core.config.peers.keys().copied().collect()], &up) && !core.peers.anyone_formed() {
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

fn second_group(me: NodeId, survivor: NodeId) -> String {
    format!(
        "sentinel {survivor} knows sentinel {me} with another data directory, so this one forms no group: it would be a second one beside the \
         first. Give the directory back and start again; or replace this sentinel: 'raft-sentinel members replace {me} NEW HOST:PORT' at one of \
         the others, and 'raft node-id NEW' here. If most of the directories are gone for good: 'raft-sentinel members recover --others-are-gone' at sentinel \
         {survivor}, which goes on alone and takes this one in again as it is"
    )
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
