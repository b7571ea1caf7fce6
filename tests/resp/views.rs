//! What this sentinel sees, as it shows in the entries.

use std::sync::Arc;

use raft_sentinel::base::observation::{LinkLoss, ReplicaReport, RoleReport};
use raft_sentinel::base::{Addr, Epoch, Fence, FenceSight, GroupName, GroupSettings, NodeId, WallTime};
use raft_sentinel::judge::{GroupView, Link, NodeView};
use raft_sentinel::machine::Command;
use raft_sentinel::machine::command::Origin;
use raft_sentinel::serve::ReplicatedState;

use super::wire::Wire;
use super::world::{World, addr, group, view, world};

fn replica_report(view: &mut GroupView, port: u16) -> &mut ReplicaReport {
    match &mut Arc::make_mut(&mut view.nodes.get_mut(&addr(port)).unwrap().report.as_mut().unwrap().1).role {
        RoleReport::Replica(report) => report,
        RoleReport::Master { .. } => panic!("{port} is a master"),
    }
}

/// The value of a field of the first entry in a reply that has it.
fn field<'a>(reply: &'a str, name: &str) -> &'a str {
    let (_, after) = reply.split_once(&format!("\r\n{name}\r\n$")).unwrap_or_else(|| panic!("no {name} in {reply}"));
    after.split("\r\n").nth(1).unwrap()
}

async fn ask(world: &World, request: &str) -> String {
    Wire::open(world.addr).await.ask(request).await
}

#[tokio::test]
async fn a_replica_may_keep_out_of_sight() {
    let world = world().await;
    let mut view = view(world.clock);
    replica_report(&mut view, 6380).announced = false;
    world.board.show(&group(), view);
    let replicas = ask(&world, "SENTINEL REPLICAS mymaster").await;
    assert!(replicas.starts_with("*1\r\n") && field(&replicas, "port") == "6381", "{replicas}");
    assert_eq!(field(&ask(&world, "SENTINEL MASTER mymaster").await, "num-slaves"), "2");
}

#[tokio::test]
async fn a_replica_without_its_master() {
    let world = world().await;
    let mut view = view(world.clock);
    let report = replica_report(&mut view, 6380);
    (report.link_up, report.link_down_s, report.priority) = (false, Some(7), 0);
    let node = view.nodes.get_mut(&addr(6380)).unwrap();
    node.link = Link::Down { since: world.clock.mono(), loss: LinkLoss::Refused };
    node.waiting_since = Some(world.clock.mono());
    world.board.show(&group(), view);
    let replicas = ask(&world, "SENTINEL REPLICAS mymaster").await;
    for (name, value) in [
        ("flags", "slave,disconnected"),
        ("link-pending-commands", "1"),
        ("master-link-status", "err"),
        ("master-link-down-time", "7000"),
        ("slave-priority", "0"),
    ] {
        assert_eq!(field(&replicas, name), value, "{name}");
    }
}

#[tokio::test]
async fn replicas_on_their_way_to_a_new_master() {
    let world = world().await;
    world.fake.done(&super::events::vote(1));
    world.fake.done(&super::events::vote(2));
    super::events::promote(&world);
    super::events::promoted(&world);
    let mut view = view(world.clock);
    replica_report(&mut view, 6381).master = addr(6380);
    world.board.show(&group(), view);
    assert!(ask(&world, "SENTINEL REPLICAS mymaster").await.contains("\r\nslave,reconf_inprog\r\n"));
    let id = super::events::failover_id(&world);
    world.fake.done(&Command::ReplicaFollows { group: group(), id, replica: addr(6381), at: WallTime(0) });
    let replicas = ask(&world, "SENTINEL REPLICAS mymaster").await;
    assert!(replicas.contains("\r\nslave,reconf_done\r\n"), "{replicas}");
    // The old master counts as a replica from the decision on; it still says that it is a master.
    assert_eq!((field(&replicas, "port"), field(&replicas, "role-reported")), ("6379", "master"));
    assert_eq!((field(&replicas, "master-host"), field(&replicas, "master-port")), ("?", "0"));
}

#[tokio::test]
async fn addresses_of_version_six() {
    let world = world().await;
    let (name, at) = (GroupName::new("six").unwrap(), |port| Addr::new("::1", port).expect("an address"));
    world.fake.done(&Command::ConfigureGroup {
        name,
        master: at(1),
        settings: GroupSettings::default(),
        replicas: vec![at(2)],
        epoch: Epoch(0),
        origin: Origin::Operator,
        at: WallTime(0),
        takes_up: None,
        asked: None,
    });
    assert_eq!(ask(&world, "SENTINEL GET-MASTER-ADDR-BY-NAME six").await, "*2\r\n$3\r\n::1\r\n$1\r\n1\r\n");
    assert_eq!(field(&ask(&world, "SENTINEL REPLICAS six").await, "name"), "[::1]:2");
    assert!(ask(&world, "INFO").await.contains("name=six,status=ok,address=::1:1,slaves=1,sentinels=3"));
}

#[tokio::test]
async fn info_is_kept_for_those_who_ask() {
    let world = world().await;
    let mut view = view(world.clock);
    view.nodes.get_mut(&addr(6381)).unwrap().report = None;
    world.board.show(&group(), view);
    let mut wire = Wire::open(world.addr).await;
    wire.ask("HELLO 3").await;
    let cache = wire.ask("SENTINEL INFO-CACHE mymaster nosuch mymaster").await;
    assert!(cache.starts_with("*2\r\n$8\r\nmymaster\r\n*3\r\n*2\r\n:"), "{cache}");
    assert!(cache.contains(&format!("run_id:{}", "a".repeat(40))) && cache.ends_with("*2\r\n:0\r\n_\r\n"), "{cache}");
}

#[tokio::test]
async fn a_sentinel_that_is_refused_or_silent() {
    let world = world().await;
    {
        let mut peers = world.fake.peers.lock().unwrap();
        peers.get_mut(&NodeId(2)).unwrap().refused = Some("another cluster".to_owned());
    }
    let sentinels = ask(&world, "SENTINEL SENTINELS mymaster").await;
    assert_eq!(field(&sentinels, "flags"), "sentinel,disconnected");
    world.fake.done(&Command::SetOptions {
        group: group(),
        changes: vec![raft_sentinel::base::settings::SettingChange::DownAfterMs(1)],
        at: WallTime(0),
        asked: None,
    });
    let down = |world: &World| {
        let addr = world.addr;
        async move { Wire::open(addr).await.ask("SENTINEL SENTINELS mymaster").await }
    };
    let deadline = std::time::Instant::now() + super::wire::DEADLINE;
    while field(&down(&world).await, "flags") != "s_down,sentinel,disconnected" {
        assert!(std::time::Instant::now() < deadline, "a silent sentinel is not down");
    }
}

#[tokio::test]
async fn the_fence_shows_behind_stocks_fields() {
    let world = world().await;
    let wanted = Fence { min_replicas: 1, max_lag_s: 2 };
    let epoch = world.fake.state().groups[&group()].epoch;
    let before = ask(&world, "SENTINEL MASTER mymaster").await;
    assert_eq!((field(&before, "fence-armed"), field(&before, "fence-status")), ("no", "it is not armed yet"));
    assert_eq!((field(&before, "effective-promotion-policy"), field(&before, "wait-replicas")), ("available", "0"));
    assert!(!before.contains("min-replicas-to-write"), "nobody has seen it: {before}");

    world.fake.done(&Command::FenceArmed { group: group(), epoch, fence: wanted, replicas: 2, at: WallTime(0) });
    let (mut view, now) = (view(world.clock), world.clock.mono());
    view.nodes.get_mut(&addr(6379)).unwrap().fence = Some((now, FenceSight::Holds(wanted)));
    view.nodes.get_mut(&addr(6380)).unwrap().fence = Some((now, FenceSight::Holds(Fence::OFF)));
    view.fence_problem = Some("127.0.0.1:6380 holds nothing".to_owned());
    world.board.show(&group(), view);
    let master = ask(&world, "SENTINEL MASTER mymaster").await;
    for (name, value) in [
        ("promotion-policy", "auto"),
        ("effective-promotion-policy", "strict"),
        ("fence-armed", "yes"),
        ("fence-status", "127.0.0.1:6380 holds nothing"),
        ("fence-min-replicas", "1"),
        ("fence-known-replicas", "2"),
        ("fence-max-lag", "2"),
        ("fence-covered", "1"),
        ("wait-replicas", "1"),
        ("replica-forget-after", "600000"),
        ("replicas-fixed", "no"),
        ("max-replicas", "64"),
        ("min-replicas-to-write", "1"),
        ("min-replicas-max-lag", "2"),
    ] {
        assert_eq!(field(&master, name), value, "{name}");
    }
    let place = |name: &str| master.find(&format!("\r\n{name}\r\n")).unwrap();
    assert!(place("promotion-policy") > place("parallel-syncs"), "tools go by place");
    let replicas = ask(&world, "SENTINEL REPLICAS mymaster").await;
    assert_eq!((field(&replicas, "min-replicas-to-write"), field(&replicas, "min-replicas-max-lag")), ("0", "10"));
    assert_eq!(replicas.matches("min-replicas-to-write").count(), 1, "the other was not seen");
}

#[tokio::test]
async fn a_node_with_a_name_is_told_by_its_address_unless_names_are_announced() {
    let world = world().await;
    let mut wire = Wire::open(world.addr).await;
    let named = |port| Addr::new("redis", port).expect("a name");
    world.fake.done(&Command::ConfigureGroup {
        name: GroupName::new("byname").unwrap(),
        master: named(6379),
        settings: GroupSettings { quorum: 2, ..GroupSettings::default() },
        replicas: vec![named(6380), named(6381)],
        epoch: Epoch(1),
        origin: Origin::Operator,
        at: WallTime(0),
        takes_up: None,
        asked: None,
    });
    let mut view = GroupView::default();
    for (port, ip) in [(6379, Some("10.0.0.1")), (6380, Some("fd00::2")), (6381, None)] {
        let node = NodeView { last_ip: ip.map(str::to_owned), ..NodeView::new(world.clock.mono()) };
        view.nodes.insert(named(port), node);
    }
    world.board.show(&GroupName::new("byname").unwrap(), view);
    assert_eq!(wire.ask("SENTINEL GET-MASTER-ADDR-BY-NAME byname").await, "*2\r\n$8\r\n10.0.0.1\r\n$4\r\n6379\r\n");
    assert!(wire.ask("SENTINEL MASTER byname").await.contains("\r\nip\r\n$8\r\n10.0.0.1\r\n"));
    assert!(wire.ask("INFO sentinel").await.contains("address=10.0.0.1:6379,"));
    let replicas = wire.ask("SENTINEL REPLICAS byname").await;
    assert!(replicas.contains("\r\n[fd00::2]:6380\r\n$2\r\nip\r\n$7\r\nfd00::2\r\n"), "{replicas}");
    assert!(replicas.contains("\r\nredis:6381\r\n$2\r\nip\r\n$5\r\nredis\r\n"), "never reached, so there is no other: {replicas}");
    // What was told can be said.
    assert_eq!(wire.ask("SENTINEL FORGET byname fd00::2 6380").await, "+OK\r\n");
    assert!(wire.ask("SENTINEL REPLICAS byname").await.starts_with("*1\r\n"));
    assert_eq!(wire.ask("SENTINEL CONFIG SET announce-hostnames yes").await, "+OK\r\n");
    assert_eq!(wire.ask("SENTINEL GET-MASTER-ADDR-BY-NAME byname").await, "*2\r\n$5\r\nredis\r\n$4\r\n6379\r\n");
}
