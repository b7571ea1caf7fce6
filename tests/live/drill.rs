//! Drills and changes of the sentinels themselves: SIMULATE-FAILURE, CONFIG SET, RESET.

use std::time::Duration;

use crate::clients::kill_the_master;
use crate::kit::{Cluster, Flavour, GROUP, Plan, Reply, Sentinel};

const SOON: Duration = Duration::from_secs(20);

/// Whoever leads the failover ends with stock's exit code, and another sentinel finishes it.
fn a_leader_fails(place: &str) {
    let mut cluster = Plan::new(Flavour::Ours).start();
    for sentinel in &cluster.sentinels {
        sentinel.expect_ok(&["SENTINEL", "SIMULATE-FAILURE", place]);
    }
    let old = cluster.servers[0].port;
    cluster.server_mut(old).kill();
    let timeline = cluster.timeline.clone();
    timeline.wait_for("one of them ends with 99", SOON, || {
        let codes: Vec<_> = cluster.sentinels.iter_mut().map(|sentinel| sentinel.exit_status().and_then(|status| status.code())).collect();
        if codes.contains(&Some(99)) { Ok(()) } else { Err(format!("{codes:?}")) }
    });
    // So does each of the others that leads before it is over; one that was started again does not.
    timeline.wait_for("the failover comes to its end", SOON, || {
        for sentinel in &mut cluster.sentinels {
            if sentinel.exit_status().is_some() {
                sentinel.restart();
            }
        }
        let named: Vec<_> = cluster.sentinels.iter().map(Sentinel::master).collect();
        match &named[0] {
            Ok(port) if *port != old && named.iter().all(|other| other == &named[0]) => Ok(()),
            _ => Err(format!("{named:?}")),
        }
    });
}

#[test]
fn a_sentinel_that_fails_after_its_election_is_replaced() {
    a_leader_fails("crash-after-election");
}

#[test]
fn a_sentinel_that_fails_after_the_promotion_is_replaced() {
    a_leader_fails("crash-after-promotion");
}

fn parameter(sentinel: &Sentinel, name: &str) -> Option<String> {
    sentinel.ask(&["SENTINEL", "CONFIG", "GET", name]).expect("it answers").field(name)
}

#[test]
fn parameters_of_the_sentinels_are_one_change_and_outlive_a_restart() {
    let mut cluster = Plan { replicas: 1, ..Plan::new(Flavour::Ours) }.start();
    let (timeline, id) = (cluster.timeline.clone(), cluster.sentinels[1].ask(&["SENTINEL", "MYID"]).unwrap().text().unwrap());
    let told = |cluster: &Cluster, at: usize| {
        let others = cluster.sentinels[at].ask(&["SENTINEL", "SENTINELS", GROUP]).map_err(|e| e.to_string())?;
        let of = |reply: &&Reply| reply.field("runid").as_ref() == Some(&id);
        others
            .items()
            .iter()
            .find(of)
            .and_then(|other| Some(format!("{}:{}", other.field("ip")?, other.field("port")?)))
            .ok_or(others.to_string())
    };
    let is = |cluster: &Cluster, wanted: &str| {
        timeline.wait_for(&format!("the others know it at {wanted}"), SOON, || match told(cluster, 0)? {
            found if found == wanted && told(cluster, 2)? == wanted => Ok(()),
            found => Err(found),
        });
    };
    let home = format!("127.0.0.1:{}", cluster.sentinels[1].ports.resp);
    is(&cluster, &home);
    let bad = ["SENTINEL", "CONFIG", "SET", "announce-ip", "10.9.8.7", "resolve-hostnames", "yes", "announce-port", "70000"];
    let refused = cluster.sentinels[1].answer(&bad);
    assert_eq!(refused.error(), Some("ERR Invalid value '70000' to SENTINEL CONFIG SET 'announce-port'"));
    assert_eq!(parameter(&cluster.sentinels[1], "announce-ip").as_deref(), Some(""), "all or none");
    cluster.sentinels[1].expect_ok(&[
        "SENTINEL",
        "CONFIG",
        "SET",
        "announce-ip",
        "10.9.8.7",
        "resolve-hostnames",
        "yes",
        "announce-port",
        "77",
    ]);
    is(&cluster, "10.9.8.7:77");
    timeline.wait_until("all take host names", SOON, || {
        cluster.sentinels.iter().all(|sentinel| parameter(sentinel, "resolve-hostnames").as_deref() == Some("yes"))
    });
    cluster.sentinels[0].expect_ok(&["SENTINEL", "MONITOR", "by-name", "localhost", "1", "2"]);
    assert_eq!(parameter(&cluster.sentinels[0], "announce-ip").as_deref(), Some(""), "it is the other one's");
    cluster.sentinels[1].kill();
    cluster.sentinels[1].restart();
    timeline.wait_until("it knows its own parameters again", SOON, || {
        parameter(&cluster.sentinels[1], "announce-ip").as_deref() == Some("10.9.8.7")
    });
    is(&cluster, "10.9.8.7:77");
    cluster.sentinels[1].expect_ok(&["SENTINEL", "CONFIG", "SET", "announce-ip", "", "announce-port", "0", "resolve-hostnames", "no"]);
    is(&cluster, &home);
}

#[test]
fn the_log_level_follows_config_set() {
    let mut cluster = Plan { replicas: 1, ..Plan::new(Flavour::Ours) }.start();
    cluster.sentinels[0].expect_ok(&["SENTINEL", "CONFIG", "SET", "loglevel", "nothing"]);
    let quiet = cluster.sentinels[0].log().len();
    kill_the_master(&mut cluster);
    assert_eq!(cluster.sentinels[0].log().len(), quiet, "not a line is written");
    cluster.sentinels[0].expect_ok(&["SENTINEL", "CONFIG", "SET", "loglevel", "debug"]);
    assert!(cluster.sentinels[0].log().contains("loglevel is debug from now on"));
}
