//! gRPC and HTTP without, and with too few, rights.

#[path = "users/calls.rs"]
mod calls;
#[path = "users/certificates.rs"]
mod certificates;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use tonic::Code;

use crate::kit::ports::free_port;
use crate::kit::program::{self, Ended};
use crate::kit::sentinel::{Flavour, Orders, Ports, our_binary};
use crate::kit::{Conn, GROUP, RedisServer, Scratch, Sentinel, ServerOptions, Timeline};
use calls::{Caller, all_calls};

const SOON: Duration = Duration::from_secs(30);

/// Calls that change something, or show who did.
const CHANGES: [&str; 18] = [
    "AddLearner",
    "AdoptReplica",
    "ForgetReplica",
    "HandOver",
    "History",
    "MonitorGroup",
    "Promote",
    "Recover",
    "RemoveGroup",
    "RemoveMember",
    "ReplaceMember",
    "MoveMember",
    "RequestFailover",
    "SealSecrets",
    "SetOptions",
    "StandDown",
    "Switchover",
    "TakeOver",
];

/// An operator, an application that reads and watches, and nobody else.
const USERS: [&str; 3] = [
    "user default off",
    "user ops on >ops-password ~* &* +@all",
    "user app on >app-password -@all +sentinel|get-master-addr-by-name +sentinel|masters +sentinel|replicas +sentinel|sentinels +subscribe &+switch-master",
];

/// A master, a replica, and a sentinel that watches them.
struct World {
    sentinel: Sentinel,
    servers: Vec<RedisServer>,
    timeline: Timeline,
    scratch: Scratch,
}

impl World {
    fn start(lines: &[&str]) -> Self {
        let (scratch, timeline) = (Scratch::new(), Timeline::default());
        let master = RedisServer::start("redis-0", scratch.path(), &timeline, &ServerOptions::default());
        let follows = ServerOptions { replica_of: Some(master.addr()), ..ServerOptions::default() };
        let replica = RedisServer::start("redis-1", scratch.path(), &timeline, &follows);
        let mut all =
            vec![format!("sentinel monitor {GROUP} 127.0.0.1 {} 1", master.port), format!("sentinel auth-pass {GROUP} redis-password")];
        all.extend(lines.iter().map(|line| (*line).to_owned()));
        let orders = Orders { id: 1, peers: vec![Ports::free()], lines: all, ..Orders::default() };
        let sentinel = Sentinel::start(Flavour::Ours, scratch.path(), &timeline, &orders);
        Self { sentinel, servers: vec![master, replica], timeline, scratch }
    }

    fn at(&self, host: IpAddr) -> SocketAddr {
        (host, self.sentinel.ports.grpc).into()
    }

    fn caller(&self, login: Option<(&str, &str)>) -> Caller {
        Caller::of(self.sentinel.ports.grpc_addr(), login)
    }

    /// `raft-sentinel`, with the password in a file.
    fn operator(&self, words: &[&str], login: Option<(&str, &str)>) -> Ended {
        let file = self.scratch.path().join("password");
        let addr = self.sentinel.ports.grpc_addr().to_string();
        let mut args: Vec<&str> = words.iter().copied().chain(["--addr", &addr]).collect();
        let path = file.display().to_string();
        if let Some((user, password)) = login {
            std::fs::write(&file, format!("{password}\n")).expect("the folder can be written");
            args.extend(["--user", user, "--password-file", &path]);
        }
        program::run(&our_binary().display().to_string(), &args, SOON)
    }

    /// Waits until the sentinel answers and knows the replica.
    fn wait_until_whole(&self, login: Option<(&str, &str)>) {
        self.timeline.wait_for("the replica is known", SOON, || {
            let told = self.operator(&["replicas", GROUP], login);
            if told.stdout.contains(&format!("127.0.0.1:{}", self.servers[1].port)) { Ok(()) } else { Err(format!("{told:?}")) }
        });
    }

    /// Everything an attacker may want to change, as the operator sees it.
    fn record(&self, login: Option<(&str, &str)>) -> String {
        let masters = self.operator(&["masters", "--json"], login).success();
        let members = self.operator(&["members", "list", "--json"], login).success();
        let kept = |text: &str| {
            let mut told = serde_json::from_str(text).expect("it is JSON");
            forget_what_passes(&mut told);
            told.to_string()
        };
        kept(&masters) + &kept(&members)
    }

    fn log(&self) -> String {
        self.sentinel.log()
    }
}

/// Takes out what changes with the time alone, and with what is seen of the servers.
fn forget_what_passes(told: &mut serde_json::Value) {
    match told {
        serde_json::Value::Object(fields) => {
            fields.retain(|name, _| !name.contains("age_ms") && !name.contains("index") && name != "readiness");
            fields.values_mut().for_each(forget_what_passes);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(forget_what_passes),
        _ => {}
    }
}

/// The address under which other hosts reach this one.
fn own_address() -> IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket can be made");
    // Nothing is sent: the kernel only says from where it would be.
    socket.connect("198.51.100.1:9").expect("this test needs an address that is not loopback");
    let own = socket.local_addr().expect("it is bound").ip();
    assert!(!own.is_loopback(), "this test needs an address that is not loopback");
    own
}

/// Lines with which gRPC and HTTP are reached under this host's own address as well.
fn everywhere(own: IpAddr, http: u16) -> [String; 2] {
    [format!("grpc listen {own}:{}", free_port()), format!("http listen 0.0.0.0:{http}")]
}

fn http(at: SocketAddr, path: &str, login: Option<&str>) -> (String, String) {
    let url = format!("http://{at}{path}");
    let mut args = vec!["-s", "-o", "-", "-w", "\n%{http_code}", &url];
    if let Some(login) = login {
        args.extend(["-u", login]);
    }
    let said = program::run("curl", &args, SOON).success();
    let (body, code) = said.rsplit_once('\n').expect("curl writes the code behind the body");
    (code.to_owned(), body.to_owned())
}

#[test]
fn a_stranger_without_a_password_gets_nothing_and_changes_nothing() {
    let world = World::start(&["requirepass secret-of-all", "protected-mode yes"]);
    let login = Some(("default", "secret-of-all"));
    world.wait_until_whole(login);
    let before = world.record(login);
    for wrong in [None, Some(("default", "guess")), Some(("nobody", "secret-of-all")), Some(("", ""))] {
        let caller = world.caller(wrong);
        for call in all_calls() {
            let code = caller.call(&call).code();
            match call.starts_with("/grpc.health.") {
                true => assert_ne!(code, Code::Unauthenticated, "{call}: load balancers have no password"),
                false => assert_eq!(code, Code::Unauthenticated, "{call} as {wrong:?}"),
            }
        }
    }
    // The calls that were seen to do harm, in full.
    let addr = world.sentinel.ports.grpc_addr().to_string();
    for words in [
        &["members", "add", "7", "127.0.0.1:1"][..],
        &["members", "remove", "1"],
        &["failover", GROUP, "--force", "--accept-loss"],
        &["set", GROUP, "--quorum", "9"],
        &["take-over", GROUP],
    ] {
        let refused = world.operator(words, None);
        assert!(refused.stderr.contains(&addr) && refused.stderr.contains("--user NAME and --password-file FILE"), "{refused:?}");
    }
    assert_eq!(world.record(login), before);
    let (code, body) = http((Ipv4Addr::LOCALHOST, world.sentinel.ports.http).into(), "/metrics", None);
    assert_eq!((code.as_str(), body.contains(GROUP)), ("401", false), "{body}");
    let (code, body) = http((Ipv4Addr::LOCALHOST, world.sentinel.ports.http).into(), "/metrics", Some("default:secret-of-all"));
    assert_eq!(code, "200");
    assert!(body.contains("raft_sentinel_logins_failed_total{port=\"grpc\"}"), "{body}");
    for secret in ["secret-of-all", "redis-password"] {
        assert!(!world.log().contains(secret) && !body.contains(secret) && !before.contains(secret), "{secret} is shown");
    }
}

#[test]
fn a_reader_reads_and_watches_and_may_do_nothing_else() {
    let world = World::start(&USERS);
    world.wait_until_whole(Some(("ops", "ops-password")));
    let before = world.record(Some(("ops", "ops-password")));
    let (reader, operator) = (world.caller(Some(("app", "app-password"))), world.caller(Some(("ops", "ops-password"))));
    for call in all_calls() {
        let (name, refused) = (call.rsplit('/').next().unwrap_or_default(), reader.call(&call));
        let denied = refused.code() == Code::PermissionDenied;
        assert_eq!(denied, CHANGES.contains(&name), "{call}: {refused:?}");
        assert!(!denied || refused.message().contains("user 'app' may not "), "{call}: {refused:?}");
        assert_ne!(operator.call(&call).code(), Code::PermissionDenied, "{call} by the operator");
    }
    assert_eq!(world.record(Some(("ops", "ops-password"))), before, "empty requests change nothing, whoever sends them");
    let told = world.operator(&["set", GROUP, "--quorum", "1"], Some(("app", "app-password")));
    assert!(told.stderr.contains("that needs the right to sentinel|set on the SENTINEL port"), "{told:?}");
    world.operator(&["set", GROUP, "--quorum", "1"], Some(("ops", "ops-password"))).success();
    // What was denied is in ACL LOG, as if it had been tried on the SENTINEL port.
    let mut conn = world.sentinel.conn().expect("it answers");
    assert!(conn.ask(&["AUTH", "ops", "ops-password"]).expect("it answers").is_ok());
    let log = conn.ask(&["ACL", "LOG", "100"]).expect("it answers").to_string();
    assert!(log.contains("sentinel|set") && log.contains("port=grpc"), "{log}");
}

#[test]
fn a_watch_ends_with_the_right_to_it() {
    let world = World::start(&USERS);
    world.wait_until_whole(Some(("ops", "ops-password")));
    let watching = world.caller(Some(("app", "app-password"))).watch();
    let mut conn = world.sentinel.conn().expect("it answers");
    assert!(conn.ask(&["AUTH", "ops", "ops-password"]).expect("it answers").is_ok());
    assert!(conn.ask(&["ACL", "SETUSER", "app", "resetchannels"]).expect("it answers").is_ok());
    assert_eq!(watching.end().code(), Code::PermissionDenied);
    let again = world.caller(Some(("app", "app-password"))).call("/raftsentinel.v1.Sentinel/WatchMasters");
    assert_eq!(again.code(), Code::PermissionDenied);
}

#[test]
fn without_users_only_this_host_changes_anything() {
    let (own, port) = (own_address(), free_port());
    let [grpc, open_http] = everywhere(own, port);
    let far = SocketAddr::new(own, grpc.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port"));
    let world = World::start(&[&grpc, &open_http]);
    world.wait_until_whole(None);
    let before = world.record(None);
    let (stranger, near) = (Caller::of(far, None), world.caller(None));
    for call in all_calls() {
        let (name, refused) = (call.rsplit('/').next().unwrap_or_default(), stranger.call(&call));
        assert_eq!(refused.code() == Code::PermissionDenied, CHANGES.contains(&name), "{call}: {refused:?}");
        assert_ne!(near.call(&call).code(), Code::PermissionDenied, "{call} from this host");
    }
    let text = stranger.call("/raftsentinel.admin.v1.Admin/SetOptions").message().to_owned();
    assert!(text.contains("only for the host that this sentinel runs on") && text.contains("grpc admin-without-password yes"), "{text}");
    assert_eq!(world.record(None), before);
    assert_eq!(http((own, port).into(), "/metrics", None).0, "200", "protected-mode is off, as in stock Sentinel");

    // With protected mode it answers nothing but that it works.
    let [grpc, open_http] = everywhere(own, port);
    let far = SocketAddr::new(own, grpc.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port"));
    drop(world);
    let world = World::start(&[&grpc, &open_http, "protected-mode yes", &format!("bind 127.0.0.1 {own}")]);
    world.wait_until_whole(None);
    let stranger = Caller::of(far, None);
    for call in all_calls() {
        let refused = stranger.call(&call);
        assert_eq!(refused.code() == Code::PermissionDenied, !call.starts_with("/grpc.health."), "{call}: {refused:?}");
    }
    let denied = Conn::open_at((own, world.sentinel.ports.resp).into(), SOON).and_then(|mut conn| conn.read());
    assert!(denied.expect("it says why").error().is_some_and(|text| text.starts_with("DENIED ")));
    let (code, body) = http((own, port).into(), "/metrics", None);
    assert_eq!((code.as_str(), body.contains("protected-mode is on")), ("403", true), "{body}");
    assert_eq!(http((own, port).into(), "/healthz", None), ("200".to_owned(), "ok\n".to_owned()));
    assert_eq!(http((own, port).into(), "/readyz", None), ("200".to_owned(), "ready\n".to_owned()), "without details");
    let (_, near) = http((Ipv4Addr::LOCALHOST, port).into(), "/readyz", None);
    assert!(near.starts_with("ready; applied up to "), "{near}");

    // And an operator may say that the network is closed.
    let [grpc, open_http] = everywhere(own, port);
    let far = SocketAddr::new(own, grpc.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port"));
    drop(world);
    let world = World::start(&[&grpc, &open_http, "grpc admin-without-password yes"]);
    world.wait_until_whole(None);
    assert_ne!(Caller::of(far, None).call("/raftsentinel.admin.v1.Admin/SetOptions").code(), Code::PermissionDenied);
    assert!(world.log().contains("EVERYBODY who reaches"), "{}", world.log());
}

#[test]
fn guesses_are_limited_by_address_and_told_once() {
    let own = own_address();
    let grpc = format!("grpc listen {own}:{}", free_port());
    let far = SocketAddr::new(own, grpc.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port"));
    let world = World::start(&["user default off", "user ops on >right ~* &* +@all", &grpc, &format!("bind 127.0.0.1 {own}")]);
    let status = "/raftsentinel.v1.Sentinel/Status";
    let as_ops = |at, password: &str| Caller::of(at, Some(("ops", password))).call(status).code();
    assert_eq!(as_ops(far, "right"), Code::Ok);
    // An old password, again and again, is no guess.
    for _ in 0..40 {
        assert_eq!(as_ops(far, "last-years"), Code::Unauthenticated);
    }
    let codes: Vec<Code> = (0..40).map(|guess| as_ops(far, &format!("guess-{guess}\n+switch-master"))).collect();
    assert!(codes.iter().filter(|code| **code == Code::Unauthenticated).count() <= 12, "{codes:?}");
    assert!(codes.iter().filter(|code| **code == Code::ResourceExhausted).count() >= 28, "{codes:?}");
    assert_eq!(as_ops(far, "right"), Code::Ok, "who was in before stays in");
    // The same address is refused on the SENTINEL port, and this host is not.
    let auth = |at: IpAddr, user: &str, password: &str| {
        let conn = Conn::open_at((at, world.sentinel.ports.resp).into(), SOON);
        conn.and_then(|mut conn| conn.ask(&["AUTH", user, password])).expect("it answers")
    };
    let refused = auth(own, "app", "x");
    assert!(refused.error().is_some_and(|text| text.starts_with("WRONGPASS too many wrong passwords")), "{refused}");
    assert!(auth(Ipv4Addr::LOCALHOST.into(), "ops", "right").is_ok());
    let local = world.at(Ipv4Addr::LOCALHOST.into());
    for guess in 0..12 {
        assert_eq!(as_ops(local, &format!("local-{guess}")), Code::Unauthenticated);
    }
    assert_eq!(as_ops(local, "right"), Code::Ok, "an operator on this host is never kept out");
    let log = world.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("a login as ")).collect();
    assert_eq!(lines.iter().filter(|line| line.contains(&format!("from {own} failed"))).count(), 1, "{lines:?}");
    assert!(!log.contains("guess-") && !log.contains("right"), "no password is in the log");
}

#[test]
fn what_a_stranger_calls_himself_makes_no_line_of_the_log() {
    let world = World::start(&["requirepass x"]);
    let name = format!("a\n2026-11-27 +switch-master {GROUP} {}", "b".repeat(4000));
    assert_eq!(world.caller(Some((&name, "p"))).call("/raftsentinel.v1.Sentinel/Status").code(), Code::Unauthenticated);
    let log = world.log();
    let told = log.lines().find(|line| line.contains("a login as ")).expect("it is told");
    assert!(told.contains(r"'a\n2026-11-27 +switch-master") && told.len() < 400, "{told}");
    assert!(!log.lines().any(|line| line.starts_with("2026-11-27 +switch-master")));
}

#[test]
fn passwords_come_from_files_and_the_environment_and_the_gate_takes_them_too() {
    let world = World::start(&USERS);
    world.wait_until_whole(Some(("ops", "ops-password")));
    let (binary, addr) = (our_binary().display().to_string(), world.sentinel.ports.grpc_addr().to_string());
    let by_env = |variables: &[(&str, &str)]| {
        let mut words: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        words.extend([binary.clone(), "masters".to_owned(), "--addr".to_owned(), addr.clone()]);
        program::run("env", &words.iter().map(String::as_str).collect::<Vec<_>>(), SOON)
    };
    let told = by_env(&[("RAFT_SENTINEL_USER", "app"), ("RAFT_SENTINEL_PASSWORD", "app-password")]).success();
    assert!(told.contains(GROUP), "{told}");
    let file = write(world.scratch.path(), "app-password-file", "app-password\n");
    let told = by_env(&[("RAFT_SENTINEL_USER", "app"), ("RAFT_SENTINEL_PASSWORD_FILE", &file)]).success();
    assert!(told.contains(GROUP), "{told}");
    let told = by_env(&[("RAFT_SENTINEL_USER", "app")]);
    assert!(told.stderr.contains("--user app needs a password"), "{told:?}");

    let gate = |login: &[&str]| {
        let port = world.servers[1].port.to_string();
        let own = format!("127.0.0.1:{port}");
        let mut args = vec!["gate", "--group", GROUP, "--sentinel", &addr, "--self", &own, "--timeout", "3"];
        args.extend(login);
        args.extend(["--", "echo", "--port", &port]);
        program::run(&binary, &args, SOON)
    };
    let started = gate(&["--user", "app", "--password-file", &file]);
    assert!(started.stdout.contains(&format!("--replicaof 127.0.0.1 {}", world.servers[0].port)), "{started:?}");
    let waits = gate(&[]);
    assert_eq!(waits.code, Some(75), "{waits:?}");
    assert!(waits.stderr.contains("asks for a user and a password"), "{waits:?}");
}

/// Three sentinels with [`USERS`], and a master that they watch.
fn three(scratch: &Scratch, timeline: &Timeline) -> (RedisServer, Vec<Sentinel>) {
    let master = RedisServer::start("redis-0", scratch.path(), timeline, &ServerOptions::default());
    let ports: Vec<Ports> = (0..3).map(|_| Ports::free()).collect();
    let mut lines = vec![format!("sentinel monitor {GROUP} 127.0.0.1 {} 2", master.port)];
    lines.extend(USERS.map(str::to_owned));
    let start = |id| {
        let orders = Orders { id, peers: ports.clone(), lines: lines.clone(), ..Orders::default() };
        Sentinel::start(Flavour::Ours, scratch.path(), timeline, &orders)
    };
    (master, (1..=3).map(start).collect())
}

#[test]
fn every_change_that_somebody_asked_for_is_on_record_everywhere() {
    let (scratch, timeline) = (Scratch::new(), Timeline::default());
    let (_master, mut sentinels) = three(&scratch, &timeline);
    let (ops, app) = (write(scratch.path(), "ops", "ops-password\n"), write(scratch.path(), "app", "app-password\n"));
    let binary = our_binary().display().to_string();
    let ask = |sentinel: &Sentinel, words: &[&str], user: &str, file: &str| {
        let addr = sentinel.ports.grpc_addr().to_string();
        let login = ["--addr", &addr, "--user", user, "--password-file", file];
        program::run(&binary, &words.iter().copied().chain(login).collect::<Vec<_>>(), SOON)
    };
    timeline.wait_for("a quorum answers everywhere", SOON, || {
        let told: Vec<_> = sentinels.iter().map(|sentinel| ask(sentinel, &["masters"], "ops", &ops)).collect();
        if told.iter().all(|told| told.stdout.contains(GROUP)) { Ok(()) } else { Err(format!("{told:?}")) }
    });
    let say = |sentinel: &Sentinel, words: &[&str]| {
        let mut conn = sentinel.conn().expect("it answers");
        assert!(conn.ask(&["AUTH", "ops", "ops-password"]).expect("it answers").is_ok());
        conn.ask(words).expect("it answers")
    };
    // Each through another sentinel: two of them pass it on to the leader.
    for (sentinel, quorum) in sentinels.iter().zip(["1", "3", "2"]) {
        timeline.wait_for("it is set", SOON, || {
            let reply = say(sentinel, &["SENTINEL", "SET", GROUP, "quorum", quorum, "auth-pass", "planted-secret"]);
            // A secret waits until all sentinels have said which keys they have.
            assert!(reply.is_ok() || reply.to_string().contains("have presented themselves yet"), "{reply}");
            if reply.is_ok() { Ok(()) } else { Err(reply.to_string()) }
        });
    }
    ask(&sentinels[1], &["set", GROUP, "--quorum", "1"], "ops", &ops).success();
    assert!(say(&sentinels[2], &["ACL", "SETUSER", "guest", "on", ">planted-secret", "+ping"]).is_ok());
    assert!(say(&sentinels[0], &["SENTINEL", "CONFIG", "SET", "sentinel-pass", "planted-secret"]).is_ok());
    // Refused: by a right, and by the state.
    assert_ne!(ask(&sentinels[0], &["set", GROUP, "--quorum", "9"], "app", &app).code, Some(0));
    assert!(say(&sentinels[0], &["SENTINEL", "FORGET", GROUP, "10.9.9.9:1"]).error().is_some());

    let expected = ["set quorum 1, auth-pass", "set quorum 3, auth-pass", "set quorum 2, auth-pass", "set quorum 1"];
    let shown = |sentinel: &Sentinel| {
        let text = ask(sentinel, &["history", "--json"], "ops", &ops).success();
        serde_json::from_str::<serde_json::Value>(&text).expect("it is JSON")["requests"].as_array().cloned().unwrap_or_default()
    };
    let check = |sentinels: &[Sentinel]| {
        for sentinel in sentinels {
            let records = timeline.wait_for("what was changed of one sentinel is recorded as well", SOON, || {
                let records = shown(sentinel);
                if records.len() == 6 { Ok(records) } else { Err(format!("{records:?}")) }
            });
            let words: Vec<&str> = records.iter().rev().filter_map(|record| record["what"].as_str()).collect();
            assert_eq!(words[..4], expected, "{records:?}");
            assert!(words.contains(&"acl setuser guest on >*** +ping") && words.contains(&"config set sentinel-pass"), "{records:?}");
            assert!(
                records
                    .iter()
                    .all(|record| record["user"] == "ops" && record["address"].as_str().is_some_and(|at| at.starts_with("127.0.0.1:")))
            );
            let ports: Vec<_> = records.iter().rev().take(4).map(|record| (record["port"].as_str(), record["sentinel"].as_u64())).collect();
            let expected = [("sentinel", 1), ("sentinel", 2), ("sentinel", 3), ("grpc", 2)];
            assert_eq!(ports, expected.map(|(port, id)| (Some(port), Some(id))));
            assert!(!format!("{records:?}").contains("planted-secret"));
        }
    };
    check(&sentinels);
    let refused = ask(&sentinels[0], &["history"], "app", &app);
    assert!(refused.stderr.contains("that needs the right to acl|log"), "{refused:?}");
    for sentinel in &mut sentinels {
        sentinel.restart();
    }
    timeline.wait_for("they answer again", SOON, || {
        let told = ask(&sentinels[0], &["masters"], "ops", &ops);
        if told.code == Some(0) { Ok(()) } else { Err(format!("{told:?}")) }
    });
    check(&sentinels[..1]);
    // It is one sentinel's again, and so are its users: the log is what lasts.
    let table = ask(&sentinels[0], &["history", "--group", GROUP, "--limit", "1"], "ops", &ops).success();
    assert!(table.contains("set quorum 1") && !table.contains("auth-pass"), "{table}");
}

#[test]
fn a_decision_tells_who_asked_for_it_and_only_to_those_who_may_know() {
    let world = World::start(&USERS);
    let (ops, app) = (Some(("ops", "ops-password")), Some(("app", "app-password")));
    world.wait_until_whole(ops);
    world.timeline.wait_for("the failover is taken", SOON, || {
        let told = world.operator(&["failover", GROUP], ops);
        if told.code == Some(0) { Ok(()) } else { Err(format!("{told:?}")) }
    });
    let told = world.operator(&["decisions", GROUP], ops).success();
    assert!(told.contains("user 'ops' from 127.0.0.1:"), "{told}");
    let told = world.operator(&["decisions", GROUP], app).success();
    assert!(told.contains("an operator asked for it") && !told.contains("'ops'"), "{told}");
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("the folder can be written");
    path.display().to_string()
}
