//! An attacker who may PUBLISH: on a data node, or on our own SENTINEL ports. He says hello in the name of sentinels.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use raft_sentinel::base::hello::HELLO_CHANNEL;

use crate::kit::looks::local;
use crate::kit::sentinel::{Orders, Ports};
use crate::kit::{Cluster, Conn, Flavour, GROUP, Plan, RedisServer, Sentinel};

const SOON: Duration = Duration::from_secs(30);
/// A sentinel of others is believed for so long after the last proof, and asked again every few seconds.
const HOLD_ENDS: Duration = Duration::from_secs(45);
const ID: &str = "ffffffffffffffffffffffffffffffffffffffff";
const TOKEN: &str = "planted-sentinel-password";

/// Publishes the same hello again and again until it is dropped, wherever it can.
struct Forger {
    stop: Arc<AtomicBool>,
    said: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Forger {
    /// Names a sentinel at this port of this host, on these ports (of data nodes or sentinels).
    fn start(on: Vec<u16>, sentinel: u16, id: &str, master: u16) -> Self {
        Self::with(on, vec![format!("127.0.0.1,{sentinel},{id},99,{GROUP},127.0.0.1,{master},99")])
    }

    fn with(on: Vec<u16>, hellos: Vec<String>) -> Self {
        let (stop, said) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&said));
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                for &port in &on {
                    let Ok(mut conn) = Conn::open(port, Duration::from_secs(1)) else { continue };
                    for hello in &hellos {
                        if conn.ask(&["PUBLISH", HELLO_CHANNEL, hello]).is_ok() {
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
                // The attack's rhythm, not a wait for anything.
                thread::sleep(Duration::from_millis(200));
            }
        });
        Self { stop, said, thread: Some(thread) }
    }

    fn said(&self) -> usize {
        self.said.load(Ordering::Relaxed)
    }
}

impl Drop for Forger {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A port at which an attacker listens: writes down what is said there, and answers everything alike.
struct Listener {
    port: u16,
    heard: Arc<Mutex<Vec<u8>>>,
    connections: Arc<AtomicUsize>,
}

impl Listener {
    fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback works");
        let port = listener.local_addr().expect("it is bound").port();
        let (heard, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let (writes, counts) = (Arc::clone(&heard), Arc::clone(&connections));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counts.fetch_add(1, Ordering::Relaxed);
                let writes = Arc::clone(&writes);
                thread::spawn(move || converse(stream, answer, &writes));
            }
        });
        Self { port, heard, connections }
    }

    fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().expect("it only appends")).into_owned()
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

fn converse(mut stream: TcpStream, answer: &str, writes: &Mutex<Vec<u8>>) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
    let mut bytes = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut bytes) {
        writes.lock().expect("it only appends").extend_from_slice(&bytes[..read]);
        if stream.write_all(answer.as_bytes()).is_err() {
            break;
        }
    }
}

fn data_nodes(cluster: &Cluster) -> Vec<u16> {
    cluster.servers.iter().map(|server| server.port).collect()
}

fn held_back(cluster: &Cluster, id: usize) -> Result<bool, String> {
    Ok(cluster.status(id)?.groups.first().is_some_and(|group| !group.held_back.is_empty()))
}

fn wait_until_held(cluster: &Cluster, held: bool, limit: Duration) {
    cluster.timeline.wait_for(&format!("held back: {held}"), limit, || match held_back(cluster, 1) {
        Ok(is) if is == held => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

/// A stock sentinel of another deployment, or of this one by another name.
fn start_stock(cluster: &Cluster, id: usize, master: u16, more: &[&str]) -> Sentinel {
    let mut lines =
        vec![format!("sentinel monitor {GROUP} 127.0.0.1 {master} 2"), format!("sentinel down-after-milliseconds {GROUP} 60000")];
    lines.extend(more.iter().map(|line| (*line).to_owned()));
    let orders = Orders { id, lines, joins: Some(Ports::free()), ..Orders::default() };
    Sentinel::start(Flavour::Stock, &cluster.scratch.path().join("others"), &cluster.timeline, &orders)
}

/// Kills the master while hellos are forged, and makes sure that it is replaced as if nobody spoke.
fn must_fail_over(cluster: &mut Cluster, forger: &Forger) {
    let (old, timeline) = (cluster.master(), cluster.timeline.clone());
    let begun = forger.said();
    // More than it takes to believe one that is real.
    timeline.wait_until("they were heard for a while", SOON, || forger.said() >= begun + 60);
    for id in 1..=3 {
        assert_eq!(held_back(cluster, id), Ok(false), "{}", timeline.report());
    }
    cluster.server_mut(old).kill();
    let killed = Instant::now();
    let new = cluster.wait_for_new_master(old, SOON);
    println!("{} hellos; a new master after {} ms", forger.said(), killed.elapsed().as_millis());
    assert_ne!(new, old);
    assert!(killed.elapsed() < Duration::from_secs(8), "held back for {:?}\n{}", killed.elapsed(), timeline.report());
}

#[test]
fn forged_hellos_of_a_sentinel_that_is_not_there_hold_nothing_back() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    // A port of this host where nobody listens, said on every server and on every sentinel.
    let on = data_nodes(&cluster).into_iter().chain(cluster.sentinels.iter().map(|sentinel| sentinel.ports.resp)).collect();
    let forger = Forger::start(on, crate::kit::ports::free_port(), ID, cluster.master());
    must_fail_over(&mut cluster, &forger);
    let log: String = cluster.sentinels.iter().map(Sentinel::log).collect();
    assert!(log.contains("a hello names a sentinel that is not believed"), "it is told\n{log}");
    assert!(!log.contains("+foreign-sentinel") && !log.contains("+held-back"));
}

#[test]
fn forged_hellos_that_name_other_servers_hold_nothing_back() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let elsewhere = RedisServer::start("elsewhere", cluster.scratch.path(), &cluster.timeline, &crate::kit::ServerOptions::default());
    // A stock sentinel of another deployment, with its true id; a data node; a member of this cluster under a made-up id.
    let other = start_stock(&cluster, 8, elsewhere.port, &[]);
    let other_id = other.answer(&["SENTINEL", "MYID"]).text().expect("an id is a text");
    let hello = |port: u16, id: &str| format!("127.0.0.1,{port},{id},99,{GROUP},127.0.0.1,{},99", cluster.master());
    let hellos = vec![
        hello(other.ports.resp, &other_id),
        hello(other.ports.resp, ID),
        hello(elsewhere.port, &ID.replace('f', "e")),
        hello(cluster.sentinels[0].ports.resp, &ID.replace('f', "d")),
        hello(cluster.master(), &ID.replace('f', "c")),
    ];
    let forger = Forger::with(data_nodes(&cluster), hellos);
    must_fail_over(&mut cluster, &forger);
}

#[test]
fn a_data_node_that_wants_a_password_is_no_sentinel() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let options = crate::kit::ServerOptions { password: Some("locked".to_owned()), ..crate::kit::ServerOptions::default() };
    let locked = RedisServer::start("locked", cluster.scratch.path(), &cluster.timeline, &options);
    // And a port that says NOAUTH to everything, which no sentinel does.
    let liar = Listener::start("-NOAUTH Authentication required.\r\n");
    let hello = |port: u16, id: &str| format!("127.0.0.1,{port},{id},99,{GROUP},127.0.0.1,{},99", cluster.master());
    let forger = Forger::with(data_nodes(&cluster), vec![hello(locked.port, ID), hello(liar.port, &ID.replace('f', "e"))]);
    must_fail_over(&mut cluster, &forger);
    assert!(liar.connections() > 0, "it was called, or this proves nothing");
}

#[test]
fn a_member_that_lets_nobody_in_is_no_sentinel_of_others() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let member = cluster.sentinels[2].ports.resp;
    // Like one with a password, for those who call it back; this test goes on asking it other things.
    cluster.sentinel(3).expect_ok(&["ACL", "SETUSER", "default", "-sentinel|myid"]);
    let myid = cluster.sentinel(3).answer(&["SENTINEL", "MYID"]).to_string();
    assert!(myid.contains("NOPERM"), "it is locked, or this proves nothing: {myid}");
    let hello = |host: &str, id: &str| format!("{host},{member},{id},99,{GROUP},127.0.0.1,{},99", cluster.master());
    let hellos = vec![hello("127.0.0.1", ID), hello("::ffff:127.0.0.1", &ID.replace('f', "e"))];
    let forger = Forger::with(data_nodes(&cluster), hellos);
    must_fail_over(&mut cluster, &forger);
    assert!(cluster.sentinels.iter().any(|sentinel| sentinel.log().contains("is that of a sentinel of this cluster")), "it is told");
}

#[test]
fn whoever_speaks_for_a_sentinel_that_has_stopped_ends_its_hold_in_finite_time() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let mut stock = start_stock(&cluster, 9, cluster.master(), &[]);
    let id = stock.answer(&["SENTINEL", "MYID"]).text().expect("an id is a text");
    wait_until_held(&cluster, true, SOON);
    let forger = Forger::start(data_nodes(&cluster), stock.ports.resp, &id, cluster.master());
    stock.kill();
    let killed = Instant::now();
    wait_until_held(&cluster, false, HOLD_ENDS);
    println!("the hold ended {} ms after the sentinel was killed, {} forged hellos", killed.elapsed().as_millis(), forger.said());
    must_fail_over(&mut cluster, &forger);
}

#[test]
fn a_sentinel_that_lets_nobody_in_is_believed_to_be_there_and_told_apart() {
    let cluster = Plan::new(Flavour::Ours).start();
    let _stock = start_stock(&cluster, 9, cluster.master(), &["requirepass closed", "sentinel sentinel-pass closed"]);
    wait_until_held(&cluster, true, SOON);
    let status = cluster.status(1).expect("it answers");
    let [foreign] = &status.groups[0].foreign_sentinels[..] else { panic!("{status:#?}") };
    assert!(foreign.locked, "{foreign:#?}");
    assert!(cluster.sentinel(1).log().contains("it wants a password"), "the log says so");
}

#[test]
fn a_forged_hello_harvests_no_password_and_makes_few_calls() {
    let lines = vec![format!("sentinel sentinel-pass {TOKEN}"), "sentinel sentinel-user planted-user".to_owned()];
    for shadow in [false, true] {
        let args = if shadow { vec!["--shadow".to_owned()] } else { Vec::new() };
        let cluster = Plan { lines: lines.clone(), args, ..Plan::new(Flavour::Ours) }.start();
        let trap = Listener::start("-NOAUTH Authentication required.\r\n");
        let master = cluster.master();
        // Many ids, and many addresses that lead nowhere, beside the trap.
        let hello = |port: u16, n: usize| format!("127.0.0.1,{port},{n:040x},99,{GROUP},127.0.0.1,{master},99");
        let hellos: Vec<String> = (1..20).map(|n| hello(trap.port, n)).chain((20..30).map(|n| hello(1, n))).collect();
        let started = Instant::now();
        let forger = Forger::with(data_nodes(&cluster), hellos);
        cluster.timeline.wait_until("many were said", SOON, || forger.said() >= 1500);
        drop(forger);
        let seconds = usize::try_from(started.elapsed().as_secs()).unwrap_or(0) + 1;
        assert!(trap.connections() > 0, "it was called, or this proves nothing");
        assert!(!trap.heard().contains("planted"), "a password was shown: {}", trap.heard());
        // Three sentinels; each calls an address once a second at most, and ever more rarely.
        assert!(trap.connections() <= 3 * (seconds / 2 + 3), "{} calls in {seconds} s", trap.connections());
        println!("shadow {shadow}: {} calls in {seconds} s", trap.connections());
    }
}

#[test]
fn where_the_file_names_the_sentinels_they_are_shown_the_password() {
    let lines = vec![format!("sentinel sentinel-pass {TOKEN}"), "sentinel foreign-sentinels 127.0.0.0/8".to_owned()];
    let cluster = Plan { lines, ..Plan::new(Flavour::Ours) }.start();
    let stock = start_stock(&cluster, 9, cluster.master(), &[&format!("requirepass {TOKEN}"), &format!("sentinel sentinel-pass {TOKEN}")]);
    wait_until_held(&cluster, true, SOON);
    let status = cluster.status(1).expect("it answers");
    let [foreign] = &status.groups[0].foreign_sentinels[..] else { panic!("{status:#?}") };
    assert!(!foreign.locked, "it was let in at {}: {foreign:#?}", local(stock.ports.resp));
}
