//! Encrypted from end to end: servers with real redis-server's TLS, and stock's redis-cli for a client.

use std::time::Duration;

use crate::kit::certs::Authority;
use crate::kit::ports::free_port;
use crate::kit::sentinel::{Flavour, Orders, Ports, master_port};
use crate::kit::{GROUP, RedisServer, Reply, Scratch, Sentinel, ServerOptions, Timeline, program};

const SOON: Duration = Duration::from_secs(20);

/// A master and a replica that also listen with TLS, and one sentinel that knows only those ports.
struct World {
    sentinel: Sentinel,
    servers: Vec<(RedisServer, u16)>,
    tls_port: u16,
    timeline: Timeline,
    ca: Authority,
    scratch: Scratch,
}

/// `sentinel_lines` is what the sentinel is told of certificates, by the authority of the servers.
fn world(sentinel_lines: impl Fn(&Authority, u16) -> Vec<String>) -> World {
    let (scratch, timeline) = (Scratch::new(), Timeline::default());
    let ca = Authority::new(scratch.path(), "ours");
    let mut servers: Vec<(RedisServer, u16)> = Vec::new();
    for name in ["redis-0", "redis-1"] {
        let tls_port = free_port();
        let mut lines = files(&ca);
        lines.extend([format!("tls-port {tls_port}"), "tls-replication yes".to_owned()]);
        lines.extend(servers.first().map(|(_, master)| format!("replicaof 127.0.0.1 {master}")));
        let options = ServerOptions { lines, ..ServerOptions::default() };
        servers.push((RedisServer::start(name, scratch.path(), &timeline, &options), tls_port));
    }
    let tls_port = free_port();
    let mut lines = vec![format!("sentinel monitor {GROUP} 127.0.0.1 {} 1", servers[0].1)];
    lines.push(format!("sentinel down-after-milliseconds {GROUP} 500"));
    lines.extend(sentinel_lines(&ca, tls_port));
    let orders = Orders { id: 1, peers: vec![Ports::free()], lines, ..Orders::default() };
    let sentinel = Sentinel::start(Flavour::Ours, scratch.path(), &timeline, &orders);
    World { sentinel, servers, tls_port, timeline, ca, scratch }
}

/// The lines that servers and sentinels have in common.
fn files(ca: &Authority) -> Vec<String> {
    [("tls-cert-file", "ours-node.crt"), ("tls-key-file", "ours-node.key"), ("tls-ca-cert-file", "ours.crt")]
        .map(|(directive, file)| format!("{directive} {}", ca.file(file)))
        .to_vec()
}

impl World {
    fn field(&self, name: &str) -> Result<String, String> {
        let seen = self.sentinel.ask(&["SENTINEL", "MASTER", GROUP]).map_err(|error| error.to_string())?;
        seen.field(name).ok_or_else(|| seen.to_string())
    }

    fn wait_for_field(&self, name: &str, value: &str) {
        self.timeline.wait_for(&format!("{name} is {value}"), SOON, || {
            let seen = self.field(name)?;
            if seen == value { Ok(()) } else { Err(seen) }
        });
    }

    /// Whether the sentinel says that it cannot judge the master.
    fn cannot_judge(&self) -> Result<(), String> {
        let metrics = program::run("curl", &["-s", &format!("http://127.0.0.1:{}/metrics", self.sentinel.ports.http)], SOON).success();
        let line = metrics.lines().find(|line| line.contains("node_cannot_judge{")).map(str::to_owned);
        if line.as_deref().is_some_and(|line| line.contains("} 1")) { Ok(()) } else { Err(format!("{line:?}")) }
    }

    /// For many times the limit: it cannot judge the master, and says so, and it never is down.
    fn assert_not_judged(&self) {
        self.timeline.wait_for("the master cannot be judged", SOON, || self.cannot_judge());
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(100));
            let flags = self.field("flags").expect("it answers");
            assert!(!flags.contains("_down"), "{flags}");
        }
        self.cannot_judge().expect("still so");
    }

    /// Asks the sentinel's TLS port with redis-cli, which trusts `ca` and shows `cert`.
    fn cli(&self, ca: &str, cert: Option<&str>, words: &[&str]) -> program::Ended {
        let (port, ca) = (self.tls_port.to_string(), self.ca.file(ca));
        let pair = cert.map(|cert| (self.ca.file(&format!("{cert}.crt")), self.ca.file(&format!("{cert}.key"))));
        let mut args = vec!["--tls", "-p", &port, "--cacert", &ca];
        if let Some((cert, key)) = &pair {
            args.extend(["--cert", cert, "--key", key]);
        }
        args.extend(words);
        program::run("redis-cli", &args, SOON)
    }
}

#[test]
fn a_failover_where_everything_is_encrypted() {
    let mut world = world(|ca, port| {
        let mut lines = files(ca);
        lines.extend([format!("tls-port {port}"), "tls-replication yes".to_owned()]);
        lines
    });
    world.wait_for_field("flags", "master");
    world.wait_for_field("num-slaves", "1");
    let words = ["SENTINEL", "get-master-addr-by-name", GROUP];
    let old = world.servers[0].1;
    assert_eq!(world.cli("ours.crt", Some("ours-node"), &words).success(), format!("127.0.0.1\n{old}\n"));
    // Nobody gets in without a certificate.
    let stranger = world.cli("ours.crt", None, &["PING"]);
    assert!(!stranger.stdout.contains("PONG"), "{stranger:?}");

    world.servers[0].0.kill();
    let new = world.servers[1].1;
    world.timeline.wait_for("the replica is named", SOON, || {
        let reply: Reply = world.sentinel.ask(&words).map_err(|error| error.to_string())?;
        if master_port(&reply) == Some(new) { Ok(()) } else { Err(reply.to_string()) }
    });
    world
        .timeline
        .wait_for("it is a master", SOON, || world.servers[1].0.role().filter(|role| role == "master").ok_or_else(|| "not yet".to_owned()));
    assert_eq!(world.cli("ours.crt", Some("ours-node"), &words).success(), format!("127.0.0.1\n{new}\n"));
}

#[test]
fn a_server_whose_certificate_is_not_trusted_is_not_judged() {
    let world = world(|ca, _| {
        let other = std::path::Path::new(&ca.file("")).join("other");
        std::fs::create_dir_all(&other).expect("a folder below a scratch folder can be made");
        Authority::new(&other, "theirs");
        // The servers would let us in: it is us who do not trust them.
        let mut lines = files(ca);
        lines[2] = format!("tls-ca-cert-file {}/theirs.crt", other.display());
        lines.push("tls-replication yes".to_owned());
        lines
    });
    world.assert_not_judged();
}

#[test]
fn a_server_that_does_not_trust_us_is_not_judged() {
    // No certificate to show, and the servers want one: in TLS 1.3 they say so after the handshake.
    let world = world(|ca, _| vec!["tls-replication yes".to_owned(), format!("tls-ca-cert-file {}", ca.file("ours.crt"))]);
    world.assert_not_judged();
}

#[test]
fn certificates_are_renewed_without_a_restart() {
    let world = world(|ca, port| {
        ca.issue("mine", &["127.0.0.1"]);
        let mut lines = files(ca);
        lines.extend([format!("tls-port {port}"), "tls-replication yes".to_owned(), "tls-auth-clients no".to_owned()]);
        lines[0] = format!("tls-cert-file {}", ca.file("mine.crt"));
        lines[1] = format!("tls-key-file {}", ca.file("mine.key"));
        lines
    });
    assert_eq!(world.cli("ours.crt", None, &["PING"]).success(), "PONG\n");
    // A bad file: the old one goes on, and the log says so.
    std::fs::write(world.ca.file("mine.crt"), "rubbish").expect("it can be written");
    world.timeline.wait_for("the log complains", SOON, || {
        let log = world.sentinel.log();
        if log.contains("cannot be used; the old ones go on") { Ok(()) } else { Err("not yet".to_owned()) }
    });
    assert_eq!(world.cli("ours.crt", None, &["PING"]).success(), "PONG\n");
    // One of another authority: trusted by those who trust that one, and by nobody else.
    let next = Authority::new(world.scratch.path(), "next");
    next.issue("mine", &["127.0.0.1"]);
    world.timeline.wait_for("the new one is shown", SOON, || {
        let answer = world.cli("next.crt", None, &["PING"]);
        if answer.stdout == "PONG\n" { Ok(()) } else { Err(answer.stderr) }
    });
    assert_ne!(world.cli("ours.crt", None, &["PING"]).stdout, "PONG\n");
}

#[test]
fn other_ways_in_and_out() {
    let (scratch, timeline) = (Scratch::new(), Timeline::default());
    let path = |name: &str| scratch.path().join(name).display().to_string();
    let (socket, pid_file, notify) = (path("s.sock"), path("sentinel.pid"), path("notify"));
    let manager = std::os::unix::net::UnixDatagram::bind(&notify).expect("a socket can be made");
    manager.set_read_timeout(Some(SOON)).expect("a limit can be set");
    let heard = || {
        let mut text = [0; 256];
        let size = manager.recv(&mut text).expect("the sentinel says something in time");
        String::from_utf8_lossy(&text[..size]).into_owned()
    };
    let lines = [format!("unixsocket {socket}"), "unixsocketperm 600".to_owned(), format!("pidfile {pid_file}")];
    let lines = lines.into_iter().chain(["timeout 1".to_owned(), "supervised auto".to_owned()]).collect();
    let env = vec![("NOTIFY_SOCKET".to_owned(), notify.clone()), ("WATCHDOG_USEC".to_owned(), "300000".to_owned())];
    let orders = Orders { id: 1, peers: vec![Ports::free()], lines, env, ..Orders::default() };
    let mut sentinel = Sentinel::start(Flavour::Ours, scratch.path(), &timeline, &orders);

    let list = program::run("redis-cli", &["-s", &socket, "CLIENT", "LIST"], SOON).success();
    assert!(list.contains(&format!("addr={socket}:0 laddr={socket}:0")), "{list}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&socket).expect("it is there").permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(std::fs::read_to_string(&pid_file).expect("it is written").trim(), sentinel.pid().expect("it runs").to_string());

    // A client that says nothing is let go after a second; one that subscribed stays.
    let mut subscriber = sentinel.conn().expect("it answers");
    subscriber.ask(&["SUBSCRIBE", "+sdown"]).expect("it confirms");
    let mut idle = sentinel.conn().expect("it answers");
    idle.ask(&["PING"]).expect("it answers");
    std::thread::sleep(Duration::from_millis(2500));
    assert!(idle.ask(&["PING"]).is_err(), "it was let go");
    subscriber.ask(&["PING"]).expect("it is still there");

    let mut said = Vec::new();
    while !(said.iter().any(|text: &String| text == "WATCHDOG=1\n") && said.iter().any(|text| text.starts_with("READY=1\nSTATUS=Ready to")))
    {
        said.push(heard());
    }
    assert!(sentinel.terminate().success());
    while !said.iter().any(|text| text.starts_with("STOPPING=1")) {
        said.push(heard());
    }
    assert!(!std::path::Path::new(&pid_file).exists(), "removed at a clean exit");
}
