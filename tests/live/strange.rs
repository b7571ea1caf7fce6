//! Servers that speak Redis and leave out something that Redis tells.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::kit::{Flavour, GROUP, Plan, Scratch, redis_server};

const SOON: Duration = Duration::from_secs(30);

/// A redis-server whose INFO names no replication history, as KVRocks and Redis up to 3.2: under those names nobody looks for one.
fn without_history(scratch: &Scratch) -> PathBuf {
    let mut program = fs::read(redis_server()).expect("the program can be read");
    for name in [&b"master_replid:"[..], b"master_replid2:"] {
        let at: Vec<usize> = (0..program.len() - name.len()).filter(|at| program[*at..].starts_with(name)).collect();
        assert!(!at.is_empty(), "INFO tells {}", String::from_utf8_lossy(name));
        at.into_iter().for_each(|at| program[at..at + 6].copy_from_slice(b"untold"));
    }
    let path = scratch.path().join("redis-server-without-history");
    fs::write(&path, program).expect("it can be written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it can be made executable");
    path
}

#[test]
fn a_master_that_tells_no_history_is_failed_over_as_by_stock() {
    let scratch = Scratch::new();
    let program = Some(without_history(&scratch));
    let mut cluster = Plan { server_program: program, ..Plan::new(Flavour::Ours).with_policy("available") }.start();
    let old = cluster.master();
    let told = cluster.server(old).ask(&["INFO", "replication"]).expect("it answers").text().unwrap_or_default();
    assert!(told.contains("role:master") && !told.contains("master_replid"), "{told}");
    cluster.server_mut(old).kill();
    let new = cluster.wait_for_new_master(old, SOON);
    let other = cluster.others(new).into_iter().find(|port| *port != old).expect("three servers");
    cluster.wait_for_replica(other, new, SOON);
}

#[test]
fn strict_says_that_it_lacks_the_history() {
    let scratch = Scratch::new();
    let program = Some(without_history(&scratch));
    let mut cluster = Plan { server_program: program, ..Plan::new(Flavour::Ours).with_policy("strict") }.start();
    cluster.timeline.wait_for("it is told before anything happens", SOON, || {
        let master = cluster.sentinel(1).ask(&["SENTINEL", "MASTER", GROUP]).map_err(|error| error.to_string())?;
        let (fence, ready) = (master.field("fence-status").unwrap_or_default(), master.field("failover-ready").unwrap_or_default());
        if fence.contains("master_replid") && ready == "no" { Ok(()) } else { Err(format!("{fence} / {ready}")) }
    });
    let old = cluster.master();
    cluster.server_mut(old).kill();
    cluster.timeline.wait_for("and why there is no failover", SOON, || {
        let logs: String = cluster.sentinels.iter().map(crate::kit::Sentinel::log).collect();
        if logs.contains("no replication history") { Ok(()) } else { Err("no word of it".to_owned()) }
    });
    assert_eq!(cluster.master(), old, "nobody else is the master");
}
