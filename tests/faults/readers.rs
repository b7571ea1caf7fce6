//! Those who ask all sentinels all the time who the master is, from several hosts.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::clients::named;
use crate::kit::net::Host;
use crate::kit::{Conn, GROUP, History};

const PAUSE: Duration = Duration::from_millis(25);
/// Longer than a sentinel waits for a quorum before it says that there is none.
const LIMIT: Duration = Duration::from_millis(1500);

/// An answer that names a master; one that says that no answer can be given is none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    /// Who asked: one question at a time.
    pub(crate) reader: usize,
    pub(crate) asked: Instant,
    pub(crate) answered: Instant,
    /// The master's port.
    pub(crate) port: u16,
    /// Its epoch, where the protocol says it.
    pub(crate) epoch: Option<u64>,
}

/// Whom somebody asks, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Question {
    /// `SENTINEL get-master-addr-by-name`.
    Resp(SocketAddr),
    /// `GetMaster`.
    Grpc(SocketAddr),
}

/// Running readers; they stop when dropped.
pub(crate) struct Readers {
    stop: Arc<AtomicBool>,
    answers: Arc<Mutex<Vec<Answer>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// Starts one for each question.
    pub(crate) fn start(questions: &[(Host, Question)]) -> Self {
        let (stop, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let start = |(reader, (host, question)): (usize, &(Host, Question))| {
            let (stop, answers, question) = (Arc::clone(&stop), Arc::clone(&answers), *question);
            host.spawn(move || {
                let mut ask = question.asker();
                while !stop.load(Ordering::Relaxed) {
                    let asked = Instant::now();
                    if let Some((port, epoch)) = ask() {
                        let answer = Answer { reader, asked, answered: Instant::now(), port, epoch };
                        answers.lock().unwrap_or_else(PoisonError::into_inner).push(answer);
                    }
                    thread::sleep(PAUSE);
                }
            })
        };
        let threads = questions.iter().enumerate().map(start).collect();
        Self { stop, answers, threads }
    }

    /// Stops them and hands out all answers.
    pub(crate) fn finish(mut self) -> Vec<Answer> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("a reader panicked");
        }
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Question {
    /// Asks once for each call; the port and the epoch, if the answer names a master.
    fn asker(self) -> Box<dyn FnMut() -> Option<(u16, Option<u64>)>> {
        match self {
            Self::Resp(sentinel) => {
                let mut open = None;
                Box::new(move || {
                    let mut conn = open.take().or_else(|| Conn::open_at(sentinel, LIMIT).ok())?;
                    let reply = conn.ask(&["SENTINEL", "get-master-addr-by-name", GROUP]).ok()?;
                    open = Some(conn);
                    named(&reply).map(|addr| (addr.port(), None))
                })
            }
            Self::Grpc(sentinel) => {
                let mut history = History::at(sentinel);
                Box::new(move || {
                    let master = history.master(GROUP).ok()?;
                    let port = u16::try_from(master.address?.port).ok()?;
                    Some((port, Some(master.epoch)))
                })
            }
        }
    }
}
