//! Hellos: ours, for the tools that look for them, and those of sentinels that do not belong to the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use raft_sentinel::base::Hello;
use raft_sentinel::base::hello::HELLO_CHANNEL;

use crate::grpc::http_get;
use crate::kit::looks::{local, wall, wall_now};
use crate::kit::program;
use crate::kit::sentinel::{Orders, Ports, our_binary};
use crate::kit::{Cluster, Conn, Flavour, GROUP, Plan, RedisServer, Reply, Sentinel};

const SOON: Duration = Duration::from_secs(20);
const ALL: [usize; 3] = [1, 2, 3];

/// A connection that hears what is said on a server's hello channel.
fn listen(server: &RedisServer) -> Conn {
    let mut conn = server.conn(Duration::from_secs(5)).expect("it answers");
    conn.ask(&["SUBSCRIBE", HELLO_CHANNEL]).expect("it lets us listen");
    conn
}

/// The next hello on a subscription; they come every two seconds.
fn next_hello(conn: &mut Conn) -> Hello {
    let message = conn.read().expect("hellos come all the time");
    let text = message.items().get(2).and_then(Reply::text).expect("a message has a text");
    text.parse().unwrap_or_else(|bad| panic!("'{text}' is no hello: {bad}"))
}

fn my_id(sentinel: &Sentinel) -> String {
    sentinel.answer(&["SENTINEL", "MYID"]).text().expect("an id is a text")
}

/// Which sentinel listens where, by its id.
fn sentinels(cluster: &Cluster) -> BTreeMap<String, u16> {
    cluster.sentinels.iter().map(|sentinel| (my_id(sentinel), sentinel.ports.resp)).collect()
}

/// Hears every sentinel name the master of this epoch; returns that master, and when the last of them named it, as a wall time.
fn hear_all(conn: &mut Conn, ids: &BTreeMap<String, u16>, epoch: u64) -> (u16, Duration) {
    let mut named = 0;
    let begun = Instant::now();
    let mut heard = BTreeSet::new();
    while heard.len() < ids.len() {
        assert!(begun.elapsed() < SOON, "only {heard:?} named the master of epoch {epoch}");
        let hello = next_hello(conn);
        if hello.epoch.0 == epoch {
            assert_eq!((hello.sender.host(), hello.group.as_str(), hello.master.host()), ("127.0.0.1", GROUP, "127.0.0.1"));
            assert_eq!(ids.get(hello.sentinel.as_str()), Some(&hello.sender.port()), "{hello}");
            assert!(hello.current_epoch.0 >= epoch, "{hello}");
            assert!(named == 0 || named == hello.master.port(), "one epoch has one master: {hello}");
            named = hello.master.port();
            heard.insert(hello.sentinel.to_string());
        }
    }
    (named, wall_now())
}

/// Waits until CLIENT LIST of a server shows both links of every sentinel, by stock's names.
fn wait_for_links(cluster: &Cluster, server: &RedisServer, ids: &BTreeMap<String, u16>) {
    cluster.timeline.wait_for(&format!("{} knows all links by name", server.name), SOON, || {
        let list = server.ask(&["CLIENT", "LIST"]).ok().and_then(|reply| reply.text()).unwrap_or_default();
        let shown = |id: &String, end: &str| list.contains(&format!(" name=sentinel-{}-{end} ", &id[..8]));
        let all = ids.keys().all(|id| shown(id, "cmd") && shown(id, "pubsub"));
        if all { Ok(()) } else { Err(list) }
    });
}

#[test]
fn every_sentinel_says_hello_on_every_data_node_and_at_once_after_a_promotion() {
    let mut cluster = Plan::new(Flavour::Ours).with_policy("available").start();
    let ids = sentinels(&cluster);
    let old = cluster.master();
    for server in &cluster.servers {
        assert_eq!(hear_all(&mut listen(server), &ids, 0).0, old);
        wait_for_links(&cluster, server, &ids);
    }
    // Heard as it is said, not when the test comes to look.
    let spawn = |port| {
        let (mut conn, ids) = (listen(cluster.server(port)), ids.clone());
        (port, std::thread::spawn(move || hear_all(&mut conn, &ids, 1)))
    };
    let ears: Vec<_> = cluster.others(old).into_iter().map(spawn).collect();
    cluster.server_mut(old).kill();
    let new = cluster.wait_for_new_master(old, SOON);
    // The new master cut its subscribers off when it was promoted, the other replica did not.
    let (_, ears) = ears.into_iter().find(|(port, _)| *port != new).expect("there are two replicas");
    let (named, said) = ears.join().expect("it hears all of them");
    assert_eq!(named, new);
    let told = cluster.wait_for_history(&ALL, 1, SOON);
    let took = said.saturating_sub(wall(told[0].promoted.as_ref()));
    println!("all sentinels had named the new master {} ms after its promotion was recorded", took.as_millis());
    assert!(took < Duration::from_millis(1000), "{took:?} is no better than the period\n{}", cluster.timeline.report());
    assert_eq!(hear_all(&mut listen(cluster.server(new)), &ids, 1).0, new);
}

/// A stock sentinel that watches the same master. It does not know of our cluster but by its hellos.
fn start_stock(cluster: &Cluster) -> Sentinel {
    let lines = vec![
        format!("sentinel monitor {GROUP} 127.0.0.1 {} 1", cluster.master()),
        format!("sentinel down-after-milliseconds {GROUP} 1000"),
        format!("sentinel failover-timeout {GROUP} 5000"),
    ];
    let orders = Orders { id: 9, lines, joins: Some(Ports::free()), ..Orders::default() };
    Sentinel::start(Flavour::Stock, cluster.scratch.path(), &cluster.timeline, &orders)
}

fn strangers_metric(cluster: &Cluster, id: usize) -> Option<f64> {
    let (_, metrics) = http_get(cluster.sentinel(id).ports.http, "/metrics");
    let prefix = format!("raft_sentinel_foreign_sentinels{{group=\"{GROUP}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&prefix)?.parse().ok())
}

/// Waits for an event of one of our sentinels.
fn wait_for_event(events: &mut Conn, channel: &str) -> String {
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < Duration::from_secs(40), "no {channel}");
        let Ok(message) = events.read() else { continue };
        let words: Vec<String> = message.items().iter().filter_map(Reply::text).collect();
        if let [kind, name, text] = &words[..]
            && kind == "message"
            && name == channel
        {
            return text.clone();
        }
    }
}

fn subscribe(sentinel: &Sentinel) -> Conn {
    let mut conn = Conn::open(sentinel.ports.resp, SOON).expect("it answers");
    conn.send(&["SUBSCRIBE", "+foreign-sentinel", "-foreign-sentinel"]).expect("it listens");
    conn
}

#[test]
fn a_stock_sentinel_is_reported_follows_our_decisions_and_is_forgotten_when_it_stops() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    // Told so, or it would do nothing beside a sentinel of others, and keep silent for its sake.
    let grpc = local(cluster.sentinels[0].ports.grpc);
    let program = our_binary().display().to_string();
    program::run(&program, &["take-over", GROUP, "--despite-stock", "--addr", &grpc], SOON).success();
    let ids = sentinels(&cluster);
    let mut events: Vec<Conn> = cluster.sentinels.iter().map(subscribe).collect();
    let mut stock = start_stock(&cluster);
    let (stock_id, old, timeline) = (my_id(&stock), cluster.master(), cluster.timeline.clone());
    timeline.wait_for("stock has found our sentinels by their hellos", SOON, || {
        let known = stock.ask(&["SENTINEL", "SENTINELS", GROUP]).map_err(|e| e.to_string())?;
        let found: BTreeSet<String> = known.items().iter().filter_map(|entry| entry.field("runid")).collect();
        if found.iter().eq(ids.keys()) { Ok(()) } else { Err(known.to_string()) }
    });
    let payload = format!("sentinel {stock_id} 127.0.0.1 {} @ {GROUP} 127.0.0.1 {old}", stock.ports.resp);
    for (id, events) in ALL.into_iter().zip(&mut events) {
        assert_eq!(wait_for_event(events, "+foreign-sentinel"), payload);
        assert_eq!(strangers_metric(&cluster, id), Some(1.0));
        let status = cluster.status(id).expect("it answers");
        let [stranger] = &status.groups[0].foreign_sentinels[..] else { panic!("{status:#?}") };
        assert_eq!((stranger.sentinel_id.as_str(), stranger.group.as_str()), (stock_id.as_str(), GROUP));
        let said = [&stranger.address, &stranger.master].map(|addr| crate::kit::history::address(addr.as_ref()));
        assert_eq!(said, [local(stock.ports.resp), local(old)]);
        assert!(stranger.last_heard_age_ms < 10_000, "{stranger:?}");
        assert!(cluster.sentinel(id).log().contains(&stock_id), "it is in the log");
    }
    let shown = program::run(&program, &["status", "--addr", &grpc], SOON).success();
    assert!(shown.contains("NOT OF THIS CLUSTER") && shown.contains(&stock_id), "{shown}");

    // Our sentinels count among those that stock must have the votes of, and never vote. So the decision is ours.
    cluster.server_mut(old).kill();
    let new = cluster.wait_for_new_master(old, SOON);
    timeline.wait_for("stock follows", SOON, || match stock.master() {
        Ok(port) if port == new => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let told = cluster.wait_for_history(&ALL, 1, SOON);
    assert_eq!(told[0].epoch, 1, "stock Sentinel made no decision");
    let garbled = stock.log().lines().filter(|line| line.contains("cmd-link-reconnection")).count();
    assert_eq!(garbled, 0, "stock understands what our port answers:\n{}", stock.log());

    stock.terminate();
    let stopped = Instant::now();
    let payload = format!("sentinel {stock_id} 127.0.0.1 {} @ {GROUP} 127.0.0.1 {new}", stock.ports.resp);
    for (id, events) in ALL.into_iter().zip(&mut events) {
        assert_eq!(wait_for_event(events, "-foreign-sentinel"), payload);
        assert_eq!(strangers_metric(&cluster, id), Some(0.0));
        assert!(cluster.status(id).expect("it answers").groups[0].foreign_sentinels.is_empty());
    }
    println!("forgotten {} ms after it stopped", stopped.elapsed().as_millis());
    assert!(stopped.elapsed() > Duration::from_secs(10), "silence of a few seconds is not the end");
}

#[test]
fn what_is_no_hello_is_counted_wherever_it_is_said() {
    let cluster = Plan::new(Flavour::Ours).start();
    let sentinel = cluster.sentinel(1);
    let publish = |text: &str| sentinel.ask(&["PUBLISH", HELLO_CHANNEL, text]).expect("it answers");
    for text in ["", "garbage", "1,2,3,4,5,6,7,8", &",".repeat(7), &"x".repeat(5000)] {
        assert_eq!(publish(text), Reply::Integer(1));
    }
    cluster.server(cluster.master()).ask(&["PUBLISH", HELLO_CHANNEL, "garbage"]).expect("it answers");
    cluster.timeline.wait_for("all are counted", SOON, || {
        let (_, metrics) = http_get(sentinel.ports.http, "/metrics");
        let counted = metrics.lines().find_map(|line| line.strip_prefix("raft_sentinel_malformed_hellos_total ")?.parse().ok());
        if counted >= Some(6.0) { Ok(()) } else { Err(format!("{counted:?}")) }
    });
}

/// How often a server was told PUBLISH by a client.
fn publishes(server: &RedisServer) -> Option<u64> {
    let text = server.ask(&["INFO", "commandstats"]).ok()?.text()?;
    text.lines().find_map(|line| line.strip_prefix("cmdstat_publish:calls=")?.split(',').next()?.parse().ok())
}

#[test]
fn a_hung_server_gets_no_pile_of_hellos() {
    let cluster = Plan { down_after_ms: 60_000, ..Plan::new(Flavour::Ours) }.start();
    let master = cluster.server(cluster.master());
    cluster.timeline.wait_until("all say hello there", SOON, || publishes(master) >= Some(6));
    let before = publishes(master).expect("it answers");
    master.stop();
    let asleep = Duration::from_secs(9);
    cluster.timeline.holds("it hangs", asleep, || Ok(()));
    master.cont();
    let after = cluster.timeline.wait_for("it answers again", SOON, || publishes(master).ok_or_else(|| "no".to_owned()));
    println!("{} hellos of three sentinels after {} s", after - before, asleep.as_secs());
    assert!(after - before <= 5, "{} were waiting for it\n{}", after - before, cluster.timeline.report());
    cluster.timeline.wait_until("they go on", SOON, || publishes(master) >= Some(after + 3));
}

#[test]
fn a_master_whose_writes_are_paused_is_not_down_for_want_of_an_answer_to_hellos() {
    let cluster = Plan::new(Flavour::Ours).start();
    let master = cluster.server(cluster.master());
    cluster.timeline.wait_until("all say hello there", SOON, || publishes(master) >= Some(3));
    let before = publishes(master).expect("it answers");
    let paused = master.ask(&["CLIENT", "PAUSE", "6000", "WRITE"]).expect("it answers");
    assert!(paused.is_ok(), "{paused}");
    cluster.timeline.holds("nobody votes against it", Duration::from_millis(5500), || match cluster.recorded(1) {
        Ok(recorded) if recorded.down_votes == 0 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(publishes(master), Some(before), "the pause keeps hellos waiting, or this proves nothing");
    assert!(cluster.decisions(1).is_empty());
}

#[test]
fn a_refused_subscription_is_shown_but_is_not_down() {
    let cluster = Plan::new(Flavour::Ours).start();
    let port = cluster.others(cluster.master())[0];
    let server = cluster.server(port);
    let flags = |cluster: &Cluster| {
        let replicas = cluster.sentinel(1).answer(&["SENTINEL", "REPLICAS", GROUP]);
        let entry = replicas.items().iter().find(|entry| entry.field("port") == Some(port.to_string())).cloned();
        entry.and_then(|entry| entry.field("flags")).unwrap_or_default()
    };
    let wait_for_flags = |expected: &str| {
        cluster.timeline.wait_for(&format!("{port} is shown as {expected}"), SOON, || match flags(&cluster) {
            found if found == expected => Ok(()),
            found => Err(found),
        });
    };
    server.ask(&["ACL", "SETUSER", "default", "-subscribe"]).expect("it answers");
    server.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]).expect("it answers");
    wait_for_flags("slave,disconnected");
    let seen = cluster.seen(1, port).expect("it is known");
    assert_eq!(seen.health(), raft_sentinel::proto::sentinel::Health::Up);
    assert!(seen.health_reason.contains("SUBSCRIBE") && seen.health_reason.contains("NOPERM"), "{}", seen.health_reason);
    cluster.timeline.holds("it is not down", Duration::from_secs(3), || match flags(&cluster) {
        found if found == "slave,disconnected" => Ok(()),
        found => Err(found),
    });
    server.ask(&["ACL", "SETUSER", "default", "+subscribe"]).expect("it answers");
    wait_for_flags("slave");
}
