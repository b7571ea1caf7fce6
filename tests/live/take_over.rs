//! From stock Sentinel to ours and back again, while a client writes; and what an active cluster does beside sentinels of others.

use std::collections::BTreeMap;
use std::time::Duration;

use raft_sentinel::proto::sentinel::{Duty, GroupView};

use crate::kit::beside::Beside;
use crate::kit::history::address;
use crate::kit::looks::local;
use crate::kit::sentinel::{Orders, Ports};
use crate::kit::{Cluster, Flavour, GROUP, Plan, Sentinel, Writer};

const SOON: Duration = Duration::from_secs(40);
/// A stock failover may need a second attempt.
const STOCK_FAILOVER: Duration = Duration::from_secs(60);
/// How long a client may be without an acknowledgement while the tests of a busy machine run beside it.
const GAP: Duration = Duration::from_secs(2);
const LIMITS: [&str; 2] = ["sentinel down-after-milliseconds mymaster 1000", "sentinel failover-timeout mymaster 10000"];

fn is_at(view: &GroupView, port: u16, epoch: u64) -> bool {
    view.master.as_ref().is_some_and(|master| address(master.address.as_ref()) == local(port) && master.epoch == epoch)
}

fn duty(view: &GroupView) -> Duty {
    view.master.as_ref().map_or(Duty::Unspecified, raft_sentinel::proto::sentinel::Master::duty)
}

/// Three stock sentinels with fresh files that name the master of now.
fn start_stock(cluster: &Cluster, master: u16) -> Vec<Sentinel> {
    let root = cluster.scratch.path().join("back");
    let lines = vec![
        format!("sentinel monitor {GROUP} 127.0.0.1 {master} 2"),
        format!("sentinel down-after-milliseconds {GROUP} 1000"),
        format!("sentinel failover-timeout {GROUP} 10000"),
    ];
    let order = |id| Orders { id, lines: lines.clone(), joins: Some(Ports::free()), ..Orders::default() };
    (1..=3).map(|id| Sentinel::start(Flavour::Stock, &root, &cluster.timeline, &order(id))).collect()
}

#[test]
fn a_deployment_is_taken_over_and_given_back_while_a_client_writes() {
    let mut cluster = Plan::new(Flavour::Stock).start();
    let (timeline, first) = (cluster.timeline.clone(), cluster.master());
    // 1. Shadow.
    let beside = Beside::start(&cluster, &LIMITS, &["--shadow"]);
    beside.wait_until_it_listens(2, 3);
    let writer = Writer::start(cluster.sentinels.iter().map(|stock| stock.ports.resp).chain(beside.ports()).collect(), None);
    timeline.wait_until("the client writes", SOON, || writer.count() >= 100);

    // 2. Not while the others are there.
    let refused = beside.operator(&["take-over", GROUP]);
    assert!(refused.code != Some(0) && refused.stderr.contains("still watch"), "{refused:?}");
    assert!(refused.stderr.contains(&local(cluster.sentinels[0].ports.resp)), "it says who: {refused:?}");

    // 3. Stock stops, we take over.
    for stock in &mut cluster.sentinels {
        stock.terminate();
    }
    timeline.wait_for("it may be taken over", SOON, || {
        let ended = beside.operator(&["take-over", GROUP]);
        if ended.code == Some(0) { Ok(()) } else { Err(ended.stderr) }
    });
    beside.wait_for("all know, and the fence is armed", |view| {
        duty(view) == Duty::TookOver && view.master.as_ref().is_some_and(|master| master.wait_replicas == 1) && view.held_back.is_empty()
    });
    let written = writer.count();
    timeline.wait_until("the client writes on", SOON, || writer.count() >= written + 100);

    // 4. It acts: a planned change, which loses nothing.
    let done = beside.operator(&["failover", GROUP]);
    assert_eq!(done.code, Some(0), "{done:?}");
    timeline.wait_for("another master", SOON, || match beside.recorded(&beside.sentinels[0])? {
        master if master.epoch == 1 && master.confirmed && master.failover.is_none() => Ok(()),
        master => Err(format!("{master:?}")),
    });
    let master = beside.recorded(&beside.sentinels[0]).expect("it answers");
    let second = master.address.expect("it has an address").port as u16;
    assert_ne!(second, first);
    cluster.wait_for_replica(first, second, SOON);

    // 5. Back again: the fence first, then shadow, then stock.
    let fenced = beside.operator(&["stand-down", GROUP]);
    assert!(fenced.code != Some(0) && fenced.stderr.contains("fence"), "{fenced:?}");
    beside.sentinels[0].expect_ok(&["SENTINEL", "SET", GROUP, "promotion-policy", "available"]);
    timeline.wait_for("the fence is taken back", SOON, || {
        let ended = beside.operator(&["stand-down", GROUP]);
        if ended.code == Some(0) { Ok(()) } else { Err(ended.stderr) }
    });
    for server in &cluster.servers {
        let held = server.ask(&["CONFIG", "GET", "min-replicas-to-write"]).expect("it answers").field("min-replicas-to-write");
        assert_eq!(held.as_deref(), Some("0"), "{} is left as it was found", server.name);
    }
    beside.wait_for("all know", |view| duty(view) == Duty::Shadow);
    cluster.sentinels = start_stock(&cluster, second);
    beside.wait_until_it_listens(2, 3);
    cluster.wait_until_formed();
    let log = writer.finish();
    assert!(log.longest_gap() < GAP, "no write for {:?}\n{}", log.longest_gap(), timeline.report());
    assert_eq!(
        log.lost(cluster.server(second)).expect("it answers"),
        Vec::<u64>::new(),
        "acknowledged writes are gone\n{}",
        timeline.report()
    );
    println!("{} writes, the longest gap {:?}", log.acks.len(), log.longest_gap());

    // 6. Stock leads, and we watch.
    cluster.server_mut(second).kill();
    let third = cluster.wait_for_new_master(second, STOCK_FAILOVER);
    beside.wait_for("the record follows", |view| is_at(view, third, 2) && duty(view) == Duty::Shadow);
    for stock in &cluster.sentinels {
        let others = stock.answer(&["SENTINEL", "MASTER", GROUP]).field("num-other-sentinels");
        assert_eq!(others.as_deref(), Some("2"), "stock never heard of ours");
    }
}

#[test]
fn a_forgotten_sentinel_of_others_keeps_an_active_cluster_from_acting_until_it_stops() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let (timeline, old) = (cluster.timeline.clone(), cluster.master());
    let root = cluster.scratch.path().join("others");
    let lines =
        vec![format!("sentinel monitor other-name 127.0.0.1 {old} 1"), "sentinel down-after-milliseconds other-name 60000".to_owned()];
    let orders = Orders { id: 9, lines, joins: Some(Ports::free()), ..Orders::default() };
    let mut stock = Sentinel::start(Flavour::Stock, &root, &timeline, &orders);
    let held_back = |cluster: &Cluster, held: bool| {
        timeline.wait_for(&format!("held back: {held}"), SOON, || {
            for id in 1..=3 {
                let status = cluster.status(id)?;
                if status.groups[0].held_back.is_empty() == held {
                    return Err(format!("{:?}", status.groups[0].held_back));
                }
            }
            Ok(())
        });
    };
    held_back(&cluster, true);
    cluster.server_mut(old).kill();
    timeline.wait_for("the failover is blocked, and says why", SOON, || {
        let master = cluster.recorded(1)?;
        let reasons: BTreeMap<String, String> =
            master.failover.iter().flat_map(|f| &f.blocked).map(|o| (address(o.replica.as_ref()), o.reason.clone())).collect();
        match reasons.get(&local(old)) {
            Some(why) if why.contains("not of this cluster") && why.contains("take-over") => Ok(()),
            _ => Err(format!("{master:?}")),
        }
    });
    timeline.holds("nobody is promoted", Duration::from_secs(2), || {
        let roles: Vec<_> = cluster.others(old).into_iter().map(|port| cluster.server(port).role()).collect();
        if roles.iter().all(|role| role.as_deref() == Some("slave")) { Ok(()) } else { Err(format!("{roles:?}")) }
    });
    stock.terminate();
    let new = cluster.wait_for_new_master(old, SOON);
    held_back(&cluster, false);
    let log: String = cluster.sentinels.iter().map(Sentinel::log).collect();
    for event in ["+held-back", "-held-back", "+failover-blocked"] {
        assert!(log.contains(event), "no {event} in the logs");
    }
    assert_ne!(new, old);
}
