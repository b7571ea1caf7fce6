//! Keeps the book of peers true: who the members are, and whether each is alive.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::config::{PING_EVERY, PING_WITHIN};
use super::core::Core;
use crate::base::{Addr, NodeId};

/// While the group has not formed, its members look for each other more often.
const PING_EVERY_UNFORMED: Duration = Duration::from_millis(100);

/// The other members: those of the log, or the initial ones as long as there is no log.
pub(super) fn others(core_me: NodeId, logged: &BTreeMap<NodeId, Addr>, initial: &BTreeMap<NodeId, Addr>) -> BTreeMap<NodeId, Addr> {
    let members = if logged.is_empty() { initial } else { logged };
    members.iter().filter(|(id, _)| **id != core_me).map(|(id, addr)| (*id, addr.clone())).collect()
}

/// Follows the membership until this room stops.
pub(super) async fn follow_members(core: Arc<Core>) {
    let mut changes = core.consensus.server_metrics();
    let mut known = BTreeMap::new();
    loop {
        let logged = core.standing().members;
        if logged != known {
            known.keys().filter(|id| !logged.contains_key(*id)).for_each(|id| core.peers.note_left(*id));
            core.peers.set_members(&others(core.me, &logged, &core.config.peers));
            forget_removed(&core, &logged).await;
            known = logged;
        }
        tokio::select! {
            () = core.stop.cancelled() => return,
            changed = changes.changed() => if changed.is_err() { return },
        }
    }
}

/// A member that was removed, perhaps while this sentinel was down, may be added again later, with a new disk.
async fn forget_removed(core: &Core, members: &BTreeMap<NodeId, Addr>) {
    if members.is_empty() {
        return;
    }
    for id in core.identity.peers().into_keys().filter(|id| !members.contains_key(id)) {
        let identity = core.identity.clone();
        let unpinned = tokio::task::spawn_blocking(move || identity.unpin(id)).await;
        match unpinned {
            Ok(Ok(_)) => tracing::info!(peer = %id, "no member any more; its identity is forgotten"),
            Ok(Err(problem)) => tracing::warn!(peer = %id, "the identity of a removed member is still recorded: {problem}"),
            Err(_) => return,
        }
    }
}

/// Asks every member for a sign of life, about once a second, until this room stops.
pub(super) async fn run(core: Arc<Core>) {
    loop {
        for id in core.peers.ids() {
            let core = core.clone();
            core.tasks.clone().spawn(async move { ping(&core, id).await });
        }
        let every = if core.standing().members.is_empty() { PING_EVERY_UNFORMED } else { PING_EVERY };
        if !core.rest(every).await {
            return;
        }
    }
}

async fn ping(core: &Core, id: NodeId) {
    let answer = tokio::select! {
        () = core.stop.cancelled() => return,
        answer = core.calls.ping(id, PING_WITHIN) => answer,
    };
    core.peers.note_tried(id);
    match answer {
        Ok(reply) => {
            core.peers.note_formed(id, reply.formed);
            if reply.formed && !reply.member && core.standing().members.contains_key(&core.me) {
                core.peers.note_refused(
                    id,
                    &format!("sentinel {id} says that sentinel {} is no member any more: stop it, or add it again", core.me),
                );
            }
        }
        Err(problem) => tracing::debug!(peer = %id, %problem, "no sign of life"),
    }
}
