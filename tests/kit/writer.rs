//! A client as applications write them: it finds the master through the sentinels, writes all the time, and when a
//! write fails asks the sentinels again. It remembers every acknowledgement, so that losses can be counted.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use super::GROUP;
use super::resp::{Conn, Reply};
use super::sentinel::master_port;
use super::server::RedisServer;

/// Between two attempts of any kind; it is also the resolution of what is measured.
const PAUSE: Duration = Duration::from_millis(1);
/// How long a write may take before it is given up, unless told otherwise.
pub const SERVER_LIMIT: Duration = Duration::from_millis(300);
const SENTINEL_LIMIT: Duration = Duration::from_millis(500);
const KEYS_PER_QUESTION: usize = 500;

/// An acknowledged write.
#[derive(Clone, Copy, Debug)]
pub struct Ack {
    /// When the acknowledgement came.
    pub at: Instant,
    /// The same moment on the wall clock, to compare with the log's stamps.
    pub wall: SystemTime,
    /// The write's number; its key is `w:<number>`.
    pub number: u64,
    /// The server that acknowledged it.
    pub port: u16,
}

#[derive(Debug, Default)]
struct Shared {
    acks: Mutex<Vec<Ack>>,
    unanswered: AtomicU64,
    stop: AtomicBool,
}

/// The client; it stops when dropped.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts writing.
    pub fn start(sentinels: Vec<u16>, password: Option<String>) -> Self {
        Self::start_within(SERVER_LIMIT, sentinels, password)
    }

    /// Starts writing; a write that takes longer than `limit` is given up, and the sentinels are asked again.
    pub fn start_within(limit: Duration, sentinels: Vec<u16>, password: Option<String>) -> Self {
        let shared = Arc::new(Shared::default());
        let session = Session { shared: Arc::clone(&shared), sentinels: Sentinels::new(sentinels), password, limit, number: 0 };
        let thread = thread::Builder::new().name("writer".to_owned()).spawn(move || session.run()).expect("a thread can be started");
        Self { shared, thread: Some(thread) }
    }

    /// The first write acknowledged after `moment` by a server other than `old`.
    pub fn first_elsewhere(&self, moment: Instant, old: u16) -> Option<Ack> {
        self.with_acks(|acks| acks.iter().find(|ack| ack.at > moment && ack.port != old).copied())
    }

    /// The last write acknowledged before `moment`.
    pub fn last_before(&self, moment: Instant) -> Option<Ack> {
        self.with_acks(|acks| acks.iter().rev().find(|ack| ack.at <= moment).copied())
    }

    /// How many writes have been acknowledged.
    pub fn count(&self) -> usize {
        self.with_acks(<[Ack]>::len)
    }

    /// The newest acknowledgement.
    pub fn last(&self) -> Option<Ack> {
        self.with_acks(|acks| acks.last().copied())
    }

    /// Stops writing and hands out what was acknowledged.
    pub fn finish(mut self) -> WriteLog {
        self.stop();
        let acks = self.with_acks(<[Ack]>::to_vec);
        WriteLog { acks, unanswered: self.shared.unanswered.load(Ordering::Relaxed) }
    }

    fn with_acks<T>(&self, look: impl FnOnce(&[Ack]) -> T) -> T {
        look(&self.shared.acks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "the writer panicked");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What a finished writer has to show.
#[derive(Clone, Debug)]
pub struct WriteLog {
    /// The acknowledged writes, in order.
    pub acks: Vec<Ack>,
    /// Writes that were sent and never answered; they may have been done or not.
    pub unanswered: u64,
}

impl WriteLog {
    /// The numbers of acknowledged writes that `server` does not hold.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub fn lost(&self, server: &RedisServer) -> io::Result<Vec<u64>> {
        let mut conn = server.conn(Duration::from_secs(5))?;
        let mut lost = Vec::new();
        for acks in self.acks.chunks(KEYS_PER_QUESTION) {
            let keys: Vec<String> = acks.iter().map(|ack| key(ack.number)).collect();
            let words: Vec<&str> = std::iter::once("MGET").chain(keys.iter().map(String::as_str)).collect();
            let reply = conn.ask(&words)?;
            if reply.items().len() != acks.len() {
                return Err(io::Error::other(format!("MGET on {}: {reply}", server.name)));
            }
            let wrong = |(ack, value): (&Ack, &Reply)| (value.text() != Some(ack.number.to_string())).then_some(ack.number);
            lost.extend(acks.iter().zip(reply.items()).filter_map(wrong));
        }
        Ok(lost)
    }

    /// The spans without an acknowledgement that are at least `least` long, each with its start.
    pub fn gaps(&self, least: Duration) -> Vec<(Instant, Duration)> {
        let spans = self.acks.windows(2).map(|pair| (pair[0].at, pair[1].at.duration_since(pair[0].at)));
        spans.filter(|(_, span)| *span >= least).collect()
    }

    /// The longest span without an acknowledgement.
    pub fn longest_gap(&self) -> Duration {
        self.gaps(Duration::ZERO).into_iter().map(|(_, span)| span).max().unwrap_or_default()
    }

    /// Whether any write was acknowledged by `port` after `moment`.
    pub fn written_to_after(&self, port: u16, moment: Instant) -> usize {
        self.acks.iter().filter(|ack| ack.port == port && ack.at > moment).count()
    }
}

fn key(number: u64) -> String {
    format!("w:{number}")
}

struct Session {
    shared: Arc<Shared>,
    sentinels: Sentinels,
    password: Option<String>,
    limit: Duration,
    number: u64,
}

impl Session {
    fn run(mut self) {
        while !self.stopped() {
            if let Some((port, mut conn)) = self.sentinels.next_answer().and_then(|port| self.connect(port)) {
                while !self.stopped() && self.write(port, &mut conn) {
                    thread::sleep(PAUSE);
                }
            }
            thread::sleep(PAUSE);
        }
    }

    fn stopped(&self) -> bool {
        self.shared.stop.load(Ordering::Relaxed)
    }

    fn connect(&self, port: u16) -> Option<(u16, Conn)> {
        let mut conn = Conn::open(port, self.limit).ok()?;
        if let Some(password) = &self.password {
            conn.ask(&["AUTH", password]).ok()?;
        }
        Some((port, conn))
    }

    /// Writes the next value; true if it was acknowledged.
    fn write(&mut self, port: u16, conn: &mut Conn) -> bool {
        self.number += 1;
        match conn.ask(&["SET", &key(self.number), &self.number.to_string()]) {
            Ok(reply) if reply.is_ok() => {
                let ack = Ack { at: Instant::now(), wall: SystemTime::now(), number: self.number, port };
                self.shared.acks.lock().unwrap_or_else(PoisonError::into_inner).push(ack);
                true
            }
            // Refused, as by a replica: certainly not done.
            Ok(_) => false,
            Err(_) => {
                self.shared.unanswered.fetch_add(1, Ordering::Relaxed);
                false
            }
        }
    }
}

/// Connections to the sentinels, asked in turn.
struct Sentinels {
    conns: Vec<(u16, Option<Conn>)>,
    turn: usize,
}

impl Sentinels {
    fn new(ports: Vec<u16>) -> Self {
        Self { conns: ports.into_iter().map(|port| (port, None)).collect(), turn: 0 }
    }

    /// The master that the next sentinel names, if it names one.
    fn next_answer(&mut self) -> Option<u16> {
        self.turn = (self.turn + 1) % self.conns.len();
        let (port, slot) = &mut self.conns[self.turn];
        let mut conn = slot.take().or_else(|| Conn::open(*port, SENTINEL_LIMIT).ok())?;
        let reply = conn.ask(&["SENTINEL", "get-master-addr-by-name", GROUP]).ok()?;
        *slot = Some(conn);
        master_port(&reply)
    }
}
