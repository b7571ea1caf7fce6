//! TLS between sentinels and for gRPC: three sentinels and real servers that talk over nothing else.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use crate::kit::certs::Authority;
use crate::kit::ports::free_port;
use crate::kit::sentinel::{Flavour, Orders, Ports, master_port, our_binary};
use crate::kit::{GROUP, RedisServer, Scratch, Sentinel, ServerOptions, Timeline, program};

const SOON: Duration = Duration::from_secs(30);

/// A master with two replicas, and three sentinels; all of them speak TLS where they can.
struct World {
    // Dropped in this order.
    sentinels: Vec<Sentinel>,
    servers: Vec<(RedisServer, u16)>,
    timeline: Timeline,
    ca: Authority,
    scratch: Scratch,
}

/// Each sentinel has files of its own, so that one can be given others: `n1.crt`, `n1.key` and `n1-ca.crt`, and so on.
fn world() -> World {
    world_with(&[])
}

/// The same with these lines in the files of the sentinels.
fn world_with(more: &[&str]) -> World {
    let (scratch, timeline) = (Scratch::new(), Timeline::default());
    let ca = Authority::new(scratch.path(), "ours");
    let mut servers: Vec<(RedisServer, u16)> = Vec::new();
    for name in ["redis-0", "redis-1", "redis-2"] {
        let tls_port = free_port();
        let mut lines = files(scratch.path(), "ours-node", "ours");
        lines.extend([format!("tls-port {tls_port}"), "tls-replication yes".to_owned()]);
        lines.extend(servers.first().map(|(_, master)| format!("replicaof 127.0.0.1 {master}")));
        let options = ServerOptions { lines, ..ServerOptions::default() };
        servers.push((RedisServer::start(name, scratch.path(), &timeline, &options), tls_port));
    }
    let ports: Vec<Ports> = (0..3).map(|_| Ports::free()).collect();
    let sentinels = (1..=3)
        .map(|id| {
            give(scratch.path(), id, &ca, "ours");
            let mut lines = files(scratch.path(), &format!("n{id}"), &format!("n{id}-ca"));
            lines.extend(["tls-replication yes", "raft tls yes", "grpc tls yes"].map(str::to_owned));
            lines.extend(more.iter().map(|line| (*line).to_owned()));
            lines.push(format!("sentinel monitor {GROUP} 127.0.0.1 {} 2", servers[0].1));
            lines.push(format!("sentinel down-after-milliseconds {GROUP} 1000"));
            let orders = Orders { id, peers: ports.clone(), lines, ..Orders::default() };
            Sentinel::start(Flavour::Ours, scratch.path(), &timeline, &orders)
        })
        .collect();
    World { sentinels, servers, timeline, ca, scratch }
}

/// Puts the files of sentinel `id` in place: signed by `ca`, and trusting those whom the authorities in `trusted.crt` signed.
fn give(dir: &Path, id: usize, ca: &Authority, trusted: &str) {
    std::fs::copy(dir.join(format!("{trusted}.crt")), dir.join(format!("n{id}-ca.crt"))).expect("the folder can be written");
    ca.issue(&format!("n{id}"), &["127.0.0.1"]);
}

fn files(dir: &Path, node: &str, ca: &str) -> Vec<String> {
    let file = |name: String| dir.join(name).display().to_string();
    vec![
        format!("tls-cert-file {}", file(format!("{node}.crt"))),
        format!("tls-key-file {}", file(format!("{node}.key"))),
        format!("tls-ca-cert-file {}", file(format!("{ca}.crt"))),
    ]
}

impl World {
    fn wait_for_master(&self, which: &[usize], allowed: &[u16]) -> u16 {
        self.timeline.wait_for(&format!("sentinels {which:?} name one of {allowed:?}"), SOON, || {
            let named: Vec<_> = which.iter().map(|id| self.sentinels[id - 1].master()).collect();
            match named.first() {
                Some(Ok(port)) if allowed.contains(port) && named.iter().all(|other| *other == Ok(*port)) => Ok(*port),
                _ => Err(format!("{named:?}")),
            }
        })
    }

    /// Waits until this sentinel sees a healthy master with both replicas, and its peers.
    fn wait_until_whole(&self, id: usize) {
        self.timeline.wait_for(&format!("sentinel {id} sees all of it"), SOON, || {
            let seen = self.sentinels[id - 1].ask(&["SENTINEL", "MASTER", GROUP]).map_err(|error| error.to_string())?;
            let field = |name| seen.field(name).unwrap_or_default();
            let whole = [field("flags"), field("num-slaves"), field("num-other-sentinels")] == ["master", "2", "2"];
            if whole { Ok(()) } else { Err(seen.to_string()) }
        });
    }

    fn ports(&self) -> Vec<u16> {
        self.servers.iter().map(|(_, port)| *port).collect()
    }

    fn fail_over(&mut self) -> u16 {
        let old = self.wait_for_master(&[1, 2, 3], &self.ports());
        let others: Vec<u16> = self.ports().into_iter().filter(|port| *port != old).collect();
        let victim = self.servers.iter_mut().find(|(_, port)| *port == old).expect("the master is one of them");
        victim.0.kill();
        let new = self.wait_for_master(&[1, 2, 3], &others);
        let server = &self.servers.iter().find(|(_, port)| *port == new).expect("it is one of them").0;
        self.timeline.wait_for("it is a master", SOON, || server.role().filter(|role| role == "master").ok_or_else(|| "no".to_owned()));
        new
    }

    /// `raft-sentinel masters`, with these flags.
    fn operator(&self, flags: &[&str]) -> program::Ended {
        let addr = format!("127.0.0.1:{}", self.sentinels[0].ports.grpc);
        let binary = our_binary().display().to_string();
        let args: Vec<&str> = ["masters", "--addr", &addr].into_iter().chain(flags.iter().copied()).collect();
        program::run(&binary, &args, SOON)
    }

    fn wait_for_log(&self, id: usize, words: &str) {
        self.timeline.wait_for(&format!("sentinel {id} says '{words}'"), SOON, || {
            if self.sentinels[id - 1].log().contains(words) { Ok(()) } else { Err("not yet".to_owned()) }
        });
    }
}

#[test]
fn a_failover_with_three_sentinels_where_everything_is_encrypted() {
    let mut world = world();
    (1..=3).for_each(|id| world.wait_until_whole(id));
    let new = world.fail_over();

    let (ca, cert, key) = (world.ca.file("ours.crt"), world.ca.file("ours-node.crt"), world.ca.file("ours-node.key"));
    let told = world.operator(&["--tls", "--cacert", &ca, "--cert", &cert, "--key", &key]).success();
    assert!(told.contains(&format!("127.0.0.1:{new}")), "{told}");
    // Nobody gets in without a certificate, or in clear text, and both are told why.
    let bare = world.operator(&["--tls", "--cacert", &ca]);
    assert!(turned_away(&bare), "{bare:?}");
    let clear = world.operator(&[]);
    assert!(turned_away(&clear), "{clear:?}");
    world.wait_for_log(1, "a connection to the gRPC port from this host is turned away");
    let stranger = Authority::new(&folder(&world, "elsewhere"), "theirs");
    let (cert, key) = (stranger.file("theirs-node.crt"), stranger.file("theirs-node.key"));
    let forged = world.operator(&["--tls", "--cacert", &ca, "--cert", &cert, "--key", &key]);
    assert!(turned_away(&forged), "{forged:?}");
    let fooled = world.operator(&["--tls", "--cacert", &stranger.file("theirs.crt"), "--cert", &cert, "--key", &key]);
    assert!(fooled.stderr.contains("UnknownIssuer"), "{fooled:?}");

    for port in [world.sentinels[0].ports.raft, world.sentinels[0].ports.grpc] {
        assert_deaf_to_clear_text(port);
    }
}

/// In TLS 1.3 the one who connects may see the end of the connection before the reason for it.
fn turned_away(ended: &program::Ended) -> bool {
    let told = ["no TLS connection: received fatal alert", "see --tls, --cacert, --cert and --key"];
    ended.stdout.is_empty() && told.iter().any(|words| ended.stderr.contains(words))
}

/// Begins HTTP/2 in clear text, as a peer or a client would: a server that takes it answers with its settings (frame type 4).
fn assert_deaf_to_clear_text(port: u16) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the port is open");
    stream.set_read_timeout(Some(SOON)).expect("a limit can be set");
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").expect("it is taken in");
    let mut answer = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut answer);
    assert_ne!(answer.get(3), Some(&4), "{port} talks in clear text: {answer:?}");
    assert!(answer.first().is_none_or(|first| *first == 21), "{port} says something else than a TLS alert: {answer:?}");
}

fn folder(world: &World, name: &str) -> std::path::PathBuf {
    let dir = world.scratch.path().join(name);
    std::fs::create_dir_all(&dir).expect("a folder below a scratch folder can be made");
    dir
}

#[test]
fn a_peer_with_a_certificate_of_another_authority_is_kept_out() {
    let mut world = world();
    (1..=3).for_each(|id| world.wait_until_whole(id));
    // Sentinel 3 trusts the others, and has what nobody trusts.
    let theirs = Authority::new(world.scratch.path(), "theirs");
    theirs.issue("n3", &["127.0.0.1"]);
    world.sentinels[2].restart();
    world.wait_for_log(3, "our own certificate would be refused");
    world.wait_for_log(1, "a connection to the port for peers from this host is turned away");
    world.wait_for_log(1, "no TLS connection to sentinel 3 (raft tls)");
    world.timeline.wait_for("sentinel 3 answers nobody", SOON, || match world.sentinels[2].ask(&["SENTINEL", "CKQUORUM", GROUP]) {
        Ok(reply) if reply.error().is_some_and(|text| text.starts_with("NOQUORUM")) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let both = world.wait_for_master(&[1, 2], &world.ports());
    assert!(world.sentinels[2].master().is_err());

    // The right files, and nobody is restarted.
    give(world.scratch.path(), 3, &world.ca, "ours");
    assert_eq!(world.wait_for_master(&[1, 2, 3], &world.ports()), both);
    world.wait_until_whole(3);
    world.fail_over();
}

#[test]
fn certificates_are_rotated_under_a_cluster() {
    let mut world = world();
    (1..=3).for_each(|id| world.wait_until_whole(id));
    let dir = world.scratch.path().to_owned();
    let next = Authority::new(&dir, "next");
    let [old_text, new_text] = ["ours", "next"].map(|name| std::fs::read_to_string(dir.join(format!("{name}.crt"))).expect("it is there"));
    // First everybody trusts both authorities, the servers' too, which goes on; then everybody gets a certificate of the new one.
    std::fs::write(dir.join("both.crt"), old_text + &new_text).expect("it can be written");
    let renewed = |world: &World, count: usize| {
        for id in 1..=3 {
            world.timeline.wait_for(&format!("sentinel {id} has read its files {count} times more"), SOON, || {
                let said =
                    world.sentinels[id - 1].log().matches("the certificates for connections to peers have changed and are in use").count();
                if said >= count { Ok(()) } else { Err(format!("{said}")) }
            });
        }
    };
    (1..=3).for_each(|id| give(&dir, id, &world.ca, "both"));
    renewed(&world, 1);
    let servers = dir.join("ours.crt");
    std::fs::copy(dir.join("both.crt"), &servers).expect("it can be written");
    for (server, _) in &world.servers {
        // Servers read their files when they are told to.
        let told = server.ask(&["CONFIG", "SET", "tls-ca-cert-file", &servers.display().to_string()]).expect("it answers");
        assert!(told.is_ok(), "{told}");
    }
    (1..=3).for_each(|id| give(&dir, id, &next, "both"));
    renewed(&world, 2);
    // One that is started again makes new connections, to both of the others: the new certificates are what they see.
    world.sentinels[0].restart();
    let words = ["SENTINEL", "get-master-addr-by-name", GROUP];
    assert!(master_port(&world.sentinels[0].answer(&words)).is_some());
    world.wait_until_whole(1);
    world.fail_over();
    assert!(!world.sentinels.iter().any(|sentinel| sentinel.log().contains("is turned away")), "nobody was kept out on the way");
}

/// An application of the same authority at the port for peers of sentinel 1.
fn application_is_refused(world: &World, cert: &str, why: &str) {
    use raft_sentinel::base::{Addr, KeyPair, TlsSettings};
    use raft_sentinel::proto::peer::{PingRequest, peer_client::PeerClient};
    let pair = KeyPair { cert: world.ca.file(&format!("{cert}.crt")).into(), key: world.ca.file(&format!("{cert}.key")).into() };
    let settings = TlsSettings { client: Some(pair), ca_file: Some(world.ca.file("ours.crt").into()), ..TlsSettings::default() };
    let tls = raft_sentinel::tls::ClientTls::load_h2("connections of a test", &settings).expect("the files are there");
    let dial = raft_sentinel::transport::Dial { tls: Some(tls), proof: None, within: SOON };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    let refused = runtime.block_on(async {
        let endpoint = dial
            .endpoint(&Addr::new("127.0.0.1", world.sentinels[0].ports.raft).expect("an address"))
            .expect("an address makes a valid URI");
        PeerClient::new(dial.lazy(&endpoint)).ping(PingRequest::default()).await
    });
    let status = refused.expect_err("it is no sentinel");
    // Which one depends on whether the request was on its way already when the connection was closed.
    let unanswered = [tonic::Code::Unavailable, tonic::Code::Unknown, tonic::Code::Cancelled].contains(&status.code());
    assert!(unanswered && !status.to_string().contains("allowed-names"), "{status}");
    world.wait_for_log(1, why);
}

#[test]
fn a_certificate_of_an_application_is_no_sentinels() {
    use rcgen::ExtendedKeyUsagePurpose::ClientAuth;
    let mut world = world_with(&["# no secret"]);
    (1..=3).for_each(|id| world.wait_until_whole(id));
    world.ca.issue_for("application", &["app.example"], &[ClientAuth]);
    application_is_refused(&world, "application", "'application, app.example' is not made for both ends of a connection");
    world.fail_over();
}

#[test]
fn with_names_only_certificates_that_bear_one_are_sentinels() {
    let mut world = world_with(&["# no secret", "raft tls-allowed-names n1 n2 n3"]);
    (1..=3).for_each(|id| world.wait_until_whole(id));
    world.ca.issue("application", &["app.example"]);
    application_is_refused(&world, "application", "the certificate names 'application, app.example', and none of raft tls-allowed-names");
    // One of the sentinels gets a certificate of another name, and is out; with the right one it is in again.
    world.ca.issue("n3-renamed", &["127.0.0.1"]);
    let dir = world.scratch.path().to_owned();
    for end in ["crt", "key"] {
        std::fs::copy(dir.join(format!("n3-renamed.{end}")), dir.join(format!("n3.{end}"))).expect("it can be written");
    }
    world.sentinels[2].restart();
    world.wait_for_log(3, "our own certificate would be refused");
    world.wait_for_log(1, "the certificate names 'n3-renamed, 127.0.0.1'");
    world.timeline.wait_for("sentinel 3 answers nobody", SOON, || match world.sentinels[2].ask(&["SENTINEL", "CKQUORUM", GROUP]) {
        Ok(reply) if reply.error().is_some_and(|text| text.starts_with("NOQUORUM")) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    world.ca.issue("n3", &["127.0.0.1"]);
    world.wait_until_whole(3);
    world.fail_over();
}
