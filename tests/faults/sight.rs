//! The leader sees nothing: its host reaches the other sentinels and none of the servers. Another leads, and does what is to be done.

use std::time::{Duration, Instant};

use crate::world::{World, prove};

/// A master that is gone is replaced within this time.
const DOWN: Duration = Duration::from_secs(6);
/// Leadership that is thrown to and fro would be so in this time.
const CALM: Duration = Duration::from_secs(4);
const SERVERS: [&str; 3] = ["redis-0", "redis-1", "redis-2"];

/// Blinds the leader, waits until another leads, and returns that one.
fn blind_the_leader(world: &mut World) -> usize {
    let blind = world.leader();
    let (name, before) = (format!("sentinel-{blind}"), term(world, blind));
    let begun = Instant::now();
    world.cut(&format!("{name} reaches no server"), |net| net.separate(&[&name], &SERVERS));
    let leader = world.timeline.wait_for("another leads", Duration::from_secs(5), || match world.leader() {
        leader if leader == blind => Err("the blind one does".to_owned()),
        leader => Ok(leader),
    });
    let took = begun.elapsed();
    println!("sentinel {leader} leads {took:?} after sentinel {blind} was blinded");
    // One, where a core is free for each voter when it is asked.
    let elections = term(world, leader) - before;
    assert!((1..=4).contains(&elections), "{elections} elections");
    leader
}

fn term(world: &World, id: usize) -> u64 {
    world.timeline.wait_for("a sentinel tells its term", DOWN, || world.cluster.status(id)).term
}

#[test]
fn another_leads_and_replaces_the_master() {
    prove("blind: the leading sentinel; then the master crashes", |world| {
        let leader = blind_the_leader(world);
        let before = term(world, leader);
        world.last(CALM);
        assert_eq!(term(world, leader), before, "leadership moved on although nothing had changed");
        world.cluster.servers[0].kill();
        world.last(DOWN);
        world.cluster.servers[0].restart();
        world.heal();
    });
}

/// What is dead for all is no reason to let another lead.
#[test]
fn a_dead_master_moves_no_leadership() {
    prove("crash: master, and the leader stays", |world| {
        let leader = world.leader();
        let before = term(world, leader);
        world.strike("SIGKILL to the master");
        world.cluster.servers[0].kill();
        world.last(DOWN);
        assert_eq!((world.leader(), term(world, leader)), (leader, before), "{}", world.timeline.report());
        world.cluster.servers[0].restart();
        world.mend("all processes run");
    });
}
