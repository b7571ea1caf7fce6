//! redis-py, with its own idea of what a sentinel is.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clients::{kill_the_master, others};
use crate::kit::process::{Process, Recipe, find_program};
use crate::kit::program;
use crate::kit::{Flavour, GROUP, Plan};

const SOON: Duration = Duration::from_secs(15);

const REDIS_PY: &str = "redis==6.4.0";

/// Writes through `master_for` and reads through `slave_for` for ever; one line for each round.
const PY_CLIENT: &str = r#"
import sys, time
from redis.sentinel import Sentinel
from redis.exceptions import RedisError

group, ports = sys.argv[1], [int(port) for port in sys.argv[2:]]
sentinel = Sentinel([("127.0.0.1", port) for port in ports], socket_timeout=1, decode_responses=True)
master = sentinel.master_for(group, socket_timeout=1, decode_responses=True)
replica = sentinel.slave_for(group, socket_timeout=1, decode_responses=True)
number = 0
while True:
    number += 1
    try:
        master.set("py", number)
        wrote = master.info("server")["tcp_port"]
        told = sentinel.discover_master(group)[1]
        read = replica.info("server")["tcp_port"]
        replicas = sorted(port for _, port in sentinel.discover_slaves(group))
        print(f"wrote={wrote} told={told} read={read} replicas={replicas}", flush=True)
    except RedisError as error:
        print("failed:", type(error).__name__, error, flush=True)
    time.sleep(0.05)
"#;

#[test]
fn redis_py_finds_the_master_and_the_replicas_and_follows() {
    let python = python_with_redis();
    let mut cluster = Plan::new(Flavour::Ours).start();
    let timeline = cluster.timeline.clone();
    let (script, log) = (cluster.scratch.path().join("client.py"), cluster.scratch.path().join("py.log"));
    fs::write(&script, PY_CLIENT).expect("the folder is there");
    timeline.watch_log("redis-py", log.clone());
    let ports = cluster.sentinels.iter().map(|sentinel| sentinel.ports.resp.to_string());
    let args = [script.display().to_string(), GROUP.to_owned()].into_iter().chain(ports).collect();
    let _client = Process::start(Recipe { program: python, args, env: Vec::new(), log: log.clone() });
    let says = |master: u16, replicas: &[u16]| {
        let mut replicas = replicas.to_vec();
        replicas.sort_unstable();
        let text = fs::read_to_string(&log).unwrap_or_default();
        let line = text.lines().last().unwrap_or_default().to_owned();
        let whom = format!("wrote={master} told={master} read=");
        if line.starts_with(&whom) && line.ends_with(&format!(" replicas={replicas:?}")) { Ok(()) } else { Err(line) }
    };
    let old = cluster.servers[0].port;
    timeline.wait_for("redis-py writes to the master and knows the replicas", SOON, || says(old, &others(&cluster, old)));
    let new = kill_the_master(&mut cluster);
    // The dead one is no replica to read from.
    let up: Vec<u16> = others(&cluster, new).into_iter().filter(|port| *port != old).collect();
    timeline.wait_for("redis-py writes to the new master", SOON, || says(new, &up));
    assert!(cluster.server(new).ask(&["GET", "py"]).is_ok_and(|reply| reply.text().is_some()), "the write is there");
    cluster.server_mut(old).restart();
    timeline.wait_for("the old one is a replica again", SOON, || says(new, &others(&cluster, new)));
}

/// A Python with the pinned redis-py, made once and kept below `target/`.
fn python_with_redis() -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(root).expect("target is ours");
    let lock = File::create(root.join("redis-py.lock")).expect("target is ours");
    // Tests run side by side, in several processes as well.
    lock.lock().expect("a file can be locked");
    let home = root.join(REDIS_PY.replace("==", "-py-"));
    let (python, ready) = (home.join("bin/python"), home.join("ready"));
    if !ready.exists() {
        let _ = fs::remove_dir_all(&home);
        let limit = Duration::from_secs(180);
        let system = find_program("python3", "apt-get install -y python3 python3-venv").display().to_string();
        let made = program::run(&system, &["-m", "venv", &home.display().to_string()], limit);
        assert_eq!(made.code, Some(0), "python3 cannot make a virtual environment (apt-get install -y python3-venv): {made:?}");
        let words = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", REDIS_PY];
        let installed = program::run(&python.display().to_string(), &words, limit);
        assert_eq!(installed.code, Some(0), "pip cannot install {REDIS_PY}, which this test needs; is PyPI reachable? {installed:?}");
        fs::write(&ready, "").expect("target is ours");
    }
    python
}
