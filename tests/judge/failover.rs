//! Failovers: who is promoted, in what order things are done, and that another leader can take over at every step.

use raft_sentinel::base::Epoch;
use raft_sentinel::base::observation::Role;
use raft_sentinel::judge::{Ask, HeldBack};
use raft_sentinel::machine::{Command, Ending, Event, FailoverMode, Ineligible, Phase};

use super::world::{Bench, Node, addr, group_name};

fn settle_after_loss(bench: &mut Bench) {
    bench.node("red").alive = false;
    bench.run_until("the failover ends", |bench| bench.group().epoch.0 > 0 && bench.settled());
}

#[test]
fn the_replica_with_most_data_is_promoted_and_the_other_follows() {
    let mut bench = Bench::new(&["blue", "green"]);
    bench.node("green").offset = 120;
    settle_after_loss(&mut bench);
    assert_eq!(bench.group().master.addr, addr("green"));
    assert_eq!(bench.group().epoch, Epoch(1));
    assert_eq!(bench.node("blue").follows, Some(addr("green")));
    let history = bench.group().history.clone();
    assert_eq!(history.len(), 1);
    assert_eq!(history[0].ended.as_ref().map(|(_, ending)| ending.clone()), Some(Ending::Completed { left: vec![addr("red")] }));
}

#[test]
fn priority_comes_before_data_and_zero_is_never_promoted() {
    let mut bench = Bench::new(&["blue", "green", "grey"]);
    bench.node("grey").priority = 0;
    bench.node("grey").offset = 900;
    bench.node("green").offset = 500;
    bench.node("blue").priority = 10;
    bench.run(2000);
    settle_after_loss(&mut bench);
    assert_eq!(bench.group().master.addr, addr("blue"));
    let (choice, _) = bench.group().history[0].choice.clone().expect("a decision");
    assert_eq!(choice.candidates.iter().map(|row| row.addr.host()).collect::<Vec<_>>(), ["blue", "green", "grey"]);
    assert_eq!(choice.candidates[2].ineligible, Some(Ineligible::PriorityZero));
}

#[test]
fn a_replica_with_foreign_data_is_not_promoted() {
    let mut bench = Bench::new(&["blue", "green"]);
    bench.node("red").alive = false;
    bench.node("green").history = "of another cluster";
    bench.node("green").offset = 9000;
    bench.run_until("the failover ends", |bench| bench.group().epoch.0 > 0 && bench.settled());
    assert_eq!(bench.group().master.addr, addr("blue"));
}

#[test]
fn without_a_good_replica_the_failover_is_blocked_and_goes_on_when_one_returns() {
    let mut bench = Bench::new(&["blue"]);
    bench.node("blue").alive = false;
    bench.run(2000);
    bench.node("red").alive = false;
    bench.run(10_000);
    let failover = bench.group().failover.clone().expect("a failover");
    assert_eq!(failover.phase, Phase::Choosing);
    assert_eq!(failover.blocked, Some(vec![(addr("blue"), Ineligible::Down)]));
    bench.node("blue").alive = true;
    let back = bench.now_ms;
    bench.run_until("blue is master", |bench| bench.group().master.addr == addr("blue") && bench.settled());
    assert!(bench.now_ms - back < 2000, "took {} ms", bench.now_ms - back);
}

#[test]
fn a_replica_that_is_slow_to_answer_is_waited_for_and_not_said_to_stand_in_the_way() {
    let mut bench = Bench::new(&["blue"]);
    bench.node("blue").slow = true;
    bench.node("red").alive = false;
    bench.run_until("a failover", |bench| bench.group().failover.is_some());
    let begun = bench.now_ms;
    bench.run(700);
    bench.node("blue").slow = false;
    bench.tell_leader("blue");
    bench.run_until("blue is master", |bench| bench.group().master.addr == addr("blue"));
    assert!(bench.now_ms - begun < 750, "it goes on with the answer");
    let blocked = |event: &Event| matches!(event, Event::FailoverBlocked { .. });
    assert_eq!(bench.when(blocked), None);
    let mut bench = Bench::new(&["blue"]);
    bench.node("blue").slow = true;
    bench.node("red").alive = false;
    bench.run_until("it is blocked", |bench| bench.when(blocked).is_some());
    let begun = bench.when(|event| matches!(event, Event::FailoverStarted { .. })).expect("it has begun");
    assert!((900..=1100).contains(&(bench.now_ms - begun)), "after {} ms", bench.now_ms - begun);
}

#[test]
fn the_old_master_becomes_a_replica_when_it_returns() {
    let mut bench = Bench::new(&["blue", "green"]);
    settle_after_loss(&mut bench);
    bench.run(5000);
    bench.node("red").alive = true;
    let back = bench.now_ms;
    bench.run_until("red follows", |bench| bench.nodes[&addr("red")].role() == Role::Replica);
    assert!(bench.now_ms - back <= 1000, "took {} ms", bench.now_ms - back);
    let master = bench.group().master.addr.clone();
    assert_eq!(bench.node("red").obeyed, [Ask::Demote { master }]);
}

#[test]
fn whatever_is_not_as_recorded_is_repaired() {
    let mut bench = Bench::new(&["blue", "green", "grey"]);
    // A loop, a rogue master, and a replica of somebody unknown.
    bench.node("blue").follows = Some(addr("green"));
    bench.node("green").follows = None;
    bench.node("grey").follows = Some(addr("nobody"));
    bench.run_until("all is as recorded", Bench::settled);
    assert_eq!(bench.group().epoch, Epoch(0), "repair is no failover");
    // The recorded master itself was made a replica by somebody else.
    bench.node("red").follows = Some(addr("blue"));
    bench.run_until("all is as recorded", Bench::settled);
    assert_eq!(bench.group().epoch, Epoch(0));
}

#[test]
fn a_requested_failover_replaces_a_master_that_is_up() {
    let mut bench = Bench::new(&["blue", "green"]);
    let by = raft_sentinel::base::NodeId(2);
    let at = raft_sentinel::base::WallTime(0);
    bench.apply(&Command::FailoverRequested {
        group: group_name(),
        epoch: Epoch(0),
        by,
        manner: FailoverMode::Plain,
        target: None,
        at,
        asked: None,
    });
    bench.run_until("another master", |bench| bench.group().epoch.0 == 1 && bench.settled());
    assert_ne!(bench.group().master.addr, addr("red"));
    assert_eq!(bench.node("red").role(), Role::Replica);
}

#[test]
fn a_requested_failover_without_a_good_replica_is_given_up() {
    let mut bench = Bench::new(&["blue"]);
    bench.node("blue").priority = 0;
    bench.run(2000);
    let by = raft_sentinel::base::NodeId(2);
    let at = raft_sentinel::base::WallTime(0);
    bench.apply(&Command::FailoverRequested {
        group: group_name(),
        epoch: Epoch(0),
        by,
        manner: FailoverMode::Plain,
        target: None,
        at,
        asked: None,
    });
    bench.run_until("it is given up", |bench| bench.group().failover.is_none());
    assert_eq!(bench.group().master.addr, addr("red"));
}

#[test]
fn a_chosen_replica_that_does_not_obey_is_replaced_in_the_next_epoch() {
    let mut bench = Bench::new(&["blue", "green"]);
    bench.node("blue").offset = 900;
    bench.node("blue").stubborn = true;
    bench.node("red").alive = false;
    bench.run_until("green is master", |bench| matches!(bench.phase(), Some(Phase::Following { .. })));
    assert_eq!(bench.group().epoch, Epoch(2));
    let switches: Vec<_> = bench.events.iter().filter(|(_, event)| matches!(event, Event::SwitchMaster { .. })).collect();
    assert_eq!(switches.len(), 1, "clients are told of the master that came to be: {switches:?}");
}

#[test]
fn replicas_are_pointed_a_few_at_a_time() {
    let mut bench = Bench::new(&["b", "c", "d", "e"]);
    bench.node("red").alive = false;
    let mut most = 0;
    while !(bench.group().epoch.0 > 0 && bench.settled()) {
        bench.run(1);
        let master = bench.group().master.addr.clone();
        let followed = match bench.phase() {
            Some(Phase::Following { followed }) => followed.len(),
            _ => continue,
        };
        let pointed = bench.nodes.values().filter(|node| node.follows.as_ref() == Some(&master)).count();
        most = most.max(pointed - followed);
    }
    assert_eq!(most, 1, "parallel-syncs is 1");
}

/// Any step may be the last: the leader dies before or after each thing it does, and the next one finishes the same failover.
#[test]
fn another_leader_finishes_what_one_began() {
    let mut places = {
        let mut bench = Bench::new(&["blue", "green"]);
        bench.intents.clear();
        settle_after_loss(&mut bench);
        bench.intents
    };
    places.sort();
    places.dedup();
    // Whether the leader votes before the others have decided the matter is chance.
    places.retain(|place| place != "vote-down");
    assert!(places.len() >= 6, "{places:?}");
    for (place, before) in places.iter().flat_map(|place| [(place, true), (place, false)]) {
        let mut bench = Bench::new(&["blue", "green"]);
        bench.die_at = Some((place.clone(), before));
        bench.node("red").alive = false;
        bench.run_until(&format!("finished after a death at {place}"), |bench| bench.group().epoch.0 > 0 && bench.settled());
        assert!(bench.die_at.is_none(), "nobody died at {place}");
        assert_eq!(bench.group().epoch, Epoch(1), "one promotion after a death at {place}");
        let decided = bench.events.iter().filter(|(_, event)| matches!(event, Event::Decided { .. })).count();
        assert_eq!(decided, 1, "one decision after a death at {place}");
        let masters = bench.nodes.iter().filter(|(_, node)| node.alive && node.role() == Role::Master).count();
        assert_eq!(masters, 1);
    }
}

#[test]
fn a_node_that_restarts_empty_as_a_replica_is_recorded_with_its_new_process() {
    let mut bench = Bench::new(&["blue"]);
    *bench.node("blue") = Node { follows: Some(addr("red")), ..Node::new(2) };
    bench.run(3000);
    assert!(bench.events.iter().any(|(_, event)| matches!(event, Event::Restarted { node, .. } if *node == addr("blue"))));
}

#[test]
fn a_history_that_every_node_holds_is_the_groups() {
    let mut bench = Bench::new(&["blue", "green"]);
    // By hand, all follow each other in a loop, after a full copy from a replica that was a master for a moment.
    bench.node("red").follows = Some(addr("blue"));
    bench.node("blue").follows = Some(addr("red"));
    for name in ["red", "blue", "green"] {
        bench.node(name).history = "of a moment";
    }
    bench.run_until("all is as recorded", Bench::settled);
    assert_eq!(bench.group().epoch, Epoch(0), "repair is no failover");
}

#[test]
fn an_old_master_that_our_own_failover_left_is_demoted_before_anybody_has_listened_for_long() {
    let mut bench = Bench::new(&["blue", "green"]);
    bench.held_back = Some(HeldBack::Listening);
    // What was so before is left alone: others may have made it so.
    bench.node("green").follows = Some(addr("blue"));
    bench.run(2500);
    assert_eq!(bench.nodes[&addr("green")].follows, Some(addr("blue")));
    bench.node("red").silent = true;
    bench.run_until("another is the master", |bench| bench.group().epoch == Epoch(1) && bench.group().failover.is_none());
    bench.node("red").silent = false;
    let moving = bench.now_ms;
    bench.run_until("it is demoted", |bench| bench.nodes[&addr("red")].follows.is_some());
    assert!(bench.now_ms - moving <= 200, "after {} ms", bench.now_ms - moving);
}
