//! Clients of Redis Sentinel, as they are: redis-cli, the `redis` crate, redis-py, and the protocol itself.

use std::time::Duration;

use redis::Commands as _;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};

use crate::kit::process::find_program;
use crate::kit::program;
use crate::kit::{Cluster, Conn, Flavour, GROUP, History, Plan, Reply, Sentinel};

const SOON: Duration = Duration::from_secs(15);

/// Kills the master and returns the next one.
pub(crate) fn kill_the_master(cluster: &mut Cluster) -> u16 {
    let old = cluster.sentinels[0].master().expect("a formed cluster has a master");
    cluster.server_mut(old).kill();
    cluster.wait_for_new_master(old, SOON)
}

pub(crate) fn others(cluster: &Cluster, master: u16) -> Vec<u16> {
    cluster.servers.iter().map(|server| server.port).filter(|port| *port != master).collect()
}

#[test]
fn redis_cli_finds_the_master_in_both_protocols() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let cli = find_program("redis-cli", "apt-get install -y redis-tools").display().to_string();
    let ask = |cluster: &Cluster, sentinel: &Sentinel, words: &[&str]| {
        let port = sentinel.ports.resp.to_string();
        let words: Vec<&str> = ["-p", &port].iter().chain(words).copied().collect();
        cluster.timeline.wait_for("redis-cli gets an answer", SOON, || {
            let told = program::run(&cli, &words, Duration::from_secs(10)).success();
            if told.starts_with("NOQUORUM") { Err(told) } else { Ok(told) }
        })
    };
    let check = |cluster: &Cluster, master: u16| {
        for sentinel in &cluster.sentinels {
            for protocol in ["-2", "-3"] {
                let found = ask(cluster, sentinel, &[protocol, "sentinel", "get-master-addr-by-name", GROUP]);
                assert_eq!(found, format!("127.0.0.1\n{master}\n"));
                let masters = ask(cluster, sentinel, &[protocol, "sentinel", "masters"]);
                assert!(masters.contains(&format!("port\n{master}\n")) || masters.contains(&format!("port {master}\n")), "{masters}");
                let replicas = ask(cluster, sentinel, &[protocol, "sentinel", "replicas", GROUP]);
                assert!(others(cluster, master).iter().all(|port| replicas.contains(&port.to_string())), "{replicas}");
            }
        }
    };
    check(&cluster, cluster.servers[0].port);
    let new = kill_the_master(&mut cluster);
    check(&cluster, new);
}

#[test]
fn the_redis_crate_finds_the_master_and_the_replicas_and_follows() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let timeline = cluster.timeline.clone();
    let mut masters = crate_client(&cluster, SentinelServerType::Master, redis::ProtocolVersion::RESP2);
    let mut newer = crate_client(&cluster, SentinelServerType::Master, redis::ProtocolVersion::RESP3);
    let mut replicas = crate_client(&cluster, SentinelServerType::Replica, redis::ProtocolVersion::RESP2);
    let mut check = |round: &str, expected: u16, down: Option<u16>| {
        for client in [&mut masters, &mut newer] {
            let (port, written) = timeline.wait_for(&format!("{round}: the crate writes to the master"), SOON, || {
                let mut conn = client.get_connection().map_err(|e| e.to_string())?;
                let written = conn.set::<_, _, ()>("crate", round).map_err(|e| e.to_string());
                Ok((listening_port(&mut conn)?, written))
            });
            assert_eq!((port, written), (expected, Ok(())), "{round}: the first master that it was told takes writes");
        }
        timeline.wait_for(&format!("{round}: it reads what was written from a replica"), SOON, || {
            let mut conn = replicas.get_connection().map_err(|e| e.to_string())?;
            let port = listening_port(&mut conn)?;
            assert!(port != expected && Some(port) != down, "{round}: {port} is no replica");
            let read: Option<String> = conn.get("crate").map_err(|e| e.to_string())?;
            if read.as_deref() == Some(round) { Ok(()) } else { Err(format!("{read:?} on {port}")) }
        });
    };
    let old = cluster.servers[0].port;
    check("before", old, None);
    let new = kill_the_master(&mut cluster);
    check("after", new, Some(old));
}

fn crate_client(cluster: &Cluster, kind: SentinelServerType, protocol: redis::ProtocolVersion) -> SentinelClient {
    let addrs = cluster.sentinels.iter().map(|sentinel| redis::ConnectionAddr::Tcp("127.0.0.1".to_owned(), sentinel.ports.resp));
    let builder = SentinelClientBuilder::new(addrs, GROUP, kind).expect("there are addresses");
    builder.set_client_to_sentinel_protocol(protocol).build().expect("a valid client")
}

fn listening_port(conn: &mut redis::Connection) -> Result<u16, String> {
    let info: redis::InfoDict = redis::cmd("INFO").arg("server").query(conn).map_err(|e| e.to_string())?;
    info.get("tcp_port").ok_or_else(|| "INFO tells no port".to_owned())
}

/// A subscription that counts.
struct Listener {
    conn: Conn,
    name: String,
    leave: &'static str,
}

impl Listener {
    fn all(cluster: &Cluster) -> Vec<Self> {
        let all = cluster.sentinels.iter().flat_map(|sentinel| ["2", "3"].map(|version| (sentinel, version)));
        let modes = all.flat_map(|(sentinel, version)| {
            [("SUBSCRIBE", "+switch-master", "UNSUBSCRIBE"), ("PSUBSCRIBE", "+switch*", "PUNSUBSCRIBE")]
                .map(|mode| (sentinel, version, mode))
        });
        modes.map(|(sentinel, version, (enter, channel, leave))| Self::new(sentinel, version, enter, channel, leave)).collect()
    }

    fn new(sentinel: &Sentinel, version: &str, enter: &str, channel: &str, leave: &'static str) -> Self {
        let mut conn = sentinel.conn().expect("it answers");
        conn.ask(&["HELLO", version]).expect("it answers");
        let confirmed = conn.ask(&[enter, channel]).expect("it answers");
        assert_eq!(confirmed.items().get(1).and_then(Reply::text).as_deref(), Some(channel), "{confirmed}");
        Self { conn, name: format!("{enter} on sentinel {} in RESP{version}", sentinel.id), leave }
    }

    /// What has come so far.
    fn messages(&mut self) -> Vec<String> {
        self.conn.send(&[self.leave]).expect("it listens");
        let mut messages = Vec::new();
        loop {
            let told = self.conn.read().unwrap_or_else(|e| panic!("{}: {e}", self.name));
            let words: Vec<String> = told.items().iter().filter_map(Reply::text).collect();
            match words.first().map(String::as_str) {
                Some("message" | "pmessage") => {
                    assert_eq!(words[words.len() - 2], "+switch-master");
                    messages.push(words[words.len() - 1].clone());
                }
                Some("unsubscribe" | "punsubscribe") => return messages,
                _ => panic!("{}: {told}", self.name),
            }
        }
    }
}

#[test]
fn a_switch_is_told_once_on_every_sentinel_in_both_protocols() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let mut listeners = Listener::all(&cluster);
    let old = cluster.servers[0].port;
    let new = kill_the_master(&mut cluster);
    cluster.server_mut(old).restart();
    cluster.wait_for_replica(old, new, SOON);
    cluster.wait_until_formed();
    for listener in &mut listeners {
        assert_eq!(listener.messages(), [format!("{GROUP} 127.0.0.1 {old} 127.0.0.1 {new}")], "{}", listener.name);
    }
}

/// The sentinel that leads, and one that does not.
pub(crate) fn leader_and_follower(cluster: &Cluster) -> (usize, usize) {
    let leader = cluster.timeline.wait_for("a leader is known", SOON, || {
        let status = History::of(cluster.sentinels[0].ports.grpc).status()?;
        status.leader_id.and_then(|id| usize::try_from(id).ok()).ok_or("none".to_owned())
    });
    (leader - 1, leader % cluster.sentinels.len())
}

#[test]
fn changes_made_through_a_follower_are_seen_everywhere_at_once() {
    let cluster = Plan { replicas: 1, ..Plan::new(Flavour::Ours) }.start();
    let (_, follower) = leader_and_follower(&cluster);
    let monitor = ["SENTINEL", "MONITOR", "second", "127.0.0.1", "6", "2"];
    let field = |sentinel: &Sentinel, group: &str, name: &str| sentinel.answer(&["SENTINEL", "MASTER", group]).field(name);
    cluster.sentinels[follower].expect_ok(&monitor);
    for sentinel in &cluster.sentinels {
        assert_eq!(field(sentinel, "second", "quorum").as_deref(), Some("2"), "sentinel {}", sentinel.id);
        sentinel.expect_ok(&monitor);
    }
    let other = cluster.sentinels[0].answer(&["SENTINEL", "MONITOR", "second", "127.0.0.1", "1", "2"]);
    assert_eq!(other.error(), Some("ERR Duplicate master name."));
    cluster.sentinels[follower].expect_ok(&["SENTINEL", "SET", "second", "down-after-milliseconds", "4321", "parallel-syncs", "3"]);
    let bad = ["SENTINEL", "SET", "second", "down-after-milliseconds", "1111", "parallel-syncs", "none"];
    let refused = cluster.sentinels[follower].answer(&bad);
    assert!(refused.error().is_some_and(|text| text.contains("Invalid argument 'none' for SENTINEL SET 'parallel-syncs'")), "{refused}");
    for sentinel in &cluster.sentinels {
        let seen = ["down-after-milliseconds", "parallel-syncs"].map(|name| field(sentinel, "second", name));
        assert_eq!(seen, [Some("4321".to_owned()), Some("3".to_owned())], "all or nothing, on sentinel {}", sentinel.id);
    }
    // Asked for twice where the outcome of the first time was unknown.
    let removed = cluster.sentinels[follower].answer(&["SENTINEL", "REMOVE", "second"]);
    assert!(removed.is_ok() || removed.error() == Some("ERR No such master with that name"), "{removed}");
    for sentinel in &cluster.sentinels {
        let gone = sentinel.answer(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "second"]);
        assert_eq!(gone, Reply::Nil, "sentinel {}", sentinel.id);
        for words in [&["SENTINEL", "MASTER", "second"][..], &["SENTINEL", "REMOVE", "second"], &["SENTINEL", "FAILOVER", "second"]] {
            let reply = sentinel.answer(words);
            assert_eq!(reply.error(), Some("ERR No such master with that name"), "{words:?}");
        }
    }
}

#[test]
fn a_failover_is_granted_once_and_refused_with_a_reason() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let timeline = cluster.timeline.clone();
    let ask = |sentinel: &Sentinel, name: &str| sentinel.answer(&["SENTINEL", "FAILOVER", name]);
    cluster.sentinels[0].expect_ok(&["SENTINEL", "MONITOR", "alone", "127.0.0.1", "6", "2"]);
    let none = ask(&cluster.sentinels[1], "alone");
    assert!(none.error().is_some_and(|text| text.starts_with("NOGOODSLAVE")), "{none}");
    // While a replica sleeps a failover cannot be over.
    cluster.servers[2].stop();
    let first = ask(&cluster.sentinels[1], GROUP);
    assert!(first.is_ok(), "{first}");
    for sentinel in &cluster.sentinels {
        let second = ask(sentinel, GROUP);
        assert_eq!(second.error(), Some("INPROG Failover already in progress"), "sentinel {}", sentinel.id);
    }
    cluster.servers[2].cont();
    let old = cluster.servers[0].port;
    cluster.wait_for_new_master(old, Duration::from_secs(30));
    timeline.wait_for("all is well again", Duration::from_secs(30), || cluster.formed());
    let flags = cluster.sentinels.iter_mut().map(|sentinel| sentinel.is_running()).collect::<Vec<_>>();
    assert_eq!(flags, [true; 3]);
}

#[test]
fn each_sentinel_describes_itself_and_the_others() {
    let mut cluster = Plan { replicas: 1, ..Plan::new(Flavour::Ours) }.start();
    let ids: Vec<String> = cluster.sentinels.iter().map(my_id).collect();
    for (at, sentinel) in cluster.sentinels.iter().enumerate() {
        let mut told: Vec<(String, String)> = sentinel
            .ask(&["SENTINEL", "SENTINELS", GROUP])
            .expect("it answers")
            .items()
            .iter()
            .map(|other| (other.field("runid").unwrap_or_default(), other.field("port").unwrap_or_default()))
            .collect();
        told.sort();
        let others = cluster.sentinels.iter().enumerate().filter(|(other, _)| *other != at);
        let mut expected: Vec<_> = others.map(|(other, sentinel)| (ids[other].clone(), sentinel.ports.resp.to_string())).collect();
        expected.sort();
        assert_eq!(told, expected, "sentinel {}", sentinel.id);
        let role = sentinel.ask(&["ROLE"]).expect("it answers");
        let groups = Reply::Array(vec![Reply::Bulk(GROUP.to_owned())]);
        assert_eq!(role.items(), [Reply::Bulk("sentinel".to_owned()), groups]);
        let info = sentinel.ask(&["INFO", "sentinel"]).expect("it answers").text().expect("a text");
        let line = format!("master0:name={GROUP},status=ok,address=127.0.0.1:{},slaves=1,sentinels=3", cluster.servers[0].port);
        for line in ["sentinel_masters:1", "sentinel_tilt:0", "sentinel_running_scripts:0", &line] {
            assert!(info.lines().any(|found| found == line), "{line} is not in {info}");
        }
        // It says so once it has looked at the servers, since nothing else would keep a failover back.
        cluster.timeline.wait_for("CKQUORUM says that all is well", SOON, || {
            let enough = sentinel.ask(&["SENTINEL", "CKQUORUM", GROUP]).map_err(|error| error.to_string())?;
            let well = enough.text().as_deref() == Some("OK 3 usable Sentinels. Quorum and failover authorization can be reached");
            if well { Ok(()) } else { Err(enough.to_string()) }
        });
    }
    cluster.sentinels[1].kill();
    cluster.sentinels[1].restart();
    assert_eq!(my_id(&cluster.sentinels[1]), ids[1], "it is the same sentinel after a restart");
}

fn my_id(sentinel: &Sentinel) -> String {
    sentinel.ask(&["SENTINEL", "MYID"]).expect("it answers").text().expect("an id")
}
