//! Decisions that were not carried out, or were undone: the group comes to rest all the same, and clients are told.

use raft_sentinel::base::observation::Role;
use raft_sentinel::base::settings::SettingChange;
use raft_sentinel::base::{Addr, Epoch, NodeId, WallTime};
use raft_sentinel::judge::Ask;
use raft_sentinel::machine::{Command, Event, FailoverMode, Phase};

use super::strict::armed;
use super::world::{Bench, Node, addr, group_name};

/// `red` is dead; `blue` was chosen in its place and died before anybody saw it promoted, so a second failover has begun.
fn chosen_and_lost() -> Bench {
    let mut bench = Bench::new(&["blue"]);
    bench.node("blue").stubborn = true;
    bench.node("red").alive = false;
    bench.run_until("blue is chosen", |bench| bench.phase() == Some(Phase::Promoting));
    bench.node("blue").alive = false;
    bench.run_until("a second failover", |bench| bench.group().failover.as_ref().is_some_and(|failover| failover.id.epoch == Epoch(2)));
    bench.run(2000);
    bench.node("blue").stubborn = false;
    bench
}

fn switches(bench: &Bench) -> Vec<String> {
    let to = |event: &Event| if let Event::SwitchMaster { to, .. } = event { Some(to.host().to_owned()) } else { None };
    bench.events.iter().filter_map(|(_, event)| to(event)).collect()
}

#[test]
fn a_chosen_replica_that_returns_as_a_replica_is_promoted_after_all() {
    let mut bench = chosen_and_lost();
    bench.node("blue").alive = true;
    let back = bench.now_ms;
    bench.run_until("blue is master", Bench::settled);
    assert!(bench.now_ms - back < 3000, "took {} ms", bench.now_ms - back);
    bench.run(2000);
    assert_eq!((bench.group().master.addr.clone(), bench.group().epoch), (addr("blue"), Epoch(1)));
    assert_eq!(switches(&bench), ["blue"]);
}

#[test]
fn a_chosen_replica_that_returns_as_a_master_is_announced() {
    let mut bench = chosen_and_lost();
    // It had obeyed, and nobody had heard of it.
    bench.node("blue").follows = None;
    bench.node("blue").alive = true;
    bench.run_until("blue is master", Bench::settled);
    bench.run(2000);
    assert_eq!(switches(&bench), ["blue"], "clients hear of the master, once");
}

#[test]
fn the_master_that_clients_still_know_takes_over_again_when_nobody_else_can() {
    let mut bench = chosen_and_lost();
    *bench.node("red") = Node::new(2);
    bench.run_until("red is master", Bench::settled);
    assert_eq!((bench.group().master.addr.clone(), bench.group().epoch), (addr("red"), Epoch(2)));
    assert_eq!(switches(&bench), Vec::<String>::new(), "clients never left it");
    bench.node("blue").alive = true;
    bench.run_until("blue follows", |bench| bench.nodes[&addr("blue")].follows == Some(addr("red")) && bench.settled());
}

#[test]
fn the_master_that_clients_still_know_does_not_take_over_without_its_data() {
    let mut bench = chosen_and_lost();
    *bench.node("red") = Node { history: "of an empty server", ..Node::new(2) };
    bench.run(10_000);
    assert_eq!(bench.group().epoch, Epoch(1), "blue has the data");
    bench.node("blue").alive = true;
    bench.run_until("blue is master", Bench::settled);
    assert_eq!(bench.group().master.addr, addr("blue"));
}

#[test]
fn a_new_master_that_is_made_a_replica_again_is_repaired_before_the_failover_ends() {
    let mut bench = Bench::new(&["blue", "green"]);
    bench.node("blue").offset = 120;
    bench.node("green").stubborn = true;
    bench.node("red").alive = false;
    bench.run_until("blue is master", |bench| matches!(bench.phase(), Some(Phase::Following { .. })));
    bench.run(2000);
    assert_eq!(bench.nodes[&addr("blue")].obeyed, [Ask::Promote { fence: None }], "it is left alone while it is one");
    // A REPLICAOF of a former leader that was asleep comes late.
    bench.node("blue").follows = Some(addr("red"));
    let undone = bench.now_ms;
    bench.run_until("blue is master again", |bench| bench.nodes[&addr("blue")].role() == Role::Master);
    assert!(bench.now_ms - undone < 2000, "took {} ms", bench.now_ms - undone);
    assert_eq!(bench.group().epoch, Epoch(1));
}

#[test]
fn a_master_that_is_also_recorded_as_a_replica_is_not_told_to_follow_itself() {
    let mut bench = Bench::new(&["blue", "green"]);
    bench.node("blue").offset = 120;
    bench.aliases.insert(addr("blue-by-ip"), addr("blue"));
    let (group, at) = (group_name(), WallTime(0));
    bench.apply(&Command::ReplicaSeen { group, epoch: Epoch(0), replica: addr("blue-by-ip"), identity: None, tenure: None, at });
    bench.run(2000);
    bench.node("red").alive = false;
    bench.run_until("the failover ends", |bench| bench.group().epoch.0 > 0 && bench.settled());
    let took = bench.now_ms;
    bench.run(10_000);
    assert_eq!(bench.group().master.addr, addr("blue"));
    assert_eq!(bench.nodes[&addr("blue")].obeyed, [Ask::Promote { fence: None }]);
    assert!(took < 10_000, "its second name holds nobody up, but the failover ended at {took} ms");
    // The same when it restarts as another process.
    bench.node("blue").run = 2;
    bench.run(5000);
    assert_eq!(bench.nodes[&addr("blue")].obeyed, [Ask::Promote { fence: None }]);
}

#[test]
fn replicas_beyond_the_limit_do_not_flood_the_log() {
    let mut bench = Bench::new(&["blue"]);
    for number in 0..80 {
        bench.nodes.insert(addr(&format!("r{number}")), Node { follows: Some(addr("red")), ..Node::new(1) });
    }
    bench.run(5000);
    assert_eq!(bench.group().replicas.len(), 64);
    let told = bench.intents.iter().filter(|place| *place == "replica-seen").count();
    assert!(told < 200, "{told} entries");
}

#[test]
fn absurd_settings_are_no_reason_to_panic() {
    let mut bench = Bench::new(&["blue"]);
    let changes = vec![SettingChange::DownAfterMs(u64::MAX), SettingChange::FailoverTimeoutMs(u64::MAX)];
    bench.apply(&Command::SetOptions { group: group_name(), changes, at: WallTime(0), asked: None });
    bench.node("red").follows = Some(addr("blue"));
    bench.run(100);
    bench.apply(&Command::FailoverRequested {
        group: group_name(),
        epoch: Epoch(0),
        by: NodeId(1),
        manner: FailoverMode::Plain,
        target: None,
        at: WallTime(0),
        asked: None,
    });
    bench.run(3000);
}

/// Chosen, out of sight, and replaced before anybody saw it promoted: the same process still has what it was chosen with.
#[test]
fn who_was_chosen_and_never_seen_as_a_master_is_relied_on_when_it_returns() {
    let mut bench = armed(&["blue", "green"]);
    bench.node("red").silent = true;
    let taken = |bench: &Bench| ["blue", "green"].iter().all(|name| bench.nodes[&addr(name)].follows == Some(Addr::nobody()));
    bench.run_until("the replicas are taken", taken);
    bench.node("blue").stubborn = true;
    bench.run_until("blue is chosen", |bench| bench.phase() == Some(Phase::Promoting) && bench.group().epoch == Epoch(1));
    bench.node("blue").silent = true;
    bench.node("red").silent = false;
    bench.node("green").stubborn = true;
    bench.run_until("green is chosen", |bench| bench.phase() == Some(Phase::Promoting) && bench.group().epoch == Epoch(2));
    // Another process, which may lack what green was chosen for; what there is of that is on red and blue.
    *bench.node("green") = Node { follows: Some(Addr::nobody()), ..Node::new(2) };
    bench.node("blue").silent = false;
    bench.node("blue").stubborn = false;
    bench.run_until("one of them is the master", |bench| bench.group().epoch == Epoch(3) && bench.settled());
}
