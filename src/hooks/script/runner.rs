//! Takes scripts to run, runs them, and says what became of them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::queue::{Limits, Pending, Queue, RunEnd, RunVerdict, Ticket};
use super::run;
use crate::base::Mono;
use crate::clock::Clock;
use crate::events::{Hub, Spoken};

/// The scripts of this sentinel. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct ScriptRunner {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    /// There may be something to start.
    changed: Notify,
    clock: Clock,
    dir: PathBuf,
    hub: Hub,
    runs: AtomicU64,
    failed: AtomicU64,
    timed_out: AtomicU64,
    dropped: AtomicU64,
}

/// What was counted: how it stands, and sums since this process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Scripts that run now.
    pub running: usize,
    /// Scripts in the queue now, running ones included.
    pub queued: usize,
    /// Runs begun.
    pub runs: u64,
    /// Scripts given up.
    pub failed: u64,
    /// Runs killed for taking too long.
    pub timed_out: u64,
    /// Scripts that were never run, or not again, because the queue was full.
    pub dropped: u64,
}

impl ScriptRunner {
    pub(in crate::hooks) fn new(limits: Limits, clock: Clock, dir: PathBuf, hub: Hub) -> Self {
        let zero = || AtomicU64::new(0);
        let queue = Mutex::new(Queue::new(limits));
        let (runs, failed, timed_out, dropped) = (zero(), zero(), zero(), zero());
        Self { shared: Arc::new(Shared { queue, changed: Notify::new(), clock, dir, hub, runs, failed, timed_out, dropped }) }
    }

    /// Puts a script into the queue. Never waits.
    pub(in crate::hooks) fn submit(&self, argv: Vec<String>) {
        let dropped = self.queue().add(argv, self.now());
        if let Some(argv) = dropped {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            warn!("the queue of scripts is full; dropped the oldest: {argv:?}");
        }
        self.shared.changed.notify_one();
    }

    /// Runs what is due until `cancel`.
    pub(in crate::hooks) async fn run(&self, cancel: CancellationToken) {
        loop {
            while let Some((ticket, argv)) = self.next() {
                tokio::spawn(self.clone().perform(ticket, argv));
            }
            let wake_at = self.queue().wake_at();
            let due = async {
                match wake_at {
                    Some(at) => tokio::time::sleep_until(self.shared.clock.instant(at).into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = cancel.cancelled() => return,
                () = self.shared.changed.notified() => {}
                () = due => {}
            }
        }
    }

    pub(in crate::hooks) fn set_times(&self, run_ms: u64, retry_ms: u64) {
        let mut queue = self.queue();
        (queue.limits.run_ms, queue.limits.retry_ms) = (run_ms, retry_ms);
    }

    pub(in crate::hooks) fn pending(&self) -> Vec<Pending> {
        self.queue().pending(self.now())
    }

    pub(in crate::hooks) fn counts(&self) -> Counts {
        let sum = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (running, queued) = {
            let queue = self.queue();
            (queue.running(), queue.len())
        };
        let shared = &self.shared;
        let (runs, failed) = (sum(&shared.runs), sum(&shared.failed));
        Counts { running, queued, runs, failed, timed_out: sum(&shared.timed_out), dropped: sum(&shared.dropped) }
    }

    fn next(&self) -> Option<(Ticket, Vec<String>)> {
        self.queue().start(self.now())
    }

    async fn perform(self, ticket: Ticket, argv: Vec<String>) {
        self.shared.runs.fetch_add(1, Ordering::Relaxed);
        let end = self.execute(ticket, &argv).await;
        let verdict = self.queue().ended(ticket, end, self.now());
        self.report(&argv, end, verdict);
        self.shared.changed.notify_one();
    }

    async fn execute(&self, ticket: Ticket, argv: &[String]) -> RunEnd {
        let mut child = match run::start(argv, &self.shared.dir) {
            Ok(child) => child,
            Err(error) => {
                let path = self.shared.dir.join(argv.first().map_or("", String::as_str));
                warn!("cannot run the script {}: {error}; each sentinel runs its own copy, and this host needs one", path.display());
                return run::not_started(&error);
            }
        };
        let pid = child.id().unwrap_or_default();
        self.queue().started(ticket, pid);
        debug!("+script-child {pid}");
        let limit = Duration::from_millis(self.queue().limits.run_ms);
        let end = run::wait(&mut child, limit, || self.report_overdue(argv, pid)).await;
        debug!("-script-child {pid} {} {}", end.code, end.signal);
        end
    }

    fn report_overdue(&self, argv: &[String], pid: u32) {
        self.shared.timed_out.fetch_add(1, Ordering::Relaxed);
        self.say("-script-timeout", &format!("{} {pid}", argv[0]));
    }

    fn report(&self, argv: &[String], end: RunEnd, verdict: RunVerdict) {
        match verdict {
            RunVerdict::Done => {}
            RunVerdict::Again { in_ms } => {
                info!("a script failed (signal {}, exit code {}) and runs again in {in_ms} ms: {argv:?}", end.signal, end.code);
            }
            RunVerdict::Failed => {
                self.shared.failed.fetch_add(1, Ordering::Relaxed);
                self.say("-script-error", &format!("{} {} {}", argv[0], end.signal, end.code));
            }
        }
    }

    fn say(&self, channel: &'static str, payload: &str) {
        self.shared.hub.say(Spoken::about_this_process(channel, payload));
    }

    fn now(&self) -> Mono {
        self.shared.clock.mono()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
