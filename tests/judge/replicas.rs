//! Replicas that come, go, move and lie: what they do to the number of replicas that the fence is computed from.

use raft_sentinel::base::settings::{PromotionPolicy, SettingChange};
use raft_sentinel::base::{Addr, Epoch, WallTime};
use raft_sentinel::machine::{Command, FencingProof, Ineligible, Tenure};

use super::strict::{armed, decision};
use super::world::{Bench, Node, addr, group_name};

fn join(bench: &mut Bench, name: &str) {
    bench.nodes.insert(addr(name), Node { follows: Some(addr("red")), ..Node::new(1) });
}

fn tenure(bench: &Bench, name: &str) -> Option<Tenure> {
    bench.group().replicas.get(&addr(name)).map(|record| record.tenure)
}

/// Something attaches to the master, under this name, and no server is there: it acknowledges, and answers no sentinel.
fn pretend(bench: &mut Bench, name: &str) {
    bench.pretenders.insert(addr(name));
}

#[test]
fn what_attaches_without_a_server_behind_it_never_counts_and_is_gone_with_its_connection() {
    let mut bench = armed(&["blue", "green"]);
    for name in ["one", "two", "three"] {
        pretend(&mut bench, name);
    }
    bench.run(20_000);
    assert_eq!((bench.group().known_replicas(), bench.group().needed().detached), (2, 2));
    assert_eq!(bench.node_fence("red"), Some(1));
    bench.pretenders.clear();
    bench.run(8000);
    assert_eq!(bench.group().replicas.len(), 2, "nobody remembers them");
    bench.node("red").alive = false;
    bench.run_until("it is replaced", |bench| bench.group().epoch == Epoch(1));
}

#[test]
fn a_master_that_dies_with_a_pretender_attached_is_replaced_and_a_silent_one_is_not_while_it_may_count_it() {
    let mut bench = armed(&["blue", "green"]);
    pretend(&mut bench, "one");
    bench.run(2000);
    bench.node("red").silent = true;
    bench.run(15_000);
    let blocked = bench.group().failover.clone().and_then(|failover| failover.blocked);
    assert_eq!(blocked, Some(vec![(addr("red"), Ineligible::NotFenced)]));
    bench.node("red").silent = false;
    bench.node("red").alive = false;
    bench.run_until("it is known to be gone", |bench| bench.group().epoch == Epoch(1));
}

#[test]
fn real_servers_that_come_and_go_leave_the_number_as_it_was() {
    let mut bench = armed(&["blue", "green"]);
    for name in ["one", "two", "three"] {
        join(&mut bench, name);
    }
    bench.run(4000);
    assert_eq!(bench.group().known_replicas(), 2, "a few seconds are no reason to count them");
    assert_eq!(bench.group().needed().detached, 5, "what was confirmed may be on them");
    for name in ["one", "two", "three"] {
        bench.node(name).alive = false;
    }
    bench.run(10_000);
    assert_eq!((bench.group().replicas.len(), bench.group().needed().detached), (2, 2));
    assert_eq!(bench.node_fence("red"), Some(1));
}

#[test]
fn counted_ones_that_leave_do_not_stop_a_master_that_others_follow() {
    let mut bench = armed(&["blue", "green"]);
    for name in ["one", "two", "three"] {
        join(&mut bench, name);
    }
    bench.run_until("all count", |bench| bench.group().known_replicas() == 5 && bench.node_fence("red") == Some(3));
    for name in ["one", "two", "three"] {
        bench.node(name).silent = true;
    }
    let gone = bench.now_ms;
    bench.run(5000);
    assert!(bench.judge(0).view().fence_problem.is_some(), "it is not as it should be, and that is said");
    bench.run_until("the fence can be met", |bench| bench.node_fence("red") < Some(3) && bench.group().needed().detached == 2);
    assert!(bench.now_ms - gone < 20_000, "after {} ms", bench.now_ms - gone);
    let away = |bench: &Bench| bench.group().replicas.values().filter(|record| record.tenure == Tenure::Away).count();
    assert!(away(&bench) >= 2, "they are not counted, and may come back");
    bench.run(2000);
    assert_eq!(bench.judge(0).view().fence_problem, None);
    // While they may, and nobody knows where they are, a silent master may count them.
    bench.node("red").silent = true;
    bench.run(15_000);
    assert_eq!(bench.group().epoch, Epoch(0), "its side of a cut may have them");
    bench.node("red").silent = false;
    bench.run_until("all is well", Bench::settled);
    for name in ["one", "two", "three"] {
        bench.node(name).silent = false;
    }
    bench.run_until("they count again", |bench| bench.group().known_replicas() == 5);
}

#[test]
fn a_server_that_moves_takes_its_place_along_however_often() {
    let mut bench = armed(&["blue", "green"]);
    let homes = ["pod-1", "pod-2", "pod-3", "pod-4"];
    let mut before = "green";
    for home in homes {
        bench.node(before).silent = true;
        bench.run(3000);
        join(&mut bench, home);
        bench.run_until("it counts", |bench| tenure(bench, home) == Some(Tenure::Counted));
        assert_eq!(bench.group().known_replicas(), 2, "{home}");
        assert_eq!(bench.node_fence("red"), Some(1), "{home}");
        before = home;
    }
    bench.run(2000);
    bench.node("red").alive = false;
    bench.run_until("it is replaced", |bench| bench.group().epoch == Epoch(1));
}

#[test]
fn what_has_been_gone_for_long_is_forgotten_by_itself() {
    let mut bench = armed(&["blue", "green", "grey"]);
    let changes = vec![SettingChange::ReplicaForgetAfterMs(20_000)];
    bench.apply(&Command::SetOptions { group: group_name(), changes, at: WallTime(0), asked: None });
    bench.node("grey").silent = true;
    bench.run(18_000);
    assert_eq!(bench.group().known_replicas(), 3, "with it counted the fence can be met");
    bench.run(6_000);
    assert_eq!((bench.group().replicas.len(), bench.node_fence("red")), (2, Some(1)));
    // Not so that the promise would go with it.
    let mut bench = Bench::with(&["blue", "green"], PromotionPolicy::Auto);
    bench.run_until("armed", |bench| bench.group().is_armed());
    bench.node("green").silent = true;
    bench.run(630_000);
    assert!(bench.group().is_strict() && bench.group().known_replicas() == 2);
    assert!(bench.judge(0).view().fence_alarm.as_ref().is_some_and(|alarm| alarm.contains("would be blocked")));
}

#[test]
fn a_replica_that_claims_what_cannot_be_is_not_promoted_by_any_policy() {
    for policy in [PromotionPolicy::Strict, PromotionPolicy::Available] {
        let mut bench = Bench::with(&["blue", "green", "grey"], policy);
        bench.run(5000);
        bench.node("grey").lags = true;
        bench.node("grey").offset = 999_999_999_999;
        bench.run(7000);
        if policy == PromotionPolicy::Strict {
            let alarm = bench.judge(0).view().fence_alarm.clone();
            assert!(alarm.as_ref().is_some_and(|alarm| alarm.contains("claims offset 999999999999")), "{alarm:?}");
        }
        bench.node("red").alive = false;
        bench.run_until("it is replaced", |bench| bench.group().epoch == Epoch(1));
        assert_ne!(bench.group().master.addr, addr("grey"), "{policy:?}");
    }
}

/// Stock promotes it, and by `available` nothing is kept back that stock would give.
#[test]
fn a_first_copy_that_ended_after_the_last_look_at_the_master_counts_by_available() {
    for ended in [true, false] {
        let mut bench = Bench::start(&["blue"], PromotionPolicy::Available, |node| {
            if node.follows.is_some() {
                (node.copying, node.history) = (true, "its-own");
            }
        });
        bench.run(400);
        if ended {
            let blue = bench.node("blue");
            (blue.copying, blue.history) = (false, "h");
        }
        bench.node("red").alive = false;
        bench.run(5000);
        assert_eq!(bench.group().epoch, Epoch(u64::from(ended)), "{:?}", bench.group().failover);
    }
}

#[test]
fn where_replicas_are_fixed_only_those_that_were_named_count_and_are_promoted() {
    let mut bench = armed(&["blue", "green"]);
    let named = |replica: Addr| Command::ReplicaNamed { group: group_name(), replica, adopts: None, at: WallTime(0), asked: None };
    bench.apply(&named(addr("blue")));
    bench.apply(&named(addr("green")));
    let changes = vec![SettingChange::ReplicasFixed(true)];
    bench.apply(&Command::SetOptions { group: group_name(), changes, at: WallTime(0), asked: None });
    join(&mut bench, "grey");
    bench.node("grey").offset = 200;
    bench.node("grey").lags = true;
    bench.run(15_000);
    assert_eq!(bench.group().replicas.len(), 2);
    bench.node("red").alive = false;
    bench.run_until("it is replaced", |bench| bench.group().epoch == Epoch(1));
    assert_ne!(bench.group().master.addr, addr("grey"));
}

/// The old master is back as a replica and is another process by now; then the new one dies, and comes back with nothing. Returns the new one's name.
fn second_failure() -> (Bench, String) {
    let mut bench = armed(&["blue", "green"]);
    bench.node("red").alive = false;
    bench.run_until("blue or green is the master", |bench| bench.group().epoch == Epoch(1) && bench.settled());
    let master = bench.group().master.addr.clone();
    let at = master.host().to_owned();
    let fence = bench.node(&at).fence;
    // It has begun the new master's history, and was not seen in sync yet.
    bench.before = None;
    *bench.node("red") = Node { follows: Some(master), fence, ..Node::new(2) };
    bench.node(&at).alive = false;
    bench.run(10_000);
    assert_eq!(bench.group().epoch, Epoch(1), "the one that is away may have what the others lack");
    *bench.node(&at) = Node { history: "of nothing", offset: 0, fence, empty: true, ..Node::new(2) };
    (bench, at)
}

#[test]
fn a_second_failure_right_after_a_rejoin_ends_when_all_are_back() {
    let (mut bench, _) = second_failure();
    bench.run_until("it has ended", |bench| bench.group().epoch == Epoch(2) && bench.settled());
    assert_eq!(decision(&bench).basis, FencingProof::SeenOut);
}

#[test]
fn one_that_just_rejoined_is_not_emptied_because_another_replica_was() {
    let (mut bench, at) = second_failure();
    // Redis makes the copy by itself, before anybody can act.
    let other = if at == "blue" { "green" } else { "blue" };
    *bench.node(other) = Node { history: "of nothing", offset: 0, empty: true, ..bench.nodes[&addr(other)].clone() };
    bench.run_until("it has ended", |bench| bench.group().epoch == Epoch(2) && bench.settled());
    assert_eq!(bench.group().master.addr, addr("red"), "the one that has it all");
}

/// Every server restarts from its append-only file, which begins a history of its own, and is held back by the gate.
fn all_restarted(master: Node) -> Bench {
    let mut bench = armed(&["blue", "green"]);
    let fence = bench.node("red").fence;
    let held_back = |history| Node { follows: Some(Addr::nobody()), fence, history, ..Node::new(2) };
    *bench.node("red") = Node { follows: Some(Addr::nobody()), fence, ..master };
    *bench.node("blue") = held_back("of blue's file");
    *bench.node("green") = held_back("of green's file");
    bench
}

#[test]
fn with_every_server_restarted_from_its_file_the_recorded_master_is_one_again() {
    let mut bench = all_restarted(Node { history: "of red's file", ..Node::new(2) });
    bench.run_until("red is the master", |bench| bench.nodes[&addr("red")].follows.is_none() && bench.settled());
    assert_eq!(bench.group().epoch, Epoch(0));
}

#[test]
fn with_every_server_restarted_a_master_without_a_key_is_none_again_while_another_has_keys() {
    let mut bench = all_restarted(Node { history: "of nothing", offset: 0, empty: true, ..Node::new(2) });
    bench.run(20_000);
    assert!(bench.nodes[&addr("red")].follows.is_some(), "the others would throw away what they have");
    assert!(["blue", "green"].iter().all(|name| bench.nodes[&addr(name)].history != "of nothing"));
}
