//! Values that are none: what a server or an operator says in the place of an address never becomes part of the record.

use std::time::Duration;

use crate::kit::{Cluster, Flavour, GROUP, Plan, RedisServer, ServerOptions};

const SOON: Duration = Duration::from_secs(30);

fn led(cluster: &Cluster) -> Result<(), String> {
    cluster.sentinels.iter().try_for_each(|sentinel| sentinel.master().map(drop))
}

#[test]
fn a_replica_that_announces_no_address_and_an_operator_who_names_one_stop_nobody() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let (root, timeline, master) = (cluster.scratch.path().to_owned(), cluster.timeline.clone(), cluster.servers[0].addr());
    let lines = vec!["replica-announce-ip [".to_owned()];
    let options = ServerOptions { replica_of: Some(master), lines, ..ServerOptions::default() };
    let rogue = RedisServer::start("rogue", &root, &timeline, &options);
    timeline.wait_for("the rogue replica follows", SOON, || {
        (rogue.linked_to() == Some(master.port())).then_some(()).ok_or_else(|| "not yet".to_owned())
    });

    for words in [&["FORGET", GROUP, "[", "1"][..], &["FAILOVER", GROUP, "TO", "[", "1"], &["MONITOR", "other", "[", "1", "2"]] {
        let asked: Vec<&str> = std::iter::once("SENTINEL").chain(words.iter().copied()).collect();
        let reply = cluster.sentinels[0].answer(&asked);
        assert!(reply.error().is_some_and(|text| text.contains("Invalid IP address")), "{words:?}: {reply}\n{}", timeline.report());
    }
    timeline.wait_for("the operators are told", SOON, || {
        let told = |log: &str| log.contains("+fence-problem") && log.contains("announces '[', which is not an address");
        if cluster.sentinels.iter().any(|sentinel| told(&sentinel.log())) { Ok(()) } else { Err("no sentinel says so".to_owned()) }
    });
    // Nothing of it is in the log, so that whoever is killed now comes back, and the group goes on.
    for id in 0..3 {
        cluster.sentinels[id].kill();
        cluster.sentinels[id].restart();
        timeline.wait_for("all of them answer again", SOON, || led(&cluster));
    }
    let old = cluster.servers[0].port;
    cluster.servers[0].kill();
    cluster.wait_for_new_master(old, SOON);
    for sentinel in &cluster.sentinels {
        assert!(!sentinel.log().contains("malformed") && !sentinel.log().contains("damaged"), "{}", timeline.report());
    }
}
