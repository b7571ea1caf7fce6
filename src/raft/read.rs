//! Linearizable reads by read index, one round for all who wait.
//!
//! A round: the leader notes how far the log is committed, then a quorum confirms that it still leads. Whoever has applied that
//! far may answer. A round counts only for reads that were asked before it began; those that arrive while it runs share the next.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::acks::is_quorum;
use super::config::{READ_WITHIN, ms};
use super::core::Core;
use super::error::ReadError;
use super::status::Leadership;
use super::types::{LogId, Vote};
use crate::base::{LogIndex, NodeId};
use crate::machine::State;
use crate::proto::peer;
use crate::proto::peer::read_index_reply::Result as Reply;

/// Reads that may wait for a round to begin.
const WAITING: usize = 65_536;
/// Between two rounds that failed.
const RETRY_AFTER: Duration = Duration::from_millis(20);

type Waiter = oneshot::Sender<LogIndex>;

/// Where reads are handed in.
pub(super) struct ReadDesk {
    waiters: mpsc::Sender<Waiter>,
    /// Why the last round failed.
    trouble: Arc<Mutex<String>>,
}

/// Works off what is handed in.
pub(super) struct ReadClerk {
    waiters: mpsc::Receiver<Waiter>,
    trouble: Arc<Mutex<String>>,
}

/// A desk and its clerk.
pub(super) fn desk() -> (ReadDesk, ReadClerk) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let trouble = Arc::new(Mutex::new("no round was finished in time".to_owned()));
    (ReadDesk { waiters: sender, trouble: trouble.clone() }, ReadClerk { waiters: receiver, trouble })
}

impl ReadDesk {
    /// The state, at least as new as any answer given before this call.
    pub(super) async fn state(&self, core: &Core) -> Result<Arc<State>, ReadError> {
        let begun = Instant::now();
        let deadline = begun + READ_WITHIN;
        let index = timeout_at(deadline, self.index()).await;
        let failed = |reason: String| ReadError { waited_ms: ms(begun.elapsed()), reason };
        let index = match index {
            Ok(Some(index)) => index,
            Ok(None) => return Err(failed("this sentinel is stopping".to_owned())),
            Err(_) => return Err(failed(self.trouble())),
        };
        match timeout_at(deadline, core.applied(index)).await {
            Ok(Ok(state)) => Ok(state),
            Ok(Err(stopped)) => Err(failed(stopped.to_string())),
            Err(_) => Err(failed(format!("this sentinel has not received entry {index} yet"))),
        }
    }

    /// The index for a peer, if this sentinel leads. Never passed on.
    pub(super) async fn index_as_leader(&self, core: &Core) -> Result<LogIndex, String> {
        if !core.standing().leads {
            return Err(format!("sentinel {} does not lead", core.me));
        }
        let index = tokio::time::timeout(core.spans.call_within(), self.index()).await;
        index.ok().flatten().ok_or_else(|| self.trouble())
    }

    async fn index(&self) -> Option<LogIndex> {
        let (sender, receiver) = oneshot::channel();
        self.waiters.send(sender).await.ok()?;
        receiver.await.ok()
    }

    fn trouble(&self) -> String {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ReadClerk {
    /// Runs rounds while somebody waits, until this room stops.
    pub(super) async fn run(mut self, core: Arc<Core>) {
        let mut waiting: Vec<Waiter> = Vec::new();
        while self.gather(&core, &mut waiting).await {
            match round(&core).await {
                Ok(index) => {
                    for waiter in waiting.drain(..) {
                        // Whoever gave up does not listen any more.
                        let _ = waiter.send(index);
                    }
                }
                Err(reason) => {
                    *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = reason;
                    if !core.rest(RETRY_AFTER).await {
                        return;
                    }
                }
            }
        }
    }

    /// Takes all who wait; sleeps while nobody does. Returns whether to go on.
    async fn gather(&mut self, core: &Core, waiting: &mut Vec<Waiter>) -> bool {
        while let Ok(waiter) = self.waiters.try_recv() {
            waiting.push(waiter);
        }
        waiting.retain(|waiter| !waiter.is_closed());
        if !waiting.is_empty() {
            return !core.stop.is_cancelled();
        }
        let first = tokio::select! {
            () = core.stop.cancelled() => return false,
            first = self.waiters.recv() => first,
        };
        let Some(first) = first else { return false };
        waiting.push(first);
        while let Ok(waiter) = self.waiters.try_recv() {
            waiting.push(waiter);
        }
        true
    }
}

/// One round: here if this sentinel leads, else by asking the one that does.
async fn round(core: &Core) -> Result<LogIndex, String> {
    let standing = core.standing();
    if standing.leads {
        return confirm(core).await;
    }
    let Leadership::Following { leader } = *core.leadership.borrow() else {
        return Err("no leader is known".to_owned());
    };
    // A little longer than the leader takes for its own round.
    let within = core.spans.call_within() * 2;
    let asked: Result<peer::ReadIndexReply, _> =
        core.calls
            .call(leader, within, |mut client, envelope| async move {
                client.read_index(peer::ReadIndexRequest { envelope: Some(envelope) }).await
            })
            .await;
    match asked.map(|reply| reply.result) {
        Ok(Some(Reply::Index(index))) => Ok(LogIndex(index)),
        Ok(Some(Reply::Unconfirmed(reason))) => Err(reason),
        Ok(None) => Err(format!("sentinel {leader} gave an empty answer")),
        Err(problem) => Err(problem.to_string()),
    }
}

/// What consensus says at the beginning of a round.
struct Opening {
    vote: Vote,
    committed: Option<LogId>,
    voters: Vec<BTreeSet<NodeId>>,
}

/// The leader's round: how far the log is committed, confirmed by a quorum that was asked afterwards.
///
/// openraft has the same thing built in; this one counts towards the leader's lease, has its own patience, and does not log an error for
/// every member that is down.
pub(super) async fn confirm(core: &Core) -> Result<LogIndex, String> {
    let opening = core
        .consensus
        .with_raft_state(|state| Opening {
            vote: *state.vote_ref(),
            committed: state.committed,
            voters: state.membership_state.effective().membership().get_joint_config().clone(),
        })
        .await
        .map_err(|_| "this sentinel is stopping".to_owned())?;
    if !opening.vote.committed || opening.vote.leader_id.node_id != core.me {
        return Err(format!("sentinel {} does not lead any more", core.me));
    }
    let committed = known_committed(&opening.vote, opening.committed);
    let committed = committed.ok_or_else(|| "the leader is new and has committed nothing yet".to_owned())?;
    if acknowledged(core, &opening).await? { Ok(LogIndex(committed.index)) } else { Err("no quorum of sentinels answered".to_owned()) }
}

/// How far a leader certainly knows everything to be committed.
///
/// Until an entry of its own term is committed, a new leader does not know how far its predecessors had committed: by its own
/// commit point alone it would answer with less than they did.
fn known_committed(vote: &Vote, committed: Option<LogId>) -> Option<LogId> {
    committed.filter(|id| id.leader_id == vote.leader_id)
}

async fn acknowledged(core: &Core, opening: &Opening) -> Result<bool, String> {
    let mut granted = BTreeSet::from([core.me]);
    if is_quorum(&opening.voters, &granted) {
        return Ok(true);
    }
    // With no previous entry, none to append and nothing to commit, this says nothing but "I lead".
    let heartbeat = AppendEntriesRequest { vote: opening.vote, prev_log_id: None, entries: Vec::new(), leader_commit: None };
    let others: BTreeSet<NodeId> = opening.voters.iter().flatten().copied().filter(|id| *id != core.me).collect();
    let mut answers: FuturesUnordered<_> = others
        .into_iter()
        .map(|voter| {
            let (link, heartbeat) = (core.network.link(voter), &heartbeat);
            async move { (voter, link.append(heartbeat, core.spans.call_within()).await) }
        })
        .collect();
    while let Some((voter, answer)) = answers.next().await {
        match answer {
            Ok(AppendEntriesResponse::HigherVote(vote)) => return Err(format!("sentinel {voter} knows of {vote}")),
            Ok(_) => {
                granted.insert(voter);
            }
            Err(problem) => tracing::debug!(%voter, %problem, "no acknowledgement"),
        }
        if is_quorum(&opening.voters, &granted) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use openraft::CommittedLeaderId;

    use super::*;

    #[test]
    fn a_new_leader_knows_nothing_before_an_entry_of_its_own_term_is_committed() {
        let entry = |term, leader| Some(LogId::new(CommittedLeaderId::new(term, NodeId(leader)), 7));
        let vote = Vote::new_committed(3, NodeId(1));
        assert_eq!(known_committed(&vote, None), None);
        assert_eq!(known_committed(&vote, entry(2, 1)), None, "an entry of an earlier term");
        assert_eq!(known_committed(&vote, entry(3, 1)), entry(3, 1));
    }
}
