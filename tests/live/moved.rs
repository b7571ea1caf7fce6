//! A master that is back under another address, where its replicas have found it (by a name, say) and the sentinels have not.

use std::fs;
use std::time::Duration;

use super::strict::{armed, strict};
use crate::kit::{Cluster, Flavour, GROUP, Plan, RedisServer, ServerOptions};

const SOON: Duration = Duration::from_secs(30);

fn slow_to_judge(plan: Plan) -> Plan {
    Plan { down_after_ms: 3000, ..plan }
}

/// Its replicas find the master at that port.
fn found_at(cluster: &Cluster, replicas: &[u16], port: u16) {
    for replica in replicas {
        let told = cluster.server(*replica).ask(&["REPLICAOF", "127.0.0.1", &port.to_string()]);
        assert!(told.as_ref().is_ok_and(crate::kit::Reply::is_ok), "{told:?}");
    }
    cluster.timeline.wait_until("the replicas have found it", SOON, || {
        replicas.iter().all(|replica| cluster.server(*replica).linked_to() == Some(port))
    });
}

/// The group has a master and two replicas, the server that moved among them, and nothing is left of the address where it was.
fn expect_whole(cluster: &Cluster, old: u16, moved: u16, linked: &dyn Fn() -> Option<u16>) {
    let timeline = &cluster.timeline;
    let master = timeline.wait_for("a replica is the master", Duration::from_secs(45), || match cluster.sentinels[0].master()? {
        master if master == old => Err("the address that nobody answers at".to_owned()),
        master => Ok(master),
    });
    timeline.wait_for("the server that moved follows", SOON, || match linked() {
        Some(port) if port == master => Ok(()),
        other => Err(format!("{other:?}")),
    });
    timeline.wait_for("it is known under its new address alone", SOON, || {
        let all = cluster.sentinel(1).answer(&["SENTINEL", "REPLICAS", GROUP]);
        let ports: Vec<String> = all.items().iter().filter_map(|one| one.field("port")).collect();
        let known = |port: u16| ports.contains(&port.to_string());
        if ports.len() == 2 && known(moved) && !known(old) { Ok(()) } else { Err(format!("{ports:?}")) }
    });
    timeline.wait_for("all is well", SOON, || {
        let said = cluster.sentinel(1).answer(&["SENTINEL", "MASTER", GROUP]);
        let (status, ready) = (said.field("fence-status").unwrap_or_default(), said.field("failover-ready").unwrap_or_default());
        if ["ok", "the policy is available"].contains(&status.as_str()) && ready == "yes" { Ok(()) } else { Err(format!("{said}")) }
    });
}

/// With its data, which its replicas have to copy as a whole: they were ahead by what it had sent them since it was saved.
#[test]
fn a_master_that_restarts_under_another_address_comes_back_as_a_replica() {
    for (policy, plan) in [("strict", strict()), ("available", Plan::new(Flavour::Ours).with_policy("available"))] {
        let plan = slow_to_judge(plan);
        let mut cluster = if policy == "strict" { armed(plan) } else { plan.start() };
        let old = cluster.master();
        let replicas = cluster.others(old);
        for words in [&["CONFIG", "SET", "repl-ping-replica-period", "1"][..], &["SET", "kept", "yes"], &["SAVE"]] {
            let told = cluster.server(old).ask(words);
            assert!(told.as_ref().is_ok_and(crate::kit::Reply::is_ok), "{told:?}");
        }
        let offset = |port: u16| cluster.server(port).info("replication", "master_repl_offset").and_then(|text| text.parse::<u64>().ok());
        let saved = offset(old);
        cluster.timeline.wait_until("the replicas are ahead of what is saved", SOON, || replicas.iter().all(|port| offset(*port) > saved));
        let before = cluster.timeline.wait_for("a folder", SOON, || {
            cluster.server(old).ask(&["CONFIG", "GET", "dir"]).ok().and_then(|dir| dir.items()[1].text()).ok_or("none".to_owned())
        });
        cluster.server_mut(old).kill();
        let dir = cluster.scratch.path().join("moved");
        fs::create_dir_all(&dir).expect("a folder");
        fs::copy(format!("{before}/dump.rdb"), dir.join("dump.rdb")).expect("it was saved");
        let fence =
            if policy == "strict" { vec!["min-replicas-to-write 1".to_owned(), "min-replicas-max-lag 1".to_owned()] } else { vec![] };
        let options = ServerOptions { lines: fence, ..ServerOptions::default() };
        let moved = RedisServer::start("moved", cluster.scratch.path(), &cluster.timeline, &options);
        found_at(&cluster, &replicas, moved.port);
        expect_whole(&cluster, old, moved.port, &|| moved.linked_to());
        let kept = moved.ask(&["GET", "kept"]).expect("it answers");
        assert_eq!(kept.text().as_deref(), Some("yes"), "{policy}");
    }
}

/// The same process, which has never been away.
#[test]
fn a_master_whose_address_changes_while_it_runs_comes_back_as_a_replica() {
    let cluster = armed(slow_to_judge(strict()));
    let old = cluster.master();
    let (replicas, moved) = (cluster.others(old), crate::kit::ports::free_port());
    let mut conn = cluster.server(old).conn(SOON).expect("it answers");
    for words in [&["SET", "kept", "yes"][..], &["CONFIG", "SET", "port", &moved.to_string()]] {
        assert!(conn.ask(words).expect("it answers").is_ok(), "{words:?}");
    }
    for kind in ["normal", "pubsub"] {
        conn.ask(&["CLIENT", "KILL", "TYPE", kind]).expect("it answers");
    }
    found_at(&cluster, &replicas, moved);
    let linked = || {
        let text = crate::kit::Conn::open(moved, SOON).ok()?.ask(&["INFO", "replication"]).ok()?.text()?;
        let up = text.lines().any(|line| line == "master_link_status:up");
        let port = text.lines().find_map(|line| line.strip_prefix("master_port:")?.parse().ok())?;
        up.then_some(port)
    };
    expect_whole(&cluster, old, moved, &linked);
}
