//! The one thread that owns `log.redb`: it turns all that is waiting into one transaction, and only then answers.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use openraft::storage::LogFlushed;
use tokio::sync::{oneshot, watch};

use super::commit_watermark::{Marked, WatermarkFile};
use super::engine::{Engine, MetaKey, Op};
use super::identity::DataDir;
use super::progress::{Failed, Progress};
use super::{StoreError, codec};
use crate::raft::types::{LogId, TypeConfig};

/// Jobs in one transaction.
const BATCH: usize = 256;

type Answer<T> = oneshot::Sender<Result<T, Failed>>;
/// The two rows of a snapshot, as they were written: its description and its data.
pub(super) type SnapshotRows = Option<(Vec<u8>, Vec<u8>)>;

enum Job {
    /// Make this durable and answer.
    Write(Vec<Op>, Answer<()>),
    /// Make these entries durable and tell openraft, if it has not been told.
    Append(Vec<Op>, Option<LogFlushed<TypeConfig>>),
    /// Make this durable; nobody waits for it.
    Queue(Vec<Op>),
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
pub(super) struct WriterHandle {
    jobs: Sender<Job>,
    progress: watch::Receiver<Progress>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl WriterHandle {
    /// Starts the thread. It holds the lock of the directory for as long as it may write.
    pub(super) fn start(opened: WriterStart, dir: DataDir) -> Result<Self, StoreError> {
        let WriterStart { engine, mark, committed, covered, next } = opened;
        let path = engine.path().to_owned();
        let (jobs, inbox) = channel();
        let (told, progress) = watch::channel(Progress::at(next, engine.commits()));
        let desk = WriterThread {
            engine,
            mark,
            waiting: Vec::new(),
            pressing: false,
            covered,
            purge: None,
            next,
            behind_purge: Vec::new(),
            committed,
            marked: None,
            progress: told,
        };
        let work = move || {
            desk.run(&inbox);
            drop(dir);
        };
        let thread =
            std::thread::Builder::new().name("store".to_owned()).spawn(work).map_err(StoreError::io("start the writer of", &path))?;
        Ok(Self { jobs, progress, thread: Mutex::new(Some(thread)) })
    }

    pub(super) async fn write(&self, ops: Vec<Op>) -> Result<(), Failed> {
        let (answer, done) = oneshot::channel();
        self.send(Job::Write(ops, answer))?;
        done.await.map_err(|_| Failed::closed())?
    }

    /// Entries that are to be durable soon. `flushed` hears of it.
    pub(super) fn append(&self, ops: Vec<Op>, flushed: Option<LogFlushed<TypeConfig>>) -> Result<(), Failed> {
        self.send(Job::Append(ops, flushed))
    }

    /// The same for what nobody waits for: it is durable before anything that is handed in later.
    pub(super) fn queue(&self, ops: Vec<Op>) -> Result<(), Failed> {
        self.send(Job::Queue(ops))
    }

    /// How far the disk is.
    pub(super) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
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
        done.await.map_err(|_| Failed::closed())?
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

    /// A log that failed takes nothing more: who was not told yet hears of it here.
    fn send(&self, job: Job) -> Result<(), Failed> {
        if let Some(failed) = &self.progress.borrow().failed {
            return Err(failed.clone());
        }
        self.jobs.send(job).map_err(|_| Failed::closed())
    }
}

impl Drop for WriterHandle {
    fn drop(&mut self) {
        self.close();
    }
}

/// What the thread starts with.
pub(super) struct WriterStart {
    pub(super) engine: Engine,
    pub(super) mark: WatermarkFile,
    /// The commit point.
    pub(super) committed: Option<LogId>,
    /// Up to where the snapshot in the file covers the log.
    pub(super) covered: Option<u64>,
    /// The index behind the last entry.
    pub(super) next: u64,
}

/// What the thread works with.
struct WriterThread {
    engine: Engine,
    mark: WatermarkFile,
    /// Changes that are not in the file yet, in order.
    waiting: Vec<Op>,
    /// Whether one of them is to be durable without waiting for more.
    pressing: bool,
    /// Up to where the newest snapshot, in the file or waiting, covers the log.
    covered: Option<u64>,
    /// A purge that has to wait for its snapshot.
    ///
    /// When a snapshot arrives from the leader, openraft purges the log without waiting until the snapshot is saved. A crash
    /// in between would leave neither.
    purge: Option<(u64, Vec<u8>)>,
    /// The index behind the last entry, in the file or waiting.
    next: u64,
    /// What is about entries beyond that end, behind a purge that waits. It waits, too, in order: an entry behind a snapshot that is not saved
    /// would follow a hole, and a commit point in it would be beyond the end of the log.
    behind_purge: Vec<Job>,
    committed: Option<LogId>,
    marked: Option<Marked>,
    /// Once it says that the log failed, the file's state is unknown, so nothing is tried again.
    progress: watch::Sender<Progress>,
}

/// Who waits for the transaction.
enum WriteWaiter {
    WriterHandle(Answer<()>),
    Raft(LogFlushed<TypeConfig>),
    Reader(Answer<SnapshotRows>),
}

impl WriterThread {
    fn run(mut self, inbox: &Receiver<Job>) {
        let mut open = true;
        while open {
            let Ok(first) = inbox.recv() else { break };
            let mut waiters = Vec::new();
            for job in std::iter::once(first).chain(inbox.try_iter().take(BATCH - 1)) {
                open &= self.take(job, &mut waiters);
            }
            let done = self.work(!waiters.is_empty() || self.pressing || !open);
            for waiter in waiters {
                self.answer(waiter, &done);
            }
        }
        if let Err(problem) = self.mark.sync() {
            tracing::warn!(%problem, "could not sync the mark while closing the log");
        }
    }

    /// Gives the thread one job; false when it is the last one.
    fn take(&mut self, job: Job, waiters: &mut Vec<WriteWaiter>) -> bool {
        if self.has_to_wait(&job) {
            self.behind_purge.push(job);
            return true;
        }
        match job {
            Job::Write(ops, answer) => {
                ops.into_iter().for_each(|op| self.queue(op));
                waiters.push(WriteWaiter::WriterHandle(answer));
                self.let_purge_go(waiters);
            }
            Job::Append(ops, flushed) => {
                ops.into_iter().for_each(|op| self.queue(op));
                self.pressing = true;
                waiters.extend(flushed.map(WriteWaiter::Raft));
            }
            Job::Queue(ops) => {
                ops.into_iter().for_each(|op| self.queue(op));
                self.pressing = true;
            }
            Job::Purge(upto, recorded) => {
                self.purge = Some((upto, recorded));
                self.let_purge_go(waiters);
            }
            Job::Committed(upto) => self.committed = self.committed.max(Some(upto)),
            Job::Snapshot(answer) => waiters.push(WriteWaiter::Reader(answer)),
            Job::Close => return false,
        }
        true
    }

    /// Whether the job is about entries that would follow a hole, as long as a purge waits for its snapshot, or comes after such a one.
    fn has_to_wait(&self, job: &Job) -> bool {
        let ops_beyond = |ops: &[Op]| ops.iter().any(|op| matches!(op, Op::Append(index, _) if *index > self.next));
        self.purge.is_some()
            && match job {
                Job::Append(ops, _) => !self.behind_purge.is_empty() || ops_beyond(&ops[..ops.len().min(1)]),
                Job::Write(ops, _) => !self.behind_purge.is_empty() && ops.iter().any(|op| matches!(op, Op::Truncate(_))),
                Job::Committed(upto) => !self.behind_purge.is_empty() || upto.index >= self.next,
                Job::Queue(_) | Job::Purge(..) | Job::Snapshot(_) | Job::Close => false,
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
                self.next = index + 1;
                self.waiting.push(op);
            }
            Op::Truncate(since) => {
                self.next = *since;
                self.waiting.push(op);
            }
            Op::Purge(upto, _) => {
                self.next = self.next.max(upto + 1);
                self.waiting.push(op);
            }
            Op::Set(..) | Op::Nothing => self.waiting.push(op),
        }
    }

    /// Queues the purge once what it removes is covered, and what has waited behind it. The purge comes last: a later one may have taken its
    /// place, and removes some of these entries again.
    fn let_purge_go(&mut self, waiters: &mut Vec<WriteWaiter>) {
        let Some((upto, recorded)) = self.purge.take_if(|(upto, _)| Some(*upto) <= self.covered) else { return };
        for job in std::mem::take(&mut self.behind_purge) {
            self.take(job, waiters);
        }
        self.queue(Op::Purge(upto, recorded));
    }

    fn work(&mut self, durable: bool) -> Result<(), Failed> {
        if let Some(failed) = &self.progress.borrow().failed {
            return Err(failed.clone());
        }
        self.try_work(durable).map_err(|problem| {
            let failed = Failed::of(format!("cannot write {}: {problem}", self.engine.path().display()));
            tracing::error!(%failed, "the log failed; this sentinel has to stop");
            self.progress.send_modify(|progress| progress.failed = Some(failed.clone()));
            failed
        })
    }

    fn try_work(&mut self, durable: bool) -> Result<(), redb::Error> {
        if durable && !self.waiting.is_empty() {
            if let Some(committed) = self.committed {
                self.waiting.push(Op::Set(MetaKey::Committed, codec::encode(&committed).map_err(io::Error::from)?));
            }
            let begun = Instant::now();
            self.engine.commit(&self.waiting)?;
            self.waiting.clear();
            self.pressing = false;
            self.progress.send_modify(|progress| progress.note(self.next, self.engine.commits(), begun.elapsed()));
        }
        let now = Marked { commits: self.engine.commits(), committed: self.committed };
        if self.marked != Some(now) {
            self.mark.write(&now)?;
            self.marked = Some(now);
        }
        Ok(())
    }

    fn answer(&self, waiter: WriteWaiter, done: &Result<(), Failed>) {
        // Who went away in the meantime does not need the answer.
        match waiter {
            WriteWaiter::WriterHandle(answer) => drop(answer.send(done.clone())),
            WriteWaiter::Raft(flushed) => flushed.log_io_completed(done.clone().map_err(io::Error::other)),
            WriteWaiter::Reader(answer) => drop(answer.send(done.clone().and_then(|()| self.read_snapshot()))),
        }
    }

    fn read_snapshot(&self) -> Result<SnapshotRows, Failed> {
        let row =
            |key| self.engine.row(key).map_err(|problem| Failed::of(format!("cannot read {}: {problem}", self.engine.path().display())));
        Ok(row(MetaKey::SnapshotMeta)?.zip(row(MetaKey::SnapshotData)?))
    }
}
