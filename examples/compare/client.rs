//! Clients that write all the time, at a fixed rate, and remember every acknowledgement.
//!
//! One that *follows* does what libraries do: it asks the sentinels in turn, makes sure that the server is a master (ROLE),
//! writes until a write fails or another master is announced, and then asks again. One that *stays* sits in the master's host and
//! writes to that address whatever happens, as an application beside it does that nobody told.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::clock::{Clock, Us};
use crate::directory::Inquirer;
use crate::kit::resp::{Conn, Reply};
use crate::record::{Ack, ClientLog, Habit};
use crate::stage::Place;

const SERVER_LIMIT: Duration = Duration::from_millis(300);
/// What WAIT is given, as text, in milliseconds. Less than the limit for a reply.
const WAIT_MS: &str = "200";
/// One replica beside the master: a majority of three data nodes.
const WAIT_FOR: &str = "1";
/// Between two attempts to find a master.
const SEARCH_PAUSE: Duration = Duration::from_millis(10);

/// What a client is to do.
#[derive(Debug)]
pub(crate) struct Task {
    /// Its name; no two clients of a group share one.
    pub(crate) name: &'static str,
    pub(crate) habit: Habit,
    pub(crate) waits: bool,
    /// Between two writes.
    pub(crate) every: Duration,
    /// The data nodes of its group; the first is the first master.
    pub(crate) nodes: Vec<SocketAddr>,
}

/// A running client; it stops when dropped.
#[derive(Debug)]
pub(crate) struct Client {
    name: &'static str,
    habit: Habit,
    waits: bool,
    notebook: Arc<Notebook>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Notebook {
    written: Mutex<(Vec<Ack>, Vec<Us>)>,
    stop: AtomicBool,
}

impl Client {
    /// Starts writing from `place`.
    pub(crate) fn start(task: Task, place: &Place, inquirer: Inquirer, clock: Clock) -> Self {
        let notebook = Arc::new(Notebook::default());
        let (name, habit, waits) = (task.name, task.habit, task.waits);
        let session = Session { task, inquirer, clock, notebook: Arc::clone(&notebook), number: 0 };
        let thread = place.spawn(move || session.run());
        Self { name, habit, waits, notebook, thread: Some(thread) }
    }

    /// Whether it writes where it is told, without asking for more.
    pub(crate) fn is_plain_follower(&self) -> bool {
        self.habit == Habit::Follows && !self.waits
    }

    /// The newest acknowledgement.
    pub(crate) fn last(&self) -> Option<Ack> {
        self.notebook.written.lock().unwrap_or_else(PoisonError::into_inner).0.last().copied()
    }

    /// How many writes have been acknowledged.
    pub(crate) fn count(&self) -> usize {
        self.notebook.written.lock().unwrap_or_else(PoisonError::into_inner).0.len()
    }

    /// The key of one of its writes.
    pub(crate) fn key(&self, number: u64) -> String {
        key(self.name, number)
    }

    /// Stops writing and hands out what it remembers; what was lost is not known yet.
    pub(crate) fn finish(&mut self) -> ClientLog {
        self.stop();
        let (acks, left) = self.notebook.written.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ClientLog { habit: self.habit, waits: self.waits, acks, left, lost: BTreeSet::new() }
    }

    fn stop(&mut self) {
        self.notebook.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // One that panicked has told so already.
            let _ = thread.join();
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stop();
    }
}

fn key(name: &str, number: u64) -> String {
    format!("{name}:{number}")
}

/// What became of a write.
enum Outcome {
    Done,
    /// Refused on a connection that is good: try again there.
    Refused,
    /// There is no use in this connection any more.
    Over,
}

struct Session {
    task: Task,
    inquirer: Inquirer,
    clock: Clock,
    notebook: Arc<Notebook>,
    number: u64,
}

impl Session {
    fn run(mut self) {
        while !self.stopped() {
            match self.find() {
                Some((node, conn)) => {
                    self.write_to(node, conn);
                    let now = self.clock.now();
                    self.notebook.written.lock().unwrap_or_else(PoisonError::into_inner).1.push(now);
                }
                None => thread::sleep(SEARCH_PAUSE),
            }
        }
    }

    fn stopped(&self) -> bool {
        self.notebook.stop.load(Ordering::Relaxed)
    }

    /// A connection to the server that this client takes for the master.
    fn find(&mut self) -> Option<(usize, Conn)> {
        match self.task.habit {
            Habit::Stays => Some((0, Conn::open_at(self.task.nodes[0], SERVER_LIMIT).ok()?)),
            Habit::Follows => {
                let addr = self.inquirer.next_answer()?;
                // What was announced until now is older than this answer, or the same.
                let _ = self.inquirer.announcement();
                let node = self.node_at(addr)?;
                let mut conn = Conn::open_at(addr, SERVER_LIMIT).ok()?;
                let role = conn.ask(&["ROLE"]).ok()?;
                (role.items().first()?.text()? == "master").then_some((node, conn))
            }
        }
    }

    fn node_at(&self, addr: SocketAddr) -> Option<usize> {
        self.task.nodes.iter().position(|node| *node == addr)
    }

    /// Writes until the connection is of no use, or another master is announced.
    fn write_to(&mut self, node: usize, mut conn: Conn) {
        let mut next = Instant::now();
        while !self.stopped() {
            if self.task.habit == Habit::Follows && self.inquirer.announcement().is_some_and(|addr| self.node_at(addr) != Some(node)) {
                return;
            }
            match self.write(node, &mut conn) {
                Outcome::Done | Outcome::Refused => {}
                Outcome::Over => return,
            }
            // After a delay it does not make up for what it could not write.
            next = (next + self.task.every).max(Instant::now());
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }

    fn write(&mut self, node: usize, conn: &mut Conn) -> Outcome {
        self.number += 1;
        let (key, value) = (key(self.task.name, self.number), self.number.to_string());
        let Ok(reply) = conn.ask(&["SET", &key, &value]) else { return Outcome::Over };
        if reply.is_ok() {
            let at = self.clock.now();
            // A write that was acknowledged stays so, whatever becomes of WAIT.
            let waited = self.task.waits.then(|| conn.ask(&["WAIT", WAIT_FOR, WAIT_MS]));
            let confirmed = matches!(&waited, Some(Ok(Reply::Integer(replicas))) if *replicas >= 1);
            let at = if confirmed { self.clock.now() } else { at };
            let ack = Ack { at, number: self.number, node, confirmed };
            self.notebook.written.lock().unwrap_or_else(PoisonError::into_inner).0.push(ack);
            return if matches!(waited, Some(Err(_))) { Outcome::Over } else { Outcome::Done };
        }
        match reply.error() {
            Some(text) if text.starts_with("READONLY") && self.task.habit == Habit::Follows => Outcome::Over,
            Some(_) => Outcome::Refused,
            None => Outcome::Over,
        }
    }
}
