//! Releases live together: of two, one knows a kind of entry that the other does not. Played by one build, which claims a level.

use std::time::Duration;

use crate::kit::{Cluster, Flavour, GROUP, Plan};

const SOON: Duration = Duration::from_secs(20);
const ALL: [usize; 3] = [1, 2, 3];
/// An entry that the newer release knows: `set-parameters`.
const NEW: &[&str] = &["SENTINEL", "CONFIG", "SET", "announce-port", "12345"];

fn claims(cluster: &mut Cluster, id: usize, level: &str) {
    let sentinel = cluster.sentinel_mut(id);
    sentinel.set_env("RAFT_SENTINEL_LEVEL", level);
    sentinel.kill();
    sentinel.restart();
    cluster.wait_for_leader(&ALL, SOON);
}

/// Waits until the members' levels are known, and the new entry is refused because of these.
fn refused_because_of(cluster: &Cluster, asked: usize, behind: &[usize]) {
    cluster.timeline.wait_for(&format!("{behind:?} are behind, says sentinel {asked}"), SOON, || {
        let reply = cluster.sentinel(asked).answer(NEW);
        let why = reply.error().unwrap_or_default().to_owned();
        let named = |id: usize| why.contains(&format!("sentinel {id} (level 1)"));
        let right = ALL.into_iter().all(|id| named(id) == behind.contains(&id));
        if right && why.contains("level 2") { Ok(()) } else { Err(reply.to_string()) }
    });
}

/// What both know goes on, on all.
fn works(cluster: &Cluster, id: usize, value: &str) {
    cluster.sentinel(id).expect_ok(&["SENTINEL", "SET", GROUP, "failover-timeout", value]);
    for id in ALL {
        cluster.timeline.wait_for(&format!("sentinel {id} has {value}"), SOON, || {
            let seen = cluster.sentinel(id).ask(&["SENTINEL", "MASTER", GROUP]).map_err(|error| error.to_string())?;
            if seen.field("failover-timeout").as_deref() == Some(value) { Ok(()) } else { Err(seen.to_string()) }
        });
    }
}

#[test]
fn two_releases_live_together_up_and_down() {
    let env = [("RAFT_SENTINEL_SECOND_LEVEL", "set-parameters"), ("RAFT_SENTINEL_LEVEL", "1")];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let mut cluster = Plan { env, ..Plan::new(Flavour::Ours) }.start();
    let timeline = cluster.timeline.clone();
    cluster.wait_for_leader(&ALL, SOON);
    // Up, one after the other; and one of them down again before it has said anything new.
    claims(&mut cluster, 1, "2");
    refused_because_of(&cluster, 1, &[2, 3]);
    claims(&mut cluster, 2, "2");
    refused_because_of(&cluster, 2, &[3]);
    works(&cluster, 3, "10001");
    claims(&mut cluster, 2, "1");
    refused_because_of(&cluster, 1, &[2, 3]);
    works(&cluster, 2, "10002");
    claims(&mut cluster, 2, "2");
    claims(&mut cluster, 3, "2");
    // All are there: it is said.
    timeline.wait_for("the new entry is taken", SOON, || {
        let reply = cluster.sentinel(1).answer(NEW);
        if reply.is_ok() { Ok(()) } else { Err(reply.to_string()) }
    });
    works(&cluster, 3, "10003");
    // Down now means that it does not understand what is in its log, and it says what to do.
    cluster.sentinel_mut(3).set_env("RAFT_SENTINEL_LEVEL", "1");
    cluster.sentinel_mut(3).kill();
    cluster.sentinel_mut(3).relaunch();
    timeline.wait_until("it does not start", SOON, || cluster.sentinel_mut(3).exit_status().is_some_and(|status| !status.success()));
    let log = cluster.sentinel(3).log();
    assert!(log.contains("does not understand it") && log.contains("Nothing is lost: install the release that wrote it"), "{log}");
    assert!(!log.contains("damaged"), "{log}");
    cluster.sentinel(1).expect_ok(&["SENTINEL", "SET", GROUP, "failover-timeout", "10004"]);
    // Up again.
    cluster.sentinel_mut(3).set_env("RAFT_SENTINEL_LEVEL", "2");
    cluster.sentinel_mut(3).restart();
    works(&cluster, 3, "10005");
}
