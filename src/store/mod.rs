//! What is durable on one sentinel: its identity, and the Raft log with vote, commit point and snapshot.
//!
//! The only room that knows the storage engine (redb); with `raft` the only one that knows openraft. It carries
//! commands and states and does not know what they mean: applying is `machine::State`'s, deciding is `judge`'s.
//! Called by `raft`, which gives [`LogStore`] and [`StateMachine`] to openraft.
//!
//! ```text
//! <dir>/raft-sentinel/      0700
//!   lock                    held while the process lives: one process per directory
//!   identity.json           who this sentinel is, and which lives of its peers it trusts   identity
//!   log.redb                entries, vote, purge point, snapshot: one file, one writer     engine, writer
//!   mark                    the newest commit that was acknowledged; never synced          mark
//!   peer-marks              what the others had acknowledged; never synced                 peer_marks
//! ```
//!
//! In reading order: [`error`](StoreError), `codec` (bytes with a version and a checksum), `files`, [`identity`] and `record`,
//! `engine` (the tables), `verify` (reading all of it once), `commit_watermark`, `writer` (the one thread that owns the file), `progress` (how far it is),
//! [`log`] and [`machine`] (what openraft sees), `voters` (when the log may run ahead of the disk), `snapshot_events` (what a snapshot jumps over),
//! `digest` (what the state was, for a comparison with others).

use std::path::Path;
use std::sync::Arc;

use tokio::sync::{broadcast, watch};

use crate::base::{ClusterId, NodeId, SentinelId};
use crate::machine::{LoggedEvent, State};

mod codec;
mod commit_watermark;
mod digest;
mod engine;
mod error;
mod files;
pub mod identity;
pub mod log;
pub mod machine;
mod peer_marks;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails may panic")]
mod power_loss;
mod progress;
mod record;
mod snapshot_events;
mod verify;
mod voters;
mod writer;

pub use codec::{BadValue, decode, encode, verify_snapshot, whole};
pub use commit_watermark::Marked;
pub use digest::{Digest, Digests};
pub use error::StoreError;
pub use identity::{DataDir, Identity, PinError};
pub use log::LogStore;
pub use machine::StateMachine;
pub use peer_marks::{PeerMark, PeerMarks};
pub use progress::Failed;
pub use verify::Binding;

use verify::Recovered;
use voters::Voters;
use writer::WriterHandle;

/// Everything that is durable on this sentinel, opened and verified.
pub struct Opened {
    /// Who this sentinel is.
    pub identity: Arc<Identity>,
    /// The Raft log, for openraft.
    pub log: LogStore,
    /// The state machine, for openraft.
    pub machine: StateMachine,
    /// The state after each batch of applied entries. Intermediate states may be skipped.
    pub states: watch::Receiver<Arc<State>>,
    /// Subscribe here to what becomes true from now on.
    pub events: broadcast::Sender<Arc<LoggedEvent>>,
    /// What the disks of the other members had on them.
    pub peer_marks: PeerMarks,
    /// What the state was at some entries.
    pub digests: Arc<Digests>,
    /// Whether there is no log, vote or snapshot yet: the cluster has not been formed, as far as this disk knows.
    pub pristine: bool,
}

/// Opens (or, in an empty directory, creates) what is durable on this sentinel, and reads all of it once to verify it.
///
/// `dir` must exist. `seed` is the public id to start with (from a stock `myid`); an identity that is already recorded wins.
/// It blocks on the disk.
///
/// # Errors
/// [`StoreError`]: the directory is in use, belongs to another sentinel, or something in it is damaged. Nothing is ever repaired
/// by starting over.
pub fn open(dir: &Path, node_id: NodeId, cluster_id: ClusterId, seed: Option<SentinelId>) -> Result<Opened, StoreError> {
    let data = DataDir::lock(dir)?;
    let peer_marks = PeerMarks::of(data.path());
    let (identity, recovered) = identity::open_or_create(&data, node_id, cluster_id, seed)?;
    let Recovered { engine, mark, book, snapshot } = recovered;
    let (pristine, committed) = (book.is_pristine() && snapshot.is_none(), book.committed);
    let next = book.last().map_or(0, |last| last.index + 1);
    let voters = Voters::found(snapshot.as_ref().map(|(meta, _)| &meta.last_membership), book.entries.values());
    let covered = snapshot.as_ref().and_then(|(meta, _)| meta.last_log_id).map(|last| last.index);
    let writer = Arc::new(WriterHandle::start(writer::WriterStart { engine, mark, committed, covered, next }, data)?);
    let machine = StateMachine::new(writer.clone(), snapshot, committed, voters.clone());
    let (states, events, digests) = (machine.states(), machine.events(), machine.digests());
    let log = LogStore::new(writer, book, voters);
    Ok(Opened { identity: Arc::new(identity), log, machine, states, events, peer_marks, digests, pristine })
}
