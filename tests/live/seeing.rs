//! What a sentinel sees, when it calls that down, and what it does not dare to judge.

use std::time::{Duration, Instant};

use raft_sentinel::proto::sentinel as proto;

use crate::kit::history;
use crate::kit::looks::{local, wall, wall_now};
use crate::kit::{Cluster, Conn, Flavour, GROUP, Plan, RedisServer, Reply, ServerOptions};

const SOON: Duration = Duration::from_secs(20);
/// A busy machine answers late, and a PING is out for a moment: a vote may be this much early, by the test's clock.
const EARLY: Duration = Duration::from_millis(250);
/// What is asserted of a detection on a machine that is busy with other things.
const LATE: Duration = Duration::from_secs(3);
const ALL: [usize; 3] = [1, 2, 3];

fn ms(span: Duration) -> u128 {
    span.as_millis()
}

/// Makes the master silent, and says after how long the first vote was cast.
fn time_to_first_vote(plan: Plan, silence: impl Fn(&mut RedisServer)) -> Duration {
    let mut cluster = plan.start();
    let old = cluster.master();
    let silent_at = wall_now();
    silence(cluster.server_mut(old));
    let told = cluster.wait_for_history(&ALL, 1, SOON);
    let votes = history::votes(&told[0]);
    for vote in votes {
        assert!(vote.silent_ms >= vote.limit_ms, "{told:#?}");
    }
    let first = votes.iter().map(|vote| wall(vote.cast.as_ref())).min().expect("a failover that was not asked for has votes");
    let took = first.saturating_sub(silent_at);
    let started = wall(told[0].started.as_ref()).saturating_sub(silent_at);
    cluster.timeline.note(format!("first vote after {} ms, quorum after {} ms", ms(took), ms(started)));
    println!("down-after {}: first vote after {} ms, quorum after {} ms", cluster.plan.down_after_ms, ms(took), ms(started));
    took
}

/// The limit counts from the last valid reply, which is up to one period of PING older than the silence.
fn expect_limit(took: Duration, limit_ms: u64) {
    let limit = Duration::from_millis(limit_ms);
    let least = limit.saturating_sub(limit / 10 + EARLY);
    assert!(took >= least && took <= limit + LATE, "voted after {} ms, the limit is {limit_ms} ms", ms(took));
}

#[test]
fn a_killed_master_is_down_when_its_limit_is_over_and_not_before() {
    let plan = Plan { down_after_ms: 2000, ..Plan::new(Flavour::Ours) };
    expect_limit(time_to_first_vote(plan, RedisServer::kill), 2000);
}

#[test]
fn a_hanging_master_is_down_when_its_limit_is_over_and_not_before() {
    let plan = Plan { down_after_ms: 2000, ..Plan::new(Flavour::Ours) };
    expect_limit(time_to_first_vote(plan, |server| server.stop()), 2000);
}

fn with_crash_limit() -> Plan {
    let lines = vec![format!("sentinel crash-down-after-milliseconds {GROUP} 200")];
    Plan { down_after_ms: 5000, lines, ..Plan::new(Flavour::Ours) }
}

#[test]
fn a_port_that_refuses_is_down_after_the_crash_limit() {
    let took = time_to_first_vote(with_crash_limit(), RedisServer::kill);
    let expected = Duration::from_millis(200)..Duration::from_secs(2);
    assert!(expected.contains(&took), "voted after {} ms, the crash limit is 200 ms", ms(took));
}

#[test]
fn a_port_that_does_not_refuse_keeps_the_long_limit() {
    expect_limit(time_to_first_vote(with_crash_limit(), |server| server.stop()), 5000);
}

/// Waits until all sentinels hold the server to be in this state of health.
fn wait_for_health(cluster: &Cluster, port: u16, health: proto::Health) {
    for id in ALL {
        cluster.timeline.wait_for(&format!("sentinel {id} sees {port} as {health:?}"), SOON, || match cluster.seen(id, port)? {
            node if node.health() == health => Ok(()),
            node => Err(format!("{:?} {}", node.health(), node.health_reason)),
        });
    }
}

fn expect_no_failover(cluster: &Cluster, span: Duration) {
    cluster.timeline.holds("no vote and no failover", span, || match cluster.recorded(1)? {
        master if master.down_votes == 0 && master.epoch == 0 && master.failover.is_none() => Ok(()),
        master => Err(format!("{master:?}")),
    });
}

/// Changes the master's password under the sentinels; their links are cut, so that they have to show theirs.
fn lock_out(cluster: &Cluster, master: u16) {
    let mut conn = cluster.server(master).conn(Duration::from_secs(2)).expect("the master answers");
    for words in [["CONFIG", "SET", "requirepass", "changed"], ["CLIENT", "KILL", "TYPE", "normal"]] {
        let words: Vec<&str> = if words[0] == "CLIENT" { [&words[..], &["SKIPME", "yes"]].concat() } else { words.to_vec() };
        let reply = conn.ask(&words).expect("the master answers");
        assert!(reply.error().is_none(), "{reply}");
    }
}

#[test]
fn a_master_that_refuses_our_password_is_not_judged_and_not_failed_over() {
    let mut cluster = Plan { password: Some("sesame".to_owned()), ..Plan::new(Flavour::Ours) }.start();
    let master = cluster.master();
    lock_out(&cluster, master);
    wait_for_health(&cluster, master, proto::Health::CannotJudge);
    expect_no_failover(&cluster, Duration::from_millis(4 * cluster.plan.down_after_ms));
    let reason = cluster.seen(1, master).expect("it answers").health_reason;
    assert!(reason.contains("WRONGPASS") || reason.contains("NOAUTH"), "the status says why: {reason:?}");
    let set = cluster.sentinel(1).ask(&["SENTINEL", "SET", GROUP, "auth-pass", "changed"]);
    assert!(set.as_ref().is_ok_and(Reply::is_ok), "{set:?}");
    wait_for_health(&cluster, master, proto::Health::Up);
    for id in ALL {
        assert!(!cluster.sentinel(id).log().contains("changed"), "the password is in the log of sentinel {id}");
    }
    // The replicas still have the old one. When they learn the new one, nobody tells the sentinels: they try again.
    for port in cluster.others(master) {
        cluster.server(port).set("masterauth", "changed");
        cluster.server(port).set("requirepass", "changed");
        let mut conn = Conn::open(port, Duration::from_secs(2)).expect("the replica answers");
        assert!(conn.ask(&["AUTH", "changed"]).is_ok_and(|reply| reply.is_ok()));
        wait_for_health(&cluster, port, proto::Health::Up);
    }
    cluster.server_mut(master).kill();
    let told = cluster.wait_for_history(&ALL, 1, SOON);
    assert!(told[0].choice.is_some(), "{told:#?}");
}

#[test]
fn a_master_that_refused_our_password_and_then_dies_is_failed_over() {
    let mut cluster = Plan { password: Some("sesame".to_owned()), ..Plan::new(Flavour::Ours) }.start();
    let master = cluster.master();
    lock_out(&cluster, master);
    wait_for_health(&cluster, master, proto::Health::CannotJudge);
    cluster.server_mut(master).kill();
    cluster.wait_for_new_master(master, SOON);
}

#[test]
fn replicas_are_found_recorded_and_missed_without_harm() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let master = cluster.master();
    let timeline = cluster.timeline.clone();
    let listed = |cluster: &Cluster, id: usize| -> Vec<String> {
        let reply = cluster.sentinel(id).ask(&["SENTINEL", "REPLICAS", GROUP]).expect("it answers");
        let mut names: Vec<String> = reply.items().iter().filter_map(|replica| replica.field("name")).collect();
        names.sort();
        names
    };
    let expected = |cluster: &Cluster| -> Vec<String> {
        let mut names: Vec<String> = cluster.others(master).into_iter().map(local).collect();
        names.sort();
        names
    };
    for id in ALL {
        assert_eq!(listed(&cluster, id), expected(&cluster));
    }
    let options = ServerOptions { replica_of: Some(cluster.server(master).addr()), ..ServerOptions::default() };
    let late = RedisServer::start("redis-late", cluster.scratch.path(), &timeline, &options);
    let started = Instant::now();
    cluster.servers.push(late);
    for id in ALL {
        timeline.wait_for(&format!("sentinel {id} lists the replica that came later"), SOON, || match listed(&cluster, id) {
            names if names == expected(&cluster) => Ok(()),
            names => Err(format!("{names:?}")),
        });
    }
    println!("a new replica was listed by all after {} ms", ms(started.elapsed()));
    cluster.plan.replicas += 1;
    cluster.wait_until_formed();
    let dead = cluster.others(master)[0];
    cluster.server_mut(dead).kill();
    wait_for_health(&cluster, dead, proto::Health::Down);
    expect_no_failover(&cluster, Duration::from_millis(2 * cluster.plan.down_after_ms));
    assert_eq!(listed(&cluster, 1), expected(&cluster), "a dead replica stays on record");
    cluster.server_mut(master).kill();
    let new = cluster.wait_for_new_master(master, SOON);
    assert_ne!(new, dead);
    let follower = cluster.others(master).into_iter().find(|port| ![new, dead].contains(port)).expect("three replicas");
    cluster.wait_until_all_follow(new, &[follower], SOON);
    // It was not there when the others were told.
    cluster.server_mut(dead).restart();
    cluster.wait_for_replica(dead, new, SOON);
}
