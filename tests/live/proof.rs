//! Sentinels that prove themselves to each other with a secret: its replacement, and its introduction, under a running cluster.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::kit::sentinel::write_secret;
use crate::kit::{Cluster, Flavour, GROUP, Plan};

const SOON: Duration = Duration::from_secs(20);
const OLD: &str = "old0f0c6c2b9d0d4a7e8a5b3c4d5e6f70";
const NEW: &str = "new4d5e6f708192a3b4c5d6e7f8091a2b";

fn secret_of(cluster: &Cluster, id: usize) -> PathBuf {
    cluster.sentinel(id).dir().join("own-secret")
}

/// Starts a cluster whose sentinels have these lines besides, instead of the usual secret.
fn cluster(lines: &[&str]) -> Cluster {
    let mut plan = Plan::new(Flavour::Ours);
    plan.lines.extend(lines.iter().map(|line| (*line).to_owned()));
    plan.start()
}

/// Adds lines to the file of a sentinel, or takes lines out, and starts it again.
fn with_lines(cluster: &mut Cluster, id: usize, change: impl Fn(String) -> String) {
    let file = cluster.sentinel(id).config.clone();
    let text = fs::read_to_string(&file).expect("the file is there");
    fs::write(&file, change(text)).expect("the file can be written");
    cluster.sentinel_mut(id).restart();
    let timeline = cluster.timeline.clone();
    timeline.wait_for(&format!("sentinel {id} has a quorum"), SOON, || {
        let seen = cluster.sentinel(id).ask(&["SENTINEL", "CKQUORUM", GROUP]).map_err(|error| error.to_string())?;
        if seen.error().is_some() { Err(seen.to_string()) } else { Ok(()) }
    });
    all_hear_each_other(cluster);
}

fn all_hear_each_other(cluster: &Cluster) {
    for id in 1..=3 {
        cluster.timeline.wait_for(&format!("sentinel {id} hears both others"), SOON, || {
            let seen = cluster.sentinel(id).ask(&["SENTINEL", "CKQUORUM", GROUP]).map_err(|error| error.to_string())?.to_string();
            if seen.contains("3 usable Sentinels") { Ok(()) } else { Err(seen) }
        });
    }
}

#[test]
fn a_secret_is_replaced_under_a_running_cluster() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    for id in 1..=3 {
        let path = write_secret(&secret_of(&cluster, id), &[OLD]).display().to_string();
        let usual = format!("raft secret-file {}", cluster.sentinel(id).dir().join("secret").display());
        let file = cluster.sentinel(id).config.clone();
        let text = fs::read_to_string(&file).expect("the file is there");
        assert!(text.contains(&usual), "{text}");
        fs::write(&file, text.replace(&usual, &format!("raft secret-file {path}"))).expect("the file can be written");
    }
    for id in 1..=3 {
        cluster.sentinel_mut(id).kill();
    }
    for id in 1..=3 {
        cluster.sentinel_mut(id).restart();
    }
    all_hear_each_other(&cluster);
    // No sentinel is restarted from here on but to make it dial anew.
    for (step, secrets) in [&[OLD, NEW][..], &[NEW, OLD], &[NEW]].into_iter().enumerate() {
        for id in 1..=3 {
            write_secret(&secret_of(&cluster, id), secrets);
        }
        for id in 1..=3 {
            cluster.timeline.wait_for(&format!("sentinel {id} has read its secrets {} times", step + 1), SOON, || {
                let read = cluster.sentinel(id).log().matches("own-secret have changed and are in use").count();
                if read > step { Ok(()) } else { Err(format!("{read}")) }
            });
        }
        // Its connections are new, both ways.
        cluster.sentinel_mut(step + 1).restart();
        all_hear_each_other(&cluster);
    }
    for id in 1..=3 {
        assert!(!cluster.sentinel(id).log().contains("is turned away"), "sentinel {id} kept one of its own out on the way");
    }
    // A file that cannot be used changes nothing.
    fs::write(secret_of(&cluster, 1), "short\n").expect("the file can be written");
    cluster.timeline.wait_for("sentinel 1 complains", SOON, || {
        let log = cluster.sentinel(1).log();
        if log.contains("cannot be used; the old ones go on") && !log.contains("short") { Ok(()) } else { Err("not yet".to_owned()) }
    });
    all_hear_each_other(&cluster);
    // The last of the three with the old secret is kept out.
    write_secret(&secret_of(&cluster, 3), &[OLD]);
    cluster.sentinel_mut(3).restart();
    let timeline = cluster.timeline.clone();
    timeline.wait_for("both sides say why", SOON, || {
        let told = cluster.sentinel(2).log().contains("is none of ours (raft secret-file)");
        let hears = cluster.sentinel(3).log().contains("it has another secret, or none");
        if told && hears { Ok(()) } else { Err(format!("{told} {hears}")) }
    });
    let old = cluster.servers[0].port;
    cluster.server_mut(old).kill();
    timeline.wait_for("the two others fail over", SOON, || match cluster.sentinel(2).master() {
        Ok(port) if port != old => Ok(()),
        answered => Err(format!("{answered:?}")),
    });
    assert!(cluster.sentinel(3).master().is_err(), "it hears nothing of it");
}

#[test]
fn a_secret_is_introduced_sentinel_by_sentinel() {
    let mut cluster = cluster(&["raft insecure yes"]);
    for id in 1..=3 {
        assert!(cluster.sentinel(id).log().contains("raft insecure yes"), "it says so at each start");
    }
    for id in 1..=3 {
        let path = write_secret(&secret_of(&cluster, id), &[OLD]).display().to_string();
        with_lines(&mut cluster, id, |text| text + &format!("raft secret-file {path}\n"));
    }
    for id in 1..=3 {
        with_lines(&mut cluster, id, |text| text.replace("raft insecure yes\n", ""));
    }
    let old = cluster.servers[0].port;
    cluster.server_mut(old).kill();
    cluster.wait_for_new_master(old, SOON);
}
