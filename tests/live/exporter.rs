//! What redis_exporter reads of a sentinel: INFO and the replies that it turns into metrics, read in its way.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::kit::{Conn, Flavour, GROUP, Plan, Reply};

const SOON: Duration = Duration::from_secs(15);

/// `name:value` lines; it goes by the first colon and skips headings.
fn fields(info: &str) -> BTreeMap<String, String> {
    let lines = info.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn map(reply: &Reply) -> BTreeMap<String, String> {
    let pairs = reply.items().chunks_exact(2).map(|pair| (pair[0].text(), pair[1].text()));
    pairs.map(|(name, value)| (name.expect("a name"), value.expect("a text, as all of them are"))).collect()
}

fn number(fields: &BTreeMap<String, String>, name: &str) -> f64 {
    let value = fields.get(name).unwrap_or_else(|| panic!("no {name} in {fields:?}"));
    value.parse().unwrap_or_else(|_| panic!("{name} is {value:?}, which is no number"))
}

#[test]
fn the_exporter_finds_all_that_it_reads() {
    let cluster = Plan::new(Flavour::Ours).start();
    let master = cluster.servers[0].port;
    let mut conn: Conn = cluster.sentinels[0].conn().expect("it answers");
    // The exporter names itself first, and does not mind if that fails.
    conn.ask(&["CLIENT", "SETNAME", "redis_exporter"]).expect("it answers");
    // It asks a data server's questions before it knows what it talks to: an error each, and the connection stays.
    for words in [&["CONFIG", "GET", "*"][..], &["LATENCY", "LATEST"], &["SLOWLOG", "LEN"], &["CLUSTER", "INFO"]] {
        assert!(conn.ask(words).expect("it answers").error().is_some(), "{words:?}");
    }
    let info = fields(&conn.ask(&["INFO", "ALL"]).expect("it answers").text().expect("a text"));
    assert_eq!(info.get("redis_mode").map(String::as_str), Some("sentinel"));
    for name in ["redis_version", "os", "run_id", "tcp_port"] {
        assert!(info.get(name).is_some_and(|value| !value.is_empty()), "{name}");
    }
    for (name, value) in [
        ("sentinel_masters", 1.0),
        ("sentinel_tilt", 0.0),
        ("sentinel_running_scripts", 0.0),
        ("sentinel_scripts_queue_length", 0.0),
        ("sentinel_simulate_failure_flags", 0.0),
    ] {
        assert!((number(&info, name) - value).abs() < 0.5, "{name}");
    }
    for name in
        ["uptime_in_seconds", "process_id", "connected_clients", "maxclients", "rejected_connections", "used_cpu_sys", "used_cpu_user"]
    {
        number(&info, name);
    }
    assert_eq!(info["master0"], format!("name={GROUP},status=ok,address=127.0.0.1:{master},slaves=2,sentinels=3"));

    let masters = cluster.sentinels[0].answer(&["SENTINEL", "MASTERS"]);
    let [only] = masters.items() else { panic!("{masters}") };
    let only = map(only);
    assert_eq!((only["name"].as_str(), only["ip"].as_str(), &only["port"]), (GROUP, "127.0.0.1", &master.to_string()));
    for name in ["quorum", "failover-timeout", "parallel-syncs", "down-after-milliseconds", "config-epoch", "last-ok-ping-reply"] {
        number(&only, name);
    }
    cluster.timeline.wait_for("CKQUORUM says that all is well", SOON, || {
        let enough = cluster.sentinels[0].answer(&["SENTINEL", "CKQUORUM", GROUP]);
        if enough.text().is_some_and(|text| text.starts_with("OK 3 usable Sentinels")) { Ok(()) } else { Err(enough.to_string()) }
    });
    for (kind, count) in [("SENTINELS", 2), ("SLAVES", 2)] {
        let all = conn.ask(&["SENTINEL", kind, GROUP]).expect("it answers");
        let up = all.items().iter().map(map).filter(|entry| !entry["flags"].contains("_down"));
        assert_eq!(up.count(), count, "{kind}: {all}");
        for entry in all.items().iter().map(map) {
            assert!(
                ["name", "ip", "port", "runid"].iter().all(|name| entry.get(*name).is_some_and(|value| !value.is_empty())),
                "{entry:?}"
            );
        }
    }
    let parameters = map(&conn.ask(&["SENTINEL", "config", "get", "*"]).expect("it answers"));
    assert_eq!(parameters["announce-port"], "0");
}
