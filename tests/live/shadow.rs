//! Our sentinels in shadow beside real stock ones: they watch, vote and decide, and touch nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use raft_sentinel::proto::sentinel::{Difference, Duty};

use crate::grpc::http_get;
use crate::kit::beside::Beside;
use crate::kit::history::address;
use crate::kit::looks::local;
use crate::kit::{Cluster, Flavour, GROUP, Plan, RedisServer, Reply};

const SOON: Duration = Duration::from_secs(30);
/// A stock failover may need a second attempt.
const STOCK_FAILOVER: Duration = Duration::from_secs(60);
/// What our sentinels may do on a server, and nothing else: what they do besides is refused, and in ACL LOG.
const WATCHER: &str = "user watcher on >seen resetkeys resetchannels &__sentinel__:hello -@all +ping +info +subscribe +client|setname";
const AS_WATCHER: [&str; 2] = ["sentinel auth-user mymaster watcher", "sentinel auth-pass mymaster seen"];
const LIMITS: [&str; 2] = ["sentinel down-after-milliseconds mymaster 1000", "sentinel failover-timeout mymaster 10000"];

fn stock(plan: Plan) -> Cluster {
    Plan { flavour: Flavour::Stock, server_lines: vec![WATCHER.to_owned()], ..plan }.start()
}

fn in_shadow(deployment: &Cluster, lines: &[&str]) -> Beside {
    let lines: Vec<&str> = AS_WATCHER.iter().chain(&LIMITS).chain(lines).copied().collect();
    let beside = Beside::start(deployment, &lines, &["--shadow"]);
    beside.wait_until_it_listens(2, 3);
    beside
}

/// What was refused on a server since it started.
fn refused(server: &RedisServer) -> Vec<String> {
    let log = server.ask(&["ACL", "LOG", "128"]).expect("it answers");
    log.items().iter().map(ToString::to_string).collect()
}

/// A server whose commands are written down as they come.
struct Monitored {
    port: u16,
    thread: std::thread::JoinHandle<Vec<String>>,
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl Monitored {
    fn start(server: &RedisServer) -> Self {
        let mut conn = server.conn(Duration::from_secs(5)).expect("it answers");
        conn.ask(&["MONITOR"]).expect("it lets us watch");
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let stopped = std::sync::Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut lines = Vec::new();
            while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
                match conn.read() {
                    Ok(Reply::Status(line)) => lines.push(line),
                    Ok(_) => {}
                    // It was killed: sentinels ask it something more often than that.
                    Err(_) => break,
                }
            }
            lines
        });
        Self { port: server.port, thread, stop }
    }

    /// The commands that came from these connections, by their names.
    fn finish(self, from: &BTreeSet<String>) -> BTreeSet<String> {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let lines = self.thread.join().expect("it only reads");
        let of_ours = |line: &String| {
            let (source, command) = line.split_once('[')?.1.split_once("] ")?;
            let addr = source.split_once(' ')?.1;
            from.contains(addr).then(|| command.split('"').nth(1).unwrap_or_default().to_ascii_lowercase())
        };
        lines.iter().filter_map(of_ours).collect()
    }
}

/// The connections of the watcher, by their addresses.
fn watchers(server: &RedisServer) -> BTreeSet<String> {
    let list = server.ask(&["CLIENT", "LIST"]).ok().and_then(|reply| reply.text()).unwrap_or_default();
    let addr = |line: &str| line.contains(" user=watcher ").then(|| line.split(" addr=").nth(1)?.split(' ').next().map(str::to_owned))?;
    list.lines().filter_map(addr).collect()
}

fn counted(beside: &Beside, outcome: &str) -> f64 {
    let (_, metrics) = http_get(beside.sentinels[0].ports.http, "/metrics");
    let prefix = format!("raft_sentinel_shadow_incidents_total{{group=\"{GROUP}\",outcome=\"{outcome}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&prefix)?.parse().ok()).unwrap_or(0.0)
}

#[test]
fn a_failover_of_stock_is_judged_beside_it_and_no_server_is_touched() {
    // Stock waits longer, so that ours has come to its verdict first on a busy machine, too.
    let mut cluster = stock(Plan { priorities: vec![10, 100], down_after_ms: 4000, ..Plan::new(Flavour::Stock) });
    let (timeline, old) = (cluster.timeline.clone(), cluster.master());
    let monitored: Vec<Monitored> = cluster.servers.iter().map(Monitored::start).collect();
    let beside = in_shadow(&cluster, &[]);
    let ours: Vec<BTreeSet<String>> = cluster.servers.iter().map(watchers).collect();
    assert!(ours.iter().all(|addrs| addrs.len() >= 6), "eyes and ears of three sentinels: {ours:?}");
    for sentinel in &beside.sentinels {
        assert_eq!(beside.recorded(sentinel).map(|master| master.duty()), Ok(Duty::Shadow));
        assert_eq!(sentinel.master(), Ok(old), "it answers clients all the same");
    }
    let refusal = beside.sentinels[0].answer(&["SENTINEL", "FAILOVER", GROUP]);
    assert!(refusal.error().is_some_and(|text| text.contains("in shadow")), "{refusal}");

    let writer = cluster.writer();
    timeline.wait_until("the client writes", SOON, || writer.count() >= 100);
    cluster.server_mut(old).kill();
    let new = cluster.wait_for_new_master(old, STOCK_FAILOVER);
    let told = |incident: &raft_sentinel::proto::sentinel::Incident| {
        let stock = incident.stock.clone().unwrap_or_default();
        stock.down.is_some() && stock.chosen.is_some() && stock.switched.is_some()
    };
    let incident = beside.wait_for_comparison(told);
    println!("our decision came {:?} ms before stock's", incident.ours_earlier_ms);
    assert_eq!(incident.difference(), Difference::SameChoice, "{incident:#?}");
    assert_eq!((address(incident.master.as_ref()), address(incident.moved_to.as_ref())), (local(old), local(new)));
    let (ours_said, stock_said) = (incident.ours.clone().unwrap_or_default(), incident.stock.clone().unwrap_or_default());
    assert!(ours_said.votes.as_ref().is_some_and(|votes| votes.votes.len() >= 2 && votes.quorum == 2), "{ours_said:#?}");
    assert_eq!(address(ours_said.choice.as_ref().and_then(|choice| choice.chosen.as_ref())), local(new));
    let switched = stock_said.switched.clone().unwrap_or_default();
    assert_eq!(address(switched.node.as_ref()), local(new));
    let stock_ports: Vec<String> = cluster.sentinels.iter().map(|stock| local(stock.ports.resp)).collect();
    assert!(stock_ports.contains(&address(switched.from.as_ref())), "{switched:?}");
    assert!(incident.ours_earlier_ms.is_some_and(|ms| ms > 0), "its limit is the shorter one: {incident:#?}");
    beside.wait_for("the record follows", |view| {
        view.master.as_ref().is_some_and(|master| address(master.address.as_ref()) == local(new) && master.epoch == 1)
    });

    // The old master comes back: demoting it is stock's business.
    cluster.server_mut(old).restart();
    cluster.wait_for_replica(old, new, STOCK_FAILOVER);
    timeline.wait_until("the client writes on", SOON, || writer.count() >= 200);
    drop(writer);
    for sentinel in &cluster.sentinels {
        let others = sentinel.answer(&["SENTINEL", "MASTER", GROUP]).field("num-other-sentinels");
        assert_eq!(others.as_deref(), Some("2"), "stock does not know of ours, which would take part in its elections");
    }
    for server in &cluster.servers {
        assert_eq!(refused(server), Vec::<String>::new(), "{}: something was tried that a watcher may not do", server.name);
    }
    let harmless = ["auth", "client", "info", "ping", "subscribe"].map(str::to_owned).into();
    for (monitored, mut from) in monitored.into_iter().zip(ours) {
        from.extend(watchers(cluster.server(monitored.port)));
        let port = monitored.port;
        let did = monitored.finish(&from);
        assert!(did.contains("info") && did.is_subset(&harmless), "{port}: {did:?}");
    }

    assert!(counted(&beside, "same_choice") >= 1.0);
    let text = beside.operator(&["shadow-report"]).success();
    for part in ["IN SHADOW", "SAME CHOICE", "connection refused", "+odown", "+switch-master", "both chose the same replica", &local(new)] {
        assert!(text.contains(part), "no '{part}' in:\n{text}");
    }
    println!("{text}");
    let json = beside.operator(&["shadow-report", GROUP, "--json"]).success();
    let json: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    let told = &json["groups"][0]["incidents"][0];
    assert_eq!((told["difference"].as_str(), told["moved_to"].as_str()), (Some("same_choice"), Some(local(new).as_str())));
    assert_eq!(told["ours"]["choice"]["chosen"], told["stock"]["switched"]["node"]);
    let log = beside.sentinels[0].log();
    for event in ["+shadow-decided", "+shadow-stock", "+shadow-followed", "+shadow-compared", "+switch-master"] {
        assert!(log.contains(event), "no {event} in the log");
    }
    assert!(!log.contains("INFO +try-failover"), "nobody is to be told of a failover that is none");
}

#[test]
fn an_outage_that_only_ours_would_have_ended_is_told_so() {
    let cluster = stock(Plan { down_after_ms: 60_000, ..Plan::new(Flavour::Stock) });
    let (timeline, master) = (cluster.timeline.clone(), cluster.master());
    let beside = in_shadow(&cluster, &[]);
    cluster.server(master).stop();
    timeline.wait_for("a verdict", SOON, || {
        let open = beside.incidents(&beside.sentinels[0])?;
        if open.iter().any(|open| open.ours.as_ref().is_some_and(|ours| ours.choice.is_some())) { Ok(()) } else { Err(format!("{open:?}")) }
    });
    cluster.server(master).cont();
    let incident = beside.wait_for_comparison(|_| true);
    assert_eq!(incident.difference(), Difference::OnlyOurs, "{incident:#?}");
    assert_eq!(cluster.server(master).role().as_deref(), Some("master"));
    assert_eq!(beside.recorded(&beside.sentinels[0]).map(|master| master.epoch), Ok(0));
    for server in &cluster.servers {
        assert_eq!(refused(server), Vec::<String>::new(), "{}", server.name);
    }
}

#[test]
fn a_change_that_only_stock_made_is_followed() {
    let mut cluster = stock(Plan::new(Flavour::Stock));
    let old = cluster.master();
    let beside = in_shadow(&cluster, &[]);
    cluster.sentinels[0].expect_ok(&["SENTINEL", "FAILOVER", GROUP]);
    let new = cluster.wait_for_new_master(old, STOCK_FAILOVER);
    let incident = beside.wait_for_comparison(|incident| incident.stock.as_ref().is_some_and(|stock| stock.switched.is_some()));
    assert_eq!(incident.difference(), Difference::OnlyStock, "{incident:#?}");
    for sentinel in &beside.sentinels {
        assert_eq!(sentinel.master(), Ok(new));
    }
    // A leader that has seen nothing of it goes on where the record is.
    let leader = beside
        .sentinels
        .iter()
        .position(|sentinel| sentinel.history().status().is_ok_and(|status| status.leader_id == Some(status.node_id)));
    let mut beside = beside;
    beside.sentinels[leader.expect("one leads")].restart();
    cluster.server_mut(new).kill();
    let newest = cluster.wait_for_new_master(new, STOCK_FAILOVER);
    beside.wait_for("the record follows once more", |view| {
        view.master.as_ref().is_some_and(|master| address(master.address.as_ref()) == local(newest) && master.epoch == 2)
    });
}

/// A password that is set at run time is shown to stock sentinels at once, and so is one that is taken back.
#[test]
fn a_password_that_is_set_later_lets_ours_hear_the_others() {
    let cluster = stock(Plan::new(Flavour::Stock));
    let beside = in_shadow(&cluster, &["sentinel foreign-sentinels 127.0.0.1"]);
    for sentinel in &cluster.sentinels {
        sentinel.expect_ok(&["ACL", "SETUSER", "default", "resetpass", ">opened"]);
        let mut conn = sentinel.conn().expect("it answers");
        conn.ask(&["AUTH", "opened"]).expect("it answers");
        conn.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]).expect("it answers");
    }
    let set = |pass: &str| {
        let words = ["SENTINEL", "CONFIG", "SET", "sentinel-pass", pass];
        beside.sentinels.iter().for_each(|sentinel| sentinel.expect_ok(&words));
    };
    let wait_until_shut_out = || {
        beside.wait_for("no sentinel of the others lets ours in", |view| {
            let told: Vec<&str> = view.foreign_sentinels.iter().map(|foreign| foreign.subscription.as_str()).collect();
            told.len() == 3 && told.iter().all(|told| told.contains("NOAUTH"))
        });
    };
    wait_until_shut_out();
    set("opened");
    beside.wait_until_it_listens(2, 3);
    set("");
    wait_until_shut_out();
}
