//! The one thread that owns `log.redb`: it turns all that is waiting into one transaction, and only then answers.

use std::fmt;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use openraft::storage::LogFlushed;
use tokio::sync::oneshot;

use super::engine::{Engine, Key, Op};
use super::identity::DataDir;
use super::mark::{Mark, Marked};
use super::{StoreError, codec};
use crate::raft::types::{LogId, TypeConfig};

/// Jobs in one transaction.
const BATCH: usize = 256;

/// The file cannot be written or read any more; this sentinel has to stop.
#[derive(Clone, Debug)]
pub(super) struct Failed(Arc<str>);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failed {}

type Answer<T> = oneshot::Sender<Result<T, Failed>>;
/// The two rows of a snapshot, as they were written: its description and its data.
pub(super) type SnapshotRows = Option<(Vec<u8>, Vec<u8>)>;

enum Job {
    /// Make this durable and answer.
    Write(Vec<Op>, Answer<()>),
    /// Make these entries durable and tell openraft.
    Append(Vec<Op>, LogFlushed<TypeConfig>),
    /// Purge up to this index. To be made durable with the next job that waits for it; until then it may be lost.
    Purge(u64, Vec<u8>),
    /// The commit point moved.
    Committed(LogId),
    /// Read the snapshot.
    Snapshot(Answer<SnapshotRows>),
    /// Make everything durable, close the file and let go of the directory.
    Close,
}

/// The way to the thread. The last one to go closes the file.
pub(super) struct Writer {
    jobs: Sender<Job>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread. It holds the lock of the directory for as long as it may write.
    pub(super) fn start(opened: Opened, dir: DataDir) -> Result<Self, StoreError> {
        let Opened { engine, mark, committed, covered, end } = opened;
        let path = engine.path().to_owned();
        let (jobs, inbox) = channel();
        let desk = Desk {
            engine,
            mark,
            waiting: Vec::new(),
            covered,
            purge: None,
            end,
            behind_purge: Vec::new(),
            committed,
            marked: None,
            failed: None,
        };
        let work = move || {
            desk.run(&inbox);
            drop(dir);
        };
        let thread =
            std::thread::Builder::new().name("store".to_owned()).spawn(work).map_err(StoreError::io("start the writer of", &path))?;
        Ok(Self { jobs, thread: Mutex::new(Some(thread)) })
    }

    pub(super) async fn write(&self, ops: Vec<Op>) -> Result<(), Failed> {
        let (answer, done) = oneshot::channel();
        self.send(Job::Write(ops, answer))?;
        done.await.map_err(|_| closed())?
    }

    pub(super) fn append(&self, ops: Vec<Op>, flushed: LogFlushed<TypeConfig>) -> Result<(), Failed> {
        self.send(Job::Append(ops, flushed))
    }

    pub(super) fn purge(&self, upto: u64, recorded: Vec<u8>) -> Result<(), Failed> {
        self.send(Job::Purge(upto, recorded))
    }

    pub(super) fn note_committed(&self, upto: LogId) -> Result<(), Failed> {
        self.send(Job::Committed(upto))
    }

    pub(super) async fn snapshot(&self) -> Result<SnapshotRows, Failed> {
        let (answer, done) = oneshot::channel();
        self.send(Job::Snapshot(answer))?;
        done.await.map_err(|_| closed())?
    }

    /// Makes everything durable, closes the file and lets go of the directory. Blocks until that is done.
    pub(super) fn close(&self) {
        // An error means that it is closed already.
        let _ = self.jobs.send(Job::Close);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the writer of the log panicked; what it had acknowledged is durable");
        }
    }

    fn send(&self, job: Job) -> Result<(), Failed> {
        self.jobs.send(job).map_err(|_| closed())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

fn closed() -> Failed {
    Failed("the log is closed".into())
}

/// What the thread starts with.
pub(super) struct Opened {
    pub(super) engine: Engine,
    pub(super) mark: Mark,
    /// The commit point.
    pub(super) committed: Option<LogId>,
    /// Up to where the snapshot in the file covers the log.
    pub(super) covered: Option<u64>,
    /// The index of the last entry; zero for none.
    pub(super) end: u64,
}

/// What the thread works with.
struct Desk {
    engine: Engine,
    mark: Mark,
    /// Changes that are not in the file yet, in order.
    waiting: Vec<Op>,
    /// Up to where the newest snapshot, in the file or waiting, covers the log.
    covered: Option<u64>,
    /// A purge that has to wait for its snapshot.
    ///
    /// When a snapshot arrives from the leader, openraft purges the log without waiting until the snapshot is saved. A crash
    /// in between would leave neither.
    purge: Option<(u64, Vec<u8>)>,
    /// The index of the last entry, in the file or waiting; zero for none.
    end: u64,
    /// What is about entries beyond that end, behind a purge that waits. It waits, too, in order: an entry behind a snapshot that is not saved
    /// would follow a hole, and a commit point in it would be beyond the end of the log.
    behind_purge: Vec<Job>,
    committed: Option<LogId>,
    marked: Option<Marked>,
    /// Why nothing can be written any more. The file's state is unknown then, so nothing is tried again.
    failed: Option<Failed>,
}

/// Who waits for the transaction.
enum Waiter {
    Writer(Answer<()>),
    Raft(LogFlushed<TypeConfig>),
    Reader(Answer<SnapshotRows>),
}

impl Desk {
    fn run(mut self, inbox: &Receiver<Job>) {
        let mut open = true;
        while open {
            let Ok(first) = inbox.recv() else { break };
            let mut waiters = Vec::new();
            for job in std::iter::once(first).chain(inbox.try_iter().take(BATCH - 1)) {
                open &= self.take(job, &mut waiters);
            }
            let done = self.work(!waiters.is_empty() || !open);
            for waiter in waiters {
                self.answer(waiter, &done);
            }
        }
        if let Err(problem) = self.mark.sync() {
            tracing::warn!(%problem, "could not sync the mark while closing the log");
        }
    }

    /// Puts one job on the desk; false when it is the last one.
    fn take(&mut self, job: Job, waiters: &mut Vec<Waiter>) -> bool {
        if self.has_to_wait(&job) {
            self.behind_purge.push(job);
            return true;
        }
        match job {
            Job::Write(ops, answer) => {
                ops.into_iter().for_each(|op| self.queue(op));
                waiters.push(Waiter::Writer(answer));
                self.let_purge_go(waiters);
            }
            Job::Append(ops, flushed) => {
                ops.into_iter().for_each(|op| self.queue(op));
                waiters.push(Waiter::Raft(flushed));
            }
            Job::Purge(upto, recorded) => {
                self.purge = Some((upto, recorded));
                self.let_purge_go(waiters);
            }
            Job::Committed(upto) => self.committed = self.committed.max(Some(upto)),
            Job::Snapshot(answer) => waiters.push(Waiter::Reader(answer)),
            Job::Close => return false,
        }
        true
    }

    /// Whether the job is about entries that would follow a hole, as long as a purge waits for its snapshot, or comes after such a one.
    fn has_to_wait(&self, job: &Job) -> bool {
        let beyond = |index: u64| index > self.end;
        let ops_beyond = |ops: &[Op]| ops.iter().any(|op| matches!(op, Op::Append(index, _) if beyond(index.saturating_sub(1))));
        self.purge.is_some()
            && match job {
                Job::Append(ops, _) => !self.behind_purge.is_empty() || ops_beyond(&ops[..ops.len().min(1)]),
                Job::Write(ops, _) => !self.behind_purge.is_empty() && ops.iter().any(|op| matches!(op, Op::Truncate(_))),
                Job::Committed(upto) => !self.behind_purge.is_empty() || beyond(upto.index),
                Job::Purge(..) | Job::Snapshot(_) | Job::Close => false,
            }
    }

    /// Queues one change. A snapshot that was begun before a newer one arrived from the leader has nothing to add, and would take away what
    /// the log was purged for.
    fn queue(&mut self, op: Op) {
        match &op {
            Op::Snapshot(covered, ..) if Some(*covered) < self.covered => {}
            Op::Snapshot(covered, ..) => {
                self.covered = Some(*covered);
                self.waiting.push(op);
            }
            Op::Append(index, _) => {
                self.end = *index;
                self.waiting.push(op);
            }
            Op::Truncate(since) => {
                self.end = since.saturating_sub(1);
                self.waiting.push(op);
            }
            Op::Purge(upto, _) => {
                self.end = self.end.max(*upto);
                self.waiting.push(op);
            }
            Op::Set(..) => self.waiting.push(op),
        }
    }

    /// Queues the purge once what it removes is covered, and what has waited behind it. The purge comes last: a later one may have taken its
    /// place, and removes some of these entries again.
    fn let_purge_go(&mut self, waiters: &mut Vec<Waiter>) {
        let Some((upto, recorded)) = self.purge.take_if(|(upto, _)| Some(*upto) <= self.covered) else { return };
        for job in std::mem::take(&mut self.behind_purge) {
            self.take(job, waiters);
        }
        self.queue(Op::Purge(upto, recorded));
    }

    fn work(&mut self, durable: bool) -> Result<(), Failed> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        self.try_work(durable).map_err(|problem| {
            let failed = Failed(format!("cannot write {}: {problem}", self.engine.path().display()).into());
            tracing::error!(%failed, "the log failed; this sentinel has to stop");
            self.failed = Some(failed.clone());
            failed
        })
    }

    fn try_work(&mut self, durable: bool) -> Result<(), redb::Error> {
        if durable && !self.waiting.is_empty() {
            if let Some(committed) = self.committed {
                self.waiting.push(Op::Set(Key::Committed, codec::encode(&committed).map_err(io::Error::from)?));
            }
            self.engine.commit(&self.waiting)?;
            self.waiting.clear();
        }
        let now = Marked { commits: self.engine.commits(), committed: self.committed };
        if self.marked != Some(now) {
            self.mark.write(&now)?;
            self.marked = Some(now);
        }
        Ok(())
    }

    fn answer(&self, waiter: Waiter, done: &Result<(), Failed>) {
        // Who went away in the meantime does not need the answer.
        match waiter {
            Waiter::Writer(answer) => drop(answer.send(done.clone())),
            Waiter::Raft(flushed) => flushed.log_io_completed(done.clone().map_err(io::Error::other)),
            Waiter::Reader(answer) => drop(answer.send(done.clone().and_then(|()| self.read_snapshot()))),
        }
    }

    fn read_snapshot(&self) -> Result<SnapshotRows, Failed> {
        let row =
            |key| self.engine.row(key).map_err(|problem| Failed(format!("cannot read {}: {problem}", self.engine.path().display()).into()));
        Ok(row(Key::SnapshotMeta)?.zip(row(Key::SnapshotData)?))
    }
}
