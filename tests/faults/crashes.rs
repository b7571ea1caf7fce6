//! Processes die (SIGKILL). Their hosts refuse connections at once, so nobody has to wait for the fence.

use std::time::Duration;

use crate::world::{Policy, World, prove, run};

const DOWN: Duration = Duration::from_secs(6);

fn down_and_up(world: &mut World, sentinels: &[usize]) {
    world.strike("SIGKILL to the master");
    world.cluster.servers[0].kill();
    sentinels.iter().for_each(|id| world.cluster.sentinel_mut(*id).kill());
    world.last(DOWN);
    world.cluster.servers[0].restart();
    sentinels.iter().for_each(|id| world.cluster.sentinel_mut(*id).restart());
    world.mend("all processes run");
}

#[test]
fn of_the_master() {
    prove("crash: master", |world| down_and_up(world, &[]));
}

#[test]
fn of_the_master_and_the_leading_sentinel() {
    prove("crash: master and the leading sentinel", |world| {
        let leader = world.leader();
        down_and_up(world, &[leader]);
    });
}

/// What the master confirmed may be on the replica that is gone, so nobody is promoted until one of them is back.
#[test]
fn of_a_replica_before_the_master_is_cut_off() {
    let policy = Policy::wanted();
    let verdict = run("crash: replica, then cut of the master", policy, policy.plan(), |world| {
        world.strike("SIGKILL to redis-1");
        world.cluster.servers[1].kill();
        world.last(Duration::from_secs(2));
        world.cut_off(&["redis-0"]);
        world.last(DOWN);
        world.heal();
        world.cluster.servers[1].restart();
        world.mend("redis-1 runs");
    });
    verdict.hold(policy);
    let before_the_heal = verdict.decided.is_some_and(|after| after < Duration::from_secs(2) + DOWN);
    assert!(policy != Policy::Strict || !before_the_heal, "{verdict:?}");
}

/// A replica that restarted came back with nothing, and is never the one that is promoted.
#[test]
fn of_a_replica_that_comes_back_empty_while_the_master_is_cut_off() {
    prove("crash: replica, back while the master is cut off", |world| {
        world.cut_off(&["redis-0"]);
        world.cluster.servers[1].kill();
        world.last(Duration::from_millis(300));
        world.cluster.servers[1].restart();
        world.last(DOWN);
        world.heal();
    });
}
