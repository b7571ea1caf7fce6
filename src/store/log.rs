//! The Raft log and vote, as openraft sees them.
//!
//! Reads are answered from memory, where the whole (short) log is kept; writes go to the writer's queue in the order in which openraft
//! asks for them, which is all the ordering that Raft needs: a later write is never durable before an earlier one.
//!
//! openraft 0.9 does nothing while it waits for an append: no heartbeat, no vote, no second entry for the same sync. So the log may
//! [run ahead](LogStore::ahead_of_the_disk) of the disk: an append is acknowledged once it is in memory and queued. Nothing may count for a quorum then
//! before [`LogStore::flushed`] says so, and `raft` holds every acknowledgement between sentinels until it does: a follower's its own, and on the leader the followers',
//! so that the leader is behind a commit with its own disk as well.

use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openraft::storage::{LogFlushed, LogState, RaftLogStorage};
use openraft::{ErrorSubject, ErrorVerb, OptionalSend, RaftLogReader, StorageIOError};

use super::codec;
use super::engine::{MetaKey, Op};
use super::progress::Failed;
use super::verify::{RecoveredLog, shown};
use super::voters::Voters;
use super::writer::WriterHandle;
use crate::base::{NodeId, limits};
use crate::raft::types::{Entry, LogId, TypeConfig, Vote};

pub(super) type Failure = openraft::StorageError<NodeId>;

/// The Raft log. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct LogStore {
    writer: Arc<WriterHandle>,
    book: Arc<Mutex<RecoveredLog>>,
    voters: Voters,
    ahead: bool,
    found: u64,
}

impl LogStore {
    pub(super) fn new(writer: Arc<WriterHandle>, book: RecoveredLog, voters: Voters) -> Self {
        let found = writer.progress().borrow().commits;
        Self { writer, book: Arc::new(Mutex::new(book)), voters, ahead: false, found }
    }

    /// How many commits the file had when it was opened.
    pub const fn commits_found(&self) -> u64 {
        self.found
    }

    /// How many commits of the file are durable. It only grows, from one life of the process to the next: a file with fewer than it had is an older copy.
    pub fn commits(&self) -> u64 {
        self.writer.progress().borrow().commits
    }

    /// The same log, for an openraft whose appends do not wait for the disk. Whoever hands it over sees to it that nothing counts for a quorum
    /// before it is [flushed](Self::flushed).
    #[must_use]
    pub fn ahead_of_the_disk(self) -> Self {
        Self { ahead: true, ..self }
    }

    /// Waits until the entry at an index, as it was when this was asked or later, is durable.
    ///
    /// An entry that is cut off meanwhile may be another one by then: the caller compares.
    ///
    /// # Errors
    /// [`Failed`]: it never will be.
    pub async fn flushed(&self, index: u64) -> Result<(), Failed> {
        let mut progress = self.writer.progress();
        let reached = progress.wait_for(|now| now.next > index || now.failed.is_some()).await.map_err(|_| Failed::closed())?;
        if reached.next > index { Ok(()) } else { Err(reached.failed.clone().unwrap_or_else(Failed::closed)) }
    }

    /// Waits until the log fails for good. Never returns once it is closed.
    pub async fn failed(&self) -> Failed {
        let mut progress = self.writer.progress();
        match progress.wait_for(|now| now.failed.is_some()).await.ok().and_then(|now| now.failed.clone()) {
            Some(failed) => failed,
            None => std::future::pending().await,
        }
    }

    /// How long a sync of this disk takes: it follows a slower one at once, and a faster one slowly.
    pub fn sync_takes(&self) -> Duration {
        self.writer.progress().borrow().sync
    }

    /// Writes nothing, durably, so that [`LogStore::sync_takes`] has a figure.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn try_sync(&self) -> Result<(), Failed> {
        self.writer.write(vec![Op::Nothing]).await
    }

    /// The entry at an index, if the log holds it.
    pub fn log_id_at(&self, index: u64) -> Option<LogId> {
        self.book().entries.get(&index).map(|entry| entry.log_id)
    }

    /// Whether the log holds exactly this entry, or has purged it.
    pub fn holds(&self, entry: LogId) -> bool {
        let book = self.book();
        book.purged >= Some(entry) || book.entries.get(&entry.index).is_some_and(|found| found.log_id == entry)
    }

    /// The last entry, and the last one that is known to be committed.
    pub fn ends(&self) -> (Option<LogId>, Option<LogId>) {
        let book = self.book();
        (book.last(), book.committed)
    }

    /// The vote.
    pub fn vote(&self) -> Option<Vote> {
        self.book().vote
    }

    /// Puts a vote and entries behind the log, durably and in one transaction, with no openraft there to know of it: the log has to be opened anew.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn go_on_with(&self, vote: &Vote, entries: &[Entry]) -> Result<(), String> {
        let written = |problem: serde_json::Error| problem.to_string();
        let mut ops = vec![Op::Set(MetaKey::Vote, codec::encode(vote).map_err(written)?)];
        for entry in entries {
            ops.push(Op::Append(entry.log_id.index, codec::encode(entry).map_err(written)?));
        }
        self.writer.write(ops).await.map_err(|failed| failed.to_string())
    }

    /// Makes everything durable, closes the file and lets go of the directory, although clones may still live.
    ///
    /// To be called once openraft has shut down; whatever is asked afterwards fails. Without it the last clone closes. Blocks on the disk.
    pub fn close(&self) {
        self.writer.close();
    }

    fn book(&self) -> MutexGuard<'_, RecoveredLog> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn failure(subject: ErrorSubject<NodeId>, verb: ErrorVerb, source: impl std::error::Error + 'static) -> Failure {
    StorageIOError::new(subject, verb, openraft::AnyError::new(&source)).into()
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> Result<Vec<Entry>, Failure>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let from = match range.start_bound() {
            Bound::Included(first) => *first,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let book = self.book();
        let wanted = book.entries.range(from..).take_while(|(index, _)| range.contains(*index));
        Ok(wanted.map(|(_, entry)| entry.clone()).collect())
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, Failure> {
        let book = self.book();
        Ok(LogState { last_purged_log_id: book.purged, last_log_id: book.last() })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), Failure> {
        let unsaved = |source: &dyn std::error::Error| -> Failure { StorageIOError::write_vote(openraft::AnyError::error(source)).into() };
        if vote.leader_id.term > limits::TERM_LIMIT {
            return Err(unsaved(&std::io::Error::other(format!("term {} is beyond what can be", vote.leader_id.term))));
        }
        let bytes = codec::encode(vote).map_err(|error| unsaved(&error))?;
        let ops = vec![Op::Set(MetaKey::Vote, bytes)];
        // A vote that is committed proves that a quorum has made its promise to this leader durable, so nobody else can win at or below it,
        // even if this sentinel forgets it. It is durable before any entry of that leader; a promise of this sentinel's own is waited for.
        if self.ahead && vote.committed {
            self.writer.queue(ops).map_err(|error| unsaved(&error))?;
        } else {
            self.writer.write(ops).await.map_err(|error| unsaved(&error))?;
        }
        self.book().vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, Failure> {
        Ok(self.book().vote)
    }

    /// Costs no sync, and may be lost with the power: it is learnt again from the leader.
    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), Failure> {
        let Some(upto) = committed else { return Ok(()) };
        {
            let mut book = self.book();
            // What was committed must be there at the next start. A snapshot that was installed purges the log behind it first.
            let reach = book.last().map_or(0, |last| last.index);
            if upto.index > reach {
                let problem = std::io::Error::other(format!("the log ends at {reach}, and {upto} is to be committed"));
                return Err(failure(ErrorSubject::Log(upto), ErrorVerb::Write, problem));
            }
            book.committed = Some(upto);
        }
        self.writer.note_committed(upto).map_err(|error| failure(ErrorSubject::Logs, ErrorVerb::Write, error))
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, Failure> {
        Ok(self.book().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<TypeConfig>) -> Result<(), Failure>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut book = self.book();
        let mut ops = Vec::new();
        for entry in entries {
            let subject = ErrorSubject::Log(entry.log_id);
            let index = entry.log_id.index;
            if book.entries.last_key_value().is_some_and(|(last, _)| last + 1 != index) {
                let problem = std::io::Error::other(format!("it does not follow the last one, {}", shown(book.last())));
                return Err(failure(subject, ErrorVerb::Write, problem));
            }
            self.voters.note_entry(&entry);
            ops.push(Op::Append(index, codec::encode(&entry).map_err(|error| failure(subject, ErrorVerb::Write, error))?));
            book.entries.insert(index, entry);
        }
        let unwritten = |error| failure(ErrorSubject::Logs, ErrorVerb::Write, error);
        if self.ahead && self.voters.need_others() {
            self.writer.append(ops, None).map_err(unwritten)?;
            callback.log_io_completed(Ok(()));
            Ok(())
        } else {
            self.writer.append(ops, Some(callback)).map_err(unwritten)
        }
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), Failure> {
        {
            let mut book = self.book();
            if let Some(committed) = book.committed.filter(|committed| committed.index >= log_id.index) {
                let problem = std::io::Error::other(format!("{committed} was committed, and {log_id} is to be cut off"));
                return Err(failure(ErrorSubject::Log(log_id), ErrorVerb::Delete, problem));
            }
            book.entries.split_off(&log_id.index);
            self.voters.truncate(log_id.index);
        }
        let written = self.writer.write(vec![Op::Truncate(log_id.index)]).await;
        written.map_err(|error| failure(ErrorSubject::Log(log_id), ErrorVerb::Delete, error))
    }

    /// Costs no sync of its own: entries that come back after a crash are in the snapshot, and are purged again.
    async fn purge(&mut self, log_id: LogId) -> Result<(), Failure> {
        let bytes = codec::encode(&log_id).map_err(|error| failure(ErrorSubject::Log(log_id), ErrorVerb::Delete, error))?;
        let mut book = self.book();
        book.purged = book.purged.max(Some(log_id));
        book.entries = book.entries.split_off(&(log_id.index + 1));
        self.voters.purge(log_id.index);
        self.writer.purge(log_id.index, bytes).map_err(|error| failure(ErrorSubject::Log(log_id), ErrorVerb::Delete, error))
    }
}
