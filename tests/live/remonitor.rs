//! What operators' loops do again and again: remove a master, monitor it, set its options.

use std::time::{Duration, Instant};

use super::strict::{armed, strict};
use crate::kit::{Cluster, GROUP, Sentinel};

const SOON: Duration = Duration::from_secs(30);

fn field(sentinel: &Sentinel, name: &str) -> String {
    sentinel.answer(&["SENTINEL", "MASTER", GROUP]).field(name).unwrap_or_default()
}

fn wait_until_armed(cluster: &Cluster) {
    for sentinel in &cluster.sentinels {
        cluster.timeline.wait_for("the fence is as it was", SOON, || {
            let found = ["promotion-policy", "fence-armed", "fence-known-replicas"].map(|name| field(sentinel, name));
            if found == ["strict", "yes", "2"] { Ok(()) } else { Err(format!("sentinel {}: {found:?}", sentinel.id)) }
        });
    }
}

#[test]
fn what_was_set_for_a_name_survives_a_loop_that_monitors_it_anew_on_each_sentinel() {
    let cluster = armed(strict());
    let master = cluster.master().to_string();
    for sentinel in &cluster.sentinels {
        sentinel.expect_ok(&["SENTINEL", "REMOVE", GROUP]);
        sentinel.expect_ok(&["SENTINEL", "MONITOR", GROUP, "127.0.0.1", &master, "2"]);
        sentinel.expect_ok(&["SENTINEL", "SET", GROUP, "down-after-milliseconds", "1000"]);
        sentinel.answer(&["SENTINEL", "RESET", GROUP]);
        assert_eq!(field(sentinel, "promotion-policy"), "strict");
        assert_eq!(field(sentinel, "num-slaves"), "2");
    }
    wait_until_armed(&cluster);
    // What is so already is no change.
    let before = cluster.recorded(1).expect("it answers").revision;
    for sentinel in &cluster.sentinels {
        sentinel.expect_ok(&["SENTINEL", "MONITOR", GROUP, "127.0.0.1", &master, "2"]);
    }
    assert_eq!(cluster.recorded(1).expect("it answers").revision, before);
    wait_until_armed(&cluster);
}

#[test]
fn a_name_that_is_removed_at_one_sentinel_and_monitored_at_another_goes_on_where_it_was() {
    let cluster = armed(strict());
    let old = cluster.master();
    cluster.sentinels[0].expect_ok(&["SENTINEL", "FAILOVER", GROUP]);
    let new = cluster.timeline.wait_for("another master", SOON, || match cluster.sentinels[0].master() {
        Ok(port) if port != old => Ok(port.to_string()),
        other => Err(format!("{other:?}")),
    });
    cluster.timeline.wait_for("all follow it", SOON, || cluster.formed());
    wait_until_armed(&cluster);
    let epoch = field(&cluster.sentinels[0], "config-epoch");
    let decisions = |id: usize| cluster.sentinel(id).history().decisions(GROUP).map(|all| all.len());
    assert_eq!(decisions(1), Ok(1));
    for (remover, watcher) in [(0, 1), (1, 2), (2, 0)] {
        cluster.sentinels[remover].expect_ok(&["SENTINEL", "REMOVE", GROUP]);
        cluster.sentinels[watcher].expect_ok(&["SENTINEL", "MONITOR", GROUP, "127.0.0.1", &new, "2"]);
        let begun = Instant::now();
        let found = ["promotion-policy", "effective-promotion-policy", "config-epoch", "num-slaves"]
            .map(|name| field(&cluster.sentinels[watcher], name));
        assert_eq!(found, ["strict", "strict", &epoch, "2"]);
        wait_until_armed(&cluster);
        // Who was just listening for other sentinels does not listen anew.
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}\n{}", begun.elapsed(), cluster.timeline.report());
        assert_eq!(decisions(watcher + 1), Ok(1), "what was decided is remembered");
    }
}

#[test]
fn a_server_that_says_that_it_is_a_replica_is_told_as_one() {
    let cluster = armed(strict());
    let master = cluster.master().to_string();
    let replica = cluster.others(cluster.master())[0].to_string();
    let sentinel = &cluster.sentinels[0];
    sentinel.expect_ok(&["SENTINEL", "REMOVE", GROUP]);
    sentinel.expect_ok(&["SENTINEL", "MONITOR", "wrong", "127.0.0.1", &replica, "2"]);
    cluster.timeline.wait_for("it is told", SOON, || {
        let said = sentinel.answer(&["SENTINEL", "MASTER", "wrong"]);
        let (fence, ready) = (said.field("fence-status").unwrap_or_default(), said.field("failover-ready").unwrap_or_default());
        let told = fence.contains("says that it is a replica of") && fence.contains(&master) && ready == "no";
        if told { Ok(()) } else { Err(format!("{fence} / {ready}")) }
    });
}
