//! What operators do with a strict group from their command line: plan a change, force a failover that is blocked, and be told of a
//! fence that is not held.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::operators::operator;
use super::strict::{Written, armed, strict, with_too_few};
use crate::kit::{Cluster, Conn, GROUP, History};

const LIMIT: Duration = Duration::from_secs(20);

fn has(text: &str, parts: &[&str]) {
    assert!(parts.iter().all(|part| text.contains(part)), "{parts:?} in:\n{text}");
}

#[test]
fn a_switchover_goes_to_the_replica_that_was_named_and_loses_nothing() {
    let mut written = Written::start(strict(), 200);
    let (cluster, timeline) = (&mut written.cluster, written.timeline.clone());
    let old = cluster.master();
    let refused = operator(cluster, &["switchover", GROUP, "--to", "127.0.0.1:1"]);
    assert!(refused.code == Some(1) && refused.stderr.contains("127.0.0.1:1 is not a replica"), "{refused:?}");
    let named = *cluster.others(old).last().expect("there are two");
    let at = format!("127.0.0.1:{named}");
    has(&operator(cluster, &["switchover", GROUP, "--to", &at]).success(), &[&at, "no write was lost"]);
    assert_eq!(cluster.wait_for_new_master(old, LIMIT), named);
    written.goes_on(named, 1);
    let (lost, cluster) = written.lost(old, named);
    assert_eq!(lost, Vec::<u64>::new(), "{}", timeline.report());
    has(
        &operator(&cluster, &["decisions", GROUP]).success(),
        &["coordinated)", "drained to the last write, and made a replica itself", "known to be missing: 0 bytes"],
    );
    let status = || {
        let told = operator(&cluster, &["status"]).success();
        let ok = told.contains("policy strict; fence: 1 of 2 replicas within 1 s, armed; WAIT 1 makes a write safe");
        if ok && told.matches("1 within 1 s").count() == 3 { Ok(()) } else { Err(told) }
    };
    timeline.wait_for("all hold the fence of the new master", LIMIT, status);
}

/// A pool that comes back to the address it knows before it hears of the change must not stay there.
#[test]
fn a_client_that_comes_back_to_the_old_master_is_sent_away_again() {
    let cluster = armed(strict());
    let old = cluster.master();
    let open = || Conn::open(old, LIMIT).and_then(|mut conn| conn.ask(&["PING"]).map(|_| conn)).map_err(|e| e.to_string());
    let mut conn = open().expect("the master answers");
    let (done, changed) = std::sync::mpsc::channel();
    let (sentinel, timeline) = (cluster.sentinel(1).ports.resp, cluster.timeline.clone());
    let request = std::thread::spawn(move || {
        let asked = Conn::open(sentinel, LIMIT).and_then(|mut conn| conn.ask(&["SENTINEL", "FAILOVER", GROUP]));
        done.send(asked.map(|reply| reply.is_ok()).unwrap_or_default()).expect("the test waits");
    });
    for closing in ["its writes are paused", "clients have been told"] {
        assert!(conn.read().is_err(), "it is closed when {closing}");
        conn = timeline.wait_for("the old master answers", LIMIT, open);
    }
    assert!(changed.recv().expect("it was asked for"), "the change was refused");
    request.join().expect("it has ended");
    timeline.wait_for("the change is over", LIMIT, || is_over(&cluster));
    let mut conn = timeline.wait_for("the old master answers", LIMIT, open);
    timeline.holds("now it may stay, as a reader", Duration::from_secs(1), || conn.ask(&["PING"]).map(|_| ()).map_err(|e| e.to_string()));
}

/// Writes all the time, as client libraries do: asks a sentinel for the master, keeps the connection, and asks again when that is closed. Returns
/// the error replies of servers.
fn write_through(sentinel: u16, stop: &AtomicBool) -> Vec<String> {
    let (mut errors, mut master) = (Vec::new(), None);
    while !stop.load(Ordering::Relaxed) {
        let told = || Conn::open(sentinel, LIMIT)?.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", GROUP]);
        let Some(conn) = &mut master else {
            let port = told().ok().and_then(|reply| reply.items().get(1)?.text()?.parse().ok());
            master = port.and_then(|port: u16| Conn::open(port, LIMIT).ok());
            continue;
        };
        match conn.ask(&["INCR", "written"]) {
            Ok(reply) => errors.extend(reply.error().map(ToOwned::to_owned)),
            Err(_) => master = None,
        }
    }
    errors
}

const IN_A_ROW: usize = 4;
const CHANGES_AT_MOST: usize = 16;

/// They notice a closed connection, and nothing else, four times in a row. Where the machine is slower than an answer is held back, one may be
/// told an address early: then it is tried again.
#[test]
fn clients_see_no_error_but_the_closed_connection() {
    let mut cluster = armed(strict());
    let stop = Arc::new(AtomicBool::new(false));
    let ports: Vec<u16> = cluster.sentinels.iter().map(|sentinel| sentinel.ports.resp).collect();
    let mut seen = Vec::new();
    while seen.iter().rev().take_while(|errors: &&Vec<String>| errors.is_empty()).count() < IN_A_ROW {
        assert!(seen.len() < CHANGES_AT_MOST, "{seen:?}\n{}", cluster.timeline.report());
        stop.store(false, Ordering::Relaxed);
        let clients: Vec<_> = ports.iter().map(|&port| (port, Arc::clone(&stop))).collect();
        let clients: Vec<_> = clients.into_iter().map(|(port, stop)| std::thread::spawn(move || write_through(port, &stop))).collect();
        let old = cluster.master();
        cluster.sentinel(1).expect_ok(&["SENTINEL", "FAILOVER", GROUP]);
        let new = cluster.wait_for_new_master(old, LIMIT);
        cluster.wait_for_replica(old, new, LIMIT);
        cluster.timeline.wait_for("the change is over", LIMIT, || is_over(&cluster));
        stop.store(true, Ordering::Relaxed);
        seen.push(clients.into_iter().flat_map(|client| client.join().expect("a client")).collect::<Vec<String>>());
    }
}

fn is_over(cluster: &Cluster) -> Result<(), String> {
    let newest = History::of(cluster.sentinel(1).ports.grpc).decisions(GROUP)?.into_iter().next().ok_or("no decision")?;
    newest.ended.map(|_| ()).ok_or_else(|| "it runs".to_owned())
}

#[test]
fn a_failover_that_is_asked_for_loses_nothing() {
    let mut written = Written::start(strict(), 200);
    let timeline = written.timeline.clone();
    let old = written.cluster.master();
    written.cluster.sentinel(1).expect_ok(&["SENTINEL", "FAILOVER", GROUP]);
    let new = written.cluster.wait_for_new_master(old, LIMIT);
    written.goes_on(new, 200);
    assert_eq!(written.lost(old, new).0, Vec::<u64>::new(), "{}", timeline.report());
}

#[test]
fn a_blocked_failover_is_forced_in_so_many_words() {
    let (mut cluster, old, replica) = with_too_few();
    cluster.timeline.wait_for("the failover is blocked", LIMIT, || {
        let told = operator(&cluster, &["decisions", GROUP]).success();
        if told.contains("BLOCKED") && told.contains("are needed") { Ok(()) } else { Err(told) }
    });
    let timid = operator(&cluster, &["failover", GROUP, "--force"]);
    assert!(timid.code == Some(2) && timid.stderr.contains("--accept-loss"), "{timid:?}");
    let again = operator(&cluster, &["failover", GROUP]);
    assert!(again.code == Some(1) && again.stderr.contains("already in progress"), "{again:?}");
    has(&operator(&cluster, &["failover", GROUP, "--force", "--accept-loss"]).success(), &["is forced"]);
    let new = cluster.wait_for_new_master(old, LIMIT);
    has(&operator(&cluster, &["decisions", GROUP]).success(), &[&format!("127.0.0.1:{new}"), "FORCED by an operator"]);
    cluster.server_mut(old).restart();
    cluster.server_mut(replica).restart();
    cluster.wait_for_replica(old, new, LIMIT);
    cluster.wait_until_formed();
}

#[test]
fn a_fence_that_a_server_does_not_tell_of_is_an_alarm() {
    let cluster = armed(strict());
    let master = cluster.master();
    // From now on nobody may ask it.
    cluster.server(master).ask(&["ACL", "SETUSER", "default", "-config"]).expect("it answers");
    let told = |what: &'static str| {
        let entry = cluster.sentinel(1).answer(&["SENTINEL", "MASTER", GROUP]);
        let (armed, status) = (entry.field("fence-armed").unwrap_or_default(), entry.field("fence-status").unwrap_or_default());
        if status.contains(what) { Ok(()) } else { Err(format!("{armed}, {status}")) }
    };
    cluster.timeline.wait_for("the sentinel says so", LIMIT, || told("does not say whether it holds the fence"));
    cluster.timeline.wait_for("it lasts", LIMIT, || {
        let told = operator(&cluster, &["status"]).success();
        if told.contains("FENCE PROBLEM") { Ok(()) } else { Err(told) }
    });
    cluster.server(master).ask(&["ACL", "SETUSER", "default", "+config"]).expect("it answers");
    cluster.timeline.wait_for("all is well again", LIMIT, || told("ok"));
}
