//! Servers that are not the group's, and groups that have the same servers.

use std::time::Duration;

use crate::kit::ports::free_port;
use crate::kit::process::{Process, Recipe, find_program};
use crate::kit::sentinel::master_port;
use crate::kit::{Cluster, Conn, Failpoints, Flavour, GROUP, Plan, RedisServer, Scratch, ServerOptions, Timeline};

const SOON: Duration = Duration::from_secs(30);

/// A server of somebody else that comes to live on this port with its thousand keys.
fn moves_in(cluster: &Cluster, port: u16) -> Process {
    let before = free_port();
    let dir = cluster.scratch.path().join("foreign");
    std::fs::create_dir_all(&dir).expect("a folder");
    let (file, log) = (dir.join("redis.conf"), dir.join("log"));
    let lines = format!("port {before}\nbind 127.0.0.1\ndir {}\nsave \"\"\nenable-debug-command local\n", dir.display());
    std::fs::write(&file, lines).expect("a file");
    let recipe = Recipe { program: find_program("redis-server", ""), args: vec![file.display().to_string()], env: Vec::new(), log };
    let process = Process::start(recipe);
    cluster.timeline.wait_for("it has its keys", SOON, || {
        let filled = Conn::open(before, Duration::from_secs(2)).and_then(|mut conn| conn.ask(&["DEBUG", "POPULATE", "1000"]));
        filled.map_err(|error| error.to_string()).and_then(|reply| if reply.is_ok() { Ok(()) } else { Err(reply.to_string()) })
    });
    let moved = Conn::open(before, Duration::from_secs(2)).and_then(|mut conn| conn.ask(&["CONFIG", "SET", "port", &port.to_string()]));
    assert!(moved.as_ref().is_ok_and(crate::kit::Reply::is_ok), "{moved:?}");
    process
}

/// Its role and its number of keys.
fn state(port: u16) -> (Option<String>, Option<i64>) {
    let ask = |words: &[&str]| Conn::open(port, Duration::from_secs(2)).and_then(|mut conn| conn.ask(words)).ok();
    let role = ask(&["ROLE"]).and_then(|reply| reply.items().first().and_then(crate::kit::Reply::text));
    (role, ask(&["DBSIZE"]).and_then(|reply| reply.integer()))
}

#[test]
fn a_foreign_server_at_a_dead_replicas_address_is_left_alone_and_told_of() {
    for policy in ["available", "strict"] {
        let mut cluster = Plan::new(Flavour::Ours).with_policy(policy).start();
        let master = cluster.master();
        let gone = cluster.others(master)[0];
        cluster.server_mut(gone).kill();
        let _foreign = moves_in(&cluster, gone);
        let told = || cluster.sentinels.iter().any(|sentinel| sentinel.log().contains("+foreign-server"));
        cluster.timeline.wait_until("it is told of", SOON, told);
        let alone = || match state(gone) {
            (Some(role), Some(1000)) if role == "master" => Ok(()),
            other => Err(format!("{policy}: {other:?}")),
        };
        cluster.timeline.holds("it is left alone", Duration::from_secs(4), alone);
        let refused = cluster.sentinel(1).answer(&["SENTINEL", "ADOPT", GROUP, "127.0.0.1", &master.to_string()]);
        assert!(refused.error().is_some_and(|why| why.contains("is the recorded master")), "{refused}");
        cluster.sentinel(1).expect_ok(&["SENTINEL", "ADOPT", GROUP, "127.0.0.1", &gone.to_string()]);
        cluster.timeline.wait_for("it follows once it is adopted", SOON, || match cluster.server(gone).linked_to() {
            Some(linked) if linked == master => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }
}

#[test]
fn an_empty_server_at_a_dead_replicas_address_is_attached() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let master = cluster.master();
    let gone = cluster.others(master)[0];
    cluster.server_mut(gone).kill();
    let foreign = moves_in(&cluster, gone);
    // Whoever owns it gives its keys up.
    Conn::open(gone, Duration::from_secs(2)).and_then(|mut conn| conn.ask(&["FLUSHALL"])).expect("it answers");
    cluster.timeline.wait_for("it follows", SOON, || match cluster.server(gone).linked_to() {
        Some(linked) if linked == master => Ok(()),
        other => Err(format!("{other:?}")),
    });
    drop(foreign);
}

/// The one that the file names first was there first.
#[test]
fn a_master_under_two_names_is_acted_on_by_one_group() {
    let (scratch, timeline) = (Scratch::new(), Timeline::default());
    let mut options = ServerOptions::default();
    let mut old = RedisServer::start("shared-master", scratch.path(), &timeline, &options);
    options.replica_of = Some(old.addr());
    let replica = RedisServer::start("shared-replica", scratch.path(), &timeline, &options);
    let mut plan = Plan::new(Flavour::Ours);
    for group in ["zeta", "alpha"] {
        plan.lines.push(format!("sentinel monitor {group} 127.0.0.1 {} 2", old.port));
        plan.lines.push(format!("sentinel down-after-milliseconds {group} 1000"));
    }
    let cluster = plan.start();
    let asked = cluster.sentinel(1).ask(&["SENTINEL", "MONITOR", "third", "127.0.0.1", &old.port.to_string(), "2"]).expect("it answers");
    assert!(asked.error().is_some_and(|why| why.contains("is a data node of 'zeta'")), "{asked}");
    let named = |group: &str| cluster.sentinel(1).ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", group]).ok().as_ref().and_then(master_port);
    let told = || cluster.sentinels.iter().all(|sentinel| sentinel.log().contains("two groups have the same server"));
    timeline.wait_until("it is told", SOON, told);
    let ready = |group: &str| cluster.sentinel(1).answer(&["SENTINEL", "MASTER", group]);
    timeline.wait_for("the other one is not ready, and says why", SOON, || match ready("alpha") {
        said if said.field("failover-obstacle").is_some_and(|why| why.contains("is a data node of 'zeta'")) => Ok(()),
        said => Err(said.to_string()),
    });
    let known = || cluster.sentinel(1).ask(&["SENTINEL", "REPLICAS", "zeta"]).is_ok_and(|reply| reply.items().len() == 1);
    timeline.wait_until("the replica is known", SOON, known);
    old.kill();
    timeline.wait_until("one group acts", SOON, || named("zeta") == Some(replica.port));
    old.restart();
    timeline.wait_until("the old master follows", SOON, || old.linked_to() == Some(replica.port));
    timeline.wait_until("the other group follows", SOON, || named("alpha") == Some(replica.port));
    let changes = |server: &RedisServer| {
        let told = server.ask(&["INFO", "commandstats"]).ok().and_then(|reply| reply.text()).unwrap_or_default();
        let calls = told.lines().find_map(|line| line.strip_prefix("cmdstat_replicaof:calls=").map(str::to_owned));
        calls.and_then(|calls| calls.split(',').next().and_then(|count| count.parse::<u32>().ok())).unwrap_or(0)
    };
    timeline.holds("nobody fights over them", Duration::from_secs(6), || match changes(&old) + changes(&replica) {
        0..=4 => Ok(()),
        many => Err(format!("{many} changes of role")),
    });
    let planned = cluster.sentinel(1).answer(&["SENTINEL", "FAILOVER", "alpha", "COORDINATED"]);
    timeline.note(format!("a planned change of the one that follows: {planned}"));
    timeline.holds("it changes nothing", Duration::from_secs(3), || match old.linked_to() {
        Some(port) if port == replica.port => Ok(()),
        other => Err(format!("{other:?}")),
    });
    cluster.sentinel(1).expect_ok(&["SENTINEL", "REMOVE", "zeta"]);
    timeline.wait_for("the other one takes over", SOON, || match ready("alpha") {
        said if said.field("failover-ready").as_deref() == Some("yes") => Ok(()),
        said => Err(said.to_string()),
    });
    assert_eq!(
        cluster.sentinel(1).ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", GROUP]).ok().as_ref().and_then(master_port),
        Some(cluster.master())
    );
}

/// The decision of a planned change takes longer than the old master's pause.
#[test]
fn a_coordinated_change_by_the_policy_available_loses_nothing_however_late_it_is_decided() {
    let places = Failpoints::new();
    let cluster = Plan { env: places.env(), ..Plan::new(Flavour::Ours).with_policy("available") }.start();
    let (writer, timeline, old) = (cluster.writer(), cluster.timeline.clone(), cluster.master());
    timeline.wait_until("the client writes", SOON, || writer.count() > 200);
    places.slow_syncs(Duration::from_millis(2300));
    let addr = cluster.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.ports.grpc)).collect::<Vec<_>>().join(",");
    let binary = crate::kit::sentinel::our_binary().display().to_string();
    // With such disks the request itself is acknowledged late; it takes effect all the same.
    let done = crate::kit::program::run(&binary, &["switchover", GROUP, "--addr", &addr], Duration::from_secs(60));
    timeline.note(format!("{done:?}"));
    let port = timeline.wait_for("another master is announced", Duration::from_secs(60), || match cluster.sentinels[0].master()? {
        port if port == old => Err("the old one is".to_owned()),
        port => Ok(port),
    });
    places.slow_syncs(Duration::ZERO);
    let log = writer.finish();
    cluster.wait_for_replica(old, port, SOON);
    let lost = log.lost(cluster.server(port)).expect("the new master answers");
    assert_eq!(lost, Vec::<u64>::new(), "{}", timeline.report());
}
