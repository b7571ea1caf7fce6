//! What operators do by REMOVE and FORCE leaves servers that work.

use std::time::Duration;

use crate::kit::{Cluster, GROUP};
use crate::strict::{armed, strict};

const SOON: Duration = Duration::from_secs(15);

/// What a server holds of the fence, in force and in its file.
fn held(cluster: &Cluster, port: u16) -> (Option<String>, Option<String>) {
    let server = cluster.server(port);
    let in_force = server.ask(&["CONFIG", "GET", "min-replicas-to-write"]).ok().and_then(|reply| reply.items().get(1)?.text());
    let file = std::fs::read_to_string(cluster.scratch.path().join(&server.name).join("redis.conf")).unwrap_or_default();
    let in_file = file.lines().find_map(|line| line.strip_prefix("min-replicas-to-write ").map(str::to_owned));
    (in_force, in_file)
}

fn remove(cluster: &Cluster, words: &[&str]) -> String {
    let all: Vec<&str> = ["SENTINEL", "REMOVE", GROUP].into_iter().chain(words.iter().copied()).collect();
    cluster.sentinel(1).ask(&all).expect("it answers").to_string()
}

fn is_gone(cluster: &Cluster) -> bool {
    cluster.sentinel(2).answer(&["SENTINEL", "MASTERS"]).items().is_empty()
}

#[test]
fn a_removed_group_keeps_nothing_of_ours() {
    let cluster = armed(strict());
    let all: Vec<u16> = cluster.servers.iter().map(|server| server.port).collect();
    let armed_everywhere = || all.iter().all(|port| held(&cluster, *port).1.as_deref() == Some("1"));
    cluster.timeline.wait_until("every server holds the fence, in its file too", SOON, armed_everywhere);
    let told = remove(&cluster, &[]);
    assert!(told.contains("OK"), "{told}");
    cluster.timeline.wait_until("it is gone everywhere", SOON, || is_gone(&cluster));
    for port in all {
        cluster.timeline.wait_for("the server holds nothing", SOON, || match held(&cluster, port) {
            (Some(in_force), in_file) if in_force == "0" && in_file.as_deref().is_none_or(|value| value == "0") => Ok(()),
            other => Err(format!("{port}: {other:?}")),
        });
    }
}

#[test]
fn a_group_with_a_server_out_of_reach_stays_until_it_is_forced() {
    let mut cluster = armed(strict());
    let old = cluster.master();
    let away = cluster.others(old)[0];
    cluster.server_mut(away).kill();
    let told = cluster.timeline.wait_for("it is refused", SOON, || {
        let told = remove(&cluster, &[]);
        if told.contains("cannot be reached") { Ok(told) } else { Err(told) }
    });
    assert!(told.contains(&away.to_string()) && told.contains("FORCE"), "{told}");
    let policy = cluster.sentinel(1).answer(&["SENTINEL", "MASTER", GROUP]).field("promotion-policy");
    assert_eq!(policy.as_deref(), Some("strict"), "nothing was changed");
    let told = remove(&cluster, &["FORCE"]);
    assert!(told.contains("OK"), "{told}");
    cluster.timeline.wait_until("it is gone everywhere", SOON, || is_gone(&cluster));
    assert_eq!(held(&cluster, old).0.as_deref(), Some("0"), "what can be taken back is");
}

#[test]
fn a_group_whose_replicas_follow_nobody_stays() {
    let mut cluster = armed(strict());
    let old = cluster.master();
    let one = cluster.others(old)[0];
    // The master is silent for long enough that its replicas are taken from it, and not for long enough to be replaced.
    cluster.server(old).stop();
    let detached = || cluster.server(one).told_to_follow() == Some(1);
    cluster.timeline.wait_until("its replicas follow nobody", SOON, detached);
    let told = remove(&cluster, &[]);
    assert!(told.contains("failover is under way") && told.contains("were taken from their master"), "{told}");
    cluster.server_mut(old).kill();
    cluster.wait_for_new_master(old, SOON);
}

/// All but one are dead: by force that one is the master, and takes writes.
#[test]
fn a_forced_master_takes_writes_and_it_is_said_that_they_are_unprotected() {
    let mut cluster = armed(strict());
    let old = cluster.master();
    let (dead, left) = (cluster.others(old)[0], cluster.others(old)[1]);
    cluster.server_mut(dead).kill();
    cluster.server_mut(old).kill();
    cluster.timeline.wait_for("it is blocked", SOON, || match cluster.recorded(1)?.failover {
        Some(failover) if failover.is_blocked => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let told = cluster.sentinel(1).answer(&["SENTINEL", "FAILOVER", GROUP, "FORCE"]);
    assert!(told.is_ok(), "{told}");
    assert_eq!(cluster.wait_for_new_master(old, SOON), left);
    let writes = || match cluster.server(left).ask(&["SET", "key", "value"]) {
        Ok(reply) if reply.is_ok() => Ok(()),
        other => Err(format!("{other:?}")),
    };
    cluster.timeline.wait_for("it takes writes", SOON, writes);
    cluster.timeline.holds("it goes on taking writes", Duration::from_secs(3), writes);
    let fence = cluster.recorded(1).expect("it answers").fence.unwrap_or_default();
    assert!(!fence.armed && fence.problem.contains("promoted by force"), "{fence:?}");
    cluster.server_mut(dead).restart();
    cluster.timeline.wait_for("it is protected again", SOON, || {
        let fence = cluster.recorded(1)?.fence.unwrap_or_default();
        if fence.armed { Ok(()) } else { Err(format!("{fence:?}")) }
    });
    assert_eq!(held(&cluster, left).0.as_deref(), Some("1"));
}
