//! Which replica is promoted, and what happens when none can be.

use std::time::Duration;

use raft_sentinel::proto::sentinel::{Decision, FailoverPhase};

use crate::kit::history::{self, address};
use crate::kit::looks::local;
use crate::kit::{Cluster, Flavour, GROUP, History, Plan};

const SOON: Duration = Duration::from_secs(20);
const ALL: [usize; 3] = [1, 2, 3];

fn chosen(decision: &Decision) -> String {
    address(decision.choice.as_ref().and_then(|choice| choice.chosen.as_ref()))
}

fn reason(decision: &Decision) -> &str {
    decision.choice.as_ref().map_or("", |choice| choice.reason.as_str())
}

/// Replicas need the master's password, so that a test can keep one of them from attaching again.
fn with_password(priorities: [u32; 2]) -> Plan {
    let down_after_ms = 1000;
    Plan { password: Some("sesame".to_owned()), priorities: priorities.to_vec(), down_after_ms, ..Plan::new(Flavour::Ours) }
}

/// Cuts `lagging` off its master, and writes until it lacks what the other replica has.
fn leave_behind(cluster: &Cluster, master: u16, lagging: u16) {
    let ahead = cluster.others(master).into_iter().find(|port| *port != lagging).expect("two replicas");
    cluster.server(lagging).set("masterauth", "wrong");
    let mut client = cluster.server(master).conn(Duration::from_secs(5)).expect("the master answers");
    client.ask(&["CLIENT", "KILL", "TYPE", "replica"]).expect("the master answers");
    cluster.wait_for_replica(ahead, master, SOON);
    for number in 0..50 {
        let reply = client.ask(&["SET", &format!("ahead:{number}"), "x"]).expect("the master answers");
        assert!(reply.is_ok(), "{reply}");
    }
    let waited = client.ask(&["WAIT", "1", "5000"]).expect("the master answers");
    assert_eq!(waited.integer(), Some(1), "the other replica has it");
    let timeline = cluster.timeline.clone();
    timeline.wait_for("one replica holds more than the other", SOON, || {
        let (more, less) = (cluster.server(ahead).offset(), cluster.server(lagging).offset());
        if more > less && less.is_some() { Ok(()) } else { Err(format!("{more:?}, {less:?}")) }
    });
}

#[test]
fn priority_zero_is_never_promoted_even_with_more_data() {
    let mut cluster = with_password([0, 100]).start();
    let (old, never, other) = (cluster.servers[0].port, cluster.servers[1].port, cluster.servers[2].port);
    leave_behind(&cluster, old, other);
    cluster.server_mut(old).kill();
    cluster.server(other).set("masterauth", "sesame");
    let told = cluster.wait_for_history(&ALL, 1, SOON);
    assert_eq!((chosen(&told[0]), reason(&told[0])), (local(other), "the only eligible replica"), "{told:#?}");
    cluster.wait_until_all_follow(other, &[never], SOON);
}

#[test]
fn a_lower_priority_is_preferred_to_more_data() {
    let mut cluster = with_password([100, 10]).start();
    let (old, preferred) = (cluster.servers[0].port, cluster.servers[2].port);
    leave_behind(&cluster, old, preferred);
    cluster.server_mut(old).kill();
    let told = cluster.wait_for_history(&ALL, 1, SOON);
    assert_eq!((chosen(&told[0]), reason(&told[0])), (local(preferred), "the preferred priority"), "{told:#?}");
}

#[test]
fn among_equal_priorities_the_most_data_wins() {
    let mut cluster = with_password([100, 100]).start();
    let old = cluster.master();
    let mut replicas = cluster.others(old);
    // The one that would be taken by its run id, the last of the criteria, is left behind.
    replicas.sort_by_key(|port| cluster.server(*port).info("server", "run_id"));
    leave_behind(&cluster, old, replicas[0]);
    cluster.server_mut(old).kill();
    cluster.server(replicas[0]).set("masterauth", "sesame");
    let told = cluster.wait_for_history(&ALL, 1, SOON);
    assert_eq!((chosen(&told[0]), reason(&told[0])), (local(replicas[1]), "the most data"), "{told:#?}");
}

#[test]
fn with_nothing_to_promote_a_failover_is_blocked_with_reasons_until_there_is() {
    let mut cluster = Plan { priorities: vec![0, 100], ..Plan::new(Flavour::Ours) }.start();
    let (old, zero, dead) = (cluster.servers[0].port, cluster.servers[1].port, cluster.servers[2].port);
    cluster.server_mut(dead).kill();
    cluster.server_mut(old).kill();
    let timeline = cluster.timeline.clone();
    for id in ALL {
        let mut client = History::of(cluster.sentinel(id).ports.grpc);
        timeline.wait_for(&format!("sentinel {id} says why nothing goes on"), SOON, || {
            let failover = client.master(GROUP)?.failover.ok_or("no failover")?;
            let mut reasons: Vec<(String, String)> =
                failover.blocked.iter().map(|at| (address(at.replica.as_ref()), at.reason.clone())).collect();
            reasons.sort();
            let mut expected = [(local(zero), "its priority is 0".to_owned()), (local(dead), "down".to_owned())];
            expected.sort();
            let choosing = failover.phase() == FailoverPhase::Choosing;
            if choosing && reasons == expected { Ok(()) } else { Err(format!("{failover:?}")) }
        });
    }
    let running = cluster.decisions(1);
    assert!(running[0].ending.is_none() && running[0].blocked.len() == 2, "{running:#?}");
    timeline.holds("nothing is promoted", Duration::from_secs(2), || match cluster.server(zero).role().as_deref() {
        Some("slave") => Ok(()),
        role => Err(format!("{role:?}")),
    });
    cluster.server(zero).set("replica-priority", "100");
    let told = cluster.wait_for_history(&ALL, 1, SOON);
    assert_eq!(chosen(&told[0]), local(zero));
    assert!(history::votes(&told[0]).len() >= 2);
    cluster.server_mut(dead).restart();
    cluster.wait_until_all_follow(zero, &[dead], SOON);
}

#[test]
fn a_blocked_failover_is_given_up_when_the_master_is_back() {
    let mut cluster = Plan { priorities: vec![0, 0], ..Plan::new(Flavour::Ours).with_policy("available") }.start();
    let old = cluster.master();
    cluster.server_mut(old).stop();
    let timeline = cluster.timeline.clone();
    let mut client = History::of(cluster.sentinel(1).ports.grpc);
    timeline.wait_for("it is blocked", SOON, || match client.master(GROUP)?.failover {
        Some(failover) if failover.blocked.len() == 2 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    cluster.server_mut(old).cont();
    let told = cluster.wait_for_history(&ALL, 1, SOON);
    assert!(told[0].choice.is_none(), "{told:#?}");
    assert_eq!(cluster.recorded(1).map(|master| master.epoch), Ok(0));
    cluster.wait_until_formed();
    assert!(cluster.others(old).iter().all(|port| cluster.server(*port).orders() == Some(0)), "no replica was told anything");
}
