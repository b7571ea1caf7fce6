//! Processes are suspended (SIGSTOP): to everybody else they are dead, and then they go on as if nothing had happened.

use std::time::Duration;

use crate::verdict::RESIDUE_OF_STOP;
use crate::world::{Policy, World, prove, run};

/// Long enough for a failover behind the fence.
const STOP: Duration = Duration::from_secs(8);

/// A suspended master wakes up with what it has in its buffers, and with a fence that slept.
fn with_a_suspended_master(name: &str, act: impl FnOnce(&mut World) + Send + 'static) {
    let policy = Policy::wanted();
    run(name, policy, policy.plan(), act).hold_with(policy, RESIDUE_OF_STOP);
}

#[test]
fn of_the_master() {
    with_a_suspended_master("stop: master", |world| world.suspend(true, &[], STOP));
}

/// Shorter than the failover: it goes on while the replicas have been taken from it.
#[test]
fn of_the_master_for_a_moment() {
    with_a_suspended_master("stop: master, for 2 s", |world| world.suspend(true, &[], Duration::from_secs(2)));
}

#[test]
fn of_the_leading_sentinel() {
    prove("stop: leading sentinel", |world| {
        let leader = world.leader();
        world.suspend(false, &[leader], STOP);
    });
}

#[test]
fn of_the_master_and_the_leading_sentinel() {
    with_a_suspended_master("stop: master and the leading sentinel", |world| {
        let leader = world.leader();
        world.suspend(true, &[leader], STOP);
    });
}

#[test]
fn of_the_master_and_all_sentinels() {
    with_a_suspended_master("stop: master and all sentinels", |world| world.suspend(true, &[1, 2, 3], STOP));
}

/// The leader sleeps from so long after the cut on, and wakes up with what it was about to do when others have done it.
fn the_leader_sleeps(after_ms: u64) {
    prove(&format!("cut: master; leader stopped {after_ms} ms later"), move |world| {
        let leader = world.leader();
        world.cut_off(&["redis-0"]);
        world.last(Duration::from_millis(after_ms));
        world.suspend(false, &[leader], STOP);
        world.heal();
    });
}

#[test]
fn of_the_leader_when_the_silence_is_noticed() {
    the_leader_sleeps(1000);
}

#[test]
fn of_the_leader_while_the_fence_is_waited_for() {
    the_leader_sleeps(2500);
}

#[test]
fn of_the_leader_about_when_it_decides() {
    the_leader_sleeps(4000);
}
