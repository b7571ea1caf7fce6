//! Members that are removed, replaced in place or moved while others are dead, by the operators' commands.

use std::fs;
use std::time::Duration;

use crate::kit::program::{self, Ended};
use crate::kit::sentinel::{Ports, our_binary};
use crate::kit::{Cluster, Flavour, Plan, Sentinel};
use crate::members::asked;

const SOON: Duration = Duration::from_secs(20);

/// A change of members, asked for at all of them until there is a leader to make it.
fn members(cluster: &Cluster, words: &[&str]) -> Ended {
    let addrs: Vec<String> = cluster.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.ports.grpc)).collect();
    let addrs = addrs.join(",");
    let words: Vec<&str> = ["members"].iter().chain(words).chain(&["--addr", &addrs]).copied().collect();
    cluster.timeline.wait_for(&format!("{words:?} has an outcome"), Duration::from_secs(90), || {
        let ended = program::run(&our_binary().display().to_string(), &words, Duration::from_secs(80));
        let unled = ["agree on a leader", "does not lead", "no quorum"].iter().any(|text| ended.stderr.contains(text));
        if ended.code != Some(0) && unled { Err(ended.stderr) } else { Ok(ended) }
    })
}

fn three() -> Cluster {
    Plan { replicas: 0, ..Plan::new(Flavour::Ours) }.start()
}

/// `raft-sentinel check`, as the unit runs it before each start.
fn check(sentinel: &Sentinel) -> Ended {
    program::run(&our_binary().display().to_string(), &["check", &sentinel.config.display().to_string()], SOON)
}

/// Two that follow, the leader first.
fn leader_first(cluster: &Cluster) -> [usize; 3] {
    let leader = cluster.wait_for_leader(&[1, 2, 3], SOON);
    [leader, leader % 3 + 1, (leader + 1) % 3 + 1]
}

#[test]
fn a_living_voter_is_not_removed_beside_a_dead_one() {
    let mut cluster = three();
    let [leader, alive, dead] = leader_first(&cluster);
    cluster.sentinel_mut(dead).kill();
    // Nothing is waited for: the dead one was heard a moment ago.
    let refused = members(&cluster, &["remove", &alive.to_string()]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for part in ["would vote after that", "not even to undo it", "--force"] {
        assert!(refused.stderr.contains(part), "{refused:?}");
    }
    for id in [leader, alive] {
        cluster.timeline.wait_for(&format!("sentinel {id} still answers"), SOON, || asked(cluster.sentinel(id)));
    }
    // The dead one may go, and then there are two.
    members(&cluster, &["remove", &dead.to_string()]).success();
    members(&cluster, &["remove", &alive.to_string()]).success();
    cluster.timeline.wait_for("the last one answers", SOON, || asked(cluster.sentinel(leader)));
}

#[test]
fn an_operator_may_insist() {
    let mut cluster = three();
    let [leader, alive, dead] = leader_first(&cluster);
    cluster.sentinel_mut(dead).kill();
    let forced = members(&cluster, &["remove", &alive.to_string(), "--force"]);
    assert!(!forced.stderr.contains("--force"), "{forced:?}");
    // It was told what would come: the dead one has to come back.
    cluster.sentinel_mut(dead).restart();
    for id in [leader, dead] {
        cluster.timeline.wait_for(&format!("sentinel {id} answers"), SOON, || asked(cluster.sentinel(id)));
    }
}

#[test]
fn one_that_lost_its_disk_is_replaced_at_its_own_address() {
    let mut cluster = three();
    let [_, other, lost] = leader_first(&cluster);
    cluster.sentinel_mut(lost).kill();
    fs::remove_dir_all(cluster.sentinel(lost).dir().join("raft-sentinel")).expect("it can be removed");
    // The same host, the same ports and peer lines; a number of its own.
    let (file, raft) = (cluster.sentinel(lost).config.clone(), cluster.sentinel(lost).ports.raft);
    let text = fs::read_to_string(&file).expect("the file is there");
    let text = text.replace(&format!("raft node-id {lost}\n"), "raft node-id 6\n");
    fs::write(&file, text).expect("it can be written");
    let checked = check(cluster.sentinel(lost));
    assert_eq!(checked.code, Some(0), "the unit runs it first: {checked:?}");
    assert!(checked.stdout.contains(&format!("members replace {lost} 6 127.0.0.1:{raft}")), "{checked:?}");
    cluster.sentinel_mut(lost).restart();
    cluster.timeline.wait_for("it says what to do", SOON, || {
        let log = cluster.sentinel(lost).log();
        let command = format!("members replace OLD 6 127.0.0.1:{raft}");
        if log.contains(&command) { Ok(()) } else { Err(log) }
    });
    let done = members(&cluster, &["replace", &lost.to_string(), "6", &format!("127.0.0.1:{raft}")]).success();
    assert!(done.contains(&format!("removed sentinel {lost}")) && done.contains("added sentinel 6"), "{done}");
    cluster.timeline.wait_for("it answers", SOON, || asked(cluster.sentinel(lost)));
    // Its vote counts.
    cluster.sentinel_mut(other).kill();
    cluster.timeline.wait_for("it answers, one of two", SOON, || asked(cluster.sentinel(lost)));
}

#[test]
fn one_that_moved_to_another_address_is_told_of_with_one_command() {
    let mut cluster = three();
    let [leader, other, moved] = leader_first(&cluster);
    cluster.sentinel_mut(moved).kill();
    let (file, before, after) = (cluster.sentinel(moved).config.clone(), cluster.sentinel(moved).ports.raft, Ports::free().raft);
    let text = fs::read_to_string(&file).expect("the file is there");
    let listen = |port: u16| format!("raft listen 127.0.0.1:{port}\n");
    assert!(text.contains(&listen(before)), "{text}");
    fs::write(&file, text.replace(&listen(before), &format!("{}raft advertise 127.0.0.1:{after}\n", listen(after))))
        .expect("it can be written");
    assert_eq!(check(cluster.sentinel(moved)).code, Some(0));
    cluster.sentinel_mut(moved).restart();
    let address = format!("127.0.0.1:{after}");
    let command = format!("members move {moved} HOST:PORT");
    cluster.timeline.wait_for("the members say which", SOON, || {
        let listed = members(&cluster, &["list", "--json"]).success();
        if listed.contains(&command) { Ok(()) } else { Err(listed) }
    });
    let again = members(&cluster, &["add", &moved.to_string(), &address]);
    assert!(again.stderr.contains("members move"), "{again:?}");
    members(&cluster, &["move", &moved.to_string(), &address]).success();
    cluster.timeline.wait_for("it is reached", SOON, || asked(cluster.sentinel(moved)));
    cluster.sentinel_mut(other).kill();
    for id in [leader, moved] {
        cluster.timeline.wait_for(&format!("sentinel {id} answers, one of two"), SOON, || asked(cluster.sentinel(id)));
    }
    // Alone with one that answers, an address that nobody has looked at is not taken on trust.
    let blind = members(&cluster, &["move", &moved.to_string(), &format!("127.0.0.1:{before}")]);
    if cluster.wait_for_leader(&[leader, moved], SOON) == leader {
        assert!(blind.stderr.contains("can be counted on now"), "{blind:?}");
    }
}
