//! Eyes: every data node and every sentinel is asked all the time, from where all of them can be reached whatever is cut.
//!
//! Whether a data node takes writes is asked with a write that changes nothing (`DEL` of a key that does not exist): a replica refuses
//! it, and so does a master whose fence is closed, but nothing is added to anybody's history.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::kit::resp::{Conn, Reply};
use crate::record::{Answer, GroupRecord, Look, Said, Seen};
use crate::stage::{Place, settled::addr_in};

const NODE_LIMIT: Duration = Duration::from_millis(200);
/// One of ours that has no quorum says so after a bounded wait.
const SENTINEL_LIMIT: Duration = Duration::from_secs(5);
const ABSENT_KEY: &str = "observer:absent";

/// One group, as far as an observer must know it.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub(crate) name: String,
    pub(crate) nodes: Vec<SocketAddr>,
}

/// All eyes of one run; they close when dropped.
#[derive(Debug)]
pub(crate) struct Observer {
    stop: Arc<AtomicBool>,
    /// By group, then node.
    nodes: Vec<Vec<JoinHandle<Vec<Look>>>>,
    /// By sentinel; each gives its answers by group.
    sentinels: Vec<JoinHandle<Vec<Vec<Answer>>>>,
}

impl Observer {
    /// Begins to ask everybody once in `every`.
    pub(crate) fn open(place: &Place, groups: &[Watched], sentinels: &[SocketAddr], every: Duration, clock: Clock) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let eye = || Eye { stop: Arc::clone(&stop), every, clock };
        let watch_node = |addr: &SocketAddr| {
            let (addr, eye) = (*addr, eye());
            place.spawn(move || eye.watch_node(addr))
        };
        let nodes = groups.iter().map(|group| group.nodes.iter().map(watch_node).collect()).collect();
        let watch_sentinel = |addr: &SocketAddr| {
            let (addr, eye, groups) = (*addr, eye(), groups.to_vec());
            place.spawn(move || eye.watch_sentinel(addr, &groups))
        };
        let sentinels = sentinels.iter().map(watch_sentinel).collect();
        Self { stop, nodes, sentinels }
    }

    /// Stops asking, and hands out what was seen of each group; of clients it knows nothing.
    pub(crate) fn close(mut self) -> Vec<GroupRecord> {
        self.stop.store(true, Ordering::Relaxed);
        let looks = |nodes: Vec<JoinHandle<Vec<Look>>>| nodes.into_iter().map(|eye| eye.join().unwrap_or_default()).collect();
        let nodes: Vec<Vec<Vec<Look>>> = self.nodes.drain(..).map(looks).collect();
        let mut answers: Vec<Vec<Vec<Answer>>> = self.sentinels.drain(..).map(|eye| eye.join().unwrap_or_default()).collect();
        let mut of_group =
            |group: usize| answers.iter_mut().map(|by_group| by_group.get_mut(group).map(std::mem::take).unwrap_or_default()).collect();
        let record = |(number, nodes)| GroupRecord { clients: Vec::new(), nodes, sentinels: of_group(number) };
        nodes.into_iter().enumerate().map(record).collect()
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Eye {
    stop: Arc<AtomicBool>,
    every: Duration,
    clock: Clock,
}

impl Eye {
    fn watch_node(&self, addr: SocketAddr) -> Vec<Look> {
        let (mut looks, mut conn) = (Vec::new(), None);
        self.repeat(|| {
            let seen = look(addr, &mut conn).unwrap_or(Seen::Silent);
            looks.push(Look { at: self.clock.now(), seen });
        });
        looks
    }

    fn watch_sentinel(&self, addr: SocketAddr, groups: &[Watched]) -> Vec<Vec<Answer>> {
        let (mut answers, mut conn) = (vec![Vec::new(); groups.len()], None);
        self.repeat(|| {
            for (group, answers) in groups.iter().zip(&mut answers) {
                let asked = self.clock.now();
                let said = ask(addr, &mut conn, group).unwrap_or(Said::Silent);
                answers.push(Answer { asked, at: self.clock.now(), said });
            }
        });
        answers
    }

    fn repeat(&self, mut act: impl FnMut()) {
        let mut next = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            act();
            next = (next + self.every).max(Instant::now());
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }
}

/// Asks a data node what it is. A connection that failed is not used again.
fn look(addr: SocketAddr, slot: &mut Option<Conn>) -> Option<Seen> {
    let mut conn = slot.take().or_else(|| Conn::open_at(addr, NODE_LIMIT).ok())?;
    conn.send(&["ROLE"]).ok()?;
    conn.send(&["DEL", ABSENT_KEY]).ok()?;
    let (role, write) = (conn.read().ok()?, conn.read().ok()?);
    *slot = Some(conn);
    Some(seen(&role, &write))
}

fn seen(role: &Reply, write: &Reply) -> Seen {
    match role.items().first().and_then(Reply::text).as_deref() {
        Some("master") if write.integer().is_some() => Seen::Accepts,
        Some("master") => Seen::Refuses,
        Some("slave") => Seen::Replica,
        Some(_) | None => Seen::Silent,
    }
}

fn ask(addr: SocketAddr, slot: &mut Option<Conn>, group: &Watched) -> Option<Said> {
    let mut conn = slot.take().or_else(|| Conn::open_at(addr, SENTINEL_LIMIT).ok())?;
    let reply = conn.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", &group.name]).ok()?;
    *slot = Some(conn);
    let named = addr_in(&reply).and_then(|addr| group.nodes.iter().position(|node| *node == addr));
    Some(named.map_or(Said::Refuses, Said::Names))
}
