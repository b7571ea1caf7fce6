//! Clients whose first sentinel is cut off from the others: its answer must send them to the next one, soon.

use std::fs;
use std::time::{Duration, Instant};

use crate::javascript;
use crate::kit::ports::free_port;
use crate::kit::process::{Process, Recipe, find_program};
use crate::kit::program;
use crate::kit::python::python_with;
use crate::kit::sentinel::{SECRET, our_binary, write_secret};
use crate::kit::{Cluster, Flavour, GROUP, Plan, Reply};
use crate::redis_py::REDIS_PY;

const SOON: Duration = Duration::from_secs(15);
const LOOK_UP: &[&str] = &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", GROUP];
const VALKEY_PY: &str = "valkey==6.1.1";

/// Writes through `master_for` and reads through `slave_for`, as a program does that has just started; then the same with asyncio.
const PY_CLIENT: &str = r#"
import asyncio, importlib, sys, time

library, group, ports = sys.argv[1], sys.argv[2], [("127.0.0.1", int(port)) for port in sys.argv[3:]]

def of(module):
    return importlib.import_module(library + module).Sentinel(ports, socket_timeout=1)

def took(what, begun):
    print(what, int((time.monotonic() - begun) * 1000), flush=True)

begun = time.monotonic()
of(".sentinel").master_for(group, socket_timeout=1).set("key", 1)
took("write", begun)
begun = time.monotonic()
of(".sentinel").slave_for(group, socket_timeout=1).get("key")
took("read", begun)

async def main():
    begun = time.monotonic()
    master = of(".asyncio.sentinel").master_for(group, socket_timeout=1)
    await master.set("key", 2)
    took("async-write", begun)
    await master.aclose()

asyncio.run(main())
"#;

/// A cluster of which the first sentinel has another secret than the others, so that they refuse each other.
fn with_the_first_cut_off() -> Cluster {
    let lines = vec!["# default no-quorum-reply".to_owned()];
    let mut cluster = Plan { replicas: 1, lines, ..Plan::new(Flavour::Ours) }.start();
    let first = &mut cluster.sentinels[0];
    let other: String = SECRET.chars().rev().collect();
    write_secret(&first.dir().join("secret"), &[&other]);
    first.restart();
    let timeline = cluster.timeline.clone();
    timeline.wait_for("the others answer", SOON, || cluster.sentinels[1..].iter().try_for_each(|sentinel| sentinel.master().map(|_| ())));
    timeline.wait_for("the first one knows that it is alone", SOON, || {
        let answer = cluster.sentinels[0].ask(&["SENTINEL", "CKQUORUM", GROUP]).map_err(|e| e.to_string())?;
        if answer.error().is_some_and(|text| text.starts_with("NOQUORUM 1 usable")) { Ok(()) } else { Err(answer.to_string()) }
    });
    cluster
}

#[test]
fn a_sentinel_that_is_cut_off_sends_clients_on_at_once() {
    let cluster = with_the_first_cut_off();
    let first = &cluster.sentinels[0];
    cluster.timeline.wait_for("it says so without waiting", SOON, || {
        let asked = Instant::now();
        let answers = [first.ask(LOOK_UP), first.ask(&["SENTINEL", "MASTERS"])].map(|answer| answer.map_err(|e| e.to_string()));
        let took = asked.elapsed();
        let expected = [Ok(Reply::Nil), Ok(Reply::Array(Vec::new()))];
        if answers == expected && took < Duration::from_millis(200) { Ok(()) } else { Err(format!("{answers:?} after {took:?}")) }
    });
    assert!(first.ask(&["SENTINEL", "MASTER", GROUP]).is_ok_and(|r| r.error().is_some_and(|text| text.starts_with("NOQUORUM "))));
    let replicas = first.ask(&["SENTINEL", "REPLICAS", GROUP]).expect("it answers");
    assert_eq!(replicas.items().len(), 1, "its own view needs no quorum: {replicas}");
}

#[test]
fn redis_py_and_valkey_py_go_on_to_the_next_sentinel() {
    let cluster = with_the_first_cut_off();
    let script = cluster.scratch.path().join("client.py");
    fs::write(&script, PY_CLIENT).expect("the folder is there");
    for package in [REDIS_PY, VALKEY_PY] {
        let python = python_with(package).display().to_string();
        let library = package.split_once("==").expect("a version is named").0;
        let mut args = vec![script.display().to_string(), library.to_owned(), GROUP.to_owned()];
        args.extend(cluster.sentinels.iter().map(|sentinel| sentinel.ports.resp.to_string()));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let told = program::run(&python, &args, Duration::from_secs(60)).success();
        println!("{package}: {told}");
        for line in told.lines() {
            let took_ms: u64 = line.split_once(' ').and_then(|(_, ms)| ms.parse().ok()).expect("a step and its milliseconds");
            assert!(took_ms < 3000, "{package}: {line}");
        }
        assert_eq!(told.lines().count(), 3, "{told}");
    }
}

/// What `raft-sentinel master` did with these words, asking at these gRPC ports in turn.
fn look_up(words: &[&str], ports: &[u16]) -> program::Ended {
    let addrs: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let addrs = addrs.join(",");
    let words: Vec<&str> = ["master"].iter().chain(words).chain(&["--addr", &addrs]).copied().collect();
    program::run(&our_binary().display().to_string(), &words, Duration::from_secs(30))
}

#[test]
fn scripts_learn_the_master_or_why_there_is_none() {
    let mut cluster = with_the_first_cut_off();
    let (alone, second) = (cluster.sentinels[0].ports.grpc, cluster.sentinels[1].ports.grpc);
    let (nobody, port) = (free_port(), cluster.servers[0].port);
    let line = |words: &[&str]| look_up(words, &[nobody, alone, second]).success();
    assert_eq!(line(&[GROUP]), format!("127.0.0.1:{port}\n"), "sentinels are asked in turn");
    assert_eq!(line(&[GROUP, "--host-only"]), "127.0.0.1\n");
    assert_eq!(line(&[GROUP, "--port-only"]), format!("{port}\n"));
    let told: serde_json::Value = serde_json::from_str(&line(&[GROUP, "--json"])).expect("a document");
    assert_eq!(told["master"]["address"], format!("127.0.0.1:{port}"));
    assert_eq!(look_up(&[GROUP, "--stale"], &[alone]).success(), format!("127.0.0.1:{port}\n"));
    for (words, ports, code, says) in [
        (&["nosuch"][..], &[second][..], 3, "no master named 'nosuch'"),
        (&["nosuch", "--stale"], &[alone], 3, "no master named 'nosuch'"),
        (&[GROUP], &[alone], 4, "no quorum of sentinels confirmed the answer"),
        (&[GROUP], &[nobody, alone], 4, "no quorum of sentinels confirmed the answer"),
        (&[GROUP], &[nobody], 5, "cannot connect"),
        (&[GROUP, "--host-only", "--port-only"], &[second], 2, "cannot be used with"),
        (&[GROUP, "--host-only", "--json"], &[second], 2, "cannot be used with"),
    ] {
        let ended = look_up(words, ports);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{words:?}: {ended:?}");
        assert!(ended.stderr.contains(says), "{words:?}: {ended:?}");
    }
    let new = kill_the_master_named_by(&mut cluster, 1);
    assert_eq!(line(&[GROUP, "--port-only"]), format!("{new}\n"));
}

/// Kills the master; returns the one that this sentinel names then.
fn kill_the_master_named_by(cluster: &mut Cluster, at: usize) -> u16 {
    let old = cluster.servers[0].port;
    cluster.server_mut(old).kill();
    cluster.timeline.wait_for("there is another master", SOON, || match cluster.sentinels[at].master() {
        Ok(port) if port != old => Ok(port),
        other => Err(format!("{other:?}")),
    })
}

#[test]
fn ioredis_and_node_redis_go_on_to_the_next_sentinel() {
    let cluster = with_the_first_cut_off();
    let (master, replica) = (cluster.servers[0].port, cluster.servers[1].port);
    for library in ["ioredis", "node-redis"] {
        let log = cluster.scratch.path().join(library).with_extension("log");
        cluster.timeline.watch_log(library, log.clone());
        let script = javascript::home_with_libraries().join(format!("{library}.js")).display().to_string();
        let ports = cluster.sentinels.iter().map(|sentinel| sentinel.ports.resp.to_string());
        let args = [script, GROUP.to_owned()].into_iter().chain(ports).collect();
        let node = find_program("node", javascript::INSTALL);
        let _client = Process::start(Recipe { program: node, args, env: Vec::new(), log: log.clone() });
        cluster.timeline.wait_for(&format!("{library} writes and reads"), SOON, || {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let line = format!("wrote={master} read={replica}");
            if text.lines().any(|said| said == line) { Ok(()) } else { Err(text) }
        });
    }
}
