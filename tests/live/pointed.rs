//! A master that is monitored by a name, and the name is pointed at one of its replicas.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use super::strict::strict;
use crate::kit::sentinel::our_binary_after;
use crate::kit::{Conn, GROUP, Plan, Scratch};

const SOON: Duration = Duration::from_secs(30);
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Has the sentinels read names in a file of the test, in a mount namespace of their own.
fn with_names_of(file: &Path, root: &Path) -> std::path::PathBuf {
    let bind = format!("mount --bind {} /etc/hosts", file.display());
    let words = format!(
        "[ -n \"$NAMES\" ] || {{ NAMES=bound; export NAMES; [ \"$(id -u)\" = 0 ] || MAP=-r; exec unshare $MAP -m \"$0\" \"$@\"; }}\n\
         {bind} || {{ echo 'a mount namespace of its own is needed: run it as root, or allow user namespaces' >&2; exit 1; }}"
    );
    our_binary_after(root, &words)
}

fn at(ip: Ipv4Addr, port: u16) -> Conn {
    Conn::open_at(SocketAddr::from((ip, port)), SOON).expect("a server listens")
}

#[test]
fn a_name_that_is_pointed_at_a_replica_makes_no_master_without_a_vote() {
    let scratch = Scratch::new();
    let names = scratch.path().join("hosts");
    fs::write(&names, "127.0.0.1 localhost redis.test\n").expect("it can be written");
    let lines = [strict().lines, vec!["sentinel resolve-hostnames yes".to_owned()]].concat();
    let sentinel_program = Some(with_names_of(&names, scratch.path()));
    let cluster = Plan { lines, sentinel_program, ..strict() }.start();
    let (old, timeline) = (cluster.master(), cluster.timeline.clone());
    // A replica listens on the master's port, at another address.
    let moved = cluster.others(old)[0];
    let mut conn = cluster.server(moved).conn(SOON).expect("it answers");
    for words in [
        &["CONFIG", "SET", "bind", "127.0.0.2"][..],
        &["CONFIG", "SET", "port", &old.to_string()],
        &["CONFIG", "SET", "replica-announce-ip", "127.0.0.2"],
        &["REPLICAOF", "NO", "ONE"],
        &["REPLICAOF", "127.0.0.1", &old.to_string()],
    ] {
        assert!(conn.ask(words).expect("it answers").is_ok(), "{words:?}");
    }
    let first = cluster.sentinel(1);
    first.expect_ok(&["SENTINEL", "REMOVE", GROUP, "FORCE"]);
    first.expect_ok(&["SENTINEL", "MONITOR", GROUP, "redis.test", &old.to_string(), "2"]);
    for (option, value) in [("down-after-milliseconds", "1000"), ("promotion-policy", "strict"), ("fence-max-lag", "1")] {
        first.expect_ok(&["SENTINEL", "SET", GROUP, option, value]);
    }
    let said = |name: &str| first.ask(&["SENTINEL", "MASTER", GROUP]).ok().and_then(|master| master.field(name)).unwrap_or_default();
    timeline.wait_for("all is well", SOON, || match (said("fence-known-replicas"), said("failover-ready")) {
        (known, ready) if known == "2" && ready == "yes" => Ok(()),
        seen => Err(format!("{seen:?}")),
    });
    let epoch = || said("config-epoch").parse::<u64>().ok();
    let before = timeline.wait_for("the epoch", SOON, || epoch().ok_or_else(|| "none".to_owned()));
    let mut client = at(Ipv4Addr::LOCALHOST, old);
    for number in 0..50 {
        assert!(client.ask(&["SET", &format!("kept:{number}"), "1"]).expect("it answers").is_ok());
    }
    let confirmed = client.ask(&["WAIT", "1", "5000"]).expect("it answers");
    assert!(confirmed.integer().is_some_and(|replicas| replicas >= 1), "{confirmed}");
    // Now the name means the replica, and every sentinel resolves it anew.
    fs::write(&names, "127.0.0.1 localhost\n127.0.0.2 redis.test\n").expect("it can be written");
    for kind in ["normal", "pubsub"] {
        let _ = at(Ipv4Addr::LOCALHOST, old).ask(&["CLIENT", "KILL", "TYPE", kind]);
    }
    let role = |ip: Ipv4Addr, port: u16| at(ip, port).ask(&["ROLE"]).ok().and_then(|role| role.items().first()?.text()).unwrap_or_default();
    // It is out of sight now, which is a matter of votes and of the log.
    let after = timeline.wait_for("a decision", SOON, || match epoch() {
        Some(epoch) if epoch > before => Ok(epoch),
        other => {
            assert!(role(ELSEWHERE, old) != "master", "it was made a master without a decision\n{}", timeline.report());
            Err(format!("{other:?}"))
        }
    });
    let masters = || {
        let third = *cluster.others(old).iter().find(|port| **port != moved).expect("three servers");
        [(Ipv4Addr::LOCALHOST, old), (ELSEWHERE, old), (Ipv4Addr::LOCALHOST, third)]
            .into_iter()
            .filter(|(ip, port)| role(*ip, *port) == "master")
            .collect::<Vec<_>>()
    };
    let master = timeline.wait_for("there is one master", SOON, || match &masters()[..] {
        [one] => Ok(*one),
        several => Err(format!("{several:?}")),
    });
    let mut there = at(master.0, master.1);
    for number in 0..50 {
        let kept = there.ask(&["GET", &format!("kept:{number}")]).expect("it answers");
        assert_eq!(kept.text().as_deref(), Some("1"), "epoch {after}: what was confirmed is kept\n{}", timeline.report());
    }
}
