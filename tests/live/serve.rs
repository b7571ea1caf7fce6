//! The process itself: how it starts, refuses to start, stops, and comes back.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::kit::program::{self, Ended};
use crate::kit::sentinel::{Ports, our_binary};
use crate::kit::{Cluster, Flavour, GROUP, Plan, RedisServer, Reply, Scratch, Sentinel, ServerOptions, Timeline, ports::free_port};

const SOON: Duration = Duration::from_secs(15);

fn serve(file: &Path) -> Ended {
    program::run(&our_binary().display().to_string(), &["serve", &file.display().to_string()], SOON)
}

/// A file with these lines on top and a member alone below, so that only the lines can be wrong.
fn file_of(scratch: &Scratch, lines: &[&str]) -> std::path::PathBuf {
    let file = scratch.path().join("sentinel.conf");
    let peer = free_port();
    let rest = format!(
        "port {}\nbind 127.0.0.1\ngrpc listen off\ndir {}\nraft node-id 1\nraft listen 127.0.0.1:{peer}\nraft peer 1 127.0.0.1:{peer}\n",
        free_port(),
        scratch.path().display()
    );
    fs::write(&file, lines.join("\n") + "\n" + &rest).expect("the folder is there");
    file
}

#[test]
fn a_bad_file_is_refused_with_one_message_that_names_the_line() {
    for (lines, line, parts) in [
        (&["# a comment", "sentinle monitor a 127.0.0.1 1 1"][..], 2, &["sentinle"][..]),
        (&["sentinel monitor a 127.0.0.1 99999 1"], 1, &["sentinel monitor", "99999"]),
        (&["", "", "sentinel down-after-milliseconds nobody 100"], 3, &["nobody"]),
        (&["sentinel monitor a 127.0.0.1 6379 1", "sentinel promotion-policy a boldly"], 2, &["promotion-policy", "boldly"]),
        (&["requirepass \"open"], 1, &["quotes"]),
        (&["raft heartbeat-ms never"], 1, &["heartbeat-ms", "never"]),
    ] {
        let scratch = Scratch::new();
        let file = file_of(&scratch, lines);
        let ended = serve(&file);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "one message: {}", ended.stderr);
        assert!(ended.stderr.starts_with(&format!("raft-sentinel: {}:{line}: ", file.display())), "{}", ended.stderr);
        assert!(parts.iter().all(|part| ended.stderr.contains(part)), "{parts:?} in: {}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn a_missing_file_and_missing_raft_lines_are_told_with_what_to_do() {
    let scratch = Scratch::new();
    let missing = serve(&scratch.path().join("nowhere.conf"));
    assert_eq!(missing.code, Some(1));
    assert!(missing.stderr.contains("nowhere.conf") && missing.stderr.contains("No such file"), "{}", missing.stderr);
    let file = scratch.path().join("stock.conf");
    fs::write(&file, "port 26379\nsentinel monitor mymaster 127.0.0.1 6379 2\n").expect("the folder is there");
    let stock = serve(&file);
    assert_eq!(stock.code, Some(1));
    let first = stock.stderr.lines().next().unwrap_or_default();
    assert!(first.starts_with(&format!("raft-sentinel: {}: ", file.display())) && first.contains("raft node-id"), "{first}");
    assert!(stock.stderr.contains("raft peer 1 "), "it shows the lines to add: {}", stock.stderr);
}

#[test]
fn a_port_in_use_ends_the_start_before_anything_is_written() {
    let taken = TcpListener::bind(("127.0.0.1", free_port())).expect("a free port");
    let port = taken.local_addr().expect("it listens").port();
    for line in [
        format!("port {port}"),
        format!("grpc listen 127.0.0.1:{port}"),
        format!("http listen 127.0.0.1:{port}"),
        format!("raft listen 127.0.0.1:{port}"),
    ] {
        let scratch = Scratch::new();
        let file = file_of(&scratch, &[]);
        // Behind the others: the last line counts.
        let text = fs::read_to_string(&file).expect("just written") + &line + "\n";
        fs::write(&file, text).expect("the folder is there");
        let ended = serve(&file);
        assert_eq!(ended.code, Some(1), "{line}: {ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{line}: {}", ended.stderr);
        assert!(ended.stderr.contains(&format!("127.0.0.1:{port}")) && ended.stderr.contains("in use"), "{line}: {}", ended.stderr);
    }
}

#[test]
fn a_data_directory_serves_one_process_only_and_its_copy_no_other_sentinel() {
    let cluster = Plan { replicas: 0, ..Plan::new(Flavour::Ours) }.start();
    let first = &cluster.sentinels[0];
    let scratch = Scratch::new();
    // The same directory, other ports.
    let second = |dir: &Path, id: usize| {
        let raft = free_port();
        let peers: String =
            cluster.sentinels.iter().map(|sentinel| format!("raft peer {} 127.0.0.1:{}\n", sentinel.id, sentinel.ports.raft)).collect();
        let own = format!("port {}\nbind 127.0.0.1\ngrpc listen off\ndir {}\n", free_port(), dir.display());
        let file = scratch.path().join("second.conf");
        fs::write(&file, format!("{own}raft node-id {id}\nraft listen 127.0.0.1:{raft}\nraft advertise 127.0.0.1:{raft}\n{peers}"))
            .expect("the folder is there");
        serve(&file)
    };
    let refused = second(first.dir(), 1);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("in use by another process"), "{}", refused.stderr);
    // A copy, for another sentinel.
    let copy = scratch.path().join("copy");
    copy_dir(&first.dir().join("raft-sentinel"), &copy.join("raft-sentinel"));
    let refused = second(&copy, 2);
    assert_eq!(refused.code, Some(1));
    let parts = ["belongs to sentinel 1", "says sentinel 2"];
    assert!(parts.iter().all(|part| refused.stderr.contains(part)), "{}", refused.stderr);
    cluster.wait_until_formed();
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("the folder is there").flatten() {
        fs::copy(entry.path(), to.join(entry.file_name())).expect("a file can be copied");
    }
}

/// Asks it to end, and says how long that took.
pub(crate) fn end(timeline: &Timeline, sentinel: &mut Sentinel, signal: Signal) -> Duration {
    let asked = Instant::now();
    sentinel.signal(signal);
    let status =
        timeline.wait_for(&format!("sentinel {} has ended", sentinel.id), SOON, || sentinel.exit_status().ok_or("it runs".to_owned()));
    assert_eq!(status.code(), Some(0), "sentinel {} ended with {status}\n{}", sentinel.id, timeline.report());
    asked.elapsed()
}

#[test]
fn both_signals_end_it_cleanly_with_and_without_a_quorum() {
    let mut cluster = Plan { replicas: 1, ..Plan::new(Flavour::Ours) }.start();
    let timeline = cluster.timeline.clone();
    // Clients that hang on must not hold it up: an idle one, a subscriber, a watch that never ends.
    let _idle = cluster.sentinels[0].conn().expect("it answers");
    let mut subscriber = cluster.sentinels[0].conn().expect("it answers");
    subscriber.ask(&["PSUBSCRIBE", "*"]).expect("it answers");
    let took: Vec<Duration> = [Signal::TERM, Signal::INT, Signal::TERM]
        .into_iter()
        .zip(&mut cluster.sentinels)
        .map(|(signal, sentinel)| end(&timeline, sentinel, signal))
        .collect();
    println!("stops took {took:?}: with a quorum, with the last quorum, without one");
    assert!(took.iter().all(|took| *took < Duration::from_secs(6)), "{took:?}\n{}", timeline.report());
}

#[test]
fn the_configuration_file_is_never_written() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let looks = |cluster: &Cluster| -> Vec<_> {
        let look = |sentinel: &Sentinel| {
            let written = fs::metadata(&sentinel.config).and_then(|meta| meta.modified()).expect("the file is there");
            (fs::read(&sentinel.config).expect("the file is there"), written)
        };
        cluster.sentinels.iter().map(look).collect()
    };
    let before = looks(&cluster);
    let old = cluster.servers[0].port;
    cluster.sentinels[1].expect_ok(&["SENTINEL", "SET", GROUP, "parallel-syncs", "2"]);
    cluster.sentinels[2].expect_ok(&["SENTINEL", "MONITOR", "other", "127.0.0.1", "6", "2"]);
    cluster.sentinels[0].expect_ok(&["SENTINEL", "FLUSHCONFIG"]);
    cluster.server_mut(old).kill();
    cluster.wait_for_new_master(old, SOON);
    let timeline = cluster.timeline.clone();
    for sentinel in &mut cluster.sentinels {
        end(&timeline, sentinel, Signal::TERM);
    }
    assert!(looks(&cluster) == before, "a configuration file was changed");
}

#[test]
fn json_logs_are_one_object_a_line() {
    let plan = Plan { replicas: 1, args: vec!["--log-format".to_owned(), "json".to_owned()], ..Plan::new(Flavour::Ours) };
    let mut cluster = Plan { lines: vec!["loglevel debug".to_owned()], ..plan }.start();
    let old = cluster.servers[0].port;
    cluster.server_mut(old).kill();
    cluster.wait_for_new_master(old, SOON);
    let timeline = cluster.timeline.clone();
    for sentinel in &mut cluster.sentinels {
        end(&timeline, sentinel, Signal::TERM);
        let log = sentinel.log();
        assert!(log.lines().count() > 10, "a failover is worth more lines: {log}");
        for line in log.lines() {
            let object: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            let ours = object["target"].as_str().is_some_and(|target| target.starts_with("raft_sentinel"));
            // Not every line of a library has words.
            for field in ["timestamp", "level", "message"].into_iter().take(if ours { 3 } else { 2 }) {
                assert!(object[field].is_string(), "no {field}: {line}");
            }
        }
    }
}

#[test]
fn the_port_answers_at_once_when_the_others_are_not_there() {
    let (scratch, timeline) = (Scratch::new(), Timeline::default());
    let peers: Vec<Ports> = (0..3).map(|_| Ports::free()).collect();
    let plan = Plan::new(Flavour::Ours);
    let started = Instant::now();
    let alone = Sentinel::start(Flavour::Ours, scratch.path(), &timeline, &plan.orders(1, &peers, ([127, 0, 0, 1], free_port()).into()));
    let took = started.elapsed();
    println!("PING was answered {took:?} after the start");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(alone.ask(&["PING"]).expect("it answers"), Reply::Status("PONG".to_owned()));
    let asked = Instant::now();
    let answer = alone.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", GROUP]).expect("it answers");
    assert!(answer.error().is_some_and(|text| text.starts_with("NOQUORUM")), "{answer}");
    assert!(asked.elapsed() < Duration::from_secs(3), "the wait is bounded: {:?}", asked.elapsed());
}

#[test]
fn an_empty_cluster_of_redis_is_watched_as_soon_as_it_comes() {
    let (scratch, timeline) = (Scratch::new(), Timeline::default());
    let server = RedisServer::start("late", scratch.path(), &timeline, &ServerOptions::default());
    let plan = Plan { sentinels: 1, quorum: 1, replicas: 0, ..Plan::new(Flavour::Ours) };
    let peers = [Ports::free()];
    let sentinel = Sentinel::start(Flavour::Ours, scratch.path(), &timeline, &plan.orders(1, &peers, server.addr()));
    timeline.wait_for("a single sentinel names the master", SOON, || match sentinel.master() {
        Ok(port) if port == server.port => Ok(()),
        other => Err(format!("{other:?}")),
    });
}
