//! Busy clients wait until consensus and decisions have had their turn.
//!
//! Where all cores are busy a heartbeat waits for a core as long as the scheduler lets it, whatever the clients are: with some tens of
//! clients that each keep a thread busy that is longer than an election timeout. So a client that has had a full turn of answers has a
//! task run on the threads that matter before it gets the next one. When those threads are late, clients are late as well, which frees
//! the cores; when they are not, the wait is some microseconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::runtime::Handle;
use tokio::sync::Mutex;

use crate::base::Mono;
use crate::clock::Clock;

/// An answer of those threads holds for so long, for all clients: it costs them a wake-up.
const FRESH_MS: u64 = 2;
/// Requests of all connections together to one that waits, in [`Precedence::pass`].
const TURN: usize = 16;

/// The threads that come before clients.
#[derive(Clone, Debug, Default)]
pub struct Precedence(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    first: Vec<Handle>,
    clock: Clock,
    /// When they were last seen to run, by [`Clock::mono`].
    ran_ms: AtomicU64,
    asking: Mutex<()>,
    requests: AtomicUsize,
}

impl Precedence {
    /// The threads behind `first` come before whoever waits here.
    pub fn of(first: Vec<Handle>, clock: Clock) -> Self {
        Self(Arc::new(Inner { first, clock, ..Inner::default() }))
    }

    /// For a request of a kind whose connections are not counted here: one of a turn of all connections waits.
    pub async fn pass(&self) {
        if self.0.requests.fetch_add(1, Ordering::Relaxed) % TURN == TURN - 1 {
            self.wait().await;
        }
    }

    /// Waits until each of them has run something, or did so just now.
    pub async fn wait(&self) {
        let Inner { first, asking, .. } = &*self.0;
        if first.is_empty() || self.is_fresh() {
            return tokio::task::yield_now().await;
        }
        let _one_asks_for_all = asking.lock().await;
        if self.is_fresh() {
            return;
        }
        let asked: Vec<_> = first.iter().map(|handle| handle.spawn(async {})).collect();
        for ran in asked {
            // A runtime that ends answers nothing; so does this process, soon.
            let _ = ran.await;
        }
        self.0.ran_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    fn is_fresh(&self) -> bool {
        self.now_ms().saturating_sub(self.0.ran_ms.load(Ordering::Relaxed)) < FRESH_MS
    }

    fn now_ms(&self) -> u64 {
        self.0.clock.mono().ms_since(Mono::default())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails may panic")]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn a_client_waits_as_long_as_the_threads_of_consensus_are_busy_and_no_longer() {
        let first = Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let clients = Builder::new_current_thread().enable_time().build().unwrap();
        let clock = Clock::default();
        let precedence = Precedence::of(vec![first.handle().clone()], clock);
        let ((busy, is_busy), (done, until_done)) = (channel(), channel::<()>());
        first.spawn(async move {
            busy.send(()).unwrap();
            // Blocks the only thread, as one does that finds no core.
            let _ = until_done.recv();
        });
        is_busy.recv().unwrap();
        clients.block_on(async {
            // What was fresh at the start of the clock is not for ever.
            while precedence.is_fresh() {
                tokio::task::yield_now().await;
            }
            let waits = tokio::time::timeout(Duration::from_millis(20), precedence.wait()).await;
            assert!(waits.is_err(), "it went ahead");
            drop(done);
            tokio::time::timeout(Duration::from_secs(10), precedence.wait()).await.unwrap();
        });
    }

    #[tokio::test]
    async fn a_runtime_that_ended_holds_nobody() {
        let ended = Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let precedence = Precedence::of(vec![ended.handle().clone()], Clock::default());
        ended.shutdown_background();
        for _ in 0..2 * TURN {
            tokio::time::timeout(Duration::from_secs(10), precedence.pass()).await.unwrap();
        }
    }
}
