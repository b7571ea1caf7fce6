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

use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::base::{GroupName, GroupSeed};
use crate::board::Board;
use crate::clock::Clock;
use crate::machine::{Event, Logged, State};
use crate::raft::Raft;
use crate::simulate::Simulation;

/// What the agent works with.
#[derive(Clone)]
pub struct Parts {
    /// The log.
    pub raft: Raft,
    /// Where it shows what it sees.
    pub board: Board,
    /// The clocks.
    pub clock: Clock,
    /// Where this process is to fail in a drill.
    pub simulation: Simulation,
    /// The name under which the data nodes know our connections.
    pub client_name: String,
}

/// Runs until `cancel` is cancelled and all its tasks have ended.
pub async fn run(parts: Parts, seeds: Vec<GroupSeed>, cancel: CancellationToken) {
    let tasks = TaskTracker::new();
    tasks.spawn(herald::run(parts.clone(), seeds, cancel.clone()));
    tasks.spawn(warden::run(parts.clone(), cancel.clone()));
    let mut groups: BTreeMap<GroupName, Tended> = BTreeMap::new();
    let mut states = parts.raft.states();
    let mut events = parts.raft.events();
    loop {
        let state = Arc::clone(&states.borrow_and_update());
        tend(&parts, &state, &mut groups, &tasks, &cancel);
        tokio::select! {
            () = cancel.cancelled() => break,
            changed = states.changed() => if changed.is_err() { break },
            event = events.recv() => match event {
                Ok(logged) => look_again(&logged, &groups),
                // A look that was missed is one round of INFO late.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break,
            },
        }
    }
    tasks.close();
    tasks.wait().await;
}

/// A group with a running loop.
struct Tended {
    stop: CancellationToken,
    /// Asks for a fresh look at all its data nodes.
    look: Arc<Notify>,
}

/// An operator who resets a group wants to know how things are, not how they were at the last look.
fn look_again(logged: &Logged, groups: &BTreeMap<GroupName, Tended>) {
    if matches!(logged.event, Event::GroupReset { .. })
        && let Some(tended) = logged.group.as_ref().and_then(|name| groups.get(name))
    {
        tended.look.notify_one();
    }
}

/// Starts a loop for each new group, stops those of removed ones.
fn tend(parts: &Parts, state: &State, groups: &mut BTreeMap<GroupName, Tended>, tasks: &TaskTracker, cancel: &CancellationToken) {
    groups.retain(|name, tended| {
        let stays = state.groups.contains_key(name);
        if !stays {
            tended.stop.cancel();
        }
        stays
    });
    for name in state.groups.keys() {
        groups.entry(name.clone()).or_insert_with(|| {
            let tended = Tended { stop: cancel.child_token(), look: Arc::default() };
            tasks.spawn(group::run(parts.clone(), name.clone(), Arc::clone(&tended.look), tended.stop.clone()));
            tended
        });
    }
}
