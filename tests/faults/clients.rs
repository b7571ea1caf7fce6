//! Clients that write all the time, each in a host of the network, each value once, and remember what was acknowledged.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::kit::net::Host;
use crate::kit::{Conn, GROUP, Reply};

/// Between two attempts; it is also the resolution of what is measured.
const PAUSE: Duration = Duration::from_millis(4);
/// After a refusal.
const LONGER_PAUSE: Duration = Duration::from_millis(10);
/// What a client that can go elsewhere waits for a server or a sentinel.
const IMPATIENT: Duration = Duration::from_millis(300);
/// A client that goes nowhere else waits: what a stopped server has in its buffers is answered when it goes on.
const PATIENT: Duration = Duration::from_secs(60);
/// The limit of WAIT, in milliseconds.
const WAIT_MS: &str = "200";

/// Where a client writes.
#[derive(Clone, Debug)]
pub(crate) enum Aim {
    /// To this server, whatever it has become.
    Always(SocketAddr),
    /// To the master that these sentinels name; after anything but success the next one is asked.
    Following(Vec<SocketAddr>),
}

/// A client to be started.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) host: Host,
    pub(crate) aim: Aim,
    /// Confirms each write with WAIT for so many replicas.
    pub(crate) wait: Option<u32>,
}

/// An acknowledged write. All hosts have the same monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ack {
    /// The client, by its place in the list.
    pub(crate) client: usize,
    pub(crate) number: u64,
    /// The server that acknowledged it.
    pub(crate) port: u16,
    /// It was done between these two moments.
    pub(crate) sent: Instant,
    pub(crate) acked: Instant,
    /// Whether WAIT said that enough replicas have it.
    pub(crate) confirmed: bool,
}

impl Ack {
    /// The key, which is the value as well.
    pub(crate) fn key(&self) -> String {
        key(self.client, self.number)
    }
}

fn key(client: usize, number: u64) -> String {
    format!("w:{client}:{number}")
}

/// Running clients; they stop when dropped.
pub(crate) struct Clients {
    stop: Arc<AtomicBool>,
    acks: Arc<Mutex<Vec<Ack>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Clients {
    /// Starts them all.
    pub(crate) fn start(clients: &[Client]) -> Self {
        let (stop, acks) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let start = |(id, client): (usize, &Client)| {
            let (client, stop, acks) = (client.clone(), Arc::clone(&stop), Arc::clone(&acks));
            client.host.clone().spawn(move || Session { id, client, stop, acks, number: 0, turn: id, conn: None }.run())
        };
        let threads = clients.iter().enumerate().map(start).collect();
        Self { stop, acks, threads }
    }

    /// What was acknowledged so far.
    pub(crate) fn acks(&self) -> Vec<Ack> {
        self.acks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops them and hands out what was acknowledged, by time.
    pub(crate) fn finish(mut self) -> Vec<Ack> {
        self.end();
        let mut acks = self.acks();
        acks.sort_by_key(|ack| ack.acked);
        acks
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "a client panicked");
        }
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        // A test that fails leaves servers suspended, and must not wait for the patient.
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Session {
    id: usize,
    client: Client,
    stop: Arc<AtomicBool>,
    acks: Arc<Mutex<Vec<Ack>>>,
    number: u64,
    turn: usize,
    conn: Option<(SocketAddr, Conn)>,
}

impl Session {
    fn run(mut self) {
        while !self.stop.load(Ordering::Relaxed) {
            // Who follows asks for the master again whatever goes wrong.
            let mut pause = LONGER_PAUSE;
            if let Ok((server, mut conn)) = self.connection() {
                let stays = matches!(self.client.aim, Aim::Always(_));
                match self.write(server, &mut conn) {
                    Ok(done) if done || stays => {
                        self.conn = Some((server, conn));
                        pause = if done { PAUSE } else { LONGER_PAUSE };
                    }
                    Ok(_) | Err(_) => {}
                }
            }
            thread::sleep(pause);
        }
    }

    fn connection(&mut self) -> io::Result<(SocketAddr, Conn)> {
        if let Some(open) = self.conn.take() {
            return Ok(open);
        }
        let (server, limit) = match &self.client.aim {
            Aim::Always(server) => (*server, PATIENT),
            Aim::Following(sentinels) => {
                let sentinel = sentinels[self.turn % sentinels.len()];
                self.turn += 1;
                (named_by(sentinel, IMPATIENT)?.ok_or(io::ErrorKind::NotFound)?, IMPATIENT)
            }
        };
        Conn::open_at(server, limit).map(|conn| (server, conn))
    }

    /// Writes the next value; true if it was acknowledged.
    fn write(&mut self, server: SocketAddr, conn: &mut Conn) -> io::Result<bool> {
        self.number += 1;
        let (sent, key) = (Instant::now(), key(self.id, self.number));
        if !conn.ask(&["SET", &key, &key])?.is_ok() {
            return Ok(false);
        }
        let mut ack = Ack { client: self.id, number: self.number, port: server.port(), sent, acked: Instant::now(), confirmed: false };
        let waited = self.client.wait.map(|wanted| conn.ask(&["WAIT", &wanted.to_string(), WAIT_MS]).map(|reply| (wanted, reply)));
        ack.confirmed = matches!(&waited, Some(Ok((wanted, Reply::Integer(count)))) if *count >= i64::from(*wanted));
        self.acks.lock().unwrap_or_else(PoisonError::into_inner).push(ack);
        waited.transpose().map(|_| true)
    }
}

/// The master that a sentinel names, if it names one.
pub(crate) fn named_by(sentinel: SocketAddr, limit: Duration) -> io::Result<Option<SocketAddr>> {
    let reply = Conn::open_at(sentinel, limit)?.ask(&["SENTINEL", "get-master-addr-by-name", GROUP])?;
    Ok(named(&reply))
}

/// The address in an answer to get-master-addr-by-name.
pub(crate) fn named(reply: &Reply) -> Option<SocketAddr> {
    let [host, port] = reply.items() else { return None };
    Some(SocketAddr::new(host.text()?.parse().ok()?, port.text()?.parse().ok()?))
}
