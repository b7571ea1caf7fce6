//! The network is cut, silently, around the master: alone, with others, one way, and again and again.

use std::time::Duration;

use crate::kit::Plan;
use crate::kit::net::Net;
use crate::verdict::Verdict;
use crate::world::{Policy, World, prove, prove_with, run};

/// Long enough for a failover behind the fence.
const CUT: Duration = Duration::from_secs(8);

/// Cuts these hosts off from all others.
fn cut_off_and_heal(world: &mut World, these: &[&str]) {
    world.cut_off(these);
    world.last(CUT);
    world.heal();
}

/// When the cut heals, the sentinels may see the replicas before the master, and a failover is as good as none.
fn nobody_is_promoted_while_it_lasts(policy: Policy, verdict: &Verdict) {
    assert!(policy != Policy::Strict || verdict.decided.is_none_or(|after| after >= CUT), "{verdict:?}");
}

#[test]
fn of_the_master() {
    prove("cut: master", |world| cut_off_and_heal(world, &["redis-0"]));
}

#[test]
fn of_the_master_with_the_leading_sentinel() {
    prove("cut: master with the leading sentinel", |world| {
        let leader = format!("sentinel-{}", world.leader());
        cut_off_and_heal(world, &["redis-0", &leader]);
    });
}

#[test]
fn of_the_master_with_another_sentinel() {
    prove("cut: master with another sentinel", |world| {
        let follower = format!("sentinel-{}", world.follower());
        cut_off_and_heal(world, &["redis-0", &follower]);
    });
}

/// The master keeps a majority of the data nodes, so it stays the master, and nobody else may be promoted.
#[test]
fn of_the_master_with_one_replica() {
    let policy = Policy::wanted();
    let verdict = run("cut: master with one replica", policy, policy.plan(), |world| cut_off_and_heal(world, &["redis-0", "redis-1"]));
    verdict.hold(policy);
    nobody_is_promoted_while_it_lasts(policy, &verdict);
}

#[test]
fn of_the_master_with_one_replica_and_one_sentinel() {
    let policy = Policy::wanted();
    let verdict = run("cut: master, one replica, the leading sentinel", policy, policy.plan(), |world| {
        let leader = format!("sentinel-{}", world.leader());
        cut_off_and_heal(world, &["redis-0", "redis-1", &leader]);
    });
    verdict.hold(policy);
    nobody_is_promoted_while_it_lasts(policy, &verdict);
}

/// A minority of five data nodes: the one replica is not enough for the fence of two.
#[test]
fn of_the_master_with_one_replica_of_four() {
    prove_with(
        "cut: master with one replica of four",
        |plan| Plan { replicas: 4, ..plan },
        |world| {
            cut_off_and_heal(world, &["redis-0", "redis-1"]);
        },
    );
}

/// A majority of five.
#[test]
fn of_the_master_with_two_replicas_of_four() {
    let policy = Policy::wanted();
    let plan = Plan { replicas: 4, ..policy.plan() };
    let verdict = run("cut: master with two replicas of four", policy, plan, |world| {
        cut_off_and_heal(world, &["redis-0", "redis-1", "redis-2"]);
    });
    verdict.hold(policy);
    nobody_is_promoted_while_it_lasts(policy, &verdict);
}

/// The master is healthy, and so are its replicas; only those who judge do not see it.
#[test]
fn between_the_master_and_all_sentinels() {
    prove("cut: master from all sentinels", |world| {
        world.cut("the master from the sentinels", |net| net.separate(&["redis-0"], &["sentinel-1", "sentinel-2", "sentinel-3"]));
        world.last(CUT);
        world.heal();
    });
}

#[test]
fn between_the_master_and_two_sentinels() {
    prove("cut: master from the leading sentinel and another", |world| {
        let (leader, follower) = (format!("sentinel-{}", world.leader()), format!("sentinel-{}", world.follower()));
        world.cut("the master from two sentinels", |net| net.separate(&["redis-0"], &[&leader, &follower]));
        world.last(CUT);
        world.heal();
    });
}

/// No sentinel sees anything wrong with the master, which the fence keeps from taking writes.
#[test]
fn between_the_master_and_its_replicas() {
    prove("cut: master from its replicas", |world| {
        world.cut("the master from the replicas", |net| net.separate(&["redis-0"], &["redis-1", "redis-2"]));
        world.last(CUT);
        world.heal();
    });
}

#[test]
fn only_into_the_master() {
    prove("cut, one way: into the master", |world| {
        world.cut("the master hears nobody", |net| net.deafen("redis-0"));
        world.last(CUT);
        world.heal();
    });
}

#[test]
fn only_out_of_the_master() {
    prove("cut, one way: out of the master", |world| {
        world.cut("nobody hears the master", |net| net.silence("redis-0"));
        world.last(CUT);
        world.heal();
    });
}

/// The replicas receive what the master sends; what they say to it is lost, so it does not know what they have.
#[test]
fn only_from_the_replicas_to_the_master() {
    prove("cut, one way: from replicas and sentinels to the master", |world| {
        world.cut("the master does not hear the replicas and sentinels", each_to_the_master);
        world.last(CUT);
        world.heal();
    });
}

fn each_to_the_master(net: &Net) -> Result<(), crate::kit::net::NetError> {
    ["redis-1", "redis-2", "sentinel-1", "sentinel-2", "sentinel-3"].iter().try_for_each(|host| net.cut_one_way(host, "redis-0"))
}

/// The master is well, and so is the majority.
#[test]
fn of_the_leading_sentinel() {
    prove("cut: leading sentinel", |world| {
        let leader = format!("sentinel-{}", world.leader());
        cut_off_and_heal(world, &[&leader]);
    });
}

/// With a cut longer than the limit once in a while, and shorter ones in between.
#[test]
fn that_flap() {
    prove("cut: master, flapping", |world| {
        for ms in [700, 1100, 300, 1300, 900, 1600, 1050, 2500, 400, 1200] {
            world.cut_off(&["redis-0"]);
            world.last(Duration::from_millis(ms));
            world.heal();
            world.last(Duration::from_millis(ms / 2));
        }
    });
}

/// The master hears its former replicas again and nobody hears it. What they had sent before they were taken from it arrives and counts
/// as fresh; the end of their connections, which they send when that is acknowledged, does not. This is the most that a fence
/// that Redis holds leaves open: for the longest lag, and until Redis looks the next time.
#[test]
fn that_heals_one_way_from_the_replicas_to_the_master() {
    let policy = Policy::wanted();
    let verdict = run("cut: master, healed one way from its replicas", policy, policy.plan(), |world| {
        world.cut_off(&["redis-0"]);
        world.timeline.wait_for("the successor is made", 2 * CUT, || match world.cluster.recorded(1)? {
            master if master.epoch == 1 && master.confirmed => Ok(()),
            master => Err(format!("{master:?}")),
        });
        world.cut("from its replicas to the master the way is open", |net| {
            ["redis-1", "redis-2"].iter().try_for_each(|host| net.heal_one_way(host, "redis-0"))
        });
        // What is lost on the way is sent again after ever longer times.
        world.last(2 * CUT);
        world.heal();
    });
    verdict.hold_through_a_late_acknowledgement(policy);
}

/// Heals so long after the cut of the master: before it is noticed, while it is, while replicas are being taken from it, while
/// the fence is waited for, and about when the successor is made.
fn heals_after(ms: u64) {
    prove(&format!("cut: master, healed after {ms} ms"), move |world| {
        world.cut_off(&["redis-0"]);
        world.last(Duration::from_millis(ms));
        world.heal();
    });
}

macro_rules! healed_after {
    ($($name:ident $ms:literal,)*) => { $(#[test] fn $name() { heals_after($ms); })* };
}

healed_after! {
    healed_after_800_ms 800,
    healed_after_1000_ms 1000,
    healed_after_1050_ms 1050,
    healed_after_1200_ms 1200,
    healed_after_2000_ms 2000,
    healed_after_3000_ms 3000,
    healed_after_3900_ms 3900,
    healed_after_4000_ms 4000,
    healed_after_4050_ms 4050,
    healed_after_4200_ms 4200,
    healed_after_5000_ms 5000,
}
