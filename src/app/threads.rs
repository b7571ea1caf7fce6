//! The threads of this process. Requests of clients run on others than consensus and decisions, so that no flood of them delays a
//! heartbeat, a look at a master or a promotion.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::admission::Precedence;
use crate::clock::Clock;

/// Threads of consensus. It is a few tasks that wait for each other and for the disk.
const CONSENSUS: usize = 2;
/// By how much the threads for clients stand back where all cores are busy: a thread of consensus or of a judge that has something to
/// do comes first, and clients still get the rest, about a third as much as another process. No right is needed to be nicer.
const STAND_BACK: i32 = 5;
/// How long work that cannot be cancelled (a file that is being read, a name that is being looked up) may go on at the end.
const END_WITHIN: Duration = Duration::from_millis(500);

/// All threads, by what runs on them.
pub struct Threads {
    consensus: Runtime,
    judging: Runtime,
    clients: Runtime,
}

/// Where tasks are started that do not belong to probes and judges, among which the function of that name above itself runs.
#[derive(Clone)]
pub(super) struct Handles {
    /// The log, and the calls of peers.
    pub(super) consensus: Handle,
    /// Whatever is asked from outside, and what is called outside.
    pub(super) clients: Handle,
    /// Probes and judges.
    judging: Handle,
}

impl Handles {
    /// For clients that keep a thread busy.
    pub(super) fn precedence(&self, clock: Clock) -> Precedence {
        Precedence::of(vec![self.consensus.clone(), self.judging.clone()], clock)
    }
}

impl Threads {
    /// Starts them; nothing runs yet.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn start() -> io::Result<Self> {
        Ok(Self {
            consensus: Builder::new_multi_thread().worker_threads(CONSENSUS).thread_name("consensus").enable_all().build()?,
            judging: Builder::new_multi_thread().thread_name("judging").enable_all().build()?,
            clients: Builder::new_multi_thread().thread_name("clients").on_thread_start(stand_back).enable_all().build()?,
        })
    }

    /// Runs a sentinel to its end.
    ///
    /// # Errors
    /// As `app::run`.
    pub fn run(self, config: crate::conf::Config) -> Result<(), super::AppError> {
        let handles = Handles {
            consensus: self.consensus.handle().clone(),
            clients: self.clients.handle().clone(),
            judging: self.judging.handle().clone(),
        };
        let ended = loop {
            // As a task: run by `block_on` alone it would wake this thread for every word from consensus, thousands of times a second under load.
            let serving = self.judging.spawn(super::run(config.clone(), handles.clone()));
            match self.judging.block_on(serving).unwrap_or_else(|lost| Err(super::AppError::PartFailed(lost.to_string()))) {
                Ok(super::NodeEnded::Anew) => {}
                Ok(super::NodeEnded::Stopped) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        for runtime in [self.clients, self.judging, self.consensus] {
            runtime.shutdown_timeout(END_WITHIN);
        }
        ended
    }
}

/// Runs `task` where `handle` says, and returns what comes of it.
pub(super) async fn on<T: Send + 'static>(handle: &Handle, task: impl Future<Output = T> + Send + 'static) -> T {
    match handle.spawn(task).await {
        Ok(done) => done,
        Err(lost) if lost.is_panic() => std::panic::resume_unwind(lost.into_panic()),
        // The runtime is ending, and this task with it.
        Err(_) => std::future::pending().await,
    }
}

/// Makes the calling thread nicer. On Linux the value belongs to the thread, not to the process.
fn stand_back() {
    if let Err(error) = rustix::process::setpriority_process(None, STAND_BACK) {
        tracing::debug!("a thread for clients does not stand back: {error}");
    }
}
