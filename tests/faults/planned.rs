//! A planned change (`SENTINEL FAILOVER`), disturbed at each step: not a single acknowledged write is lost, confirmed by WAIT or not, or
//! there is no change.

use std::time::Duration;

use crate::kit::{Failpoints, GROUP, Plan};
use crate::phases::dead;
use crate::world::{Policy, World, prove_with, run};

/// Longer than a change may take, and longer than writes are kept waiting for it.
const CHANGE: Duration = Duration::from_secs(4);

fn ask_for_it(world: &mut World) {
    let follower = world.follower();
    world.strike("a planned change is asked for");
    world.cluster.sentinel(follower).expect_ok(&["SENTINEL", "FAILOVER", GROUP]);
}

/// Runs one, and looks for what even a loss that nobody promised to prevent would leave.
fn nothing_is_lost(name: &str, plan: Plan, act: impl FnOnce(&mut World) + Send + 'static) {
    let policy = Policy::wanted();
    let verdict = run(name, policy, plan, act);
    verdict.hold(policy);
    assert!(policy != Policy::Strict || verdict.plain_lost == 0, "acknowledged writes are lost: {verdict:?}");
}

#[test]
fn undisturbed() {
    nothing_is_lost("planned: undisturbed", Policy::wanted().plan(), |world| {
        ask_for_it(world);
        world.last(CHANGE);
        world.mend("it is over");
    });
}

/// What the master took after its replicas left it, before it was cut off, cannot be saved; what WAIT confirmed is.
#[test]
fn with_the_master_cut_off() {
    prove_with(
        "planned: master cut off",
        |plan| plan,
        |world| {
            ask_for_it(world);
            world.cut_off(&["redis-0"]);
            world.last(2 * CHANGE);
            world.heal();
        },
    );
}

/// The leader sleeps for longer than writes wait, and goes on.
#[test]
fn with_the_leader_stopped() {
    nothing_is_lost("planned: leading sentinel stopped", Policy::wanted().plan(), |world| {
        let leader = world.leader();
        ask_for_it(world);
        world.suspend(false, &[leader], CHANGE);
    });
}

/// Nobody can be taken from the old master: it hands over itself, as ever.
#[test]
fn with_a_replica_away() {
    nothing_is_lost("planned: one away", Policy::wanted().plan(), |world| {
        lose_a_replica(world);
        ask_for_it(world);
        world.last(CHANGE);
        find_it_again(world);
    });
}

fn lose_a_replica(world: &mut World) {
    world.strike("SIGKILL to redis-1");
    world.cluster.servers[1].kill();
}

fn find_it_again(world: &mut World) {
    world.cluster.servers[1].restart();
    world.mend("all processes run");
}

/// Whether all replicas are there meanwhile.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Replicas {
    All,
    OneAway,
}

fn killed_at(place: &'static str, replicas: Replicas) {
    if Policy::wanted() != Policy::Strict {
        println!("what is promised here is promised by the strict policy only");
        return;
    }
    let places = Failpoints::new();
    let plan = Plan { env: places.env(), ..Policy::wanted().plan() };
    let away = if replicas == Replicas::OneAway { ", one away" } else { "" };
    nothing_is_lost(&format!("planned: leader dies {place}{away}"), plan, move |world| {
        if replicas == Replicas::OneAway {
            lose_a_replica(world);
        }
        places.arm(place);
        ask_for_it(world);
        let died = dead(world, 3 * CHANGE).unwrap_or_else(|| panic!("nobody came to {place}\n{}", world.timeline.report()));
        world.last(CHANGE);
        world.cluster.sentinel_mut(died).restart();
        match replicas {
            Replicas::All => world.mend("all sentinels run"),
            Replicas::OneAway => find_it_again(world),
        }
    });
}

macro_rules! places {
    ($replicas:ident: $($name:ident $place:literal,)*) => { $(#[test] fn $name() { killed_at($place, Replicas::$replicas); })* };
}

places! {
    OneAway:
    alone_after_ask_pause     "after-ask-pause",
    alone_before_ask_demote   "before-ask-demote",
    alone_after_ask_demote    "after-ask-demote",
    alone_before_promote      "before-promote",
    alone_after_promote       "after-promote",
    alone_before_ask_promote  "before-ask-promote",
    alone_after_ask_promote   "after-ask-promote",
}

places! {
    All:
    before_ask_pause      "before-ask-pause",
    after_ask_pause       "after-ask-pause",
    before_promote        "before-promote",
    after_promote         "after-promote",
    before_ask_promote    "before-ask-promote",
    after_ask_promote     "after-ask-promote",
    before_ask_demote     "before-ask-demote",
    after_ask_demote      "after-ask-demote",
}
