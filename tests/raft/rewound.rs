//! A disk that went back in time: a copy of a data directory is put back, and its sentinel looks like itself.

use std::path::Path;
use std::time::{Duration, Instant};

use raft_sentinel::base::NodeId;
use raft_sentinel::raft::{Leadership, Raft};

use crate::cluster::{Cluster, eventually, leadership, monitor, vote_away};

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from.join("raft-sentinel")).unwrap() {
        let file = file.unwrap();
        std::fs::create_dir_all(to.join("raft-sentinel")).unwrap();
        std::fs::copy(file.path(), to.join("raft-sentinel").join(file.file_name())).unwrap();
    }
}

impl Cluster {
    /// A stopped node's data directory as it is now.
    fn image(&self, id: u64) -> tempfile::TempDir {
        let image = tempfile::tempdir().unwrap();
        copy(&self.disk(id), image.path());
        image
    }

    /// Starts a stopped node on a copy of its directory.
    async fn start_on(&mut self, id: u64, image: &tempfile::TempDir) -> Raft {
        copy(image.path(), &self.disk(id));
        self.start(id).await;
        self.nodes[&id].clone()
    }
}

fn refusal(raft: &Raft, of: u64) -> String {
    raft.peers().get(&NodeId(of)).and_then(|peer| peer.refused.clone()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_whose_disk_went_back_is_refused_by_all_and_the_leader_does_not_spin() {
    let mut cluster = Cluster::formed(3).await;
    let (leader, victim) = (cluster.leader().await, cluster.follower().await);
    let led = cluster.nodes[&leader].clone();
    led.propose(monitor("before")).await.unwrap();
    cluster.stop(victim).await;
    let image = cluster.image(victim);
    cluster.start(victim).await;
    for n in 0..20 {
        led.propose(vote_away(n)).await.unwrap();
    }
    led.propose(monitor("acknowledged")).await.unwrap();
    let caught_up = cluster.nodes[&victim].clone();
    eventually("it has all", || caught_up.state().group("acknowledged").is_some()).await;
    // Others learn of it by the signs of life.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    cluster.stop(victim).await;
    let before = cluster.net.passed();
    let back = cluster.start_on(victim, &image).await;
    let others: Vec<u64> = (1..=3).filter(|id| *id != victim).collect();
    for id in &others {
        let other = cluster.nodes[id].clone();
        eventually("the others know why", || refusal(&other, victim).contains("went back in time")).await;
        eventually("it knows why, and what to do", || refusal(&back, *id).contains("members replace")).await;
    }
    let (calls, begun) = (cluster.net.passed(), Instant::now());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let bytes = (cluster.net.passed() - calls) as f64 / begun.elapsed().as_secs_f64();
    println!("{bytes:.0} bytes a second between the three; {} while it was found out", calls - before);
    assert!(bytes < 200_000.0, "{bytes:.0} bytes a second between three idle sentinels");
    assert!(back.propose(monitor("not with it")).await.is_err());
    assert_eq!(leadership(&back), Leadership::Unknown);
    led.propose(monitor("without it")).await.unwrap();
    // Its vote would now be needed.
    let third = *others.iter().find(|id| **id != leader).unwrap();
    cluster.stop(third).await;
    eventually("the leader has lost its quorum", || leadership(&led) == Leadership::Unknown).await;
    // With its directory back it takes part again. The third is what has all.
    cluster.start(third).await;
    cluster.leader_among(&others.into_iter().collect()).await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_restarted_meanwhile_remembers_what_the_other_had_acknowledged() {
    let mut cluster = Cluster::formed(3).await;
    let (leader, victim) = (cluster.leader().await, cluster.follower().await);
    cluster.stop(victim).await;
    let image = cluster.image(victim);
    cluster.start(victim).await;
    for n in 0..20 {
        cluster.nodes[&leader].propose(vote_away(n)).await.unwrap();
    }
    let has_all = (cluster.nodes[&victim].clone(), cluster.nodes[&leader].clone());
    eventually("it has all", || has_all.0.state().applied == has_all.1.state().applied).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    cluster.stop_all().await;
    for id in (1..=3).filter(|id| *id != victim) {
        cluster.start(id).await;
    }
    let back = cluster.start_on(victim, &image).await;
    for id in (1..=3).filter(|id| *id != victim) {
        let other = cluster.nodes[&id].clone();
        eventually("they know why", || refusal(&other, victim).contains("went back in time")).await;
        eventually("it knows why", || refusal(&back, id).contains("went back in time")).await;
    }
    assert_eq!(leadership(&back), Leadership::Unknown);
    cluster.stop_all().await;
}

/// The one that knows is away while the other two go on without what it has: nobody can know that then. It finds out when it comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_applied_what_the_others_lost_stops_and_says_so() {
    let mut cluster = Cluster::formed(3).await;
    let (leader, victim) = (cluster.leader().await, cluster.follower().await);
    let third = 6 - leader - victim;
    let led = cluster.nodes[&leader].clone();
    cluster.stop(third).await;
    led.propose(monitor("before")).await.unwrap();
    cluster.stop(victim).await;
    let image = cluster.image(victim);
    cluster.start(victim).await;
    led.propose(monitor("acknowledged")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    cluster.stop(victim).await;
    cluster.stop(leader).await;
    let back = cluster.start_on(victim, &image).await;
    cluster.start(third).await;
    cluster.leader_among(&[victim, third].into()).await;
    back.propose(monitor("something else")).await.unwrap();
    assert!(back.linearizable().await.unwrap().group("acknowledged").is_none(), "this test has lost it");
    cluster.start(leader).await;
    let alone = cluster.nodes[&leader].clone();
    let why = tokio::time::timeout(crate::cluster::PATIENCE, alone.failed()).await.expect("it finds out that it stands alone");
    println!("{why}");
    assert!(why.contains("no quorum of the others has it") && why.contains("went back in time"), "{why}");
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn states_are_compared_and_one_that_drifted_is_told_of() {
    use openraft::storage::RaftStateMachine;
    use openraft::{EntryPayload, RaftSnapshotBuilder};
    use raft_sentinel::raft::types::Entry;

    let mut cluster = Cluster::formed_with(3, |config| config.state_digest_every_entries = 10).await;
    let leader = cluster.leader().await;
    for n in 0..25 {
        cluster.nodes[&leader].propose(vote_away(n)).await.unwrap();
    }
    for (id, raft) in &cluster.nodes {
        let same = || raft.peers().values().all(|peer| peer.state.is_some_and(|compared| compared.same));
        eventually(&format!("node {id} has compared"), same).await;
    }
    // A group that is in no log, as a fault of memory or of this program would leave it.
    let victim = cluster.follower().await;
    cluster.stop(victim).await;
    {
        let mut store =
            raft_sentinel::store::open(&cluster.disk(victim), NodeId(victim), cluster.config(victim).cluster_id(), None).unwrap();
        let entries = openraft::RaftLogReader::try_get_log_entries(&mut store.log, ..).await.unwrap();
        let last = entries.last().unwrap().log_id;
        store.machine.apply(entries).await.unwrap();
        store.machine.apply([Entry { log_id: last, payload: EntryPayload::Normal(monitor("drifted")) }]).await.unwrap();
        store.machine.get_snapshot_builder().await.build_snapshot().await.unwrap();
        store.log.close();
    }
    cluster.start(victim).await;
    cluster.leader().await;
    for n in 0..15 {
        cluster.nodes[&leader].propose(vote_away(n)).await.unwrap();
    }
    let differs = |raft: &Raft, of: u64| raft.peers()[&NodeId(of)].state.is_some_and(|compared| !compared.same);
    let (led, drifted) = (cluster.nodes[&leader].clone(), cluster.nodes[&victim].clone());
    let third = 6 - leader - victim;
    eventually("the leader knows", || differs(&led, victim)).await;
    eventually("it stands alone", || differs(&drifted, leader) && differs(&drifted, third)).await;
    assert!(!differs(&led, third));
    cluster.stop_all().await;
}
