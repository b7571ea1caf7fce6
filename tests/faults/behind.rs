//! A replica does not have everything when the master is lost: what it lacks was confirmed because the other one has it.

use std::time::Duration;

use crate::kit::Plan;
use crate::world::{World, prove_with};

/// Long enough for many writes, short enough for the replica to stay one in every eye.
const BEHIND: Duration = Duration::from_secs(2);
const CUT: Duration = Duration::from_secs(9);

/// The second replica hears nothing from the master for a while, and then the master is lost.
fn lost_while_behind(world: &mut World) {
    world.cut("redis-2 from the master", |net| net.cut("redis-0", "redis-2"));
    world.last(BEHIND);
    world.cut_off(&["redis-0"]);
    world.last(CUT);
    world.heal();
}

#[test]
fn one_replica() {
    prove_with("behind: one replica, then cut of the master", |plan| plan, lost_while_behind);
}

/// Priority is honoured, and not at the price of a confirmed write.
#[test]
fn the_preferred_replica() {
    prove_with(
        "behind: the preferred replica, then cut of the master",
        |plan| Plan { priorities: vec![100, 10], ..plan },
        lost_while_behind,
    );
}

/// The one that has everything must not be promoted, by its priority.
#[test]
fn the_only_one_that_may_be_promoted() {
    prove_with("behind: the only one with a priority, then cut", |plan| Plan { priorities: vec![0, 100], ..plan }, lost_while_behind);
}

/// A suspended replica is behind as well, and is the one that is left when it goes on.
#[test]
fn the_replica_that_was_suspended() {
    prove_with(
        "behind: suspended replica, then cut of both others",
        |plan| plan,
        |world| {
            world.strike("SIGSTOP to redis-2");
            world.cluster.servers[2].stop();
            world.last(BEHIND);
            world.cut_off(&["redis-0"]);
            world.cluster.servers[2].cont();
            world.last(CUT);
            world.heal();
        },
    );
}
