//! Secrets are planted, and then looked for: in every file, on the wire between sentinels, in all that is told.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use raft_sentinel::proto::sentinel::{GroupView, Health};

use crate::kit::ports::free_port;
use crate::kit::program;
use crate::kit::resp::Reply;
use crate::kit::sentinel::{Orders, Ports, our_binary, write_secret};
use crate::kit::{Cluster, Flavour, GROUP, Plan, RedisServer, Scratch, Sentinel, ServerOptions, Timeline};

const SOON: Duration = Duration::from_secs(40);
/// What all planted secrets have in common.
const MARK: &str = "pl4nted";
const SERVERS: &str = "pl4nted-password-of-the-servers";
const LATER: &str = "pl4nted-password-set-later";
const WEBHOOK: &str = "pl4nted-token-of-a-webhook";
const ACL: &str = "pl4nted-password-of-a-user";
const STOCK: &str = "pl4nted-sentinel-pass";
const SECRET: &str = "pl4nted 0123456789abcdef 0123456789abcdef";
const NEXT: &str = "pl4nted fedcba9876543210 fedcba9876543210";

/// Relays connections to a sentinel's Raft port, and writes down all that is said, in both directions.
struct Wire {
    port: u16,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Wire {
    fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback works");
        let port = listener.local_addr().expect("it is bound").port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let writes = Arc::clone(&heard);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Ok(onward) = TcpStream::connect(("127.0.0.1", target)) else { continue };
                let (back, there) = (stream.try_clone(), onward.try_clone());
                let (Ok(back), Ok(there)) = (back, there) else { continue };
                let (one, other) = (Arc::clone(&writes), Arc::clone(&writes));
                thread::spawn(move || relay(stream, onward, &one));
                thread::spawn(move || relay(there, back, &other));
            }
        });
        Self { port, heard }
    }
}

fn relay(mut from: TcpStream, mut to: TcpStream, heard: &Mutex<Vec<u8>>) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        heard.lock().expect("it only appends").extend_from_slice(&bytes[..read]);
        if to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

/// Three sentinels that reach each other through recorded wires, and three servers with a password.
struct Planted {
    cluster: Cluster,
    wires: Vec<Wire>,
    files: Vec<PathBuf>,
}

impl Planted {
    fn start(secret: Option<&str>) -> Self {
        let (scratch, timeline) = (Scratch::new(), Timeline::default());
        let mut options = ServerOptions { password: Some(SERVERS.to_owned()), ..ServerOptions::default() };
        let master = RedisServer::start("redis-0", scratch.path(), &timeline, &options);
        options.replica_of = Some(master.addr());
        let mut servers = vec![master];
        servers.extend((1..=2).map(|n| RedisServer::start(&format!("redis-{n}"), scratch.path(), &timeline, &options)));

        let own: Vec<Ports> = (0..3).map(|_| Ports::free()).collect();
        let wires: Vec<Wire> = own.iter().map(|ports| Wire::to(ports.raft)).collect();
        let peers: Vec<Ports> = own.iter().zip(&wires).map(|(ports, wire)| Ports { raft: wire.port, ..*ports }).collect();
        let secrets = scratch.path().join("secrets");
        fs::create_dir_all(&secrets).expect("the folder is ours");
        let files: Vec<PathBuf> = (1..=3).map(|id| secrets.join(format!("secret-{id}"))).collect();
        let start = |id: usize| {
            let mut lines = vec![
                format!("raft advertise 127.0.0.1:{}", peers[id - 1].raft),
                "loglevel debug".to_owned(),
                format!("user planted on >{ACL} ~* &* +@all"),
                "user default on nopass ~* &* +@all".to_owned(),
                format!("sentinel sentinel-pass {STOCK}"),
                format!("sentinel monitor {GROUP} 127.0.0.1 {} 2", servers[0].port),
                format!("sentinel down-after-milliseconds {GROUP} 1000"),
                format!("sentinel auth-pass {GROUP} {SERVERS}"),
                format!("sentinel notification-webhook {GROUP} http://127.0.0.1:{}/{WEBHOOK}", free_port()),
            ];
            lines.push(match secret {
                Some(secret) => format!("raft secret-file {}", write_secret(&files[id - 1], &[secret]).display()),
                None => "# no secret".to_owned(),
            });
            let orders = Orders { id, peers: peers.clone(), lines, joins: Some(own[id - 1]), ..Orders::default() };
            Sentinel::start(Flavour::Ours, scratch.path(), &timeline, &orders)
        };
        let sentinels = (1..=3).map(start).collect();
        let plan = Plan { password: Some(SERVERS.to_owned()), ..Plan::new(Flavour::Ours) };
        let cluster = Cluster { sentinels, servers, timeline, plan, scratch };
        cluster.wait_until_formed();
        Self { cluster, wires, files }
    }

    fn group(&self, id: usize) -> Result<GroupView, String> {
        let status = self.cluster.status(id)?;
        status.groups.into_iter().next().ok_or_else(|| "no group".to_owned())
    }

    /// Waits until all secrets of the group are sealed with one key, and returns its id.
    fn wait_until_sealed(&self, id: usize, unlike: &str) -> String {
        self.cluster.timeline.wait_for("all secrets are sealed with one key", SOON, || match &self.group(id)?.secret_keys[..] {
            [one, other] if one == other && one != "clear" && one != unlike => Ok(one.clone()),
            keys => Err(format!("{keys:?}")),
        })
    }

    /// Waits until these sentinels have taken up a changed secret file so many times.
    fn wait_for_new_files(&self, times: usize, ids: &[usize]) {
        for id in ids {
            self.cluster.timeline.wait_for(&format!("sentinel {id} reads its secret file again"), SOON, || {
                let found = self.cluster.sentinel(*id).log().matches("have changed and are in use").count();
                if found >= times { Ok(()) } else { Err(format!("{found} times")) }
            });
        }
    }

    /// Everything that lies in the folders of the sentinels, but the files that an operator wrote.
    fn in_files(&self) -> Vec<String> {
        let written = |path: &Path| !path.ends_with("sentinel.conf");
        self.cluster.sentinels.iter().flat_map(|sentinel| found_below(sentinel.dir(), &written)).collect()
    }

    fn on_the_wire(&self) -> Vec<String> {
        let heard = self.wires.iter().enumerate();
        heard.flat_map(|(n, wire)| found(&format!("wire {n}"), &wire.heard.lock().expect("it only appends"))).collect()
    }

    fn wire_bytes(&self) -> usize {
        self.wires.iter().map(|wire| wire.heard.lock().expect("it only appends").len()).sum()
    }
}

fn found_below(dir: &Path, wanted: &dyn Fn(&Path) -> bool) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).expect("it is a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.extend(found_below(&path, wanted));
        } else if wanted(&path) {
            all.extend(found(&path.display().to_string(), &fs::read(&path).unwrap_or_default()));
        }
    }
    all
}

/// Where a planted secret is in some bytes, with what is around it; hexadecimal digits of one count, too.
fn found(place: &str, bytes: &[u8]) -> Vec<String> {
    let hex = MARK.bytes().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    [MARK, &hex]
        .iter()
        .filter_map(|mark| {
            let at = bytes.windows(mark.len()).position(|window| window == mark.as_bytes())?;
            let around = String::from_utf8_lossy(&bytes[at.saturating_sub(80)..bytes.len().min(at + 80)]).into_owned();
            Some(format!("{place} at {at}: {around:?}"))
        })
        .collect()
}

#[test]
fn planted_secrets_are_in_no_file_on_no_wire_and_told_by_nobody() {
    let planted = Planted::start(Some(SECRET));
    let cluster = &planted.cluster;
    planted.wait_until_sealed(1, "");
    // Through each sentinel, so that it is passed on to the leader by two of them.
    let mut events = cluster.sentinel(1).conn().expect("it answers");
    events.ask(&["PSUBSCRIBE", "*"]).expect("it listens");
    let mut told = String::new();
    for sentinel in &cluster.sentinels {
        for pass in [LATER, SERVERS] {
            sentinel.expect_ok(&["SENTINEL", "SET", GROUP, "auth-pass", pass]);
        }
        for words in [
            &["SENTINEL", "CONFIG", "GET", "*"][..],
            &["SENTINEL", "MASTERS"],
            &["SENTINEL", "MASTER", GROUP],
            &["SENTINEL", "REPLICAS", GROUP],
            &["SENTINEL", "SENTINELS", GROUP],
            &["SENTINEL", "INFO-CACHE", GROUP],
            &["SENTINEL", "PENDING-SCRIPTS"],
            &["SENTINEL", "DEBUG"],
            &["ACL", "LIST"],
            &["ACL", "GETUSER", "planted"],
            &["ACL", "LOG"],
            &["CLIENT", "LIST"],
            &["INFO", "everything"],
            &["SENTINEL", "SET", GROUP, "auth-pass", LATER, "no-such-option", "1"],
            &["SENTINEL", "SET", GROUP, "notification-webhook", WEBHOOK],
        ] {
            told += &sentinel.answer(words).to_string();
        }
        told += &metrics(sentinel.ports.http);
        let addr = format!("127.0.0.1:{}", sentinel.ports.grpc);
        for words in [&["status"][..], &["status", "--json"], &["masters", "--json"], &["decisions", "--json"], &["members", "list"]] {
            let words: Vec<&str> = words.iter().copied().chain(["--addr", &addr]).collect();
            let ended = program::run(&our_binary().display().to_string(), &words, SOON);
            told += &format!("{}{}", ended.stdout, ended.stderr);
        }
    }
    let set = cluster.timeline.wait_for("the event comes", SOON, || {
        let message = events.read().map_err(|error| error.to_string())?;
        let text: Vec<String> = message.items().iter().filter_map(Reply::text).collect();
        if text.iter().any(|word| word == "+set") { Ok(text.join(" ")) } else { Err(text.join(" ")) }
    });
    assert!(set.contains("auth-pass ******"), "{set}");
    told += &set;
    cluster.timeline.wait_for("they see the servers with the password that was set last", SOON, || cluster.formed());
    assert!(told.len() > 5000 && planted.wire_bytes() > 5000, "there was something to look through");
    let logs: String = cluster.sentinels.iter().map(Sentinel::log).collect();
    assert!(logs.contains("DEBUG"), "all is logged");
    let leaks: Vec<String> =
        planted.in_files().into_iter().chain(planted.on_the_wire()).chain(found("what was told", told.as_bytes())).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
}

fn metrics(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").expect("it takes it");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it answers");
    text
}

/// What the test above looks for is there where nothing is sealed, so that it would be found.
#[test]
fn without_a_secret_file_passwords_are_in_the_files_of_their_owner_alone() {
    let planted = Planted::start(None);
    assert_eq!(planted.group(1).expect("it answers").secret_keys, ["clear", "clear"]);
    assert!(!planted.in_files().is_empty() && !planted.on_the_wire().is_empty());
    for sentinel in &planted.cluster.sentinels {
        let open =
            |path: &Path| fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0) && !path.ends_with("sentinel.conf");
        let (ours, others) = (planted.in_files(), found_below(sentinel.dir(), &open));
        assert!(others.is_empty(), "readable by others: {others:#?} of {}", ours.len());
    }
}

#[test]
fn a_secret_is_replaced_in_steps_while_the_cluster_works() {
    let mut planted = Planted::start(Some(SECRET));
    let old = planted.wait_until_sealed(1, "");
    let addr = format!("127.0.0.1:{}", planted.cluster.sentinel(1).ports.grpc);
    let seal = || program::run(&our_binary().display().to_string(), &["seal-secrets", "--addr", &addr], SOON);
    write_secret(&planted.files[0], &[SECRET, NEXT]);
    planted.wait_for_new_files(1, &[1]);
    write_secret(&planted.files[1], &[SECRET, NEXT]);
    write_secret(&planted.files[2], &[SECRET, NEXT]);
    planted.wait_for_new_files(1, &[2, 3]);
    for file in &planted.files {
        write_secret(file, &[NEXT, SECRET]);
    }
    let new = planted.wait_until_sealed(1, &old);
    planted.wait_for_new_files(2, &[1, 2, 3]);
    let ended = seal().success();
    assert!(ended.contains(&new), "{ended}");
    for file in &planted.files {
        write_secret(file, &[NEXT]);
    }
    for id in 1..=3 {
        planted.cluster.sentinels[id - 1].restart();
    }
    planted.cluster.wait_until_formed();
    assert_eq!(planted.group(1).expect("it answers").secret_keys, [new.clone(), new]);
    let master = planted.cluster.master();
    planted.cluster.server_mut(master).kill();
    planted.cluster.wait_for_new_master(master, SOON);
    let leaks: Vec<String> = planted.in_files().into_iter().chain(planted.on_the_wire()).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
}

#[test]
fn a_sentinel_without_the_key_says_so_and_holds_nobody_down() {
    let planted = Planted::start(Some(SECRET));
    let key = planted.wait_until_sealed(3, "");
    write_secret(&planted.files[2], &[NEXT]);
    planted.cluster.timeline.wait_for("it says so", SOON, || {
        let group = planted.group(3)?;
        let why = &group.nodes.first().ok_or("no nodes")?.health_reason;
        if why.contains("cannot open the sealed password of mymaster") && why.contains(&key) { Ok(()) } else { Err(why.clone()) }
    });
    planted.cluster.timeline.holds("nobody is down", Duration::from_secs(4), || {
        let group = planted.group(1)?;
        let votes = group.master.as_ref().map_or(0, |master| master.down_votes);
        let up = group.nodes.iter().all(|node| node.health() == Health::Up);
        if votes == 0 && up { Ok(()) } else { Err(format!("{votes} votes, {:?}", group.nodes)) }
    });
    write_secret(&planted.files[2], &[SECRET]);
    planted.cluster.timeline.wait_for("it sees the servers again", SOON, || {
        let up = planted.group(3)?.nodes.iter().filter(|node| node.health() == Health::Up).count();
        if up == 3 { Ok(()) } else { Err(format!("{up} up")) }
    });
}
