//! What somebody else changed at the servers is changed back to what the log says, without a failover.

use std::time::{Duration, Instant};

use crate::kit::{Cluster, Flavour, Plan};

const SOON: Duration = Duration::from_secs(20);
const HOST: &str = "127.0.0.1";

/// Tells a server whom to follow, as an operator or another tool would.
fn tell(cluster: &Cluster, port: u16, master: Option<u16>) {
    let master = master.map(|port| port.to_string());
    let words = master.as_ref().map_or(["REPLICAOF", "NO", "ONE"], |port| ["REPLICAOF", HOST, port]);
    let reply = cluster.server(port).ask(&words).expect("the server answers");
    assert!(reply.is_ok(), "{reply}");
    cluster.timeline.note(format!("{port} was told: {words:?}"));
}

/// After `meddle` all becomes as it was, in the same epoch.
fn repaired(meddle: impl Fn(&Cluster, u16, &[u16])) {
    let cluster = Plan { down_after_ms: 2000, ..Plan::new(Flavour::Ours) }.start();
    let master = cluster.master();
    let replicas = cluster.others(master);
    meddle(&cluster, master, &replicas);
    let begun = Instant::now();
    cluster.wait_until_all_follow(master, &replicas, SOON);
    println!("repaired after {} ms", begun.elapsed().as_millis());
    cluster.wait_until_formed();
    assert!(cluster.decisions(1).is_empty(), "no failover was needed\n{}", cluster.timeline.report());
    assert_eq!(cluster.recorded(1).map(|master| (master.epoch, master.down_votes)), Ok((0, 0)));
}

#[test]
fn a_replica_that_was_made_a_master_is_made_a_replica_again() {
    repaired(|cluster, _, replicas| tell(cluster, replicas[0], None));
}

#[test]
fn a_replica_that_follows_another_one_is_pointed_at_the_master() {
    repaired(|cluster, _, replicas| tell(cluster, replicas[0], Some(replicas[1])));
}

#[test]
fn a_loop_of_two_replicas_is_opened() {
    repaired(|cluster, _, replicas| {
        tell(cluster, replicas[0], Some(replicas[1]));
        tell(cluster, replicas[1], Some(replicas[0]));
    });
}

#[test]
fn a_master_that_was_made_a_replica_is_made_a_master_again() {
    repaired(|cluster, master, replicas| tell(cluster, master, Some(replicas[0])));
}

/// Whoever moves the whole group means it: the log follows, with one decision that says so.
#[test]
fn a_group_that_was_moved_as_a_whole_is_adopted() {
    let cluster = Plan { down_after_ms: 2000, ..Plan::new(Flavour::Ours) }.start();
    let master = cluster.master();
    let [to, other] = cluster.others(master)[..] else { panic!("two replicas") };
    tell(&cluster, to, None);
    tell(&cluster, master, Some(to));
    tell(&cluster, other, Some(to));
    cluster.timeline.wait_for("the log says so", SOON, || match cluster.recorded(1)? {
        recorded if recorded.epoch == 1 => Ok(()),
        recorded => Err(format!("epoch {}", recorded.epoch)),
    });
    cluster.wait_until_all_follow(to, &[master, other], SOON);
    cluster.wait_until_formed();
    let choice = cluster.decisions(1).remove(0).choice.expect("it was decided");
    assert_eq!(choice.reason, "made the master by hand");
    assert_eq!(cluster.master(), to);
}
