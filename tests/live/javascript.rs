//! ioredis and node-redis, at the versions of `javascript/package-lock.json`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clients::{kill_the_master, others};
use crate::kit::process::{Process, Recipe, find_program};
use crate::kit::program;
use crate::kit::{Flavour, GROUP, Plan};

const SOON: Duration = Duration::from_secs(20);
pub(crate) const INSTALL: &str = "apt-get install -y nodejs npm";
const FILES: [&str; 4] = ["package.json", "package-lock.json", "ioredis.js", "node-redis.js"];

#[test]
fn ioredis_finds_the_master_and_a_replica_and_follows() {
    follows("ioredis");
}

#[test]
fn node_redis_finds_the_master_and_a_replica_and_follows() {
    follows("node-redis");
}

fn follows(library: &str) {
    let home = home_with_libraries();
    let mut cluster = Plan::new(Flavour::Ours).start();
    let timeline = cluster.timeline.clone();
    let log = cluster.scratch.path().join("js.log");
    timeline.watch_log(library, log.clone());
    let script = home.join(format!("{library}.js")).display().to_string();
    let ports = cluster.sentinels.iter().map(|sentinel| sentinel.ports.resp.to_string());
    let args = [script, GROUP.to_owned()].into_iter().chain(ports).collect();
    let _client = Process::start(Recipe { program: find_program("node", INSTALL), args, env: Vec::new(), log: log.clone() });
    let says = |master: u16, replicas: &[u16]| {
        let text = fs::read_to_string(&log).unwrap_or_default();
        let line = text.lines().last().unwrap_or_default().to_owned();
        let right = replicas.iter().any(|replica| line == format!("wrote={master} read={replica}"));
        if right { Ok(()) } else { Err(line) }
    };
    let old = cluster.servers[0].port;
    timeline.wait_for("it writes to the master and reads from a replica", SOON, || says(old, &others(&cluster, old)));
    let new = kill_the_master(&mut cluster);
    let up: Vec<u16> = others(&cluster, new).into_iter().filter(|port| *port != old).collect();
    timeline.wait_for("it writes to the new master and reads from the replica that is left", SOON, || says(new, &up));
    assert!(cluster.server(new).ask(&["GET", "js"]).is_ok_and(|reply| reply.text().is_some()), "the write is there");
}

/// A folder below `target/` with the libraries and the scripts, made once for each version of them.
pub(crate) fn home_with_libraries() -> PathBuf {
    let (root, sources) = (Path::new(env!("CARGO_TARGET_TMPDIR")), Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/live/javascript"));
    fs::create_dir_all(root).expect("target is ours");
    let lock = File::create(root.join("javascript.lock")).expect("target is ours");
    // Tests run side by side, in several processes as well.
    lock.lock().expect("a file can be locked");
    let home = root.join("javascript");
    fs::create_dir_all(&home).expect("target is ours");
    let ready = home.join("ready");
    let wanted = fs::read_to_string(sources.join("package-lock.json")).expect("the lock is there");
    for file in FILES {
        fs::copy(sources.join(file), home.join(file)).unwrap_or_else(|e| panic!("copy {file}: {e}"));
    }
    if fs::read_to_string(&ready).ok().as_ref() != Some(&wanted) {
        let npm = find_program("npm", INSTALL).display().to_string();
        let words = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", &home.display().to_string()];
        let installed = program::run(&npm, &words, Duration::from_secs(180));
        assert_eq!(installed.code, Some(0), "npm cannot install what this test needs; is the registry reachable? {installed:?}");
        fs::write(&ready, wanted).expect("target is ours");
    }
    home
}
