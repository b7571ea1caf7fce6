//! The state machine, as openraft sees it: entries in, states and events out, snapshots to and from the disk.
//!
//! The state lives in memory. After a start it is the last snapshot, and openraft applies the committed entries behind it again.

use std::sync::Arc;

use openraft::storage::{RaftStateMachine, Snapshot};
use openraft::{EntryPayload, ErrorSubject, ErrorVerb, OptionalSend, RaftSnapshotBuilder};
use tokio::sync::{broadcast, watch};

use super::digest::Digests;
use super::engine::Op;
use super::log::{Failure, failure};
use super::verify::shown;
use super::voters::Voters;
use super::writer::WriterHandle;
use super::{codec, snapshot_events};
use crate::base::{LogIndex, limits};
use crate::machine::{LoggedEvent, Outcome, State};
use crate::raft::types::{Entry, LogId, Membership, SnapshotMeta, TypeConfig};

/// The state machine of this sentinel.
pub struct StateMachine {
    writer: Arc<WriterHandle>,
    now: Applied,
    /// Entries up to here were applied in an earlier life of the process, and their events told.
    told: Option<LogIndex>,
    states: watch::Sender<Arc<State>>,
    events: broadcast::Sender<Arc<LoggedEvent>>,
    voters: Voters,
    digests: Arc<Digests>,
}

/// The state and how far it goes.
#[derive(Clone, Default)]
struct Applied {
    state: Arc<State>,
    last: Option<LogId>,
    membership: Membership,
}

impl StateMachine {
    pub(super) fn new(
        writer: Arc<WriterHandle>,
        snapshot: Option<(SnapshotMeta, State)>,
        committed: Option<LogId>,
        voters: Voters,
    ) -> Self {
        let now = snapshot.map_or_else(Applied::default, |(meta, state)| Applied::of(&meta, state));
        let states = watch::Sender::new(now.state.clone());
        Self {
            writer,
            now,
            told: committed.map(|committed| LogIndex(committed.index)),
            states,
            events: broadcast::Sender::new(limits::EVENTS_WAITING),
            voters,
            digests: Arc::new(Digests::default()),
        }
    }

    /// What the state was at some entries.
    pub fn digests(&self) -> Arc<Digests> {
        Arc::clone(&self.digests)
    }

    /// Follows the state.
    pub fn states(&self) -> watch::Receiver<Arc<State>> {
        self.states.subscribe()
    }

    /// Where to subscribe to events.
    pub fn events(&self) -> broadcast::Sender<Arc<LoggedEvent>> {
        self.events.clone()
    }

    /// The state first: who hears of an event finds a state that is at least as new.
    fn publish(&self, events: Vec<LoggedEvent>) {
        self.states.send_replace(self.now.state.clone());
        for event in events.into_iter().filter(|event| Some(event.index) > self.told) {
            // An error means that nobody listens, which is fine.
            let _ = self.events.send(Arc::new(event));
        }
    }
}

impl Applied {
    fn of(meta: &SnapshotMeta, state: State) -> Self {
        Self { state: Arc::new(state), last: meta.last_log_id, membership: meta.last_membership.clone() }
    }

    fn apply(&mut self, entry: Entry, events: &mut Vec<LoggedEvent>) -> Outcome {
        let index = LogIndex(entry.log_id.index);
        // Readers hold the state they were given; the first change of a batch makes a copy, the others work on it.
        let state = Arc::make_mut(&mut self.state);
        self.last = Some(entry.log_id);
        match entry.payload {
            EntryPayload::Blank => {
                state.apply_blank(index);
                Outcome::Done
            }
            EntryPayload::Normal(command) => {
                let (outcome, facts) = state.apply(index, &command);
                events.extend(facts);
                outcome
            }
            EntryPayload::Membership(membership) => {
                events.extend(state.apply_membership(index, membership.voter_ids().collect()));
                self.membership = Membership::new(Some(entry.log_id), membership);
                Outcome::Done
            }
        }
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, Membership), Failure> {
        Ok((self.now.last, self.now.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Outcome>, Failure>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut events = Vec::new();
        let apply = |entry| {
            let outcome = self.now.apply(entry, &mut events);
            self.digests.look(&self.now.state);
            outcome
        };
        let outcomes = entries.into_iter().map(apply).collect();
        self.publish(events);
        Ok(outcomes)
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder { writer: self.writer.clone(), view: self.now.clone() }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Vec<u8>>, Failure> {
        Ok(Box::default())
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: Box<Vec<u8>>) -> Result<(), Failure> {
        let subject = || ErrorSubject::Snapshot(Some(meta.signature()));
        let state: State = codec::decode(&snapshot).map_err(|problem| failure(subject(), ErrorVerb::Read, problem))?;
        if meta.last_log_id.map(|last| last.index) != Some(state.applied.0) {
            let problem = format!("its content goes up to {}, its description says {}", state.applied, shown(meta.last_log_id));
            return Err(failure(subject(), ErrorVerb::Read, std::io::Error::other(problem)));
        }
        save(&self.writer, meta, *snapshot).await?;
        self.voters.note_snapshot(&meta.last_membership);
        let events = snapshot_events::changes(&self.now.state, &state);
        self.now = Applied::of(meta, state);
        self.publish(events);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<TypeConfig>>, Failure> {
        let unreadable = |problem: &dyn std::error::Error| -> Failure {
            openraft::StorageIOError::read_snapshot(None, openraft::AnyError::error(problem)).into()
        };
        let Some((meta, data)) = self.writer.snapshot().await.map_err(|error| unreadable(&error))? else { return Ok(None) };
        let meta = codec::decode(&meta).map_err(|error| unreadable(&error))?;
        Ok(Some(Snapshot { meta, snapshot: Box::new(data) }))
    }
}

/// Writes one view of the state down, while the machine goes on.
pub struct SnapshotBuilder {
    writer: Arc<WriterHandle>,
    view: Applied,
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, Failure> {
        let view = &self.view;
        let data = codec::encode(&*view.state).map_err(|error| failure(ErrorSubject::StateMachine, ErrorVerb::Read, error))?;
        let last = shown(view.last);
        // Named by its content: two of the same name are the same bytes, on whichever sentinel.
        let snapshot_id = format!("{last}-{:08x}", crc32fast::hash(&data));
        let meta = SnapshotMeta { last_log_id: view.last, last_membership: view.membership.clone(), snapshot_id };
        save(&self.writer, &meta, data.clone()).await?;
        Ok(Snapshot { meta, snapshot: Box::new(data) })
    }
}

/// Replaces the snapshot on the disk: there is only ever one, and it is whole.
async fn save(writer: &WriterHandle, meta: &SnapshotMeta, data: Vec<u8>) -> Result<(), Failure> {
    let subject = || ErrorSubject::Snapshot(Some(meta.signature()));
    let described = codec::encode(meta).map_err(|error| failure(subject(), ErrorVerb::Write, error))?;
    let covered = meta.last_log_id.map_or(0, |last| last.index);
    writer.write(vec![Op::Snapshot(covered, described, data)]).await.map_err(|error| failure(subject(), ErrorVerb::Write, error))
}
