//! How clients find the master: they ask the sentinels in turn, and listen to `+switch-master` of all of them, as libraries do.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::kit::resp::{Conn, Reply};
use crate::stage::{Place, settled::addr_in};

const ASK_LIMIT: Duration = Duration::from_millis(500);
/// How long a subscription waits before it looks whether it is still wanted.
const LISTEN_LIMIT: Duration = Duration::from_millis(250);
const RETRY: Duration = Duration::from_millis(250);

/// The newest announcement for each group, shared by the clients of one application host.
#[derive(Debug)]
pub(crate) struct Directory {
    sentinels: Vec<SocketAddr>,
    announced: Arc<Announced>,
    listeners: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Announced {
    masters: Mutex<BTreeMap<String, (u64, SocketAddr)>>,
    stop: AtomicBool,
}

impl Directory {
    /// Subscribes to all sentinels, from `place`.
    pub(crate) fn open(place: &Place, sentinels: Vec<SocketAddr>) -> Self {
        let announced = Arc::new(Announced::default());
        let listen = |addr: &SocketAddr| {
            let (addr, announced) = (*addr, Arc::clone(&announced));
            place.spawn(move || announced.listen(addr))
        };
        let listeners = sentinels.iter().map(listen).collect();
        Self { sentinels, announced, listeners }
    }

    /// A client's own way to ask.
    pub(crate) fn inquirer(&self, group: &str, first: usize) -> Inquirer {
        let conns = self.sentinels.iter().map(|addr| (*addr, None)).collect();
        Inquirer { group: group.to_owned(), conns, turn: first % self.sentinels.len(), announced: Arc::clone(&self.announced), heard: 0 }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.announced.stop.store(true, Ordering::Relaxed);
        for listener in self.listeners.drain(..) {
            // A listener that panicked has told so already.
            let _ = listener.join();
        }
    }
}

impl Announced {
    fn listen(&self, addr: SocketAddr) {
        while !self.stop.load(Ordering::Relaxed) {
            if let Ok(conn) = subscribe(addr) {
                self.hear(conn);
            }
            thread::sleep(RETRY);
        }
    }

    fn hear(&self, mut conn: Conn) {
        while !self.stop.load(Ordering::Relaxed) {
            match conn.read() {
                Ok(message) => self.note(&message),
                // Nothing was said; between messages no part of one is lost.
                Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
                Err(_) => return,
            }
        }
    }

    fn note(&self, message: &Reply) {
        let Some((group, addr)) = message.items().get(2).and_then(Reply::text).as_deref().and_then(switched) else { return };
        let mut masters = self.masters.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = masters.entry(group).or_insert((0, addr));
        *entry = (entry.0 + 1, addr);
    }
}

fn subscribe(addr: SocketAddr) -> std::io::Result<Conn> {
    let mut conn = Conn::open_at(addr, ASK_LIMIT)?;
    conn.ask(&["SUBSCRIBE", "+switch-master"])?;
    conn.set_read_limit(Some(LISTEN_LIMIT))?;
    Ok(conn)
}

/// The group and the new master in `<group> <old ip> <old port> <new ip> <new port>`.
fn switched(payload: &str) -> Option<(String, SocketAddr)> {
    let words: Vec<&str> = payload.split(' ').collect();
    let [group, _, _, ip, port] = words.as_slice() else { return None };
    Some(((*group).to_owned(), SocketAddr::new(ip.parse().ok()?, port.parse().ok()?)))
}

/// One client's connections to the sentinels.
#[derive(Debug)]
pub(crate) struct Inquirer {
    group: String,
    conns: Vec<(SocketAddr, Option<Conn>)>,
    turn: usize,
    announced: Arc<Announced>,
    heard: u64,
}

impl Inquirer {
    /// The master that the next sentinel names, if it names one.
    pub(crate) fn next_answer(&mut self) -> Option<SocketAddr> {
        self.turn = (self.turn + 1) % self.conns.len();
        let (addr, slot) = &mut self.conns[self.turn];
        let mut conn = slot.take().or_else(|| Conn::open_at(*addr, ASK_LIMIT).ok())?;
        let reply = conn.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", &self.group]).ok()?;
        *slot = Some(conn);
        addr_in(&reply)
    }

    /// A master that was announced since the last time this was asked.
    pub(crate) fn announcement(&mut self) -> Option<SocketAddr> {
        let masters = self.announced.masters.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, addr) = masters.get(&self.group).copied()?;
        (std::mem::replace(&mut self.heard, count) != count).then_some(addr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_names_the_new_master() {
        assert_eq!(
            switched("mymaster 10.0.0.1 6379 10.0.0.2 6380"),
            Some(("mymaster".to_owned(), "10.0.0.2:6380".parse().expect("an address")))
        );
        assert_eq!(switched("mymaster 10.0.0.1 6379"), None);
    }
}
