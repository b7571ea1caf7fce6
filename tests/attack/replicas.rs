//! Who attaches to the master without belonging there: connections that only say PSYNC, a server that lies about what it holds.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::kit::{Cluster, Flavour, GROUP, Plan, RedisServer};

const SOON: Duration = Duration::from_secs(40);
const FAR: &str = "999999999999";

fn words(words: &[&str]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len());
    words.iter().for_each(|word| out.push_str(&format!("${}\r\n{word}\r\n", word.len())));
    out.into_bytes()
}

/// A replication link without a server behind it: it takes whatever comes, and acknowledges more than there is.
struct Pretender {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pretender {
    fn attach(master: SocketAddr, port: u16, ack: &'static str) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let mut stream = TcpStream::connect(master).expect("the master takes connections");
        let listening = port.to_string();
        for said in [&["REPLCONF", "listening-port", &listening][..], &["REPLCONF", "capa", "eof", "capa", "psync2"]] {
            stream.write_all(&words(said)).expect("it listens");
            // PSYNC is refused while an answer is on its way.
            stream.read_exact(&mut [0; 5]).expect("+OK");
        }
        stream.write_all(&words(&["PSYNC", "?", "-1"])).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_millis(100))).expect("a limit");
        let ends = over.clone();
        let thread = std::thread::spawn(move || {
            let mut bytes = [0; 65536];
            while !ends.load(Ordering::Relaxed) {
                let _ = stream.read(&mut bytes);
                if stream.write_all(&words(&["REPLCONF", "ACK", ack])).is_err() {
                    return;
                }
            }
        });
        Self { over, thread: Some(thread) }
    }
}

impl Drop for Pretender {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.thread.take().into_iter().for_each(|thread| drop(thread.join()));
    }
}

/// A server that says of itself what it likes.
struct Liar {
    port: u16,
    over: Arc<AtomicBool>,
    /// Whether it was told to be a master.
    promoted: Arc<AtomicBool>,
}

impl Liar {
    fn start(info: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (over, promoted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (ends, told) = (over.clone(), promoted.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                let (info, told) = (info.clone(), told.clone());
                std::thread::spawn(move || answer(stream, &info, &told));
            }
        });
        Self { port, over, promoted }
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn answer(stream: TcpStream, info: &str, promoted: &AtomicBool) {
    let Ok(mut out) = stream.try_clone() else { return };
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    while let Some(head) = lines.next() {
        let count = head.trim_start_matches('*').parse().unwrap_or(0);
        let said: Vec<String> = (0..count).filter_map(|_| lines.next().and_then(|_| lines.next())).collect();
        let bulk = |text: &str| format!("${}\r\n{text}\r\n", text.len());
        let is = |at: usize, word: &str| said.get(at).is_some_and(|said| said.eq_ignore_ascii_case(word));
        if is(0, "REPLICAOF") && is(1, "NO") {
            promoted.store(true, Ordering::Relaxed);
        }
        let reply = if is(0, "PING") {
            "+PONG\r\n".to_owned()
        } else if is(0, "INFO") {
            bulk(info)
        } else if is(0, "CONFIG") && is(1, "GET") {
            ["min-replicas-to-write", "1", "min-replicas-max-lag", "2"].iter().fold("*4\r\n".to_owned(), |all, word| all + &bulk(word))
        } else {
            "+OK\r\n".to_owned()
        };
        if out.write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}

fn field(cluster: &Cluster, name: &str) -> Option<String> {
    cluster.sentinels[0].ask(&["SENTINEL", "MASTER", GROUP]).ok()?.field(name)
}

fn wait_until_armed(cluster: &Cluster) {
    cluster.timeline.wait_for("the fence is armed and well", SOON, || {
        let (armed, status) = (field(cluster, "fence-armed"), field(cluster, "fence-status"));
        if armed.as_deref() == Some("yes") && status.as_deref() == Some("ok") { Ok(()) } else { Err(format!("{armed:?}, {status:?}")) }
    });
}

fn takes_writes(server: &RedisServer) -> Result<(), String> {
    let reply = server.ask(&["SET", "k", "v"]).map_err(|error| error.to_string())?;
    if reply.is_ok() { Ok(()) } else { Err(reply.to_string()) }
}

#[test]
fn connections_that_pretend_to_be_replicas_raise_nothing_and_stop_nothing() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    wait_until_armed(&cluster);
    let (master, timeline) = (cluster.servers[0].addr(), cluster.timeline.clone());
    let pretenders: Vec<Pretender> = (1..=3).map(|port| Pretender::attach(master, port, FAR)).collect();
    timeline.wait_for("the master lists them", SOON, || {
        let connected = cluster.servers[0].info("replication", "connected_slaves");
        if connected.as_deref() == Some("5") { Ok(()) } else { Err(format!("{connected:?}")) }
    });
    timeline.wait_for("operators are told, or they are on record without counting", SOON, || {
        let known = field(&cluster, "num-slaves");
        if known.as_deref() == Some("5") { Ok(()) } else { Err(format!("{known:?} replicas")) }
    });
    assert_eq!(field(&cluster, "fence-known-replicas").as_deref(), Some("2"), "{}", timeline.report());
    drop(pretenders);
    timeline.wait_for("nobody remembers them", SOON, || {
        takes_writes(&cluster.servers[0])?;
        let known = field(&cluster, "num-slaves");
        if known.as_deref() == Some("2") { Ok(()) } else { Err(format!("{known:?} replicas")) }
    });
    assert_eq!(field(&cluster, "fence-min-replicas").as_deref(), Some("1"), "{}", timeline.report());
    // One that attached a moment before the master dies is in nobody's way.
    let _late = Pretender::attach(master, 4, FAR);
    timeline.wait_for("it is listed", SOON, || {
        let known = field(&cluster, "num-slaves");
        if known.as_deref() == Some("3") { Ok(()) } else { Err(format!("{known:?} replicas")) }
    });
    let old = cluster.servers[0].port;
    cluster.servers[0].kill();
    cluster.wait_for_new_master(old, SOON);
}

fn a_liar_is_not_promoted(policy: &str) {
    let mut cluster = Plan::new(Flavour::Ours).with_policy(policy).start();
    if policy == "strict" {
        wait_until_armed(&cluster);
    }
    let (master, timeline) = (cluster.servers[0].addr(), cluster.timeline.clone());
    let replid = cluster.servers[0].info("replication", "master_replid").expect("its history");
    let info = format!(
        "# Server\r\nredis_version:7.0.15\r\nrun_id:{run_id}\r\n# Replication\r\nrole:slave\r\nmaster_host:{host}\r\nmaster_port:{port}\r\n\
         master_link_status:up\r\nmaster_last_io_seconds_ago:0\r\nmaster_sync_in_progress:0\r\nslave_repl_offset:{FAR}\r\nslave_priority:1\r\n\
         replica_announced:1\r\nconnected_slaves:0\r\nmaster_replid:{replid}\r\nmaster_replid2:{zeros}\r\nmaster_repl_offset:{FAR}\r\n\
         second_repl_offset:-1\r\n# Keyspace\r\n",
        run_id = "0".repeat(40),
        zeros = "0".repeat(40),
        host = master.ip(),
        port = master.port(),
    );
    let liar = Liar::start(info);
    let _attached = Pretender::attach(master, liar.port, "1");
    timeline.wait_for("the liar is on record", SOON, || {
        let known = field(&cluster, "num-slaves");
        if known.as_deref() == Some("3") { Ok(()) } else { Err(format!("{known:?} replicas")) }
    });
    timeline.wait_for("a sentinel says what it claims", SOON, || {
        if policy == "available" || field(&cluster, "fence-status").is_some_and(|status| status.contains(FAR)) {
            Ok(())
        } else {
            Err("not yet".to_owned())
        }
    });
    let old = cluster.servers[0].port;
    cluster.servers[0].kill();
    let new = cluster.wait_for_new_master(old, SOON);
    assert!(new != liar.port && !liar.promoted.load(Ordering::Relaxed), "{}", timeline.report());
}

#[test]
fn a_server_that_claims_more_than_the_master_wrote_is_not_promoted_by_strict() {
    a_liar_is_not_promoted("strict");
}

#[test]
fn nor_by_available() {
    a_liar_is_not_promoted("available");
}
