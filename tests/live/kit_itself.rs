//! The kit is code too: it is tried on stock Sentinel, whose behaviour is known.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::kit::{Flavour, Plan, RedisServer, Scratch, ServerOptions, Timeline, ports};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn stock_sentinels_fail_over_and_the_writer_finds_the_new_master() {
    let mut cluster = Plan::new(Flavour::Stock).start();
    let writer = cluster.writer();
    let timeline = cluster.timeline.clone();
    timeline.wait_until("a hundred writes are acknowledged", SOON, || writer.count() >= 100);
    let old = cluster.servers[0].port;
    let killed = Instant::now();
    cluster.server_mut(old).kill();
    let first = timeline.wait_for("a write elsewhere", SOON, || writer.first_elsewhere(killed, old).ok_or("none".to_owned()));
    let new = cluster.wait_for_new_master(old, SOON);
    assert_eq!(first.port, new);
    let log = writer.finish();
    assert!(log.longest_gap() > Duration::from_millis(500), "the master was gone, but nobody noticed: {:?}", log.longest_gap());
    assert_eq!(log.written_to_after(old, killed), 0);
    let lost = log.lost(cluster.server(new)).expect("the new master answers");
    timeline.note(format!("{} acknowledged, {} lost", log.acks.len(), lost.len()));
    let held = log.acks.len() - lost.len();
    assert!(held >= 100, "only {held} of {} writes are on the new master", log.acks.len());
}

#[test]
fn a_loss_is_counted() {
    let cluster = Plan { replicas: 1, sentinels: 1, quorum: 1, ..Plan::new(Flavour::Stock) }.start();
    let writer = cluster.writer();
    cluster.timeline.wait_until("fifty writes", SOON, || writer.count() >= 50);
    let log = writer.finish();
    let master = &cluster.servers[0];
    assert_eq!(log.lost(master).expect("the master answers"), Vec::<u64>::new());
    let (first, last) = (log.acks[0].number, log.acks[49].number);
    master.ask(&["DEL", &format!("w:{first}"), &format!("w:{last}")]).expect("the master answers");
    assert_eq!(log.lost(master).expect("the master answers"), [first, last]);
}

#[test]
fn a_server_survives_every_signal_the_kit_can_send() {
    let (scratch, timeline) = (Scratch::new(), Timeline::default());
    let options = ServerOptions { password: Some("sesame".to_owned()), priority: Some(7), ..ServerOptions::default() };
    let mut server = RedisServer::start("one", scratch.path(), &timeline, &options);
    assert_eq!(server.info("replication", "role").as_deref(), Some("master"));
    assert!(server.ask(&["CONFIG", "SET", "replica-priority", "8"]).is_ok_and(|reply| reply.is_ok()));
    assert!(server.ask(&["CONFIG", "REWRITE"]).is_ok_and(|reply| reply.is_ok()), "a configuration file is there to be rewritten");
    server.stop();
    assert!(server.conn(Duration::from_millis(100)).is_err(), "a suspended server does not answer");
    server.cont();
    timeline.wait_until("it answers again", SOON, || server.role().is_some());
    server.kill();
    assert!(server.ask(&["PING"]).is_err());
    server.restart();
    let priority = server.ask(&["CONFIG", "GET", "replica-priority"]).expect("it answers");
    assert_eq!(priority.field("replica-priority").as_deref(), Some("8"), "it came back with its rewritten file");
    assert!(server.terminate().success());
}

#[test]
fn ports_are_handed_out_once() {
    let ports: Vec<u16> = (0..120).map(|_| ports::free_port()).collect();
    let different: std::collections::BTreeSet<_> = ports.iter().collect();
    assert_eq!(different.len(), ports.len());
}

#[test]
fn a_fact_that_does_not_come_is_reported_with_the_timeline() {
    let timeline = Timeline::default();
    timeline.note("something happened");
    let waited = std::panic::catch_unwind(|| {
        timeline.wait_for("the moon", Duration::from_millis(50), || Err::<(), _>("only stars".to_owned()));
    });
    let payload = waited.expect_err("the fact never comes");
    let text = payload.downcast_ref::<String>().expect("a formatted panic");
    for part in ["the moon", "only stars", "something happened", "50 ms"] {
        assert!(text.contains(part), "{part:?} is not in the report:\n{text}");
    }
}

#[test]
fn folders_go_away_even_after_a_panic() {
    let path = std::panic::catch_unwind(|| {
        let scratch = Scratch::new();
        let path = scratch.path().to_owned();
        std::fs::write(path.join("file"), "x").expect("the folder is there");
        std::panic::panic_any(path);
    });
    let path = *path.expect_err("it panicked").downcast::<std::path::PathBuf>().expect("a path");
    assert!(std::env::var_os("KEEP").is_some() || !path.exists(), "{} is still there", path.display());
}

/// Starts this test program again to run the part below, kills it, and looks for what it left.
#[test]
fn children_die_with_a_test_that_is_killed() {
    let this = std::env::current_exe().expect("a running program has a path");
    let mut part = Command::new(this)
        .args(["--exact", "kit_itself::part_that_is_killed", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the test program starts again");
    let output = BufReader::new(part.stdout.take().expect("a pipe was asked for"));
    let pid = output.lines().map_while(Result::ok).find_map(|line| line.split_once("server pid ")?.1.trim().parse::<u32>().ok());
    let pid = pid.expect("the part says which server it started");
    assert!(alive(pid));
    part.kill().expect("it can be killed");
    part.wait().expect("it can be reaped");
    Timeline::default().wait_until("the server is gone", SOON, || !alive(pid));
}

#[test]
#[ignore = "runs inside children_die_with_a_test_that_is_killed"]
fn part_that_is_killed() {
    let (scratch, timeline) = (Scratch::new(), Timeline::default());
    let server = RedisServer::start("orphan", scratch.path(), &timeline, &ServerOptions::default());
    println!("server pid {}", server.pid().expect("it runs"));
    timeline.wait_until("somebody kills this process", Duration::from_secs(60), || false);
}

fn alive(pid: u32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A zombie waits for its new parent to take note of its end.
    Path::new(&format!("/proc/{pid}")).exists() && !state.contains(") Z")
}
