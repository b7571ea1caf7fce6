//! The quorum is gone for good, and one sentinel is left.

use std::time::Duration;

use super::operators::operator;
use crate::kit::program::{self, Ended};
use crate::kit::sentinel::our_binary;
use crate::kit::{Cluster, Flavour, GROUP, Plan};

const SOON: Duration = Duration::from_secs(20);

fn recover(cluster: &Cluster, id: usize, words: &[&str]) -> Ended {
    let addr = format!("127.0.0.1:{}", cluster.sentinel(id).ports.grpc);
    let words: Vec<&str> = ["members", "recover"].into_iter().chain(words.iter().copied()).chain(["--addr", &addr]).collect();
    program::run(&our_binary().display().to_string(), &words, Duration::from_secs(120))
}

/// It believes in its leader for a moment longer.
fn without_a_leader(cluster: &Cluster, id: usize) {
    cluster.timeline.wait_until("it knows no leader", SOON, || cluster.status(id).is_ok_and(|status| status.leader_id.is_none()));
}

fn wipe(cluster: &mut Cluster, id: usize) {
    cluster.sentinel_mut(id).kill();
    std::fs::remove_dir_all(cluster.sentinel(id).dir().join("raft-sentinel")).expect("it can be removed");
}

#[test]
fn one_command_goes_on_with_the_survivor_and_takes_the_wiped_ones_in() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let timeline = cluster.timeline.clone();
    cluster.sentinels[0].expect_ok(&["SENTINEL", "SET", GROUP, "failover-timeout", "12345"]);
    let index = cluster.status(1).expect("it answers").applied_index;
    timeline.wait_until("the survivor has it", SOON, || cluster.status(3).is_ok_and(|status| status.applied_index >= index));
    let quorum = recover(&cluster, 3, &["--others-are-gone"]);
    assert!(quorum.code != Some(0), "{quorum:?}");
    assert!(quorum.stderr.contains("the group has its quorum") || quorum.stderr.contains("agree on a leader"), "{quorum:?}");
    wipe(&mut cluster, 1);
    wipe(&mut cluster, 2);
    for id in [1, 2] {
        cluster.sentinel_mut(id).restart();
    }
    timeline.wait_for("they form no second group", SOON, || {
        let log = cluster.sentinel(1).log();
        if log.contains("forms no group") { Ok(()) } else { Err(log) }
    });
    let unsaid = recover(&cluster, 3, &[]);
    assert!(unsaid.stderr.contains("--others-are-gone"), "{unsaid:?}");
    let wiped = recover(&cluster, 1, &["--others-are-gone"]);
    assert!(wiped.stderr.contains("is no member of a group"), "{wiped:?}");

    without_a_leader(&cluster, 3);
    let told = recover(&cluster, 3, &["--others-are-gone"]).success();
    println!("{told}");
    for id in [1, 2] {
        assert!(
            told.contains(&format!("sentinel {id} at 127.0.0.1:{} is a member again, and votes", cluster.sentinel(id).ports.raft)),
            "{told}"
        );
    }
    cluster.wait_for_leader(&[1, 2, 3], SOON);
    for id in [1, 2, 3] {
        timeline.wait_for(&format!("sentinel {id} knows what was agreed"), SOON, || {
            let seen = cluster.sentinel(id).ask(&["SENTINEL", "MASTER", GROUP]).map_err(|error| error.to_string())?;
            match seen.field("failover-timeout").as_deref() {
                Some("12345") => Ok(()),
                _ => Err(seen.to_string()),
            }
        });
    }
    let history = operator(&cluster, &["history"]).success();
    assert!(history.contains("members recover --others-are-gone"), "{history}");
    assert!(cluster.sentinel(3).log().contains("AN OPERATOR SAYS THAT THE OTHERS ARE GONE"));
    // It is a group as any other: it loses its leader and its master.
    let leader = cluster.wait_for_leader(&[1, 2, 3], SOON);
    let old = cluster.master();
    cluster.sentinel_mut(leader).kill();
    cluster.server_mut(old).kill();
    cluster.sentinel_mut(leader).restart();
    cluster.wait_for_new_master(old, SOON);
}

#[test]
fn those_that_do_not_answer_are_told_of() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    cluster.sentinel_mut(1).kill();
    cluster.sentinel_mut(2).kill();
    without_a_leader(&cluster, 3);
    let told = recover(&cluster, 3, &["--others-are-gone"]).success();
    println!("{told}");
    assert!(told.contains("sentinel 1 at") && told.contains("does not answer: 'raft-sentinel members add 1"), "{told}");
    assert_eq!(cluster.wait_for_leader(&[3], SOON), 3);
    let again = recover(&cluster, 3, &["--others-are-gone"]);
    assert!(again.stderr.contains("a group of its own already"), "{again:?}");
}
