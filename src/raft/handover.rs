//! Handing leadership to another voter, which openraft 0.9 cannot do.
//!
//! The leader takes nothing new, waits until the other has the whole log, tells it to campaign, and falls silent. Nothing is weakened: the
//! other campaigns as any voter does, after the lease of the last heartbeat, by pre-vote and votes; it only does not wait for the draw that keeps
//! voters apart (Raft dissertation, 3.10, shortens that by letting its vote pass a living leader's lease, on which our reads and
//! acts rely). So it costs about one lease, in which changes and answers wait. If nobody is elected the leader speaks again.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::config::DISK_WITHIN;
use super::core::Core;
use super::error::MembershipError;
use super::members;
use super::status::Leadership;
use super::types::Vote;
use crate::base::{Mono, NodeId};
use crate::proto::peer;

/// How long the other may take to receive the rest of the log.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(1);
/// An invitation that was not followed is void after this time.
const INVITED_MS: u64 = 2_000;

const NORMAL: u8 = 0;
/// Nothing new is taken.
const DRAINING: u8 = 1;
/// Nothing is sent, either.
const SILENT: u8 = 2;

/// Where this sentinel stands in a handover: on the side that gives, and on the side that takes.
#[derive(Debug, Default)]
pub(super) struct Handing {
    giving: AtomicU8,
    invited: Mutex<Option<(Vote, Mono)>>,
    invitation: Notify,
}

impl Handing {
    /// Whether nothing new may be taken into the log.
    pub(super) fn is_under_way(&self) -> bool {
        self.giving.load(Ordering::SeqCst) != NORMAL
    }

    /// Whether nothing may be sent that a voter would take for the word of its leader.
    pub(super) fn is_silent(&self) -> bool {
        self.giving.load(Ordering::SeqCst) == SILENT
    }

    /// The leader `vote` wants this sentinel to lead.
    fn invite(&self, vote: Vote, now: Mono) {
        *self.invited.lock().unwrap_or_else(PoisonError::into_inner) = Some((vote, now));
        self.invitation.notify_one();
    }

    /// Whether the leader that this sentinel follows by `vote` wants it to lead.
    pub(super) fn is_invited(&self, vote: &Vote, now: Mono) -> bool {
        let invited = self.invited.lock().unwrap_or_else(PoisonError::into_inner);
        invited.is_some_and(|(by, at)| by == *vote && now.ms_since(at) < INVITED_MS)
    }

    /// Waits for an invitation.
    pub(super) async fn invitation(&self) {
        self.invitation.notified().await;
    }

    fn begin(self: &Arc<Self>) -> Option<Turn> {
        let begun = self.giving.compare_exchange(NORMAL, DRAINING, Ordering::SeqCst, Ordering::SeqCst);
        begun.is_ok().then(|| Turn(Arc::clone(self)))
    }
}

/// A handover under way. All is as before when it is dropped, whatever ends it.
struct Turn(Arc<Handing>);

impl Turn {
    fn fall_silent(&self) {
        self.0.giving.store(SILENT, Ordering::SeqCst);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.giving.store(NORMAL, Ordering::SeqCst);
    }
}

/// Lets the voter `to` lead, and returns once it does.
pub(super) async fn hand_over(core: &Core, to: NodeId) -> Result<(), MembershipError> {
    let standing = members::leading(core)?;
    if to == core.me {
        return Ok(());
    }
    if !standing.all_voters().contains(&to) {
        return Err(MembershipError::Refused(format!("sentinel {to} is no voter, so it cannot lead")));
    }
    let Some(turn) = core.handing.begin() else {
        return Err(MembershipError::Refused("leadership is being handed over already".to_owned()));
    };
    tracing::info!(%to, "handing leadership over");
    let unready = |why: String| MembershipError::Refused(format!("sentinel {} goes on leading: {why}", core.me));
    await_log(core, to).await.map_err(unready)?;
    invite(core, to, &standing.vote).await.map_err(unready)?;
    turn.fall_silent();
    let mut leadership = core.leadership.subscribe();
    let elected = leadership.wait_for(|now| matches!(now, Leadership::Following { .. }));
    let elected = timeout(silent_within(core), elected).await.ok().and_then(|now| now.ok().map(|now| *now));
    match elected {
        Some(Leadership::Following { leader }) if leader == to => Ok(()),
        Some(Leadership::Following { leader }) => Err(MembershipError::Unknown(format!("sentinel {leader} was elected instead of {to}"))),
        Some(_) | None => Err(MembershipError::Unknown(format!("sentinel {to} was not elected in time"))),
    }
}

/// The lease, and time for a campaign of the other; and if that fails, of a third.
fn silent_within(core: &Core) -> Duration {
    Duration::from_millis(core.spans.lease_ms * 3) + (core.log.sync_takes() * 4).min(DISK_WITHIN)
}

/// Waits until the other has what is in the log now. Nothing is added meanwhile, but by what was handed in just before.
async fn await_log(core: &Core, to: NodeId) -> Result<(), String> {
    let mut metrics = core.consensus.metrics();
    let has_all = metrics.wait_for(|now| {
        let matched = now.replication.as_ref().and_then(|of| of.get(&to)).copied().flatten();
        matched.map(|log_id| log_id.index) >= now.last_log_index
    });
    match timeout(CATCH_UP_WITHIN, has_all).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => Err("it is stopping".to_owned()),
        Err(_) => {
            Err(format!("sentinel {to} has not received the log within {} ms; is it running, and reachable?", CATCH_UP_WITHIN.as_millis()))
        }
    }
}

async fn invite(core: &Core, to: NodeId, vote: &Vote) -> Result<(), String> {
    let vote = super::wire::vote_to_wire(vote);
    let asked: Result<peer::TakeLeadReply, _> = core
        .calls
        .call(to, core.spans.call_within(), |mut client, envelope| async move {
            client.take_lead(peer::TakeLeadRequest { envelope: Some(envelope), vote: Some(vote) }).await
        })
        .await;
    match asked {
        Ok(reply) if reply.refused.is_empty() => Ok(()),
        Ok(reply) => Err(format!("sentinel {to} refuses: {}", crate::base::said_plainly(&reply.refused))),
        Err(problem) => Err(problem.to_string()),
    }
}

/// The leader `from` wants this sentinel to lead; the error says why it will not.
pub(super) fn take_lead(core: &Core, from: NodeId, vote: &Vote) -> Result<(), String> {
    let standing = core.standing();
    if !vote.committed || vote.leader_id.node_id != from || standing.vote != *vote {
        return Err(format!("it does not follow sentinel {from} in term {}", vote.leader_id.term));
    }
    if !standing.all_voters().contains(&core.me) {
        return Err("it is no voter".to_owned());
    }
    tracing::info!(leader = %from, "the leader wants this sentinel to lead");
    core.handing.invite(*vote, core.clock.mono());
    Ok(())
}
