//! What operators do with a strict group from their command line: plan a change, force a failover that is blocked, and be told of a
//! fence that is not held.

use std::time::Duration;

use super::operators::operator;
use super::strict::{Written, armed, strict, with_too_few};
use crate::kit::{Conn, GROUP};

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
        &["coordinated)", "drained to the last write", "known to be missing: 0 bytes"],
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
    for closing in ["it gives up its place", "clients have been told"] {
        assert!(conn.read().is_err(), "it is closed when {closing}");
        conn = timeline.wait_for("the old master answers", LIMIT, open);
    }
    assert!(changed.recv().expect("it was asked for"), "the change was refused");
    request.join().expect("it has ended");
    cluster
        .timeline
        .holds("now it may stay, as a reader", Duration::from_secs(1), || conn.ask(&["PING"]).map(|_| ()).map_err(|e| e.to_string()));
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
