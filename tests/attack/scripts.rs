//! Commands that run on the hosts of the sentinels, and commands that are renamed: a client that got in at one sentinel wants more.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use raft_sentinel::proto::admin as pb;

use crate::kit::{Cluster, Conn, Flavour, GROUP, Grpc, Plan, RedisServer, Sentinel};

const SOON: Duration = Duration::from_secs(30);
/// As long as an unwanted thing is waited for in vain.
const A_WHILE: Duration = Duration::from_secs(4);
/// Longer than a period of PING.
const SETTLED: Duration = Duration::from_millis(1500);
const SENTINELS: u64 = 3;
/// The links of a sentinel to a server: what watches, what acts, two for hellos, and the one that tries what is allowed.
const LINKS: u64 = 5;

/// Adds lines to the file of one sentinel, and starts it again with them.
fn restart_with(sentinel: &mut Sentinel, lines: &[&str]) {
    let file = fs::read_to_string(&sentinel.config).expect("it has a file");
    fs::write(&sentinel.config, format!("{file}{}\n", lines.join("\n"))).expect("the file is ours");
    sentinel.restart();
}

/// A script that leaves a file in the working directory of the sentinel that runs it.
fn script(cluster: &Cluster) -> String {
    let path = cluster.scratch.path().join("script");
    fs::write(&path, "#!/bin/sh\ntouch ran\n").expect("the folder is there");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the file is there");
    path.display().to_string()
}

fn ran(sentinel: &Sentinel) -> bool {
    sentinel.dir().join("ran").exists()
}

#[test]
fn a_script_that_one_sentinel_lets_in_runs_on_its_host_alone() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let path = script(&cluster);
    restart_with(&mut cluster.sentinels[2], &["sentinel deny-scripts-reconfig no"]);
    cluster.wait_until_formed();
    for id in [1, 2] {
        let refused = cluster.sentinel(id).answer(&["SENTINEL", "SET", GROUP, "notification-script", &path]);
        assert!(refused.error().is_some_and(|text| text.contains("denied for security reasons")), "{refused}");
    }
    for option in ["notification-script", "client-reconfig-script"] {
        cluster.sentinel(3).expect_ok(&["SENTINEL", "SET", GROUP, option, &path]);
    }
    cluster.sentinel(1).expect_ok(&["SENTINEL", "SET", GROUP, "parallel-syncs", "3"]);
    cluster.timeline.wait_until("it runs where it was let in", SOON, || ran(cluster.sentinel(3)));
    let old = cluster.master();
    cluster.server_mut(old).kill();
    cluster.wait_for_new_master(old, SOON);
    cluster.timeline.holds("it runs nowhere else", A_WHILE, || match [1, 2].map(|id| ran(cluster.sentinel(id))) {
        [false, false] => Ok(()),
        ran => Err(format!("{ran:?}")),
    });
    for id in [1, 2] {
        let told = cluster.sentinel(id).log().matches("-script-denied").count();
        assert_eq!(told, 1, "sentinel {id} tells it once, not for each event");
    }
}

#[test]
fn a_script_that_the_own_file_names_runs_whoever_else_denies() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let path = script(&cluster);
    restart_with(&mut cluster.sentinels[0], &[&format!("sentinel notification-script {GROUP} {path}")]);
    restart_with(&mut cluster.sentinels[1], &["sentinel deny-scripts-reconfig no"]);
    cluster.wait_until_formed();
    cluster.sentinel(2).expect_ok(&["SENTINEL", "SET", GROUP, "notification-script", &path]);
    cluster.timeline.wait_until("it runs on both", SOON, || ran(cluster.sentinel(1)) && ran(cluster.sentinel(2)));
    assert!(!ran(cluster.sentinel(3)));
}

/// How often a server was told to empty itself.
fn flushes(server: &RedisServer) -> u64 {
    let text = server.ask(&["INFO", "commandstats"]).ok().and_then(|reply| reply.text()).unwrap_or_default();
    let calls = text.lines().find_map(|line| line.strip_prefix("cmdstat_flushall:calls=")?.split(',').next()?.parse().ok());
    calls.unwrap_or(0)
}

fn rename_over_grpc(cluster: &Cluster, command: &str, to: &str) -> tonic::Status {
    let grpc = Grpc::of(cluster.sentinel(1).ports.grpc);
    let renames = vec![pb::RenameCommand { command: command.to_owned(), to: to.to_owned() }];
    let options = pb::GroupOptions { rename_commands: renames, ..pb::GroupOptions::default() };
    let request = pb::SetOptionsRequest { group: GROUP.to_owned(), options: Some(options) };
    grpc.wait(grpc.admin().set_options(request)).expect_err("it is refused")
}

#[test]
fn a_command_is_never_renamed_to_another_command() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let denied = cluster.sentinel(1).answer(&["SENTINEL", "SET", GROUP, "rename-command", "CONFIG", "MYCONFIG"]);
    assert!(denied.error().is_some_and(|text| text.contains("deny-rename-reconfig")), "{denied}");
    assert_eq!(rename_over_grpc(&cluster, "CONFIG", "MYCONFIG").code(), tonic::Code::PermissionDenied);
    // Even where the file lets them be renamed.
    restart_with(&mut cluster.sentinels[0], &["sentinel deny-rename-reconfig no"]);
    cluster.wait_until_formed();
    for to in ["FLUSHALL", "flushdb", "SHUTDOWN", "DEBUG"] {
        let refused = cluster.sentinel(1).answer(&["SENTINEL", "SET", GROUP, "rename-command", "PING", to]);
        assert!(refused.error().is_some_and(|text| text.contains("Invalid argument")), "{refused}");
        let refused = rename_over_grpc(&cluster, "PING", to);
        assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{refused:?}");
    }
    cluster.timeline.holds("no server is told to empty itself", A_WHILE, || {
        let told: Vec<u64> = cluster.servers.iter().map(flushes).collect();
        if told.iter().all(|told| *told == 0) { Ok(()) } else { Err(format!("{told:?}")) }
    });
}

/// The attacker also has a server's configuration file, or an operator has mixed names up: PING, as it is known there, empties the server.
fn with_a_wiping_name(may_ask: &str) -> Cluster {
    let mut plan = Plan::new(Flavour::Ours);
    plan.lines.push(format!("sentinel auth-user {GROUP} watcher"));
    plan.lines.push(format!("sentinel auth-pass {GROUP} seen"));
    plan.lines.push(format!("sentinel rename-command {GROUP} PING wipe"));
    plan.server_lines = vec!["rename-command FLUSHALL wipe".to_owned(), format!("user watcher on >seen ~* &* +@all {may_ask}")];
    let cluster = plan.launch();
    let master = cluster.server(cluster.servers[0].port);
    let set = master.ask(&["SET", "kept", "yes"]).expect("it answers");
    assert!(set.is_ok(), "{set}");
    cluster
}

fn wait_until_told(cluster: &Cluster) {
    cluster.timeline.wait_for("it is told", SOON, || {
        let log = cluster.sentinel(1).log();
        if log.contains("+rename-refused") { Ok(()) } else { Err("not yet".to_owned()) }
    });
}

#[test]
fn a_name_that_is_another_command_over_there_is_found_out_before_it_is_sent() {
    let cluster = with_a_wiping_name("");
    cluster.wait_until_formed();
    wait_until_told(&cluster);
    assert!(cluster.servers.iter().all(|server| flushes(server) == 0), "no server was told to empty itself");
    let kept = cluster.servers[0].ask(&["GET", "kept"]).expect("it answers");
    assert_eq!(kept.text().as_deref(), Some("yes"));
}

#[test]
fn a_name_whose_answers_are_not_the_commands_is_not_used_again() {
    // COMMAND INFO is not allowed, so that only the answers tell.
    let cluster = with_a_wiping_name("-command");
    // A server whose PING cannot be used may never look healthy.
    wait_until_told(&cluster);
    // Each link of three sentinels finds it out at its first PING at the latest, and tells the others. Links to replicas open later.
    let mut seen: (Vec<u64>, Instant) = (Vec::new(), Instant::now());
    let so_far = cluster.timeline.wait_for("every link has found it out", SOON, || {
        let now: Vec<u64> = cluster.servers.iter().map(flushes).collect();
        assert!(now.iter().all(|count| *count <= SENTINELS * LINKS), "{now:?}");
        if now != seen.0 {
            seen = (now, Instant::now());
        }
        if seen.1.elapsed() >= SETTLED { Ok(seen.0.clone()) } else { Err(format!("{:?}", seen.0)) }
    });
    cluster.timeline.holds("it is not used again", A_WHILE, || {
        let now: Vec<u64> = cluster.servers.iter().map(flushes).collect();
        if now == so_far { Ok(()) } else { Err(format!("{so_far:?} then {now:?}")) }
    });
}

/// Counts who calls a port of this host, which is for this host alone.
fn private_service() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback works");
    let port = listener.local_addr().expect("it is bound").port();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    std::thread::spawn(move || {
        for _ in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    (port, calls)
}

#[test]
fn a_webhook_that_a_client_sets_does_not_reach_what_is_for_the_host_alone() {
    let (port, calls) = private_service();
    let plan = Plan { lines: vec!["sentinel deny-scripts-reconfig no".to_owned()], ..Plan::new(Flavour::Ours) };
    let cluster = plan.start();
    let set = |url: &str| cluster.sentinel(1).answer(&["SENTINEL", "SET", GROUP, "notification-webhook", url]);
    for url in
        [&format!("http://127.0.0.1:{port}/x"), "http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "http://0.0.0.0/"]
    {
        let refused = set(url);
        assert!(refused.error().is_some_and(|text| text.contains("would not be called")), "{url}: {refused}");
    }
    // A name is looked up when it is called: this one stands for the host itself.
    assert!(set(&format!("http://localhost:{port}/x")).is_ok());
    cluster.sentinel(1).expect_ok(&["SENTINEL", "SET", GROUP, "parallel-syncs", "3"]);
    cluster.timeline.wait_for("the log says why", SOON, || {
        let log = cluster.sentinel(1).log();
        if log.contains("its address is this host's own") { Ok(()) } else { Err("not yet".to_owned()) }
    });
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    // And so that an absent call proves something.
    drop(Conn::open(port, SOON));
    cluster.timeline.wait_until("calls are counted", SOON, || calls.load(Ordering::Relaxed) == 1);
}

#[test]
fn a_webhook_that_one_sentinel_lets_in_is_called_by_it_alone() {
    let (port, calls) = private_service();
    let mut cluster = Plan::new(Flavour::Ours).start();
    restart_with(&mut cluster.sentinels[2], &["sentinel deny-scripts-reconfig no", "sentinel webhook-allow 127.0.0.1"]);
    cluster.wait_until_formed();
    cluster.sentinel(3).expect_ok(&["SENTINEL", "SET", GROUP, "notification-webhook", &format!("http://127.0.0.1:{port}/t0ken")]);
    cluster.timeline.wait_until("it is called", SOON, || calls.load(Ordering::Relaxed) > 0);
    cluster.timeline.wait_for("the others tell", SOON, || {
        let told = [1, 2].map(|id| cluster.sentinel(id).log().matches("-webhook-denied").count());
        if told == [1, 1] { Ok(()) } else { Err(format!("{told:?}")) }
    });
    assert!((1..=3).all(|id| !cluster.sentinel(id).log().contains("t0ken")), "and no token is in a log");
}

/// A receiver that sends everybody elsewhere.
fn redirecting_to(target: u16) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback works");
    let port = listener.local_addr().expect("it is bound").port();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut bytes = [0; 4096];
            let _ = stream.read(&mut bytes);
            counted.fetch_add(1, Ordering::Relaxed);
            let answer = format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:{target}/\r\nContent-Length: 0\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (port, calls)
}

#[test]
fn a_receiver_cannot_send_a_webhook_elsewhere() {
    let (private, reached) = private_service();
    let (port, calls) = redirecting_to(private);
    let lines = vec![format!("sentinel notification-webhook {GROUP} http://127.0.0.1:{port}/x")];
    let cluster = Plan { lines, ..Plan::new(Flavour::Ours) }.start();
    cluster.sentinel(1).expect_ok(&["SENTINEL", "SET", GROUP, "parallel-syncs", "3"]);
    cluster.timeline.wait_until("all three called it", SOON, || calls.load(Ordering::Relaxed) >= 3);
    cluster.timeline.wait_for("the log says what it answered", SOON, || {
        let log = cluster.sentinel(1).log();
        if log.contains("the receiver answered 307") { Ok(()) } else { Err("not yet".to_owned()) }
    });
    assert_eq!(reached.load(Ordering::Relaxed), 0);
}
