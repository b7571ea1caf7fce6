//! The strict policy: the fence is armed, the replicas are taken from the old master, and nothing is decided before it is out of writes.

use raft_sentinel::base::settings::{PromotionPolicy, SettingChange};
use raft_sentinel::base::{Addr, Epoch, Fence, NodeId, WallTime};
use raft_sentinel::judge::Ask;
use raft_sentinel::machine::{
    AbortReason, Choice, ChosenFor, Command, Ending, Event, Evidence, FailoverMode, FencingProof, Ineligible, Phase,
};

use super::world::{Bench, Node, addr, group_name};

/// Three data nodes: one replica is needed for a write, both must leave for a promotion.
pub(crate) fn armed(replicas: &[&str]) -> Bench {
    let mut bench = Bench::with(replicas, PromotionPolicy::Strict);
    bench.run_until("the fence is armed", |bench| bench.group().fence.is_some());
    bench.run(2000);
    bench
}

pub(crate) fn decision(bench: &Bench) -> Choice {
    bench.group().history.last().and_then(|decision| decision.choice.clone()).expect("a decision").0
}

fn asked_to_detach(bench: &mut Bench, name: &str) -> bool {
    bench.node(name).obeyed.iter().any(|ask| matches!(ask, Ask::Detach { .. }))
}

pub(crate) fn request(bench: &mut Bench, manner: FailoverMode, target: Option<Addr>) {
    let (group, epoch) = (group_name(), bench.group().epoch);
    bench.apply(&Command::FailoverRequested { group, epoch, by: NodeId(1), manner, target, at: WallTime(0), asked: None });
}

#[test]
fn every_data_node_is_armed_and_the_log_knows_it() {
    let mut bench = armed(&["blue", "green", "grey"]);
    let fence = Fence { min_replicas: 2, max_lag_s: 2 };
    for name in ["red", "blue", "green", "grey"] {
        assert_eq!(bench.node(name).fence, Some(fence), "{name}");
    }
    let record = bench.group().fence.expect("it is recorded");
    assert_eq!((record.min_replicas, record.wait_replicas, record.covered), (2, 2, 2));
    assert_eq!(bench.group().needed().detached, 2);
    assert_eq!(bench.judge(0).view().fence_problem, None);
}

#[test]
fn a_fence_that_somebody_takes_away_is_not_relied_on_and_set_again() {
    let mut bench = armed(&["blue", "green"]);
    bench.node("red").fence = Some(Fence::OFF);
    bench.run_until("it is noticed", |bench| bench.group().fence.is_some_and(|fence| fence.min_replicas == 0));
    let noticed = bench.now_ms;
    bench.run_until("it is armed again", |bench| bench.group().fence.is_some_and(|fence| fence.min_replicas == 1));
    assert!(bench.now_ms - noticed < 1500);
    assert_eq!(bench.node("red").fence, Some(Fence { min_replicas: 1, max_lag_s: 2 }));
}

#[test]
fn a_fence_is_raised_before_it_is_relied_on_and_lowered_after() {
    let mut bench = armed(&["blue", "green"]);
    bench.nodes.insert(addr("grey"), Node { follows: Some(addr("red")), ..Node::new(1) });
    bench.run_until("grey is known", |bench| bench.group().holders() == 3);
    assert_eq!(bench.group().needed().detached, 3, "with three and a fence of one all must leave");
    bench.run_until("it is raised", |bench| bench.group().fence.is_some_and(|fence| fence.min_replicas == 2));
    assert_eq!(bench.node("red").fence.map(|fence| fence.min_replicas), Some(2));
    bench.run_until("it is covered", |bench| bench.group().fence.is_some_and(|fence| fence.covered == 2));
    assert_eq!(bench.group().needed().detached, 2);
    bench.node("grey").alive = false;
    bench.run(3000);
    bench.apply(&Command::ReplicaForgotten { group: group_name(), replica: addr("grey"), at: WallTime(0), asked: None });
    assert_eq!(bench.group().needed().detached, 2, "grey may have been one of the two that confirmed");
    bench.run_until("it is lowered", |bench| bench.node_fence("red") == Some(1));
    assert_eq!(bench.group().fence.map(|fence| fence.min_replicas), Some(1), "the log was told first");
}

#[test]
fn a_server_that_refuses_config_keeps_auto_from_being_strict_and_says_so() {
    let mut bench = Bench::with(&["blue", "green"], PromotionPolicy::Auto);
    assert!(!Bench::with(&["blue"], PromotionPolicy::Auto).group().is_strict(), "one replica is too few");
    bench.run_until("it is armed", |bench| bench.group().is_strict());
    let mut refusing = Bench::start(&["blue", "green"], PromotionPolicy::Auto, |node| node.fence = None);
    refusing.run(5000);
    assert!(!refusing.group().is_strict());
    let problem = refusing.judge(0).view().fence_problem.clone().expect("a problem");
    assert!(problem.contains("NOPERM"), "{problem}");
}

#[test]
fn a_dead_master_is_replaced_at_once_by_the_one_that_holds_most() {
    let mut bench = armed(&["blue", "green"]);
    bench.node("green").offset = 150;
    bench.node("red").alive = false;
    bench.run_until("it has ended", |bench| bench.group().epoch == Epoch(1) && bench.settled());
    let choice = decision(&bench);
    assert_eq!((choice.chosen.clone(), choice.basis, choice.reason), (addr("green"), FencingProof::Gone, ChosenFor::Offset));
    assert!(choice.candidates.iter().all(|candidate| candidate.detached));
    assert_eq!(choice.arms, Some(Fence { min_replicas: 1, max_lag_s: 2 }));
    let took = |is: fn(&Event) -> bool| bench.when(is).expect("it happened");
    let odown = took(|event| matches!(event, Event::ObjectivelyDown { .. }));
    let promoted = took(|event| matches!(event, Event::Promoted { .. }));
    assert!(promoted - odown <= 20, "took {} ms", promoted - odown);
    assert_eq!(bench.group().needed().detached, 2, "the promise holds for the next one, too");
}

#[test]
fn a_silent_master_is_given_the_time_to_notice_that_its_replicas_are_gone() {
    let mut bench = armed(&["blue", "green"]);
    bench.node("red").silent = true;
    bench.run_until("it has ended", |bench| bench.group().epoch == Epoch(1));
    assert_eq!(decision(&bench).basis, FencingProof::LagWindow);
    let at = |is: fn(&Event) -> bool| bench.when(is).expect("it happened");
    let odown = at(|event| matches!(event, Event::ObjectivelyDown { .. }));
    let decided = at(|event| matches!(event, Event::Decided { .. }));
    assert!((4000..4200).contains(&(decided - odown)), "L + 2 s, not {} ms", decided - odown);
}

#[test]
fn a_master_that_answers_again_keeps_its_place_and_gets_its_replicas_back() {
    let mut bench = armed(&["blue", "green"]);
    bench.node("red").silent = true;
    bench.run_until("its replicas are taken", |bench| bench.nodes[&addr("blue")].follows == Some(Addr::nobody()));
    bench.run(500);
    bench.node("red").silent = false;
    bench.run_until("all is as before", |bench| bench.group().failover.is_none() && bench.settled());
    assert_eq!(bench.group().epoch, Epoch(0));
    let ending = bench.group().history[0].ended.clone().map(|(_, ending)| ending);
    assert_eq!(ending, Some(Ending::Aborted(AbortReason::MasterReturned)));
}

#[test]
fn with_too_few_replicas_nobody_is_touched() {
    let mut bench = armed(&["blue", "green"]);
    bench.node("green").alive = false;
    bench.run(2000);
    bench.node("red").silent = true;
    bench.run(10_000);
    let failover = bench.group().failover.clone().expect("a failover");
    assert_eq!(failover.phase, Phase::Detaching);
    let blocked = failover.blocked.expect("it is blocked");
    assert_eq!(blocked, vec![(addr("blue"), Ineligible::TooFew { have: 1, need: 2 }), (addr("green"), Ineligible::Down)]);
    assert!(!asked_to_detach(&mut bench, "blue"), "red may still serve its clients with it");
    bench.node("green").alive = true;
    bench.run_until("it goes on", |bench| bench.group().epoch == Epoch(1) && bench.settled());
}

#[test]
fn with_too_few_replicas_and_the_master_gone_what_they_hold_is_kept_from_what_comes_back() {
    for empty in [false, true] {
        let mut bench = armed(&["blue", "green"]);
        let fence = bench.node("red").fence;
        bench.node("green").alive = false;
        bench.run(2000);
        bench.node("red").alive = false;
        bench.run_until("it is blocked", |bench| bench.group().failover.as_ref().is_some_and(|failover| failover.blocked.is_some()));
        bench.run(500);
        assert_eq!(bench.nodes[&addr("blue")].follows, Some(Addr::nobody()), "red can lose nothing by that");
        let data = Node { fence, ..Node::new(2) };
        *bench.node("red") = if empty { Node { history: "of nothing", offset: 0, empty, ..data } } else { data };
        bench.run(10_000);
        assert_eq!(bench.nodes[&addr("blue")].follows == Some(addr("red")), !empty, "it is given back to a master with data only");
        assert_eq!(bench.group().epoch, Epoch(0));
        bench.node("green").alive = true;
        bench.run_until("it has ended", |bench| bench.group().epoch == Epoch(u64::from(empty)) && bench.settled());
    }
}

fn is_blocked(event: &Event) -> bool {
    matches!(event, Event::FailoverBlocked { .. })
}

/// It is told that a failover is blocked so long after it began, if it is.
fn blocked_after(bench: &Bench) -> Option<u64> {
    let begun = bench.when(|event| matches!(event, Event::FailoverStarted { .. })).expect("it has begun");
    bench.when(is_blocked).map(|at| at - begun)
}

/// Something happens to `green` shortly before the sentinels agree that `red`, which is dead, is down.
fn blocked_by_green(happen: fn(&mut Node)) -> Bench {
    let mut bench = armed(&["blue", "green"]);
    bench.node("red").alive = false;
    bench.run(800);
    happen(bench.node("green"));
    bench.run_until("a failover", |bench| bench.group().failover.is_some());
    bench
}

#[test]
fn a_replica_that_is_slow_to_answer_is_not_said_to_stand_in_the_way() {
    let mut bench = blocked_by_green(|green| green.silent = true);
    bench.run(450);
    bench.node("green").silent = false;
    bench.run_until("it has ended", |bench| bench.group().epoch == Epoch(1) && bench.settled());
    assert_eq!(blocked_after(&bench), None, "it only took a while");
}

#[test]
fn a_link_that_breaks_for_a_moment_after_the_replica_has_left_is_not_said_to_stand_in_the_way() {
    let mut bench = armed(&["blue", "green"]);
    bench.node("red").silent = true;
    bench.run_until("its replicas are taken", |bench| bench.nodes[&addr("green")].follows == Some(Addr::nobody()));
    bench.run(1500);
    bench.node("green").silent = true;
    bench.run(700);
    bench.node("green").silent = false;
    bench.run_until("it has ended", |bench| bench.group().epoch == Epoch(1));
    assert_eq!(blocked_after(&bench), None);
}

#[test]
fn what_stands_in_the_way_for_certain_is_told_at_once_and_silence_when_it_has_lasted() {
    let dead: fn(&mut Node) = |green| green.alive = false;
    let silent: fn(&mut Node) = |green| green.silent = true;
    for (happen, expected) in [(dead, 0..=400), (silent, 600..=1000)] {
        let mut bench = blocked_by_green(happen);
        bench.run_until("it is blocked", |bench| bench.when(is_blocked).is_some());
        let after = blocked_after(&bench).expect("it is blocked");
        assert!(expected.contains(&after), "after {after} ms, not {expected:?}");
    }
}

#[test]
fn a_replica_that_restarted_is_not_relied_on() {
    let mut bench = armed(&["blue", "green"]);
    bench.node("red").alive = false;
    bench.node("green").run = 2;
    bench.run(10_000);
    let blocked = bench.group().failover.clone().and_then(|failover| failover.blocked).expect("it is blocked");
    assert!(blocked.contains(&(addr("green"), Ineligible::Restarted)), "{blocked:?}");
    // An operator takes what there is.
    request(&mut bench, FailoverMode::Force, None);
    bench.run_until("it has ended", |bench| bench.group().epoch == Epoch(1) && bench.settled());
    assert_eq!(decision(&bench).basis, FencingProof::Forced);
}

#[test]
fn a_replica_that_restarts_before_the_decision_no_longer_counts() {
    let mut bench = armed(&["blue", "green"]);
    bench.node("green").offset = 150;
    bench.node("red").silent = true;
    bench.run_until("its replicas are taken", |bench| bench.nodes[&addr("green")].follows == Some(Addr::nobody()));
    bench.run(1000);
    *bench.node("green") = Node { follows: Some(Addr::nobody()), offset: 0, ..Node::new(2) };
    bench.run(10_000);
    assert_eq!(bench.group().epoch, Epoch(0));
    let blocked = bench.group().failover.clone().and_then(|failover| failover.blocked).expect("it is blocked");
    assert!(blocked.contains(&(addr("green"), Ineligible::Restarted)), "{blocked:?}");
}

#[test]
fn a_replica_that_is_gone_before_the_decision_no_longer_counts() {
    let mut bench = armed(&["blue", "green"]);
    bench.node("green").offset = 150;
    bench.node("red").silent = true;
    bench.run_until("its replicas are taken", |bench| bench.nodes[&addr("green")].follows == Some(Addr::nobody()));
    bench.run(1000);
    bench.node("green").alive = false;
    bench.run(10_000);
    assert_eq!(bench.group().epoch, Epoch(0), "blue alone does not know all that was confirmed");
    let blocked = bench.group().failover.clone().and_then(|failover| failover.blocked).expect("it is blocked");
    assert!(blocked.contains(&(addr("green"), Ineligible::Down)), "{blocked:?}");
}

/// `green`, which has most, is to be promoted in the place of `red`, which is dead.
fn green_is_ahead() -> Bench {
    let mut bench = armed(&["blue", "green"]);
    bench.node("blue").lags = true;
    bench.node("red").offset = 150;
    bench.run(10);
    bench.node("red").alive = false;
    bench
}

/// Another process at the address of `green`, with nothing.
fn restart_green(bench: &mut Bench) {
    *bench.node("green") = Node { follows: Some(Addr::nobody()), offset: 0, history: "of nothing", ..Node::new(2) };
}

/// What `green` was chosen for may be on the old master, which comes back, and `blue`.
fn green_is_never_the_master(mut bench: Bench) {
    assert!(!bench.events.iter().any(|(_, event)| matches!(event, Event::Promoted { .. } | Event::SwitchMaster { .. })));
    bench.node("red").alive = true;
    bench.run_until("somebody who has it is the master", |bench| bench.group().epoch == Epoch(2) && bench.settled());
    assert_eq!(bench.group().master.addr, addr("red"));
}

#[test]
fn a_chosen_replica_that_restarts_before_it_is_promoted_is_not_the_master() {
    let mut bench = green_is_ahead();
    bench.run_until("green is taken", |bench| bench.nodes[&addr("green")].follows == Some(Addr::nobody()));
    bench.node("green").stubborn = true;
    bench.run_until("green is chosen", |bench| bench.phase() == Some(Phase::Promoting));
    restart_green(&mut bench);
    bench.run(15_000);
    green_is_never_the_master(bench);
}

/// Nobody has seen the restart when the order goes out; the server is compared before it is carried out.
#[test]
fn a_process_in_the_place_of_the_chosen_one_is_not_asked_to_be_the_master() {
    for moment in ["promote", "ask-promote"] {
        let mut bench = green_is_ahead();
        bench.before = Some((moment, restart_green));
        bench.run(15_000);
        assert!(bench.before.is_none(), "before {moment}");
        assert!(!bench.node("green").obeyed.iter().any(|ask| matches!(ask, Ask::Promote { .. })), "before {moment}");
        green_is_never_the_master(bench);
    }
}

/// It restarted after it was compared: the new process obeys.
#[test]
fn a_process_that_obeys_in_the_place_of_the_chosen_one_is_not_the_master() {
    let mut bench = green_is_ahead();
    bench.before = Some(("exec-promote", restart_green));
    bench.run_until("green has obeyed", |bench| bench.nodes[&addr("green")].follows.is_none());
    assert!(bench.before.is_none() && bench.group().epoch == Epoch(1));
    bench.run(15_000);
    green_is_never_the_master(bench);
}

/// An abort under a leader that cannot reach the master itself, whose replicas an earlier leader had taken.
#[test]
fn replicas_are_given_back_also_by_a_leader_that_does_not_see_the_master() {
    let mut bench = armed(&["blue", "green"]);
    bench.node("red").silent = true;
    bench.run_until("its replicas are taken", |bench| {
        ["blue", "green"].iter().all(|name| bench.nodes[&addr(name)].follows == Some(Addr::nobody()))
    });
    bench.leader = Some(1);
    bench.blind[1].insert(addr("red"));
    bench.node("red").silent = false;
    bench.run_until("the others take their votes back", |bench| bench.group().failover.is_none());
    bench.run(2000);
    assert!(bench.group().epoch == Epoch(0) && bench.settled(), "red takes no writes without them: {:#?}", bench.nodes);
    assert!(bench.judge(1).view().is_down(&addr("red")), "as this leader sees it");
}

#[test]
fn an_unfenced_master_that_is_only_silent_is_not_replaced() {
    let mut bench = armed(&["blue", "green"]);
    bench.node("red").fence = None;
    bench.run(1500);
    let held = Fence { min_replicas: 0, max_lag_s: 2 };
    bench.apply(&Command::FenceLoosened { group: group_name(), epoch: Epoch(0), held, at: WallTime(0) });
    bench.node("red").silent = true;
    bench.run(20_000);
    let blocked = bench.group().failover.clone().and_then(|failover| failover.blocked).expect("it is blocked");
    assert_eq!(blocked, vec![(addr("red"), Ineligible::NotFenced)]);
    bench.node("red").silent = false;
    bench.node("red").alive = false;
    bench.run_until("it is known to be gone", |bench| bench.group().epoch == Epoch(1));
}

#[test]
fn priority_is_honoured_without_losing_what_another_replica_holds() {
    let mut bench = armed(&["blue", "green"]);
    bench.node("blue").priority = 10;
    bench.node("green").offset = 150;
    bench.run(2000);
    bench.node("red").alive = false;
    bench.run_until("it has ended", |bench| bench.group().epoch == Epoch(1) && bench.settled());
    assert_eq!(bench.group().master.addr, addr("blue"));
    assert_eq!(bench.node("blue").offset, 150, "it fetched what green had");
    bench.run(2000);
    assert_eq!(bench.node("green").fence, Some(Fence { min_replicas: 1, max_lag_s: 2 }), "who lent its data takes part again");
}

#[test]
fn the_data_of_a_replica_that_is_never_promoted_is_not_lost() {
    let mut bench = armed(&["blue", "green"]);
    bench.node("green").priority = 0;
    bench.node("green").offset = 150;
    bench.run(2000);
    bench.node("red").alive = false;
    bench.run_until("it has ended", |bench| bench.group().epoch == Epoch(1) && bench.settled());
    assert_eq!((bench.group().master.addr.clone(), bench.node("blue").offset), (addr("blue"), 150));
}

#[test]
fn a_master_that_comes_back_empty_is_replaced_by_one_that_has_the_data() {
    let mut bench = armed(&["blue", "green"]);
    *bench.node("red") = Node { history: "of nothing", offset: 0, ..Node::new(2) };
    bench.run_until("it has ended", |bench| bench.group().epoch == Epoch(1) && bench.settled());
    let votes = match &bench.group().history[0].cause {
        raft_sentinel::machine::Cause::Down { votes, .. } => votes.clone(),
        other @ raft_sentinel::machine::Cause::Requested { .. } => panic!("{other:?}"),
    };
    assert!(votes.values().all(|vote| vote.testimony.evidence == Evidence::LostHistory), "{votes:?}");
    assert_eq!(decision(&bench).basis, FencingProof::SeenOut, "what came back was told to be nobody's master first");
}

/// Any step may be the last: another leader finishes the same failover.
#[test]
fn another_leader_finishes_what_one_began() {
    let mut places = {
        let mut bench = armed(&["blue", "green"]);
        bench.intents.clear();
        bench.node("red").alive = false;
        bench.run_until("it has ended", |bench| bench.group().epoch == Epoch(1) && bench.settled());
        bench.intents
    };
    places.sort();
    places.dedup();
    places.retain(|place| place != "vote-down" && !place.starts_with("fence"));
    assert!(places.iter().any(|place| place == "ask-detach"), "{places:?}");
    for (place, before) in places.iter().flat_map(|place| [(place, true), (place, false)]) {
        let mut bench = armed(&["blue", "green"]);
        bench.node("green").offset = 150;
        bench.die_at = Some((place.clone(), before));
        bench.node("red").alive = false;
        bench.run_until(&format!("finished after a death at {place}"), |bench| bench.group().epoch.0 > 0 && bench.settled());
        assert!(bench.die_at.is_none(), "nobody died at {place}");
        assert_eq!((bench.group().epoch, bench.group().master.addr.clone()), (Epoch(1), addr("green")), "after a death at {place}");
    }
}

/// The promotion was fenced; that the policy is another one by now does not let the old master write.
#[test]
fn an_old_master_keeps_its_fence_until_it_follows_also_when_the_fence_is_taken_down() {
    let mut bench = armed(&["blue", "green"]);
    bench.node("red").silent = true;
    bench.run_until("it is replaced", |bench| bench.group().epoch == Epoch(1) && bench.group().failover.is_none());
    let changes = vec![SettingChange::PromotionPolicy(PromotionPolicy::Available)];
    bench.apply(&Command::SetOptions { group: group_name(), changes, at: WallTime(0), asked: None });
    bench.run(3000);
    bench.node("red").silent = false;
    bench.node("red").obeyed.clear();
    bench.run_until("the fence is down", |bench| bench.group().fence.is_none());
    let obeyed = bench.nodes[&addr("red")].obeyed.clone();
    let first = |is: fn(&Ask) -> bool| obeyed.iter().position(is).expect("it was asked");
    let (demoted, disarmed) = (first(|ask| matches!(ask, Ask::Demote { .. })), first(|ask| *ask == Ask::Arm(Fence::OFF)));
    assert!(demoted < disarmed, "{obeyed:?}");
}

#[test]
fn a_fence_that_a_restart_would_take_away_is_not_relied_on() {
    for forgetful in [|node: &mut Node| node.fileless = true, |node: &mut Node| node.unwritable = true] {
        let mut bench = Bench::start(&["blue", "green"], PromotionPolicy::Auto, forgetful);
        bench.run(15_000);
        assert!(!bench.group().is_strict(), "auto keeps stock's way");
        assert_eq!(bench.node_fence("red"), Some(0), "what promises nothing stops no writes");
        let problem = bench.judge(0).view().fence_problem.clone().expect("a problem");
        assert!(problem.contains("would come back without its fence"), "{problem}");
    }
    let mut bench = armed(&["blue", "green"]);
    // It is started again, on a host that keeps no file.
    (bench.node("red").fileless, bench.node("blue").fileless) = (true, true);
    bench.run_until("it is not relied on", |bench| bench.group().fence.is_some_and(|fence| fence.min_replicas == 0));
    assert_eq!(bench.node_fence("red"), Some(1), "it holds it all the same");
    bench.run(3000);
    let readiness = bench.judge(0).view().readiness.clone();
    assert_eq!(readiness.would, raft_sentinel::judge::Outlook::Partly, "{readiness:?}");
    let entries = bench.events.len();
    bench.run(20_000);
    assert!(bench.events.len() < entries + 3, "nothing goes to and fro: {:?}", &bench.events[entries..]);
    bench.node("red").fileless = false;
    bench.run_until("it is relied on again", |bench| bench.group().is_armed());
}
