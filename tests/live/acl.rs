//! Data nodes that let the sentinels do what they need, and nothing else.

use std::time::Duration;

use crate::clients::kill_the_master;
use crate::kit::{Cluster, Flavour, GROUP, Plan};

const SOON: Duration = Duration::from_secs(30);

/// The user that operators are told to make.
fn documented() -> &'static str {
    let readme = include_str!("../../README.md");
    readme.lines().find(|line| line.starts_with("user raft-sentinel on >secret ")).expect("the README has the line")
}

fn cluster() -> Cluster {
    let lines = [format!("sentinel auth-user {GROUP} raft-sentinel"), format!("sentinel auth-pass {GROUP} secret")];
    Plan { lines: lines.into(), server_lines: vec![documented().to_owned()], ..Plan::new(Flavour::Ours) }.start()
}

/// Every server says that nobody was refused anything, but for what the test itself asked for.
fn assert_nothing_refused(cluster: &Cluster) {
    for server in &cluster.servers {
        let refused = server.ask(&["ACL", "LOG"]).expect("it answers");
        assert!(refused.items().is_empty(), "{} refused something: {refused}\n{}", server.name, cluster.timeline.report());
    }
}

#[test]
fn the_documented_user_is_enough_for_a_failover_and_the_return_of_the_old_master() {
    let mut cluster = cluster();
    let old = cluster.master();
    assert_nothing_refused(&cluster);
    let new = kill_the_master(&mut cluster);
    cluster.server_mut(old).restart();
    let others = cluster.others(new);
    cluster.wait_until_all_follow(new, &others, SOON);
    // Hellos are said and heard, on all of them.
    cluster.timeline.wait_for("nobody is disconnected", SOON, || {
        for sentinel in &cluster.sentinels {
            let replicas = sentinel.ask(&["SENTINEL", "REPLICAS", GROUP]).map_err(|error| error.to_string())?;
            let flags: Vec<_> = replicas.items().iter().filter_map(|replica| replica.field("flags")).collect();
            if flags != ["slave", "slave"] {
                return Err(format!("sentinel {}: {flags:?}", sentinel.id));
            }
        }
        Ok(())
    });
    assert_nothing_refused(&cluster);
}

#[test]
fn the_documented_user_may_do_what_a_fence_needs() {
    let cluster = cluster();
    let mut conn = cluster.servers[1].conn(SOON).expect("it answers");
    assert!(conn.ask(&["AUTH", "raft-sentinel", "secret"]).expect("it answers").is_ok());
    let acts: &[&[&str]] = &[
        &["CONFIG", "GET", "min-replicas-to-write"],
        &["CONFIG", "SET", "min-replicas-to-write", "1", "min-replicas-max-lag", "2"],
        &["CONFIG", "SET", "min-replicas-to-write", "0"],
        &["CLIENT", "PAUSE", "1", "WRITE"],
        &["CLIENT", "UNPAUSE"],
        &["CLIENT", "KILL", "TYPE", "pubsub"],
        &["SCRIPT", "KILL"],
        &["MULTI"],
        &["CONFIG", "REWRITE"],
        &["INFO"],
        &["EXEC"],
    ];
    for words in acts {
        let reply = conn.ask(words).expect("it answers");
        assert!(reply.error().is_none_or(|error| error.starts_with("NOTBUSY")), "{words:?}: {reply}");
    }
    // And nothing else.
    for words in [&["GET", "key"][..], &["PUBLISH", "elsewhere", "x"], &["SHUTDOWN"], &["CONFIG", "RESETSTAT"], &["FLUSHALL"]] {
        let reply = conn.ask(words).expect("it answers");
        assert!(reply.error().is_some_and(|error| error.starts_with("NOPERM")), "{words:?}: {reply}");
    }
}
