//! Hands: one loop for each group that awaits an input, lets the judge take a step, and performs what it wants.
//!
//! This room decides nothing. It owns the probes (eyes) of its groups, the way to their data nodes (`hands`), and two quiet
//! helpers: the `herald`, which presents its file's groups to the cluster, and the `warden`, by which
//! a leader takes the votes of silent sentinels out of the count. Started by `app`.

mod group;
mod hands;
mod herald;
mod warden;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::base::{GroupName, GroupSeed};
use crate::board::Board;
use crate::clock::Clock;
use crate::machine::State;
use crate::raft::Raft;
use crate::tls::ClientTls;

/// What the agent works with.
#[derive(Clone)]
pub struct Parts {
    /// The log.
    pub raft: Raft,
    /// Where it shows what it sees.
    pub board: Board,
    /// The clocks.
    pub clock: Clock,
    /// The name under which the data nodes know our connections.
    pub client_name: String,
    /// How the connections to them are encrypted, if they are.
    pub tls: Option<ClientTls>,
}

/// Runs until `cancel` is cancelled and all its tasks have ended.
pub async fn run(parts: Parts, seeds: Vec<GroupSeed>, cancel: CancellationToken) {
    let tasks = TaskTracker::new();
    tasks.spawn(herald::run(parts.clone(), seeds, cancel.clone()));
    tasks.spawn(warden::run(parts.clone(), cancel.clone()));
    let mut groups: BTreeMap<GroupName, CancellationToken> = BTreeMap::new();
    let mut states = parts.raft.states();
    loop {
        let state = Arc::clone(&states.borrow_and_update());
        tend(&parts, &state, &mut groups, &tasks, &cancel);
        tokio::select! {
            () = cancel.cancelled() => break,
            changed = states.changed() => if changed.is_err() { break },
        }
    }
    tasks.close();
    tasks.wait().await;
}

/// Starts a loop for each new group, stops those of removed ones.
fn tend(
    parts: &Parts,
    state: &State,
    groups: &mut BTreeMap<GroupName, CancellationToken>,
    tasks: &TaskTracker,
    cancel: &CancellationToken,
) {
    groups.retain(|name, token| {
        let stays = state.groups.contains_key(name);
        if !stays {
            token.cancel();
        }
        stays
    });
    for name in state.groups.keys() {
        groups.entry(name.clone()).or_insert_with(|| {
            let token = cancel.child_token();
            tasks.spawn(group::run(parts.clone(), name.clone(), token.clone()));
            token
        });
    }
}
