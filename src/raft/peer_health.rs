//! Keeps the book of peers true: who the members are, and whether each is alive.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::config::{PING_EVERY, PING_WITHIN};
use super::core::Core;
use super::diverged;
use super::peers::Way;
use crate::base::{Addr, LogIndex, NodeId};
use crate::proto::peer;

/// While the group has not formed, its members look for each other more often.
const PING_EVERY_UNFORMED: Duration = Duration::from_millis(100);
/// States are compared with those of the same release: another one may write the same state down differently.
const RELEASE: &str = env!("CARGO_PKG_VERSION");

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
            for id in known.keys().filter(|id| !logged.contains_key(*id)) {
                core.peers.note_left(*id);
                core.disks.forget(*id);
                core.acks.forget(*id);
            }
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
        let goes_on = core.rest(every).await;
        let disks = core.disks.clone();
        // An error is a panic, which was told of.
        let _ = tokio::task::spawn_blocking(move || disks.keep()).await;
        if !goes_on {
            return;
        }
    }
}

async fn ping(core: &Arc<Core>, id: NodeId) {
    let answer = tokio::select! {
        () = core.stop.cancelled() => return,
        answer = core.calls.ping(id, PING_WITHIN, None) => answer,
    };
    core.peers.note_tried(id);
    match answer {
        Ok(reply) => {
            core.peers.note_formed(id, reply.formed);
            compare(core, id, reply.state);
            if reply.formed && !reply.member && core.standing().members.contains_key(&core.me) {
                core.peers.note_refused(
                    id,
                    Way::Out,
                    &format!(
                        "sentinel {id} says that sentinel {0} is no member any more: stop it; or, at the members, 'raft-sentinel members add {0} {1}' and \
                         'raft-sentinel members promote {0}'",
                        core.me, core.config.advertise
                    ),
                );
            }
        }
        Err(problem) => {
            tracing::debug!(peer = %id, %problem, "no sign of life");
            // The others may have gone on without what it forgot.
            if let (true, (_, Some(committed))) = (core.disks.went_back(id), core.log.ends()) {
                diverged::suspect(core, committed);
            }
        }
    }
}

/// Compares the state at the entry that the other one names, if this sentinel has passed it.
fn compare(core: &Core, id: NodeId, told: Option<peer::StateDigest>) {
    let Some(told) = told.filter(|told| told.release == RELEASE) else { return };
    let index = LogIndex(told.index);
    let Some(own) = core.digests.at(index) else { return };
    let same = own.sum.as_slice() == told.sum.as_slice();
    if core.peers.note_state(id, index, same) && !same {
        tracing::error!(
            peer = %id,
            "at entry {index} the state of sentinel {id} is not that of sentinel {}, although they applied the same log: one of the two answers what is not \
             true. Compare both with a third ('raft-sentinel status'), stop the one that stands alone, and replace it: 'raft-sentinel members replace'; \
             please report it",
            core.me
        );
    }
}

/// The digest that this sentinel tells of.
pub(super) fn state_digest(core: &Core) -> Option<peer::StateDigest> {
    let newest = core.digests.newest()?;
    Some(peer::StateDigest { index: newest.index.0, sum: newest.sum.to_vec(), release: RELEASE.to_owned() })
}
