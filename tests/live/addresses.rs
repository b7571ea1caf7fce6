//! One server under several addresses, and several under one: what counts is the server, and what cannot be told apart is told.

use std::time::Duration;

use super::strict::{armed, strict};
use crate::clients::kill_the_master;
use crate::kit::{Cluster, Flavour, GROUP, Plan, Reply};

const SOON: Duration = Duration::from_secs(30);

/// Every server can be reached at two addresses.
fn at_two(plan: Plan) -> Plan {
    Plan { server_lines: vec!["bind 127.0.0.1 127.0.0.2".to_owned()], ..plan }
}

/// What a sentinel says; nothing where it does not answer in time, as on a busy machine.
fn field(cluster: &Cluster, name: &str) -> String {
    cluster.sentinels[0].ask(&["SENTINEL", "MASTER", GROUP]).ok().and_then(|master| master.field(name)).unwrap_or_default()
}

/// Where the sentinels know the replica that listens on `port`.
fn hosts(cluster: &Cluster, port: u16) -> Vec<String> {
    let replicas = cluster.sentinel(1).answer(&["SENTINEL", "REPLICAS", GROUP]);
    let of_port = replicas.items().iter().filter(|one| one.field("port") == Some(port.to_string()));
    of_port.filter_map(|one| one.field("ip")).collect()
}

fn tell(cluster: &Cluster, port: u16, words: &[&str]) {
    let reply = cluster.server(port).ask(words).expect("it answers");
    assert!(reply.error().is_none(), "{words:?}: {reply}");
}

#[test]
fn a_replica_that_announces_another_address_later_is_one_record() {
    let mut cluster = armed(at_two(strict()));
    let master = cluster.master();
    let replica = cluster.others(master)[0];
    tell(&cluster, replica, &["CONFIG", "SET", "replica-announce-ip", "127.0.0.2"]);
    tell(&cluster, master, &["CLIENT", "KILL", "TYPE", "replica"]);
    cluster.timeline.wait_for("it is known where the master lists it, and there alone", SOON, || match hosts(&cluster, replica) {
        hosts if hosts == ["127.0.0.2"] => Ok(()),
        hosts => Err(format!("{hosts:?}")),
    });
    cluster.timeline.wait_for("all is well", SOON, || {
        let (known, fence, ready) =
            (field(&cluster, "fence-known-replicas"), field(&cluster, "fence-status"), field(&cluster, "failover-ready"));
        if known == "2" && fence == "ok" && ready == "yes" { Ok(()) } else { Err(format!("{known} {fence} {ready}")) }
    });
    let added = |cluster: &Cluster| cluster.sentinels.iter().map(|one| one.log().matches("+slave slave ").count()).max().unwrap_or(0);
    let before = added(&cluster);
    kill_the_master(&mut cluster);
    assert!(added(&cluster) <= before + 4, "nothing is added and forgotten again and again\n{}", cluster.timeline.report());
}

#[test]
fn replicas_that_announce_one_address_are_told() {
    for announced in [["127.0.0.1", "7"], ["redis.test", "6379"]] {
        let lines = [format!("replica-announce-ip {}", announced[0]), format!("replica-announce-port {}", announced[1])];
        let cluster = Plan { server_lines: lines.into(), ..Plan::new(Flavour::Ours) }.launch();
        cluster.timeline.wait_for("it is told", SOON, || {
            let (fence, ready) = (field(&cluster, "fence-status"), field(&cluster, "failover-ready"));
            let told = fence.contains("announce one address") && fence.contains(announced[0]) && ready == "no";
            if told { Ok(()) } else { Err(format!("{fence} / {ready}")) }
        });
        let quorum: Reply = cluster.sentinels[0].ask(&["SENTINEL", "CKQUORUM", GROUP]).expect("it answers");
        assert!(quorum.error().is_some_and(|text| text.starts_with("NOFAILOVER")), "{quorum}");
    }
}

#[test]
fn a_master_without_its_replicas_is_well_on_no_surface() {
    let mut cluster = armed(strict());
    let master = cluster.master();
    for replica in cluster.others(master) {
        cluster.server_mut(replica).kill();
    }
    cluster.timeline.wait_for("it is told everywhere", SOON, || {
        let fence = field(&cluster, "fence-status");
        let quorum = cluster.sentinels[0].ask(&["SENTINEL", "CKQUORUM", GROUP]).map_err(|error| error.to_string())?;
        let (_, ready) = crate::grpc::http_get(cluster.sentinels[0].ports.http, "/readyz");
        let (_, metrics) = crate::grpc::http_get(cluster.sentinels[0].ports.http, "/metrics");
        let told = fence.contains("takes no writes")
            && quorum.error().is_some_and(|text| text.starts_with("NOFAILOVER"))
            && ready.contains("takes no writes")
            && metrics.contains(&format!("raft_sentinel_fence_problem{{group=\"{GROUP}\"}} 1"));
        if told { Ok(()) } else { Err(format!("{fence} / {quorum} / {ready}")) }
    });
}
