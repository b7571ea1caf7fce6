//! Data nodes whose user lacks rights: orders go by what is allowed, and what would fail is told before it does.

use std::time::{Duration, Instant};

use raft_sentinel::proto::sentinel as proto;

use crate::clients::kill_the_master;
use crate::kit::{Cluster, Flavour, GROUP, Plan};

const SOON: Duration = Duration::from_secs(30);

/// The user that the Sentinel pages of redis.io and valkey.io tell operators to make.
const OF_THE_MANUAL: &str = "allchannels +multi +slaveof +ping +exec +subscribe +config|rewrite +role +publish +info +client|setname +client|kill \
                             +script|kill";

fn launch(rights: &str) -> Cluster {
    let lines = [format!("sentinel auth-user {GROUP} watcher"), format!("sentinel auth-pass {GROUP} secret")];
    let server_lines = vec![format!("user watcher on >secret {rights}")];
    Plan { lines: lines.into(), server_lines, ..Plan::new(Flavour::Ours) }.start()
}

/// What a sentinel says; nothing where it does not answer in time, as on a busy machine.
fn field(cluster: &Cluster, name: &str) -> String {
    cluster.sentinels[0].ask(&["SENTINEL", "MASTER", GROUP]).ok().and_then(|master| master.field(name)).unwrap_or_default()
}

/// Whether `check --online` is content, and what it says.
fn checked_online(cluster: &Cluster) -> (bool, String) {
    let done = std::process::Command::new(crate::kit::sentinel::our_binary())
        .args(["check", "--online"])
        .arg(&cluster.sentinels[0].config)
        .output()
        .expect("the program runs");
    (done.status.success(), String::from_utf8_lossy(&done.stdout).into_owned())
}

fn obstacles(master: &proto::Master) -> String {
    let blocked = master.failover.iter().flat_map(|failover| &failover.blocked);
    blocked.map(|obstacle| obstacle.reason.clone()).collect::<Vec<_>>().join("; ")
}

#[test]
fn the_user_of_the_manual_is_enough_for_a_failover_as_stock_makes_it() {
    let mut cluster = launch(OF_THE_MANUAL);
    cluster.timeline.wait_for("what is missing is told", SOON, || {
        let (fence, why) = (field(&cluster, "fence-status"), field(&cluster, "failover-obstacle"));
        let told = fence.contains("config|set") && why.contains("+config|set") && field(&cluster, "failover-ready") == "partly";
        if told { Ok(()) } else { Err(format!("{fence} / {why}")) }
    });
    let (well, said) = checked_online(&cluster);
    assert!(well && said.contains("is a master, version") && said.contains("refuses CONFIG SET") && said.contains("+config|set"), "{said}");
    let (old, began) = (cluster.master(), Instant::now());
    let new = kill_the_master(&mut cluster);
    println!("a new master after {} ms, with the limit of 1000 ms", began.elapsed().as_millis());
    assert_eq!(cluster.recorded(1).map(|master| master.epoch), Ok(1), "one decision was enough\n{}", cluster.timeline.report());
    cluster.server_mut(old).restart();
    let others = cluster.others(new);
    cluster.wait_until_all_follow(new, &others, SOON);
}

#[test]
fn a_server_that_takes_no_orders_is_never_called_ready_nor_chosen() {
    let mut cluster = launch("allchannels +multi +ping +exec +discard +subscribe +config +publish +info +client +script");
    cluster.timeline.wait_for("it is told before it is needed", SOON, || {
        let (ready, why) = (field(&cluster, "failover-ready"), field(&cluster, "failover-obstacle"));
        if ready == "no" && why.contains("takes no orders") && why.contains("replicaof") { Ok(()) } else { Err(format!("{ready}: {why}")) }
    });
    for sentinel in &cluster.sentinels {
        cluster.timeline.wait_for("CKQUORUM tells it", SOON, || {
            let quorum = sentinel.ask(&["SENTINEL", "CKQUORUM", GROUP]).map_err(|error| error.to_string())?;
            let told = quorum.error().is_some_and(|text| text.starts_with("NOFAILOVER") && text.contains("takes no orders"));
            if told { Ok(()) } else { Err(quorum.to_string()) }
        });
    }
    let (well, said) = checked_online(&cluster);
    assert!(!well && said.contains("error: mymaster: ") && said.contains("it can be made neither a master nor a replica"), "{said}");
    let old = cluster.master();
    cluster.server_mut(old).kill();
    cluster.timeline.wait_for("the failover says what stands in its way", SOON, || match cluster.recorded(1)? {
        master if master.epoch == 0 && obstacles(&master).contains("takes no orders") => Ok(()),
        master => Err(format!("{master:?}")),
    });
    for server in cluster.servers.iter().filter(|server| server.port != old) {
        let reply = server.ask(&["ACL", "SETUSER", "watcher", "+slaveof"]).expect("it answers");
        assert!(reply.is_ok(), "{reply}");
    }
    cluster.wait_for_new_master(old, SOON);
}
