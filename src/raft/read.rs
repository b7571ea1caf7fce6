//! Linearizable reads by read index, one round for all who wait.
//!
//! A round: the leader notes how far the log is committed, then a quorum confirms that it still leads. Whoever has applied that
//! far may answer. A round counts only for reads that were asked before it began; those that arrive while it runs share the next.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::acks::is_quorum;
use super::config::{READ_WITHIN, ms};
use super::core::{Core, is_of_term};
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

/// How often deadlines are looked at while a round takes long.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long it is waited for those who answered last before all are asked. A little more than they usually need.
const HEDGE_AFTER: Duration = Duration::from_millis(5);

/// Somebody who wants to read.
struct Waiter {
    /// From then on it is told why there is no index.
    deadline: Instant,
    answer: oneshot::Sender<Result<Round, String>>,
}

/// What came of a round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    /// Whoever has applied this entry may answer.
    pub index: LogIndex,
    /// The vote with which this sentinel led, as a quorum confirmed; none if another one leads.
    pub led: Option<Vote>,
}

/// Where reads are handed in.
pub(super) struct ReadIndex {
    waiters: mpsc::Sender<Waiter>,
}

/// Works off what is handed in.
pub(super) struct ReadIndexTask {
    waiters: mpsc::Receiver<Waiter>,
    /// They asked before the running round began.
    waiting: Vec<Waiter>,
    /// They asked after that, so that it does not count for them.
    late: Vec<Waiter>,
}

/// The index and its task.
pub(super) fn desk() -> (ReadIndex, ReadIndexTask) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (ReadIndex { waiters: sender }, ReadIndexTask { waiters: receiver, waiting: Vec::new(), late: Vec::new() })
}

impl ReadIndex {
    /// The state, at least as new as any answer given before this call.
    pub(super) async fn state(&self, core: &Core) -> Result<Arc<State>, ReadError> {
        let begun = Instant::now();
        let deadline = begun + READ_WITHIN;
        let failed = |reason: String| ReadError { waited_ms: ms(begun.elapsed()), reason };
        // Clients with a limit of their own ask the next sentinel sooner if they need not wait for this one.
        if let Some(reason) = lost(core) {
            return Err(failed(reason));
        }
        let Round { index, .. } = self.round(deadline).await.map_err(failed)?;
        if let Some(state) = core.applied_already(index) {
            return Ok(state);
        }
        match timeout_at(deadline, core.applied(index)).await {
            Ok(Ok(state)) => Ok(state),
            Ok(Err(stopped)) => Err(failed(stopped.to_string())),
            Err(_) => Err(failed(format!("this sentinel has not received entry {index} yet"))),
        }
    }

    /// The index for a peer, if this sentinel leads. Never passed on.
    pub(super) async fn index_as_leader(&self, core: &Core) -> Result<LogIndex, String> {
        self.round_as_leader(core).await.map(|(index, _)| index)
    }

    /// A round that begins after this call and confirms that this sentinel leads, with which vote and over which index.
    pub(super) async fn round_as_leader(&self, core: &Core) -> Result<(LogIndex, Vote), String> {
        let not_leading = || format!("sentinel {} does not lead", core.me);
        if !core.leads() {
            return Err(not_leading());
        }
        let Round { index, led } = self.round(Instant::now() + core.spans.call_within()).await?;
        led.map(|vote| (index, vote)).ok_or_else(not_leading)
    }

    /// No timer of its own: there may be thousands of reads a second, and the task sees to their deadlines.
    async fn round(&self, deadline: Instant) -> Result<Round, String> {
        let (answer, round) = oneshot::channel();
        let handed_in = self.waiters.try_send(Waiter { deadline, answer });
        handed_in.map_err(|refused| match refused {
            TrySendError::Full(_) => format!("{WAITING} reads wait already"),
            TrySendError::Closed(_) => STOPPING.to_owned(),
        })?;
        round.await.unwrap_or_else(|_| Err(STOPPING.to_owned()))
    }
}

impl ReadIndexTask {
    /// Runs rounds while somebody waits, until this room stops.
    pub(super) async fn run(mut self, core: Arc<Core>) {
        // Calls are bounded; so is the answer of a log that waits for its disk.
        let patience = core.spans.call_within() * 3;
        while self.gather(&core).await {
            let done = self.see_through(&core, timeout(patience, round(&core))).await;
            match done.unwrap_or_else(|_| Err(format!("no round was finished within {} ms", patience.as_millis()))) {
                Ok(round) => {
                    for waiter in self.waiting.drain(..) {
                        // Whoever gave up does not listen any more.
                        let _ = waiter.answer.send(Ok(round));
                    }
                }
                Err(reason) => {
                    give_up_on_overdue(&core, &mut self.waiting, &reason);
                    if !core.rest(RETRY_AFTER).await {
                        return;
                    }
                }
            }
        }
    }

    /// Takes all who wait; sleeps while nobody does. Returns whether to go on.
    async fn gather(&mut self, core: &Core) -> bool {
        self.waiting.append(&mut self.late);
        self.waiting.retain(|waiter| !waiter.answer.is_closed());
        if self.waiting.is_empty() {
            let first = tokio::select! {
                biased;
                first = self.waiters.recv() => first,
                () = core.stop.cancelled() => return false,
            };
            let Some(first) = first else { return false };
            self.waiting.push(first);
        }
        while let Ok(waiter) = self.waiters.try_recv() {
            self.waiting.push(waiter);
        }
        !core.stop.is_cancelled()
    }

    /// Waits for a round, and for nobody longer than it wants to be waited for.
    async fn see_through<T>(&mut self, core: &Core, round: impl Future<Output = T>) -> T {
        let mut round = pin!(round);
        loop {
            tokio::select! {
                biased;
                done = &mut round => return done,
                () = sleep(LOOK_EVERY) => {
                    while let Ok(waiter) = self.waiters.try_recv() {
                        self.late.push(waiter);
                    }
                    give_up_on_overdue(core, &mut self.waiting, SLOW);
                    give_up_on_overdue(core, &mut self.late, SLOW);
                }
            }
        }
    }
}

const SLOW: &str = "no round was finished in time";
const STOPPING: &str = "this sentinel is stopping";

/// Answers those that have waited long enough, or all of them once the quorum is lost.
fn give_up_on_overdue(core: &Core, waiting: &mut Vec<Waiter>, reason: &str) {
    let (now, lost) = (Instant::now(), lost(core));
    for waiter in waiting.extract_if(.., |waiter| lost.is_some() || waiter.deadline <= now) {
        // Whoever gave up does not listen any more.
        let _ = waiter.answer.send(Err(lost.as_deref().unwrap_or(reason).to_owned()));
    }
}

/// Why a read need not wait at all, if so.
fn lost(core: &Core) -> Option<String> {
    core.lost_ms().map(|lost_ms| format!("no leader with a quorum has been known for {lost_ms} ms"))
}

/// One round: here if this sentinel leads, else by asking the one that does.
async fn round(core: &Core) -> Result<Round, String> {
    if core.leads() {
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
        Ok(Some(Reply::Index(index))) => Ok(Round { index: LogIndex(index), led: None }),
        Ok(Some(Reply::Unconfirmed(reason))) => Err(reason),
        Ok(None) => Err(format!("sentinel {leader} gave an empty answer")),
        Err(problem) => Err(problem.to_string()),
    }
}

/// What consensus says at the beginning of a round.
struct ReadRound {
    vote: Vote,
    committed: Option<LogId>,
    voters: Vec<BTreeSet<NodeId>>,
}

/// The leader's round: how far the log is committed, confirmed by a quorum that was asked afterwards.
///
/// openraft has the same thing built in; this one counts towards the leader's lease, has its own patience, and does not log an error for
/// every member that is down.
async fn confirm(core: &Core) -> Result<Round, String> {
    let opening = core
        .consensus
        .with_raft_state(|state| ReadRound {
            vote: *state.vote_ref(),
            committed: state.committed,
            voters: state.membership_state.effective().membership().get_joint_config().clone(),
        })
        .await
        .map_err(|_| STOPPING.to_owned())?;
    if !opening.vote.committed || opening.vote.leader_id.node_id != core.me {
        return Err(format!("sentinel {} does not lead any more", core.me));
    }
    // Until an entry of its own term is committed, a new leader does not know how far its predecessors had committed: by its own
    // commit point alone it would answer with less than they did.
    let committed = opening.committed.filter(|id| is_of_term(&opening.vote, Some(*id)));
    let committed = committed.ok_or_else(|| "the leader is new and has committed nothing yet".to_owned())?;
    if acknowledged(core, &opening).await? {
        Ok(Round { index: LogIndex(committed.index), led: Some(opening.vote) })
    } else {
        Err("no quorum of sentinels answered".to_owned())
    }
}

async fn acknowledged(core: &Core, opening: &ReadRound) -> Result<bool, String> {
    let mut granted = BTreeSet::from([core.me]);
    if is_quorum(&opening.voters, &granted) {
        return Ok(true);
    }
    // With no previous entry, none to append and nothing to commit, this says nothing but "I lead".
    let heartbeat = AppendEntriesRequest { vote: opening.vote, prev_log_id: None, entries: Vec::new(), leader_commit: None };
    let mut unasked: Vec<NodeId> = opening.voters.iter().flatten().copied().filter(|id| *id != core.me).collect();
    unasked.sort_unstable();
    unasked.dedup();
    core.acks.sort_by_freshness(&opening.vote, &mut unasked);
    let mut unasked = unasked.into_iter();
    let ask = |voter| {
        let (link, heartbeat) = (core.network.link(voter), &heartbeat);
        async move { (voter, link.append(heartbeat, core.spans.call_within()).await) }
    };
    // Whoever answered last will most likely do so again: a call costs more than all the rest of a round.
    let mut answers: FuturesUnordered<_> = unasked.by_ref().take(first_asked(&opening.voters)).map(ask).collect();
    let mut hedge = pin!(sleep(HEDGE_AFTER));
    loop {
        let answered = tokio::select! {
            biased;
            answered = answers.next() => answered,
            () = &mut hedge, if unasked.len() > 0 => {
                answers.extend(unasked.by_ref().map(ask));
                continue;
            }
        };
        match answered {
            Some((voter, Ok(AppendEntriesResponse::HigherVote(vote)))) => return Err(format!("sentinel {voter} knows of {vote}")),
            Some((voter, Ok(_))) => {
                granted.insert(voter);
                if is_quorum(&opening.voters, &granted) {
                    return Ok(true);
                }
            }
            Some((voter, Err(problem))) => {
                tracing::debug!(%voter, %problem, "no acknowledgement");
                answers.extend(unasked.by_ref().map(ask));
            }
            None if unasked.len() > 0 => answers.extend(unasked.by_ref().map(ask)),
            None => return Ok(false),
        }
    }
}

/// How many others are asked at first: with this sentinel itself, a majority. All of them while the voters change.
fn first_asked(configs: &[BTreeSet<NodeId>]) -> usize {
    match configs {
        [voters] => voters.len() / 2,
        _ => usize::MAX,
    }
}
