//! The start gate: as what a Redis server comes back, and when it does not come back yet.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::kit::ports::free_port;
use crate::kit::process::{Process, Recipe};
use crate::kit::program::{Ended, run};
use crate::kit::sentinel::{Ports, our_binary};
use crate::kit::{Cluster, Conn, Flavour, GROUP, Plan, Reply, Scratch, Sentinel, Timeline};

const SOON: Duration = Duration::from_secs(60);
/// Long enough for a decision that must not be taken to be taken.
const A_WHILE: Duration = Duration::from_millis(1500);

/// A server that is started through the gate.
struct Gated {
    process: Process,
    log: PathBuf,
    port: u16,
    timeline: Timeline,
}

impl Gated {
    fn start(sentinels: &[Sentinel], timeline: &Timeline, options: &[&str], config: &Path, port: u16) -> Self {
        let log = config.with_file_name("log-of-gate");
        timeline.watch_log(&format!("the gate of {port}"), log.clone());
        timeline.note(format!("{port} is started through the gate"));
        let args = command(sentinels, options, &["redis-server", &config.display().to_string()]);
        let process = Process::start(Recipe { program: our_binary(), args, env: Vec::new(), log: log.clone() });
        Self { process, log, port, timeline: timeline.clone() }
    }

    /// Starts a server of the cluster again, after it has ended.
    fn restart(cluster: &Cluster, port: u16) -> Self {
        Self::start(&cluster.sentinels, &cluster.timeline, &[], &dir(cluster, port).join("redis.conf"), port)
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn wait_until_it_says(&self, part: &str) {
        self.timeline.wait_until(&format!("the gate of {} says '{part}'", self.port), SOON, || self.text().contains(part));
    }

    fn holds_back(&self) {
        let refused = || if Conn::open(self.port, A_WHILE).is_err() { Ok(()) } else { Err("something answers".to_owned()) };
        self.timeline.holds(&format!("nobody listens on {}", self.port), A_WHILE, refused);
    }

    fn ask(&self, words: &[&str]) -> Result<Reply, String> {
        Conn::open(self.port, A_WHILE).and_then(|mut conn| conn.ask(words)).map_err(|error| error.to_string())
    }

    /// It says what it is while it still loads its data.
    fn wait_until_it_has(&self, value: &str) {
        self.timeline.wait_for(&format!("{} has '{value}'", self.port), SOON, || {
            let told = self.ask(&["GET", "key"])?;
            if told.text().as_deref() == Some(value) { Ok(()) } else { Err(told.to_string()) }
        });
    }

    fn wait_for_role(&self, role: &str) {
        self.timeline.wait_for(&format!("{} is a {role}", self.port), SOON, || match self.ask(&["ROLE"])?.items().first() {
            Some(told) if told.text().as_deref() == Some(role) => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }
}

fn command(sentinels: &[Sentinel], options: &[&str], server: &[&str]) -> Vec<String> {
    let mut args = vec!["gate".to_owned()];
    if !options.contains(&"--group") {
        args.extend(["--group".to_owned(), GROUP.to_owned()]);
    }
    args.extend(sentinels.iter().flat_map(|sentinel| ["--sentinel".to_owned(), sentinel.ports.grpc_addr().to_string()]));
    args.extend(options.iter().map(|option| (*option).to_owned()));
    args.push("--".to_owned());
    args.extend(server.iter().map(|word| (*word).to_owned()));
    args
}

/// Runs the gate to its end; nothing it is given may let it start a server.
fn refused(sentinels: &[Sentinel], options: &[&str], server: &[&str]) -> Ended {
    let args = command(sentinels, options, server);
    run(&our_binary().display().to_string(), &args.iter().map(String::as_str).collect::<Vec<_>>(), SOON)
}

fn dir(cluster: &Cluster, port: u16) -> PathBuf {
    cluster.scratch.path().join(&cluster.server(port).name)
}

fn plan(down_after_ms: u64, line: &str) -> Plan {
    Plan { down_after_ms, server_lines: vec![line.to_owned()], ..Plan::new(Flavour::Ours) }
}

fn set(cluster: &Cluster, port: u16, value: &str) {
    let server = cluster.server(port);
    assert!(server.ask(&["SET", "key", value]).is_ok_and(|reply| reply.is_ok()), "{value}");
    let acknowledged = server.ask(&["WAIT", "2", "10000"]).ok().and_then(|reply| reply.integer());
    assert_eq!(acknowledged, Some(2), "both replicas have {value}");
}

#[test]
fn an_old_master_comes_back_as_a_replica_of_the_new_one() {
    let mut cluster = Plan { down_after_ms: 500, ..Plan::new(Flavour::Ours) }.start();
    let old = cluster.master();
    cluster.server_mut(old).kill();
    let new = cluster.wait_for_new_master(old, SOON);
    let gated = Gated::restart(&cluster, old);
    gated.wait_until_it_says(&format!("starting redis-server as a replica of 127.0.0.1:{new} (epoch 1 of {GROUP}"));
    cluster.wait_for_replica(old, new, SOON);
    assert_eq!(cluster.server(old).orders(), Some(0), "nobody had to tell it whom to follow");
}

#[test]
fn the_recorded_master_with_its_append_only_file_comes_back_as_the_master() {
    let mut plan = plan(30_000, "appendonly yes").with_policy("available");
    // Otherwise Redis may put the last write off, and it is lost with the process.
    plan.server_lines.push("appendfsync always".to_owned());
    let mut cluster = plan.start();
    let master = cluster.master();
    set(&cluster, master, "kept");
    // What a failover and a CONFIG REWRITE leave behind does not count.
    let config = dir(&cluster, master).join("redis.conf");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}replicaof 127.0.0.1 {}\n", cluster.others(master)[0])).unwrap();
    cluster.server_mut(master).kill();
    let gated = Gated::restart(&cluster, master);
    gated.wait_for_role("master");
    gated.wait_until_it_has("kept");
    cluster.wait_until_all_follow(master, &cluster.others(master), SOON);
    assert!(gated.text().contains("as the master (epoch 0"), "{}", gated.text());
}

/// The end of the file may be missing, so by the policy `strict` the replicas, which have it for certain, are not made to copy it.
#[test]
fn by_the_strict_policy_an_append_only_file_is_compared_with_the_replicas() {
    let plan = plan(30_000, "appendonly yes").with_policy("strict");
    let mut cluster = super::strict::armed(plan);
    let master = cluster.master();
    set(&cluster, master, "kept");
    cluster.server_mut(master).kill();
    let gated = Gated::restart(&cluster, master);
    gated.wait_until_it_says("as a replica of nobody");
    let new = cluster.wait_for_new_master(master, Duration::from_secs(20));
    cluster.wait_for_replica(master, new, SOON);
    assert_eq!(cluster.server(new).ask(&["GET", "key"]).unwrap().text().as_deref(), Some("kept"));
    // All of them at once: nobody was in sync with what is there now, so what the recorded master has is what there is.
    let ports: Vec<u16> = cluster.servers.iter().map(|server| server.port).collect();
    drop(gated);
    ports.iter().filter(|port| **port != master).for_each(|port| cluster.server_mut(*port).kill());
    let gated: Vec<Gated> = ports.iter().map(|port| Gated::restart(&cluster, *port)).collect();
    gated.iter().find(|one| one.port == new).expect("it is one of them").wait_for_role("master");
    cluster.wait_until_all_follow(new, &cluster.others(new), SOON);
}

#[test]
fn a_snapshot_brings_the_master_back_only_if_it_goes_as_far_as_the_replicas() {
    let mut cluster = plan(30_000, "save 3600 1").start();
    let master = cluster.master();
    set(&cluster, master, "first");
    cluster.server_mut(master).terminate();
    let mut gated = Gated::restart(&cluster, master);
    gated.wait_for_role("master");
    gated.wait_until_it_has("first");
    cluster.wait_until_all_follow(master, &cluster.others(master), SOON);
    // A crash: what was written since the last snapshot, of the same history, is only on the replicas.
    assert!(gated.ask(&["SAVE"]).is_ok_and(|reply| reply.is_ok()));
    set(&cluster, master, "second");
    gated.process.kill();
    let gated = Gated::restart(&cluster, master);
    gated.wait_until_it_says("this node is the recorded master, but its snapshot");
    gated.holds_back();
    cluster.sentinels[0].expect_ok(&["SENTINEL", "SET", GROUP, "down-after-milliseconds", "500"]);
    let new = cluster.wait_for_new_master(master, SOON);
    cluster.wait_for_replica(master, new, SOON);
    assert_eq!(cluster.server(new).ask(&["GET", "key"]).unwrap().text().as_deref(), Some("second"));
}

#[test]
fn a_master_that_lost_its_data_waits_and_follows_the_replica_that_has_them() {
    let mut cluster = plan(4_000, "appendonly yes").start();
    let master = cluster.master();
    set(&cluster, master, "precious");
    cluster.server_mut(master).kill();
    fs::remove_dir_all(dir(&cluster, master).join("appendonlydir")).unwrap();
    let gated = Gated::restart(&cluster, master);
    gated.wait_until_it_says("holds 1 keys");
    gated.holds_back();
    let new = cluster.wait_for_new_master(master, SOON);
    cluster.wait_for_replica(master, new, SOON);
    for port in [master, new] {
        assert_eq!(cluster.server(port).ask(&["GET", "key"]).unwrap().text().as_deref(), Some("precious"), "on {port}");
    }
    assert!(gated.text().contains("starting redis-server as a replica of"), "{}", gated.text());
}

#[test]
fn without_a_quorum_it_waits_and_goes_on_when_there_is_one() {
    let mut cluster = plan(60_000, "appendonly yes").start();
    let master = cluster.master();
    let replica = cluster.others(master)[0];
    cluster.server_mut(replica).kill();
    cluster.sentinel_mut(1).kill();
    cluster.sentinel(2).stop();
    let gated = Gated::restart(&cluster, replica);
    gated.wait_until_it_says("waiting: no sentinel can say who the master is");
    gated.holds_back();
    assert_eq!(gated.text().matches("waiting:").count(), 1, "said once:\n{}", gated.text());
    cluster.sentinel(2).cont();
    cluster.wait_for_replica(replica, master, SOON);
}

#[test]
fn after_the_start_the_process_is_redis_and_before_it_ends_when_told() {
    let mut cluster = plan(60_000, "appendonly no").start();
    let master = cluster.master();
    let replica = cluster.others(master)[0];
    cluster.server_mut(replica).kill();
    let mut gated = Gated::restart(&cluster, replica);
    cluster.wait_for_replica(replica, master, SOON);
    let pid = cluster.server(replica).info("server", "process_id").and_then(|pid| pid.parse().ok());
    assert_eq!(pid, gated.process.pid(), "the same process");
    assert_eq!(gated.process.terminate().code(), Some(0), "Redis ends well on SIGTERM");
    assert!(gated.text().contains("Redis is now ready to exit, bye bye"), "{}", gated.text());

    let config = dir(&cluster, replica).join("redis.conf").display().to_string();
    let ended = refused(&cluster.sentinels, &[], &["redis-server", &config, "--maxmemory-policy", "nonsense"]);
    assert_eq!(ended.code, Some(1), "the exit code of Redis");
    assert!(ended.stderr.contains("FATAL CONFIG FILE ERROR"), "{ended:?}");
    let ended = refused(&cluster.sentinels, &[], &["/nonexistent/redis-server", &config]);
    assert_eq!(ended.code, Some(127), "{ended:?}");
    let ended = refused(&cluster.sentinels, &[], &["redis-server", "--version"]);
    assert!(ended.success().contains("Redis server v="));

    let mut waiting = Gated::start(&cluster.sentinels, &cluster.timeline, &["--group", "others"], Path::new(&config), replica);
    waiting.wait_until_it_says("no group 'others'");
    assert_eq!(waiting.process.terminate().code(), Some(0), "told to stop while it waits");
    waiting.wait_until_it_says("told to stop; Redis was not started");
}

#[test]
fn what_cannot_be_right_is_said() {
    let cluster = plan(60_000, "appendonly yes").start();
    let config = dir(&cluster, cluster.master()).join("redis.conf");
    let server = ["redis-server", &config.display().to_string()];
    let ended = refused(&cluster.sentinels, &["--group", "others", "--timeout", "1"], &server);
    assert_eq!(ended.code, Some(75), "{ended:?}");
    assert!(ended.stderr.contains("monitor no group 'others'") && ended.stderr.contains("gave up"), "{ended:?}");

    let bad = config.with_file_name("bad.conf");
    fs::write(&bad, "port 1\nappendonly perhaps\n").unwrap();
    let ended = refused(&cluster.sentinels, &[], &["redis-server", &bad.display().to_string()]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("bad.conf, line 2: appendonly must be yes or no"), "{ended:?}");

    let free = free_port();
    fs::write(&bad, format!("port {free}\ndir {}\n", bad.parent().unwrap().display())).unwrap();
    let gated = Gated::start(&cluster.sentinels, &cluster.timeline, &["--group", "others", "--if-unknown", "start"], &bad, free);
    gated.wait_for_role("master");
    assert!(gated.text().contains("starting redis-server as it is configured"), "{}", gated.text());
}

#[test]
fn a_new_deployment_comes_up_through_the_gate() {
    let (scratch, timeline) = (Scratch::new(), Timeline::default());
    let plan = Plan::new(Flavour::Ours);
    let (ports, servers) = ([Ports::free(), Ports::free(), Ports::free()], [free_port(), free_port(), free_port()]);
    let config = |port: u16| {
        let dir = scratch.path().join(format!("redis-{port}"));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("redis.conf"), format!("port {port}\ndir {}\nrepl-diskless-sync-delay 0\n", dir.display())).unwrap();
        dir.join("redis.conf")
    };
    let sentinels: Vec<Sentinel> = (1..=3)
        .map(|id| Sentinel::start(Flavour::Ours, scratch.path(), &timeline, &plan.orders(id, &ports, ([127, 0, 0, 1], servers[0]).into())))
        .collect();
    let gated: Vec<Gated> = servers.iter().rev().map(|port| Gated::start(&sentinels, &timeline, &[], &config(*port), *port)).collect();
    for one in &gated {
        one.wait_for_role(if one.port == servers[0] { "master" } else { "slave" });
    }
    timeline.wait_for("both replicas are on record", SOON, || {
        let told = sentinels[0].ask(&["SENTINEL", "MASTER", GROUP]).map_err(|error| error.to_string())?;
        if told.field("num-slaves").as_deref() == Some("2") { Ok(()) } else { Err(told.to_string()) }
    });
}
