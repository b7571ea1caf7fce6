//! Sentinels that are not who they were, or not of this cluster, are kept out.

use std::fs;
use std::time::Duration;

use crate::kit::sentinel::Ports;
use crate::kit::{Flavour, Plan, Sentinel};
use crate::members::{asked, stays_silent};

const SOON: Duration = Duration::from_secs(15);

#[test]
fn a_sentinel_that_lost_its_disk_is_refused_and_never_votes() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let timeline = cluster.timeline.clone();
    let leader = cluster.wait_for_leader(&[1, 2, 3], SOON);
    let (lost, other) = (leader % 3 + 1, (leader + 1) % 3 + 1);
    cluster.sentinel_mut(lost).kill();
    fs::remove_dir_all(cluster.sentinel(lost).dir().join("raft-sentinel")).expect("its data is there");
    let logged: Vec<usize> = cluster.sentinels.iter().map(|sentinel| sentinel.log().len()).collect();
    cluster.sentinel_mut(lost).restart();
    for id in [leader, other, lost] {
        timeline.wait_for(&format!("sentinel {id} logs why"), SOON, || {
            let log = cluster.sentinel(id).log()[logged[id - 1]..].to_owned();
            let told =
                |line: &str| ["incarnation", "data directory was lost or swapped", "new node id"].iter().all(|part| line.contains(part));
            if log.lines().any(|line| line.contains("WARN") && told(line)) { Ok(()) } else { Err(log) }
        });
    }
    stays_silent(&cluster, cluster.sentinel(lost), Duration::from_secs(2));
    let old = cluster.servers[0].port;
    cluster.server_mut(old).kill();
    for id in [leader, other] {
        timeline.wait_for(&format!("sentinel {id} names a new master"), SOON, || match asked(cluster.sentinel(id)) {
            Ok(port) if port != old => Ok(()),
            answered => Err(format!("{answered:?}")),
        });
    }
    // If it voted, it would make a quorum with the only one left.
    cluster.sentinel_mut(leader).kill();
    timeline.wait_for("the last one has no quorum", SOON, || match asked(cluster.sentinel(other)) {
        Err(refusal) if refusal.starts_with("-NOQUORUM") => Ok(()),
        answered => Err(format!("{answered:?}")),
    });
    let term = |id: usize| cluster.status(id).map(|status| status.term);
    let before = term(other).expect("it answers");
    stays_silent(&cluster, cluster.sentinel(other), Duration::from_secs(3));
    stays_silent(&cluster, cluster.sentinel(lost), Duration::from_millis(100));
    assert_eq!(term(other).expect("it answers"), before, "without pre-votes there is no campaign");
    let since = cluster.sentinel(lost).log()[logged[lost - 1]..].to_owned();
    assert!(!since.contains("gave the vote"), "{since}");
    // All of those with a disk come back, and the group goes on where it was.
    cluster.sentinel_mut(leader).restart();
    timeline.wait_for("two of three answer", SOON, || asked(cluster.sentinel(leader)));
}

#[test]
fn a_sentinel_of_another_cluster_is_refused() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let timeline = cluster.timeline.clone();
    // It thinks that it forms a group with sentinels 1 and 2.
    let mut peers: Vec<Ports> = cluster.sentinels[..2].iter().map(|sentinel| sentinel.ports).collect();
    peers.push(Ports::free());
    let elsewhere = cluster.scratch.path().join("elsewhere");
    let stranger = Sentinel::start(Flavour::Ours, &elsewhere, &timeline, &cluster.plan.orders(3, &peers, cluster.servers[0].addr()));
    for sentinel in [&stranger, &cluster.sentinels[0], &cluster.sentinels[1]] {
        timeline.wait_for(&format!("sentinel {} logs why", sentinel.id), SOON, || {
            let log = sentinel.log();
            let told = |line: &str| line.contains("belongs to cluster") && line.contains("same 'raft peer' lines");
            if log.lines().any(|line| line.contains("WARN") && told(line)) { Ok(()) } else { Err(log) }
        });
    }
    stays_silent(&cluster, &stranger, Duration::from_secs(2));
    cluster.timeline.wait_for("the cluster does not mind", SOON, || cluster.formed());
    let old = cluster.servers[0].port;
    cluster.server_mut(old).kill();
    cluster.wait_for_new_master(old, SOON);
    stays_silent(&cluster, &stranger, Duration::from_millis(500));
}
