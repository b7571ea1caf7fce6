//! redis-py, with its own idea of what a sentinel is.

use std::fs;
use std::time::Duration;

use crate::clients::{kill_the_master, others};
use crate::kit::process::{Process, Recipe};
use crate::kit::python::python_with;
use crate::kit::{Flavour, GROUP, Plan};

const SOON: Duration = Duration::from_secs(15);

pub(crate) const REDIS_PY: &str = "redis==6.4.0";

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
    let python = python_with(REDIS_PY);
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
