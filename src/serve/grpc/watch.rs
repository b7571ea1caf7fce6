//! One watch: every master change once, in the order of the log.
//!
//! A watch holds a position in the log and the newest state it knows. Changes are taken from [`State::changes`] by
//! revision, never from notifications: so it does not matter how many states were skipped between two looks, and
//! nothing can be missed or doubled. It is pulled: a change is turned into a message when the client's
//! connection has room for it, so a slow client holds no queue here. If the changes it still needs
//! have been forgotten by then, the watch ends with an error that says so.

use std::collections::BTreeSet;
use std::future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream};
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::convert::masters;
use super::{Context, refuse};
use crate::base::LogIndex;
use crate::board::Board;
use crate::machine::{MasterChange, State};
use crate::proto::sentinel as pb;
use crate::proto::sentinel::watch_masters_response::Event;
use crate::raft::ReadError;
use crate::serve::ClusterAdmin;
use crate::serve::hold;

type Revoked = Pin<Box<dyn Future<Output = Status> + Send>>;
type Confirming = Pin<Box<dyn Future<Output = Result<Arc<State>, ReadError>> + Send>>;

/// How a watch begins.
pub(super) enum WatchOpening {
    /// With the masters as they are.
    Snapshot {
        /// Whether no quorum confirmed them.
        stale: bool,
    },
    /// After this revision.
    Resumed(LogIndex),
}

pub(super) struct Watch {
    agreement: Arc<dyn ClusterAdmin>,
    board: Board,
    /// Names that are watched; empty: all.
    groups: BTreeSet<String>,
    states: watch::Receiver<Arc<State>>,
    /// The newest state known.
    state: Arc<State>,
    /// All changes up to here were delivered, or are of no interest.
    position: LogIndex,
    /// What is to be said as soon as no change is waiting.
    due: Option<Due>,
    ticks: Interval,
    /// A quorum is being asked whether the watch is up to date.
    confirming: Option<Confirming>,
    /// When a change that is held back until it is announced is told all the same.
    held_until: Option<Instant>,
    cancel: CancellationToken,
    /// The caller may no longer watch.
    revoked: Revoked,
    ended: bool,
}

enum Due {
    Snapshot { stale: bool },
    Progress,
    Unconfirmed(ReadError),
}

enum Woken {
    NewState,
    /// A change has been held back for long enough.
    Due,
    Tick,
    Confirmed(Result<Arc<State>, ReadError>),
    Revoked(Status),
    Stopped,
}

impl Watch {
    /// Checks that the watch can begin as asked. `state` is the state that the request was answered from.
    pub(super) fn open(
        ctx: &Context,
        cancel: CancellationToken,
        groups: BTreeSet<String>,
        states: watch::Receiver<Arc<State>>,
        state: Arc<State>,
        opening: WatchOpening,
        stale: bool,
    ) -> Result<Self, Status> {
        let (position, due) = match opening {
            WatchOpening::Snapshot { stale } => (state.applied, Some(Due::Snapshot { stale })),
            WatchOpening::Resumed(after) => {
                check_resumable(&state, after, stale)?;
                // A resumed client learns when it has caught up; only a quorum can tell.
                (after, (!stale).then_some(Due::Progress))
            }
        };
        Ok(Self {
            agreement: ctx.agreement.clone(),
            board: ctx.board.clone(),
            groups,
            states,
            state,
            position,
            due,
            ticks: every(ctx.progress_every),
            confirming: None,
            held_until: None,
            cancel,
            revoked: Box::pin(future::pending()),
            ended: false,
        })
    }

    /// The watch, to end with this status.
    pub(super) fn until(self, revoked: Revoked) -> Self {
        Self { revoked, ..self }
    }

    pub(super) fn into_stream(self) -> impl Stream<Item = Result<pb::WatchMastersResponse, Status>> + Send {
        stream::unfold(self, |mut watch| async move { watch.next().await.map(|message| (message, watch)) })
    }

    async fn next(&mut self) -> Option<Result<pb::WatchMastersResponse, Status>> {
        if self.ended {
            return None;
        }
        let next = self.next_event().await;
        self.ended = next.is_err();
        Some(next.map(|event| pb::WatchMastersResponse { event: Some(event) }))
    }

    async fn next_event(&mut self) -> Result<Event, Status> {
        loop {
            if let Some(Due::Snapshot { stale }) = self.due {
                self.due = None;
                return Ok(Event::Snapshot(self.snapshot(stale)));
            }
            if let Some(change) = self.next_change()? {
                return Ok(Event::Change(change));
            }
            match self.due.take() {
                Some(Due::Progress) => return Ok(Event::Progress(pb::Progress { revision: self.position.0 })),
                Some(Due::Unconfirmed(error)) => {
                    return Ok(Event::Unconfirmed(pb::Unconfirmed { reason: error.to_string(), revision: self.position.0 }));
                }
                Some(Due::Snapshot { .. }) | None => {}
            }
            match self.wake().await {
                Woken::NewState | Woken::Due => {
                    let newest = self.states.borrow_and_update().clone();
                    self.advance_unless_held(newest);
                }
                Woken::Tick => self.ask_quorum(),
                Woken::Confirmed(Ok(confirmed)) => {
                    self.advance_unless_held(confirmed);
                    self.due = Some(Due::Progress);
                }
                Woken::Confirmed(Err(error)) => self.due = Some(Due::Unconfirmed(error)),
                Woken::Revoked(status) => return Err(status),
                Woken::Stopped => return Err(refuse::stopping()),
            }
        }
    }

    /// Waits for whichever comes first. Safe to drop half-way: the question to the quorum stays in `self`.
    async fn wake(&mut self) -> Woken {
        let confirming = &mut self.confirming;
        let asking = confirming.is_some();
        let confirmed = async {
            match confirming.as_mut() {
                Some(asked) => asked.await,
                None => future::pending().await,
            }
        };
        let woken = tokio::select! {
            () = self.cancel.cancelled() => Woken::Stopped,
            status = &mut self.revoked => Woken::Revoked(status),
            () = sleep_until(self.held_until.unwrap_or_else(Instant::now)), if self.held_until.is_some_and(|end| Instant::now() < end) => Woken::Due,
            changed = self.states.changed() => if changed.is_ok() { Woken::NewState } else { Woken::Stopped },
            answer = confirmed => Woken::Confirmed(answer),
            _ = self.ticks.tick(), if !asking => Woken::Tick,
        };
        if matches!(woken, Woken::Confirmed(_)) {
            self.confirming = None;
        }
        woken
    }

    fn ask_quorum(&mut self) {
        let agreement = self.agreement.clone();
        self.confirming = Some(Box::pin(async move { agreement.linearizable().await }));
    }

    /// A planned change that is decided is told once its new master is announced, as other answers are.
    fn advance_unless_held(&mut self, newer: Arc<State>) {
        let watched = newer.groups.values().filter(|group| self.watches(group.name.as_str()));
        let decided = watched.filter_map(|group| hold::limit_once_decided(group)).max();
        let end = decided.map(|limit| self.held_until.unwrap_or_else(|| Instant::now() + limit));
        let held = end.is_some_and(|end| Instant::now() < end);
        // It stays set after its end, so that no further state begins the wait anew.
        self.held_until = end;
        if !held {
            self.advance(newer);
        }
    }

    /// States come on two ways (applied here, confirmed by a quorum); only a newer one counts.
    fn advance(&mut self, newer: Arc<State>) {
        if newer.applied > self.state.applied {
            self.state = newer;
        }
    }

    fn snapshot(&self, stale: bool) -> pb::MasterSnapshot {
        let watched = self.state.groups.values().filter(|group| self.watches(group.name.as_str()));
        pb::MasterSnapshot {
            masters: watched.map(|group| masters::master(group, self.board.group(&group.name).as_deref())).collect(),
            revision: self.position.0,
            stale,
        }
    }

    /// The first change behind the position; without one the position moves to the end of what is known.
    fn next_change(&mut self) -> Result<Option<pb::MasterChange>, Status> {
        if self.position < self.state.compacted {
            return Err(refuse::compacted(self.position, self.state.compacted));
        }
        let changes = &self.state.changes;
        let seen = changes.partition_point(|change| change.revision <= self.position);
        let next = changes.range(seen..).find(|change| self.watches(change.group.as_str()));
        let message = next.map(|change| self.message(change));
        self.position = next.map_or(self.state.applied.max(self.position), |change| change.revision);
        Ok(message)
    }

    fn message(&self, change: &MasterChange) -> pb::MasterChange {
        let group = self.state.groups.get(&change.group);
        masters::change(change, group.map(Arc::as_ref))
    }

    fn watches(&self, group: &str) -> bool {
        self.groups.is_empty() || self.groups.contains(group)
    }
}

fn check_resumable(state: &State, after: LogIndex, stale: bool) -> Result<(), Status> {
    if after > state.applied && stale {
        return Err(Status::unavailable(format!(
            "this sentinel has applied the log up to {} only, and was not asked to catch up to {after}; ask another one, or with CONSISTENCY_LINEARIZABLE",
            state.applied
        )));
    }
    if after > state.applied {
        return Err(Status::invalid_argument(format!(
            "revision {after} lies in the future: the log has come to {}; is it from another cluster?",
            state.applied
        )));
    }
    if after < state.compacted {
        return Err(refuse::compacted(after, state.compacted));
    }
    Ok(())
}

fn every(period: Duration) -> Interval {
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
