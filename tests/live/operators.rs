//! The operators' commands, and the example client, as they are started.

use std::process::Command;
use std::time::Duration;

use crate::kit::process::{Process, Recipe};
use crate::kit::program::{self, Ended};
use crate::kit::sentinel::our_binary;
use crate::kit::{Cluster, Flavour, GROUP, Plan, Sentinel};

const SOON: Duration = Duration::from_secs(15);

#[test]
fn the_example_client_follows_through_the_loss_of_a_sentinel_and_of_the_master() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let timeline = cluster.timeline.clone();
    let log = cluster.scratch.path().join("follow_master.log");
    timeline.watch_log("follow_master", log.clone());
    let sentinels = cluster.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.ports.grpc));
    let args: Vec<String> = std::iter::once(GROUP.to_owned()).chain(sentinels).collect();
    let mut follower = Process::start(Recipe { program: example("follow_master"), args, env: Vec::new(), log: log.clone() });
    let said = |what: &str| {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        if text.contains(what) { Ok(()) } else { Err(text) }
    };
    let old = cluster.servers[0].port;
    timeline.wait_for("it writes", SOON, || said(&format!("to 127.0.0.1:{old}")));
    // The one that it listens to goes first.
    cluster.sentinels[0].kill();
    cluster.server_mut(old).kill();
    let new = cluster.wait_for_new_master(old, SOON);
    timeline.wait_for("it writes to the new master", SOON, || said(&format!("to 127.0.0.1:{new}")));
    assert!(said("after revision").is_ok(), "it resumed rather than began anew");
    assert!(follower.is_running());
    let told = std::fs::read_to_string(&log).expect("it wrote");
    assert_eq!(told.matches("change ").count(), 1, "one change, once: {told}");
}

/// An example of this crate, built now: `cargo test --test live` does not build it.
fn example(name: &str) -> std::path::PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--quiet", "--example", name]);
    if cfg!(feature = "failpoints") {
        build.args(["--features", "failpoints"]);
    }
    let built = build.output().unwrap_or_else(|e| panic!("cargo is needed to build the example {name}: {e}"));
    assert!(built.status.success(), "the example {name} does not build:\n{}", String::from_utf8_lossy(&built.stderr));
    let this = std::env::current_exe().expect("a running program has a path");
    this.ancestors().nth(2).expect("it lies in deps").join("examples").join(name)
}

pub(crate) fn operator(cluster: &Cluster, words: &[&str]) -> Ended {
    let addrs: Vec<String> = cluster.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.ports.grpc)).collect();
    let addr = addrs.join(",");
    let words: Vec<&str> = words.iter().copied().chain(["--addr", &addr]).collect();
    program::run(&our_binary().display().to_string(), &words, Duration::from_secs(30))
}

#[test]
fn operators_see_and_change_the_cluster_from_the_command_line() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let timeline = cluster.timeline.clone();
    let ports: Vec<String> = cluster.servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
    let has = |text: &str, parts: &[&str]| assert!(parts.iter().all(|part| text.contains(part)), "{parts:?} in:\n{text}");
    has(&operator(&cluster, &["status"]).success(), &[GROUP, &ports[0], "leader"]);
    has(&operator(&cluster, &["masters"]).success(), &[GROUP, &ports[0]]);
    has(&operator(&cluster, &["replicas", GROUP]).success(), &[&ports[1], &ports[2]]);
    has(&operator(&cluster, &["members", "list"]).success(), &["voter", "leader"]);
    let log = cluster.scratch.path().join("watch.log");
    let addr = format!("127.0.0.1:{}", cluster.sentinels[0].ports.grpc);
    let args = ["watch", GROUP, "--json", "--addr", &addr].map(str::to_owned).to_vec();
    let mut watch = Process::start(Recipe { program: our_binary(), args, env: Vec::new(), log: log.clone() });
    let lines = || std::fs::read_to_string(&log).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
    timeline.wait_for("the watch has begun", SOON, || if lines().is_empty() { Err("no line".to_owned()) } else { Ok(()) });
    has(&operator(&cluster, &["failover", GROUP]).success(), &["epoch 1"]);
    let new = cluster.wait_for_new_master(cluster.servers[0].port, SOON);
    timeline.wait_for("the watch tells of it", SOON, || {
        let told = lines();
        if told.iter().any(|line| line.contains("change") && line.contains(&new.to_string())) { Ok(()) } else { Err(format!("{told:#?}")) }
    });
    for line in lines() {
        serde_json::from_str::<serde_json::Value>(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
    }
    watch.kill();
    has(&operator(&cluster, &["decisions", GROUP]).success(), &[&ports[0], &format!("127.0.0.1:{new}")]);
    for words in [&["masters", "--json"][..], &["status", "--json"], &["decisions", "--json"], &["members", "list", "--json"]] {
        let text = operator(&cluster, words).success();
        serde_json::from_str::<serde_json::Value>(&text).unwrap_or_else(|e| panic!("{words:?}: {e}: {text}"));
    }
    let refused = operator(&cluster, &["replicas", "nobody"]);
    assert!(refused.code == Some(1) && refused.stderr.contains("nobody"), "{refused:?}");
    let rest: Vec<Sentinel> = cluster.sentinels.drain(1..).collect();
    drop(rest);
    let alone = operator(&cluster, &["masters"]);
    assert!(alone.code == Some(1) && alone.stderr.contains("quorum"), "{alone:?}");
    has(&operator(&cluster, &["masters", "--stale"]).success(), &[&format!("127.0.0.1:{new}")]);
}

#[test]
fn the_sentinel_of_this_host_is_found_by_its_file_and_a_reader_may_leave() {
    let cluster = Plan::new(Flavour::Ours).start();
    let (binary, file) = (our_binary().display().to_string(), cluster.sentinels[0].config.display().to_string());
    let port = cluster.servers[0].port;
    cluster.timeline.wait_for("the first line says what would come of a loss", SOON, || {
        let told = program::run(&binary, &["status", "-c", &file], SOON).success();
        let first = told.lines().next().unwrap_or_default();
        let right = first.starts_with(&format!("{GROUP} at 127.0.0.1:{port}: would fail over now, to 127.0.0.1:"));
        if right { Ok(()) } else { Err(told) }
    });
    for command in ["status", "decisions"] {
        let line = format!("{{ '{binary}' {command} --json -c '{file}'; echo $? >&2; }} | head -c 1");
        let ended = program::run("/bin/sh", &["-c", &line], SOON);
        assert_eq!(ended.stderr, "0\n", "{command}: {ended:?}");
    }
}
