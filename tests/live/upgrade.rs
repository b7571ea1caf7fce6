//! What a sentinel knows when it comes back, or comes in the place of a stock one.

use std::fs;
use std::time::Duration;

use crate::kit::sentinel::{Orders, Ports};
use crate::kit::{Flavour, GROUP, Plan, Reply, Scratch, Sentinel};

const SOON: Duration = Duration::from_secs(15);

#[test]
fn what_was_agreed_survives_a_restart_of_all_and_wins_over_the_files() {
    let mut cluster = Plan { lines: vec!["sentinel monitor gone 127.0.0.1 6 2".to_owned()], ..Plan::new(Flavour::Ours) }.start();
    let timeline = cluster.timeline.clone();
    let first = &cluster.sentinels[0];
    timeline
        .wait_until("the second group is known", SOON, || first.ask(&["SENTINEL", "MASTER", "gone"]).is_ok_and(|r| r.error().is_none()));
    let removed = first.answer(&["SENTINEL", "REMOVE", "gone"]);
    assert!(removed.is_ok() || removed.error() == Some("ERR No such master with that name"), "{removed}");
    first.expect_ok(&["SENTINEL", "MONITOR", "added", "127.0.0.1", "7", "2"]);
    first.expect_ok(&["SENTINEL", "SET", GROUP, "failover-timeout", "12345", "quorum", "3"]);
    first.expect_ok(&["SENTINEL", "SET", GROUP, "quorum", "2"]);
    let old = cluster.servers[0].port;
    cluster.server_mut(old).kill();
    let new = cluster.wait_for_new_master(old, SOON);
    for sentinel in &mut cluster.sentinels {
        sentinel.kill();
    }
    for sentinel in &mut cluster.sentinels {
        sentinel.restart();
    }
    for sentinel in &cluster.sentinels {
        let seen = timeline.wait_for(&format!("sentinel {} answers with a quorum", sentinel.id), SOON, || {
            let seen = sentinel.ask(&["SENTINEL", "MASTER", GROUP]).map_err(|e| e.to_string())?;
            if seen.error().is_some() { Err(seen.to_string()) } else { Ok(seen) }
        });
        let expected = [("port", new.to_string()), ("failover-timeout", "12345".to_owned()), ("quorum", "2".to_owned())];
        for (name, value) in expected {
            assert_eq!(seen.field(name), Some(value), "{name} on sentinel {}", sentinel.id);
        }
    }
    // Each start presents the groups of its file; none of that may bring the removed one back.
    timeline.holds("the removed group stays away", Duration::from_secs(2), || {
        let told = cluster.sentinels.iter().map(|sentinel| sentinel.ask(&["SENTINEL", "MASTERS"]).map_err(|e| e.to_string()));
        for masters in told.collect::<Result<Vec<_>, _>>()? {
            // A busy machine may have lost its leader for a moment; that names no group.
            if masters.error().is_some_and(|text| text.starts_with("NOQUORUM ")) {
                continue;
            }
            let names: Vec<_> = masters.items().iter().filter_map(|master| master.field("name")).collect();
            if names != ["added", GROUP] {
                return Err(format!("{names:?} ({masters})"));
            }
        }
        Ok(())
    });
}

#[test]
fn a_file_that_stock_sentinel_has_rewritten_is_served_with_what_it_knew() {
    let mut stock = Plan { sentinels: 3, password: Some("old-secret".to_owned()), ..Plan::new(Flavour::Stock) }.start();
    let timeline = stock.timeline.clone();
    let old = stock.servers[0].port;
    stock.server_mut(old).kill();
    let new = stock.wait_for_new_master(old, SOON);
    let files: Vec<String> = stock
        .sentinels
        .iter_mut()
        .map(|sentinel| {
            sentinel.terminate();
            fs::read_to_string(&sentinel.config).expect("the file is there")
        })
        .collect();
    assert!(
        files.iter().all(|file| file.contains("known-replica") && file.contains("known-sentinel")),
        "stock wrote what it knew: {files:?}"
    );
    let ports: Vec<Ports> = stock.sentinels.iter().map(|old| Ports { resp: old.ports.resp, ..Ports::free() }).collect();
    // Own folders; the same SENTINEL ports, addresses and secrets as before.
    let scratch = Scratch::new();
    let moved: Vec<Sentinel> = (1..)
        .zip(&files)
        .map(|(id, file)| {
            // The kit writes the port, the bind address and the directory itself.
            let kept = |line: &&str| !["port ", "bind ", "dir "].iter().any(|own| line.starts_with(own));
            let lines = file.lines().filter(kept).map(str::to_owned).collect();
            let orders = Orders { id, peers: ports.clone(), lines, ..Orders::default() };
            Sentinel::start(Flavour::Ours, scratch.path(), &timeline, &orders)
        })
        .collect();
    for sentinel in &moved {
        timeline.wait_for(&format!("sentinel {} knows what stock knew", sentinel.id), SOON, || {
            let seen = sentinel.master()?;
            let replicas = sentinel.ask(&["SENTINEL", "REPLICAS", GROUP]).map_err(|e| e.to_string())?;
            let up = |replica: &&Reply| replica.field("flags").as_deref() == Some("slave");
            let (known, up) = (replicas.items().len(), replicas.items().iter().filter(up).count());
            if (seen, known, up) == (new, 2, 1) { Ok(()) } else { Err(format!("master {seen}, {known} replicas, {up} up: {replicas}")) }
        });
    }
    let myid = |text: &str| text.lines().find_map(|line| line.strip_prefix("sentinel myid ").map(str::to_owned));
    for (sentinel, file) in moved.iter().zip(&files) {
        assert_eq!(sentinel.ask(&["SENTINEL", "MYID"]).expect("it answers").text(), myid(file), "the id is kept");
    }
}
