//! Roles that an operator changes at the servers, while a client writes there: what `WAIT` confirmed is kept.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::kit::{Cluster, RedisServer, Timeline};
use crate::strict::{armed, strict};

const LIMIT: Duration = Duration::from_secs(30);
const HOST: &str = "127.0.0.1";

/// A client that stays at one server and confirms each write with `WAIT 1`, as long as that server takes writes.
struct Confirming {
    kept: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Confirming {
    fn at(server: &RedisServer) -> Self {
        let (kept, stop) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicBool>::default());
        let (to, ends, addr) = (Arc::clone(&kept), Arc::clone(&stop), server.addr());
        let port = server.port;
        let thread = thread::spawn(move || {
            let mut number = 0_u64;
            while !ends.load(Ordering::Relaxed) {
                let Ok(mut conn) = crate::kit::Conn::open_at(addr, Duration::from_secs(1)) else { continue };
                while !ends.load(Ordering::Relaxed) {
                    number += 1;
                    let key = format!("hand:{port}:{number}");
                    let Ok(written) = conn.ask(&["SET", &key, "1"]) else { break };
                    let Ok(waited) = conn.ask(&["WAIT", "1", "200"]) else { break };
                    if written.is_ok() && waited.integer().is_some_and(|replicas| replicas >= 1) {
                        to.lock().unwrap_or_else(PoisonError::into_inner).push(key);
                    }
                }
            }
        });
        Self { kept, stop, thread }
    }

    fn count(&self) -> usize {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Stops, and hands out the keys that were confirmed.
    fn finish(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the client did not panic");
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clone()
    }
}

fn missing(server: &RedisServer, keys: &[String]) -> usize {
    let mut conn = server.conn(Duration::from_secs(2)).expect("the server answers");
    let mut there = |key: &String| conn.ask(&["EXISTS", key]).is_ok_and(|reply| reply.integer() == Some(1));
    keys.iter().map(|key| usize::from(!there(key))).sum()
}

/// Tells a server whom to follow, as an operator would.
fn tell(cluster: &Cluster, port: u16, master: Option<u16>) {
    let master = master.map(|port| port.to_string());
    let words = master.as_ref().map_or(["REPLICAOF", "NO", "ONE"], |port| ["REPLICAOF", HOST, port]);
    let reply = cluster.server(port).ask(&words).expect("the server answers");
    // Or that it does so already.
    assert!(reply.text().is_some_and(|text| text.starts_with("OK")), "{reply}");
    cluster.timeline.note(format!("{port} was told: {words:?}"));
}

/// The recorded master leads, the others follow it, and no failover is under way.
fn settles(cluster: &Cluster, timeline: &Timeline) -> u16 {
    timeline.wait_for("all is as recorded", LIMIT, || {
        let port = cluster.sentinels[0].master()?;
        if cluster.recorded(1)?.failover.is_some() {
            return Err("a failover is under way".to_owned());
        }
        if cluster.server(port).role().as_deref() != Some("master") {
            return Err(format!("{port} is no master"));
        }
        let astray = cluster.others(port).into_iter().find(|other| cluster.server(*other).linked_to() != Some(port));
        astray.map_or(Ok(port), |other| Err(format!("{other} does not follow {port}")))
    })
}

/// B is made the master and the others are pointed at it, `gap` apart; nothing that was confirmed on either is lost.
fn moved_by_hand(gap: Duration) {
    let cluster = armed(strict());
    let timeline = cluster.timeline.clone();
    let old = cluster.master();
    let [to, other] = cluster.others(old)[..] else { panic!("two replicas") };
    let (before, after) = (Confirming::at(cluster.server(old)), Confirming::at(cluster.server(to)));
    timeline.wait_until("writes are confirmed", LIMIT, || before.count() > 50);
    // A careful operator: the old one takes no more writes, and the new one has them all. What Redis throws away for others nobody can keep.
    let paused = cluster.server(old).ask(&["CLIENT", "PAUSE", "6000", "WRITE"]).expect("the server answers");
    assert!(paused.is_ok(), "{paused}");
    timeline.wait_until("the new one has all", LIMIT, || {
        let offset = |port: u16| cluster.server(port).info("replication", "master_repl_offset");
        offset(old).is_some() && offset(old) == offset(to) && offset(old) == offset(other)
    });
    tell(&cluster, to, None);
    thread::sleep(gap);
    tell(&cluster, other, Some(to));
    thread::sleep(gap);
    tell(&cluster, old, Some(to));
    let master = settles(&cluster, &timeline);
    let count = before.count() + after.count();
    timeline.wait_until("the service goes on", LIMIT, || before.count() + after.count() > count + 20);
    let (before, after) = (before.finish(), after.finish());
    let master = if cluster.master() == master { cluster.server(master) } else { panic!("it changed once more\n{}", timeline.report()) };
    let (of_before, of_after) = (missing(master, &before), missing(master, &after));
    println!("gap {gap:?}: confirmed {} and {}, lost {of_before} and {of_after}, master is {}", before.len(), after.len(), master.name);
    assert_eq!((of_before, of_after), (0, 0), "confirmed writes are lost\n{}", timeline.report());
}

#[test]
fn a_group_that_is_moved_by_hand_loses_nothing_confirmed() {
    moved_by_hand(Duration::ZERO);
}

#[test]
fn a_group_that_is_moved_by_hand_step_by_step_loses_nothing_confirmed() {
    moved_by_hand(Duration::from_millis(700));
}
