//! Takes the votes of silent sentinels out of the count, through the log. Only a leader does it.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Parts;
use crate::base::NodeId;
use crate::machine::{Command, State};
use crate::raft::Leadership;

/// A sentinel that has not been heard for this long has no say (stock: five asks, one a second).
const VOTES_EXPIRE_AFTER_MS: u64 = 5000;
const ROUND: Duration = Duration::from_millis(500);
/// A round that comes later than this was not on time because this sentinel itself was not awake, and heard nobody.
const ASLEEP_MS: u64 = 1500;

pub(super) async fn run(parts: Parts, cancel: CancellationToken) {
    // Not since when it leads: everybody hears everybody, and on a busy machine leadership comes and goes.
    let mut awake_since = parts.clock.mono();
    let mut last_round = awake_since;
    let mut round = tokio::time::interval(ROUND);
    round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = round.tick() => {}
        }
        let now = parts.clock.mono();
        if now.ms_since(last_round) > ASLEEP_MS {
            awake_since = now;
        }
        last_round = now;
        if !matches!(*parts.raft.leadership().borrow(), Leadership::Leading { .. }) {
            continue;
        }
        for voter in standing_voters(&parts.raft.state()) {
            let heard = parts.raft.peers().get(&voter).and_then(|peer| peer.last_heard).unwrap_or(awake_since).max(awake_since);
            let silent_ms = now.ms_since(heard);
            if voter != parts.raft.id() && silent_ms >= VOTES_EXPIRE_AFTER_MS {
                expire(&parts, voter, silent_ms).await;
            }
        }
    }
}

fn standing_voters(state: &State) -> BTreeSet<NodeId> {
    state.groups.values().flat_map(|group| group.ballot.votes().keys().copied()).collect()
}

async fn expire(parts: &Parts, voter: NodeId, silent_ms: u64) {
    let command = Command::VotesExpired { voter, silent_ms, at: parts.clock.wall() };
    match parts.raft.propose(command).await {
        Ok(_) => tracing::warn!(%voter, silent_ms, "the votes of a silent sentinel no longer count"),
        Err(error) => tracing::warn!(%voter, %error, "could not take the votes of a silent sentinel out of the count"),
    }
}
