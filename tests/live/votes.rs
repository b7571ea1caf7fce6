//! Votes: cast on typed grounds, never by a sentinel that was not awake, and not for ever.

use std::collections::BTreeSet;
use std::time::Duration;

use raft_sentinel::proto::sentinel as proto;

use crate::kit::history;
use crate::kit::looks::local;
use crate::kit::{Cluster, Flavour, GROUP, Plan};

const SOON: Duration = Duration::from_secs(20);
/// Much longer than the limit of one second, so that whoever counts it as silence votes.
const NAP: Duration = Duration::from_secs(5);
/// After a nap: time enough for a wrong vote to be cast and logged.
const AFTER: Duration = Duration::from_secs(2);
const ALL: [usize; 3] = [1, 2, 3];

/// A failover of a master that was made silent by `silence`; its votes must carry `evidence`.
fn votes_carry(evidence: proto::Evidence, silence: impl Fn(&mut Cluster, u16)) {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let old = cluster.master();
    silence(&mut cluster, old);
    let told = cluster.wait_for_history(&ALL, 1, SOON);
    let votes = history::votes(&told[0]);
    let voters: BTreeSet<u64> = votes.iter().map(|vote| vote.voter).collect();
    assert!(voters.len() >= 2, "{told:#?}");
    for vote in votes {
        assert_eq!(vote.evidence(), evidence, "{told:#?}");
        assert_eq!(vote.limit_ms, cluster.plan.down_after_ms);
        assert!(vote.silent_ms >= vote.limit_ms, "{told:#?}");
        let witnesses: BTreeSet<String> = vote.replicas.iter().map(|witness| history::address(witness.replica.as_ref())).collect();
        let replicas: BTreeSet<String> = cluster.others(old).into_iter().map(local).collect();
        assert_eq!(witnesses, replicas, "each replica is quoted on its link to the master");
    }
}

#[test]
fn a_vote_on_a_killed_master_says_that_its_port_refuses() {
    votes_carry(proto::Evidence::Refused, |cluster, master| cluster.server_mut(master).kill());
}

#[test]
fn a_vote_on_a_hanging_master_says_that_it_is_silent() {
    votes_carry(proto::Evidence::Silent, |cluster, master| cluster.server_mut(master).stop());
}

/// Lines of all logs about votes that the master is down.
fn votes_in_logs(cluster: &Cluster) -> Vec<String> {
    let lines = |id: &usize| cluster.sentinel(*id).log().lines().filter(|line| line.contains("+vote-down")).map(str::to_owned).collect();
    ALL.iter().flat_map(|id| -> Vec<String> { lines(id) }).collect()
}

/// Suspends `who` for [`NAP`] while the master is healthy all the time: nobody votes.
fn nobody_votes_after_a_nap_of(who: impl Fn(usize) -> Vec<usize>) {
    let cluster = Plan::new(Flavour::Ours).start();
    let master = cluster.master();
    let who = who(cluster.wait_for_leader(&ALL, SOON));
    // A starved machine may have made somebody vote before.
    let before = votes_in_logs(&cluster);
    who.iter().for_each(|id| cluster.sentinel(*id).stop());
    let timeline = cluster.timeline.clone();
    timeline.holds("the master is healthy", NAP, || match cluster.server(master).role().as_deref() {
        Some("master") => Ok(()),
        role => Err(format!("{role:?}")),
    });
    who.iter().for_each(|id| cluster.sentinel(*id).cont());
    timeline.holds("nobody votes", AFTER, || match votes_in_logs(&cluster) {
        votes if votes == before => Ok(()),
        votes => Err(format!("{votes:#?}")),
    });
    cluster.wait_until_formed();
    assert!(cluster.decisions(who[0]).is_empty(), "{}", timeline.report());
    assert_eq!(cluster.recorded(who[0]).map(|master| master.epoch), Ok(0));
}

#[test]
fn a_follower_that_was_suspended_does_not_vote() {
    nobody_votes_after_a_nap_of(|leader| ALL.into_iter().filter(|id| *id != leader).take(1).collect());
}

#[test]
fn two_followers_that_were_suspended_together_do_not_vote() {
    nobody_votes_after_a_nap_of(|leader| ALL.into_iter().filter(|id| *id != leader).collect());
}

#[test]
fn a_leader_and_a_follower_that_were_suspended_together_do_not_vote() {
    nobody_votes_after_a_nap_of(|leader| vec![leader, leader % 3 + 1]);
}

#[test]
fn a_whole_cluster_that_was_suspended_does_not_vote() {
    nobody_votes_after_a_nap_of(|_| ALL.to_vec());
}

#[test]
fn a_sentinel_that_falls_silent_loses_its_vote_and_may_vote_again() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let (master, timeline) = (cluster.master(), cluster.timeline.clone());
    // More than there are: votes stand, and nothing follows from them.
    let set = cluster.sentinel(1).ask(&["SENTINEL", "SET", GROUP, "quorum", "4"]);
    assert!(set.as_ref().is_ok_and(crate::kit::Reply::is_ok), "{set:?}");
    let leader = cluster.wait_for_leader(&ALL, SOON);
    let silent = ALL.into_iter().find(|id| *id != leader).expect("there are three");
    let expect = |count: u32, within: Duration| {
        timeline.wait_for(&format!("{count} votes stand"), within, || match cluster.recorded(leader)?.down_votes {
            have if have == count => Ok(()),
            have => Err(format!("{have} votes")),
        });
    };
    expect(0, SOON);
    cluster.servers.iter().filter(|server| server.port == master).for_each(crate::kit::RedisServer::stop);
    expect(3, SOON);
    cluster.sentinel(silent).stop();
    let begun = std::time::Instant::now();
    expect(2, Duration::from_secs(15));
    let took = begun.elapsed();
    println!("the vote of a silent sentinel was gone after {} ms", took.as_millis());
    // Five seconds since it was last heard, which was up to a second before it fell silent.
    assert!((Duration::from_millis(3500)..Duration::from_secs(9)).contains(&took), "{took:?}\n{}", timeline.report());
    let expired = format!("by node {silent}: expired");
    timeline.wait_until("the log says why", SOON, || cluster.sentinel(leader).log().contains(&expired));
    cluster.sentinel(silent).cont();
    expect(3, SOON);
    cluster.server_mut(master).cont();
    timeline.wait_for("all votes are taken back", SOON, || match cluster.recorded(leader)?.down_votes {
        0 => Ok(()),
        have => Err(format!("{have} votes")),
    });
    assert!(cluster.decisions(leader).is_empty(), "{}", timeline.report());
}

#[test]
fn a_suspended_leader_is_replaced_and_acts_on_nothing_when_it_comes_back() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let (old, timeline) = (cluster.master(), cluster.timeline.clone());
    let first = cluster.wait_for_leader(&ALL, SOON);
    let others: Vec<usize> = ALL.into_iter().filter(|id| *id != first).collect();
    // It hangs in the very moment in which the master dies: all it knows is of before.
    cluster.sentinel(first).stop();
    cluster.server_mut(old).kill();
    cluster.wait_for_leader(&others, SOON);
    let told = cluster.wait_for_history(&others, 1, SOON);
    let replicas = cluster.others(old);
    let orders = |cluster: &Cluster| -> Vec<Option<u64>> { replicas.iter().map(|port| cluster.server(*port).orders()).collect() };
    let before = orders(&cluster);
    let logged = cluster.sentinel(first).log().len();
    cluster.sentinel(first).cont();
    let again = cluster.wait_for_history(&ALL, 1, SOON);
    assert_eq!(again, told, "{}", timeline.report());
    timeline.holds("nobody is told anything more", AFTER, || match orders(&cluster) {
        now if now == before => Ok(()),
        now => Err(format!("{before:?}, then {now:?}")),
    });
    let log = cluster.sentinel(first).log();
    assert!(!log[logged..].contains("asked to"), "it acted\n{}", timeline.report());
    cluster.wait_for_leader(&ALL, SOON);
    cluster.server_mut(old).restart();
    cluster.wait_until_formed();
}

#[test]
fn a_hanging_master_is_replaced_and_demoted_as_soon_as_it_moves_again() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let (old, timeline) = (cluster.master(), cluster.timeline.clone());
    let mut client = cluster.server(old).conn(Duration::from_secs(30)).expect("the master answers");
    client.ask(&["SET", "before", "1"]).expect("it takes writes");
    cluster.server_mut(old).stop();
    let new = cluster.wait_for_new_master(old, SOON);
    cluster.wait_for_history(&ALL, 1, SOON);
    cluster.server_mut(old).cont();
    let moving = std::time::Instant::now();
    // The server answers nothing to this client that it did not ask: what comes is the end of the connection.
    let end = client.read();
    let took = moving.elapsed();
    assert!(end.is_err(), "{end:?}");
    println!("the clients of the old master were cut off after {} ms", took.as_millis());
    assert!(took < Duration::from_secs(3), "{took:?}\n{}", timeline.report());
    cluster.wait_for_replica(old, new, SOON);
    let demoted = moving.elapsed();
    println!("the old master followed the new one after {} ms", demoted.as_millis());
    cluster.wait_until_formed();
}
