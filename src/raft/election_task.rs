//! Performs what `campaign` decides: heartbeats while leading, pre-votes and campaigns when no leader is heard.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use openraft::ServerState;
use rand::Rng;

use super::acks::is_quorum;
use super::config::{REACHABLE_MS, ms};
use super::core::{Core, Standing};
use super::election_policy::{Campaigner, Part, Sight, Step};
use super::heartbeat::Heartbeats;
use super::wire;
use crate::base::{Mono, NodeId};
use crate::proto::peer;

/// Runs until this room stops.
pub(super) async fn run(core: Arc<Core>) {
    let mut campaigner = Campaigner::new(core.spans, core.clock.mono(), draw());
    let mut changes = core.consensus.server_metrics();
    let (mut heartbeats, mut silent) = (Heartbeats::default(), false);
    while !core.stop.is_cancelled() {
        let sight = look(&core);
        let until = match campaigner.step(sight, draw()) {
            Step::Wait(until) => until,
            Step::Beat(until) => {
                tell(&mut silent, false);
                heartbeats.send(&core).await;
                until
            }
            Step::SuspendHeartbeats(until) => {
                tell(&mut silent, true);
                until
            }
            Step::Elect => {
                elect(&core).await;
                core.clock.mono().plus_ms(core.spans.heartbeat_ms)
            }
            Step::AskPreVotes => {
                let before = core.ear.last();
                let PreVotes { won, sync_ms } = ask_pre_votes(&core).await;
                // Whoever gave its vote away while it asked would only depose the one it voted for.
                let won = won && core.ear.last() == before;
                if campaigner.note_pre_votes(won, core.clock.mono(), draw(), sync_ms) {
                    elect(&core).await;
                }
                continue;
            }
        };
        if !pause(&core, &mut changes, until).await {
            return;
        }
    }
}

fn draw() -> u64 {
    rand::thread_rng().r#gen()
}

/// Until then, or until this node's part in the group changes. Returns whether to go on.
async fn pause<T>(core: &Core, changes: &mut tokio::sync::watch::Receiver<T>, until: Mono) -> bool {
    tokio::select! {
        () = core.stop.cancelled() => false,
        () = tokio::time::sleep_until(core.clock.instant(until).into()) => true,
        changed = changes.changed() => changed.is_ok(),
        () = core.handing.invitation() => true,
    }
}

fn look(core: &Core) -> Sight {
    let now = core.clock.mono();
    let standing = core.standing();
    let voters = standing.all_voters();
    let part = if standing.leads {
        let ack = core.acks.quorum(&standing.vote, core.me, &standing.voters, now);
        Part::Leader { ack, quorum_reachable: reachable(core, &standing) }
    } else if voters.contains(&core.me) {
        Part::Voter { alone: voters.len() == 1, invited: core.handing.is_invited(&standing.vote, now), heard: core.ear.last() }
    } else {
        Part::Bystander
    };
    Sight { now, part, sync_ms: ms(core.log.sync_takes()) }
}

fn reachable(core: &Core, standing: &Standing) -> bool {
    let mut heard: BTreeSet<NodeId> = core.peers.heard_within(REACHABLE_MS).into_iter().collect();
    heard.insert(core.me);
    is_quorum(&standing.voters, &heard)
}

fn tell(silent: &mut bool, now: bool) {
    if *silent != now {
        *silent = now;
        if now {
            tracing::warn!("leading without a quorum: heartbeats stop, so that those who hear each other can elect another");
        } else {
            tracing::info!("heartbeats again");
        }
    }
}

async fn elect(core: &Core) {
    let state = core.consensus.server_metrics().borrow().state;
    if state != ServerState::Leader {
        tracing::info!("campaigning");
        let _ = core.consensus.trigger().elect().await;
    }
}

/// What came of the question.
struct PreVotes {
    /// A quorum would vote for us.
    won: bool,
    /// How long a sync takes on the slowest disk of those that would.
    sync_ms: u64,
}

/// Asks the voters whether they would vote for us.
async fn ask_pre_votes(core: &Core) -> PreVotes {
    let standing = core.standing();
    let last_log = core.consensus.data_metrics().borrow().last_log.as_ref().map(wire::log_id_to_wire);
    let ask = |voter: NodeId| async move {
        let asked = core
            .calls
            .call(voter, core.spans.call_within(), |mut client, envelope| async move {
                client.pre_vote(peer::PreVoteRequest { envelope: Some(envelope), last_log }).await
            })
            .await;
        (voter, asked)
    };
    let mut answers: FuturesUnordered<_> = standing.all_voters().into_iter().filter(|id| *id != core.me).map(ask).collect();
    let mut granted = BTreeSet::from([core.me]);
    let mut sync_ms = ms(core.log.sync_takes());
    while let Some((voter, answer)) = answers.next().await {
        let answer: Result<peer::PreVoteReply, _> = answer;
        match answer {
            Ok(reply) if reply.granted => {
                granted.insert(voter);
                sync_ms = sync_ms.max(u64::from(reply.sync_ms));
            }
            Ok(reply) => tracing::debug!(%voter, reason = reply.reason, "no vote"),
            Err(problem) => tracing::debug!(%voter, %problem, "no vote"),
        }
        if is_quorum(&standing.voters, &granted) {
            break;
        }
    }
    PreVotes { won: is_quorum(&standing.voters, &granted), sync_ms }
}
