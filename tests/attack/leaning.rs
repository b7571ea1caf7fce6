//! Many small clients at once, on every port.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use raft_sentinel::proto::sentinel::StatusRequest;
use tonic::Request;

use crate::kit::certs::Authority;
use crate::kit::http2::unfinished_requests;
use crate::kit::sentinel::{Flavour, our_binary_after};
use crate::kit::{GROUP, Grpc, Plan, Scratch, Sentinel};

const SOON: Duration = Duration::from_secs(30);

/// Threads that lean on something until they are dropped.
struct Crowd {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Crowd {
    /// So many threads that do this again and again.
    fn of(count: usize, mut lean: impl FnMut(usize) -> Box<dyn FnMut() + Send>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let one = |number| {
            let (stop, mut lean) = (Arc::clone(&stop), lean(number));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    lean();
                }
            })
        };
        Self { threads: (0..count).map(one).collect(), stop: Arc::clone(&stop) }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| _ = thread.join());
    }
}

fn connect(addr: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect_timeout(&addr, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    stream.set_write_timeout(Some(Duration::from_secs(2))).ok()?;
    Some(stream)
}

/// A stranger with pipelined requests, over one connection at a time.
fn pipeliner(addr: SocketAddr, request: &'static [u8]) -> Box<dyn FnMut() + Send> {
    let (batch, mut stream, mut chunk) = (request.repeat(64), None, vec![0; 65_536]);
    Box::new(move || {
        stream = stream.take().or_else(|| connect(addr));
        let went = stream.as_mut().is_some_and(|stream| stream.write_all(&batch).is_ok() && matches!(stream.read(&mut chunk), Ok(1..)));
        if !went {
            stream = None;
            std::thread::sleep(Duration::from_millis(10));
        }
    })
}

/// The time that an answer took, the slowest of so many.
fn slowest_answer(sentinel: &Sentinel, count: usize) -> Duration {
    let mut conn = sentinel.conn().expect("it listens");
    let ask = |_| {
        let begun = Instant::now();
        let reply = conn.ask(&["SENTINEL", "get-master-addr-by-name", GROUP]).expect("it answers");
        assert_eq!(reply.items().len(), 2, "{reply}");
        begun.elapsed()
    };
    (0..count).map(ask).max().unwrap_or_default()
}

#[test]
fn pipelining_strangers_keep_nobody_from_an_answer_or_a_new_master() {
    let mut cluster = Plan::new(Flavour::Ours).with_policy("available").start();
    let master = cluster.master();
    let addrs: Vec<SocketAddr> = cluster.sentinels.iter().map(|sentinel| sentinel.ports.resp_addr()).collect();
    let requests: [&'static [u8]; 2] = [b"PING\r\n", b"COMMAND DOCS\r\n"];
    let _crowd = Crowd::of(30, |number| pipeliner(addrs[number % 3], requests[number % 2]));
    // Generous: a debug build, and a machine that does much else. The release build is measured by `make bench-floods`.
    let slowest = slowest_answer(&cluster.sentinels[0], 200);
    assert!(slowest < Duration::from_millis(500), "an answer took {slowest:?}");
    cluster.server_mut(master).kill();
    cluster.wait_for_new_master(master, Duration::from_secs(10));
}

/// The size of a process, in KiB.
fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it has a size");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// How many descriptors a process has open.
fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the process is there").count()
}

#[test]
fn idle_connections_on_every_port_leave_descriptors_for_a_failover_and_an_operator() {
    let scratch = Scratch::new();
    let sentinel_program = Some(our_binary_after(scratch.path(), "ulimit -n 330"));
    let mut cluster = Plan { sentinel_program, ..Plan::new(Flavour::Ours).with_policy("available") }.start();
    let master = cluster.master();
    let mut idle: Vec<TcpStream> = Vec::new();
    for sentinel in &cluster.sentinels {
        let ports = sentinel.ports;
        assert!(sentinel.log().contains("maxclients is"), "what there is room for is said\n{}", sentinel.log());
        for port in [ports.resp, ports.grpc, ports.http] {
            idle.extend((0..200).filter_map(|_| connect((ports.ip, port).into())));
        }
        idle.extend((0..300).filter_map(|_| connect((ports.ip, ports.raft).into())));
    }
    for sentinel in &cluster.sentinels {
        let open = descriptors(sentinel.pid().expect("it runs"));
        assert!(open <= 330, "{open} descriptors");
        // While the last idle ones still come in, a place may be free only in the next moment.
        cluster.timeline.wait_for("an operator on the host comes in", Duration::from_secs(5), || {
            match sentinel.ask(&["SENTINEL", "get-master-addr-by-name", GROUP]) {
                Ok(reply) if reply.items().len() == 2 => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
    }
    cluster.server_mut(master).kill();
    cluster.wait_for_new_master(master, Duration::from_secs(10));
    for sentinel in &cluster.sentinels {
        let lines = sentinel.log().lines().filter(|line| line.contains("is turned away") || line.contains("cannot accept")).count();
        assert!(lines < 30, "{lines} lines about connections in\n{}", sentinel.log());
    }
    drop(idle);
}

#[test]
fn half_open_handshakes_do_not_keep_restarted_sentinels_out() {
    let scratch = Scratch::new();
    let ca = Authority::new(scratch.path(), "ours");
    ca.issue("node", &["127.0.0.1"]);
    let mut plan = Plan { replicas: 1, ..Plan::new(Flavour::Ours) };
    plan.lines.extend([
        format!("tls-cert-file {}", ca.file("node.crt")),
        format!("tls-key-file {}", ca.file("node.key")),
        format!("tls-ca-cert-file {}", ca.file("ours.crt")),
        "raft tls yes".to_owned(),
    ]);
    let mut cluster = plan.start();
    let addrs: Vec<SocketAddr> = cluster.sentinels.iter().map(|sentinel| (sentinel.ports.ip, sentinel.ports.raft).into()).collect();
    let _crowd = Crowd::of(3, |number| {
        let (addr, mut held) = (addrs[number], std::collections::VecDeque::new());
        Box::new(move || {
            held.extend(connect(addr));
            // Each sentinel has so many of them open at any time, as far as it lets them.
            if held.len() > 1000 {
                held.pop_front();
            }
            std::thread::sleep(Duration::from_millis(2));
        })
    });
    cluster.timeline.holds("there is a quorum beside hundreds of handshakes a second that nobody ends", Duration::from_secs(3), || {
        cluster.sentinels[0].master().map(drop)
    });
    for id in [1, 2] {
        cluster.sentinel_mut(id).kill();
    }
    let begun = Instant::now();
    for id in [1, 2] {
        cluster.sentinel_mut(id).restart();
    }
    cluster.timeline.wait_for("the restarted sentinels are members of a quorum", SOON, || {
        cluster.sentinels.iter().try_for_each(|sentinel| sentinel.master().map(drop))
    });
    assert!(begun.elapsed() < Duration::from_secs(8), "that took {:?}", begun.elapsed());
}

#[test]
fn a_header_that_never_ends_is_not_waited_for() {
    let cluster = Plan { replicas: 0, sentinels: 1, quorum: 1, ..Plan::new(Flavour::Ours) }.launch();
    let ports = cluster.sentinels[0].ports;
    let mut dripping = connect((ports.ip, ports.http).into()).expect("it listens");
    let mut silent = connect((ports.ip, ports.http).into()).expect("it listens");
    let mut silent_grpc = connect((ports.ip, ports.grpc).into()).expect("it listens");
    let mut silent_peer = connect((ports.ip, ports.raft).into()).expect("it listens");
    dripping.write_all(b"GET /metrics HTTP/1.1\r\nx: ").expect("it takes bytes");
    dripping.set_read_timeout(Some(Duration::from_millis(200))).expect("a time limit");
    cluster.timeline.wait_for("a header that drips is given up", SOON, || {
        let _ = dripping.write_all(b"a");
        ended(&mut dripping)
    });
    for stream in [&mut silent, &mut silent_grpc, &mut silent_peer] {
        cluster.timeline.wait_for("a connection that says nothing is closed", SOON, || ended(stream));
    }
}

/// A request but for its last word: so many of this length.
fn unfinished_words(count: usize, length: usize) -> Vec<u8> {
    let word = [format!("${length}\r\n").as_bytes(), &vec![b'x'; length], b"\r\n"].concat();
    [format!("*{}\r\n", count + 1).as_bytes(), &word.repeat(count)].concat()
}

#[test]
fn requests_that_grow_and_never_end_hold_a_bounded_share_of_memory() {
    let cluster = Plan { replicas: 0, sentinels: 1, quorum: 1, ..Plan::new(Flavour::Ours) }.launch();
    let (sentinel, pid) = (&cluster.sentinels[0], cluster.sentinels[0].pid().expect("it runs"));
    let at = SocketAddr::from((sentinel.ports.ip, sentinel.ports.resp));
    let before = resident_kib(pid);
    // 270 MB of them.
    let piece = unfinished_words(30, 30_000);
    let begin = |_| {
        let mut stream = connect(at)?;
        // Whoever holds much is disconnected while it still writes.
        let _ = stream.write_all(&piece);
        Some(stream)
    };
    let held: Vec<TcpStream> = (0..300).filter_map(begin).collect();
    cluster.timeline.wait_for("they hold a bounded amount of memory", SOON, || match resident_kib(pid).saturating_sub(before) {
        grown if grown <= 128 * 1024 => Ok(()),
        grown => Err(format!("it has grown by {grown} KiB")),
    });
    assert!(sentinel.ask(&["PING"]).is_ok());
    drop(held);
}

#[test]
fn a_stranger_has_no_room_for_a_large_request() {
    let lines = vec!["requirepass right".to_owned()];
    let cluster = Plan { replicas: 0, sentinels: 1, quorum: 1, lines, ..Plan::new(Flavour::Ours) }.launch();
    let ports = cluster.sentinels[0].ports;
    let mut stranger = connect((ports.ip, ports.resp).into()).expect("it listens");
    let _ = stranger.write_all(&unfinished_words(5, 10_000));
    cluster.timeline.wait_for("its connection is closed", SOON, || ended(&mut stranger));
}

/// Opens so many connections one after the other, each of which says this, waits for the first bytes of an answer, and is silent then.
fn crowd(addr: SocketAddr, count: usize, says: &[u8]) -> Vec<TcpStream> {
    let say = |mut stream: TcpStream| {
        let answered = stream.write_all(says).and_then(|()| stream.read(&mut [0; 4096]));
        answered.ok().map(|_| stream)
    };
    (0..count).filter_map(|_| connect(addr).and_then(say)).collect()
}

#[test]
fn connections_that_were_permitted_nothing_make_room_on_every_port() {
    let lines = vec!["requirepass right".to_owned()];
    let cluster =
        Plan { replicas: 0, sentinels: 1, quorum: 1, password: Some("right".to_owned()), lines, ..Plan::new(Flavour::Ours) }.launch();
    let (sentinel, ports) = (&cluster.sentinels[0], cluster.sentinels[0].ports);
    let http = SocketAddr::from((ports.ip, ports.http));
    // Requests that everybody may make: more than there are places.
    let healthy = crowd(http, 150, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    let mut scraper = connect(http).expect("it listens");
    let login = "authorization: Basic ZGVmYXVsdDpyaWdodA==";
    scraper
        .write_all(format!("GET /metrics HTTP/1.1\r\nhost: x\r\n{login}\r\nconnection: close\r\n\r\n").as_bytes())
        .expect("it is taken in");
    let mut answer = String::new();
    scraper.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("raft_sentinel_connections_evicted"), "{answer:.300}");
    drop(healthy);
    // What every client of gRPC begins with, and calls that nobody may make without a password.
    let preface = crowd(ports.grpc_addr(), 950, &unfinished_requests(0));
    let calls = crowd(ports.grpc_addr(), 150, &unfinished_requests(1));
    let grpc = Grpc::at(ports.grpc_addr());
    let mut asked = Request::new(StatusRequest::default());
    asked.metadata_mut().insert("authorization", "Basic ZGVmYXVsdDpyaWdodA==".parse().expect("it is ASCII"));
    let status = grpc.wait(grpc.sentinel().status(asked)).expect("a user comes in").into_inner();
    assert_eq!(status.node_id, 1, "{status:?}");
    drop((preface, calls));
    assert!(sentinel.conn().is_ok(), "the SENTINEL port has places of its own");
}

/// Whether the other side has closed a connection.
fn ended(stream: &mut TcpStream) -> Result<(), String> {
    loop {
        match stream.read(&mut [0; 4096]) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                return Err("it is open".to_owned());
            }
            Err(_) => return Ok(()),
        }
    }
}

#[test]
fn requests_that_are_begun_and_never_ended_are_given_up() {
    let cluster = Plan { replicas: 0, sentinels: 1, quorum: 1, ..Plan::new(Flavour::Ours) }.launch();
    let (sentinel, pid) = (&cluster.sentinels[0], cluster.sentinels[0].pid().expect("it runs"));
    let before = resident_kib(pid);
    let bytes = unfinished_requests(120);
    // 24,000 of them.
    let begin = |_| {
        let mut stream = connect(sentinel.ports.grpc_addr())?;
        stream.write_all(&bytes).ok().map(|()| stream)
    };
    let held: Vec<TcpStream> = (0..200).filter_map(begin).collect();
    assert!(held.len() > 100, "{} connections", held.len());
    let grown = |what: &str, most_kib: u64| {
        cluster.timeline.wait_for(what, SOON, || match resident_kib(pid).saturating_sub(before) {
            grown if grown <= most_kib => Ok(()),
            grown => Err(format!("it has grown by {grown} KiB")),
        });
    };
    grown("they cost a bounded amount of memory", 64 * 1024);
    // The first ones get an answer, without having ended their request: there is a limit in time.
    let mut answered = held.into_iter().next().expect("there are some");
    answered.set_read_timeout(Some(SOON)).expect("a time limit");
    let mut text = Vec::new();
    let mut chunk = [0; 4096];
    while !contains_status(&text) {
        match answered.read(&mut chunk) {
            Ok(0) | Err(_) => break,
            Ok(read) => text.extend(&chunk[..read]),
        }
    }
    assert!(contains_status(&text), "{} bytes, and no request was answered", text.len());
    assert!(sentinel.ask(&["PING"]).is_ok());
}

/// Whether there is the end of a stream among the frames: HEADERS with END_STREAM, or RST_STREAM.
fn contains_status(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while rest.len() >= 9 {
        let length = u32::from_be_bytes([0, rest[0], rest[1], rest[2]]) as usize;
        let (kind, flags) = (rest[3], rest[4]);
        if kind == 3 || (kind == 1 && flags & 1 == 1) {
            return true;
        }
        rest = rest.get(9 + length..).unwrap_or_default();
    }
    false
}
