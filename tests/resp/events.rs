//! What subscribers hear.

use std::sync::Arc;

use raft_sentinel::base::{Addr, Epoch, LogIndex, NodeId, WallTime};
use raft_sentinel::board::{Notice, NoticeKind};
use raft_sentinel::machine::ChosenFor;
use raft_sentinel::machine::{Choice, Command, DownEvidence, Event, Evidence, FailoverId, FencingProof, LoggedEvent};
use raft_sentinel::serve::ReplicatedState;

use super::wire::Wire;
use super::world::{World, addr, group, identity, view, world};

pub(crate) fn vote(voter: u64) -> Command {
    let testimony = DownEvidence { evidence: Evidence::Refused, silent_ms: 1000, limit_ms: 1000, replicas: vec![] };
    Command::VoteDown { group: group(), epoch: Epoch(4), voter: NodeId(voter), testimony, at: WallTime(0) }
}

pub(crate) fn failover_id(world: &World) -> FailoverId {
    world.fake.state().groups[&group()].failover.as_ref().expect("a failover is running").id
}

pub(crate) fn promote(world: &World) {
    let choice = Choice {
        chosen: addr(6380),
        candidates: view(world.clock).candidates,
        reason: ChosenFor::RunId,
        master_offset: None,
        estimated_loss_bytes: None,
        basis: FencingProof::Unfenced,
        arms: None,
        by_hand: false,
    };
    world.fake.done(&Command::Promote { group: group(), id: failover_id(world), choice, by: NodeId(1), at: WallTime(0) });
}

pub(crate) fn promoted(world: &World) {
    world.fake.done(&Command::Promoted { group: group(), id: failover_id(world), identity: identity("b"), at: WallTime(0) });
}

fn finish(world: &World) {
    let (id, at) = (failover_id(world), WallTime(0));
    world.fake.done(&Command::ReplicaFollows { group: group(), id, replica: addr(6381), at });
    world.fake.done(&Command::FailoverDone { group: group(), id, left: vec![addr(6379)], at });
}

pub(crate) fn message(pattern: &str, channel: &str, payload: &str) -> String {
    let kind = format!("*4\r\n$8\r\npmessage\r\n${}\r\n{pattern}\r\n", pattern.len());
    format!("{kind}${}\r\n{channel}\r\n${}\r\n{payload}\r\n", channel.len(), payload.len())
}

pub(crate) async fn listener(world: &World, pattern: &str) -> Wire {
    let mut wire = Wire::open(world.addr).await;
    wire.ask(&format!("PSUBSCRIBE {pattern}")).await;
    wire
}

#[tokio::test]
async fn a_failover_is_told_in_stock_words_and_order() {
    let world = world().await;
    let mut wire = listener(&world, "*").await;
    let master = "master mymaster 127.0.0.1 6379";
    let chosen = "slave 127.0.0.1:6380 127.0.0.1 6380 @ mymaster 127.0.0.1 6379";
    world.board.notify(Notice { group: group(), node: addr(6379), what: NoticeKind::Down });
    wire.expect(&message("*", "+sdown", master)).await;
    world.fake.done(&vote(1));
    world.fake.done(&vote(2));
    promote(&world);
    promoted(&world);
    finish(&world);
    for (channel, payload) in [
        ("+odown", "master mymaster 127.0.0.1 6379 #quorum 2/2"),
        ("+new-epoch", "5"),
        ("+try-failover", master),
        ("+elected-leader", master),
        ("+failover-state-select-slave", master),
        ("+selected-slave", chosen),
        ("+failover-state-send-slaveof-noone", chosen),
        ("+failover-state-wait-promotion", chosen),
        ("+promoted-slave", chosen),
        ("+failover-state-reconf-slaves", master),
        ("+switch-master", "mymaster 127.0.0.1 6379 127.0.0.1 6380"),
        ("+slave", "slave 127.0.0.1:6381 127.0.0.1 6381 @ mymaster 127.0.0.1 6380"),
        ("+slave", "slave 127.0.0.1:6379 127.0.0.1 6379 @ mymaster 127.0.0.1 6380"),
        ("+slave-reconf-done", "slave 127.0.0.1:6381 127.0.0.1 6381 @ mymaster 127.0.0.1 6380"),
        ("+failover-end", "master mymaster 127.0.0.1 6380"),
    ] {
        wire.expect(&message("*", channel, payload)).await;
    }
}

#[tokio::test]
async fn the_reply_follows_the_phases_of_a_failover() {
    let world = world().await;
    let mut wire = Wire::open(world.addr).await;
    assert_eq!(wire.ask("SENTINEL FAILOVER mymaster").await, "+OK\r\n");
    promote(&world);
    let master = wire.ask("SENTINEL MASTER mymaster").await;
    assert!(master.contains("\r\n6380\r\n") && master.contains("\r\nwait_promotion\r\n"), "{master}");
    assert!(master.contains("\r\nmaster,failover_in_progress,force_failover\r\n"), "{master}");
    promoted(&world);
    // The new master is one, so no client has a reason to pass over it.
    let master = wire.ask("SENTINEL MASTER mymaster").await;
    assert!(master.contains("\r\nmaster\r\n") && !master.contains("failover-state"), "{master}");
    assert_eq!(wire.ask("SENTINEL FAILOVER mymaster").await, "-INPROG Failover already in progress\r\n");
    finish(&world);
    assert!(wire.ask("SENTINEL MASTER mymaster").await.contains("config-epoch\r\n$1\r\n5\r\n"));
}

#[tokio::test]
async fn every_subscriber_hears_a_switch_once() {
    let world = world().await;
    let mut by_name = Wire::open(world.addr).await;
    by_name.ask("SUBSCRIBE +switch-master").await;
    let mut by_both = Wire::open(world.addr).await;
    by_both.ask("HELLO 3").await;
    by_both.ask("SUBSCRIBE +switch-master").await;
    by_both.ask("PSUBSCRIBE switch-master [-+]switch*").await;
    world.fake.done(&vote(1));
    world.fake.done(&vote(2));
    promote(&world);
    promoted(&world);
    let payload = "mymaster 127.0.0.1 6379 127.0.0.1 6380";
    let tail = format!("$14\r\n+switch-master\r\n${}\r\n{payload}\r\n", payload.len());
    by_name.expect(&format!("*3\r\n$7\r\nmessage\r\n{tail}")).await;
    by_both.expect(&format!(">3\r\n$7\r\nmessage\r\n{tail}>4\r\n$8\r\npmessage\r\n$11\r\n[-+]switch*\r\n{tail}")).await;
    // Nothing more has come: the next thing is the answer to this.
    assert_eq!(by_name.ask("PING").await, "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    assert_eq!(by_both.ask("PING").await, "+PONG\r\n");
}

#[tokio::test]
async fn what_this_sentinel_sees_is_told() {
    let world = world().await;
    let mut wire = listener(&world, "*").await;
    let told = [
        (addr(6381), NoticeKind::Up, "-sdown", "slave 127.0.0.1:6381 127.0.0.1 6381 @ mymaster 127.0.0.1 6379"),
        (
            addr(6379),
            NoticeKind::RoleChanged { to_master: false, expected: false },
            "-role-change",
            "master mymaster 127.0.0.1 6379 new reported role is slave",
        ),
        (
            Addr::new("::1", 7).expect("an address"),
            NoticeKind::Demoted,
            "+convert-to-slave",
            "slave [::1]:7 ::1 7 @ mymaster 127.0.0.1 6379",
        ),
        (
            addr(6379),
            NoticeKind::FenceProblem { why: "127.0.0.1:6379 holds nothing".to_owned() },
            "+fence-problem",
            "master mymaster 127.0.0.1 6379 #127.0.0.1:6379 holds nothing",
        ),
        (
            addr(6379),
            NoticeKind::Unready { why: "a failover would be blocked: 127.0.0.1:6380: down".to_owned() },
            "+failover-unready",
            "master mymaster 127.0.0.1 6379 #a failover would be blocked: 127.0.0.1:6380: down",
        ),
        (addr(6379), NoticeKind::Ready, "-failover-unready", "master mymaster 127.0.0.1 6379"),
        (addr(6379), NoticeKind::FenceWell, "-fence-problem", "master mymaster 127.0.0.1 6379"),
        (addr(6380), NoticeKind::Repointed, "+fix-slave-config", "slave 127.0.0.1:6380 127.0.0.1 6380 @ mymaster 127.0.0.1 6379"),
    ];
    for (node, what, channel, payload) in told {
        world.board.notify(Notice { group: group(), node, what });
        wire.expect(&message("*", channel, payload)).await;
    }
}

#[tokio::test]
async fn changes_are_told_and_passwords_are_not() {
    let world = world().await;
    let mut wire = listener(&world, "*").await;
    let mut other = Wire::open(world.addr).await;
    other.ask("SENTINEL SET mymaster quorum 1 auth-pass hunter2").await;
    wire.expect(&message("*", "+set", "master mymaster 127.0.0.1 6379 quorum 1")).await;
    wire.expect(&message("*", "+set", "master mymaster 127.0.0.1 6379 auth-pass ******")).await;
    other.ask(r#"SENTINEL SET mymaster auth-user "a\n+switch-master""#).await;
    wire.expect(&message("*", "+set", "master mymaster 127.0.0.1 6379 auth-user a?+switch-master")).await;
    other.ask("SENTINEL MONITOR m 127.0.0.1 7000 1").await;
    wire.expect(&message("*", "+monitor", "master m 127.0.0.1 7000 quorum 1")).await;
    other.ask("SENTINEL RESET m").await;
    wire.expect(&message("*", "+reset-master", "master m 127.0.0.1 7000")).await;
    other.ask("SENTINEL REMOVE m").await;
    wire.expect(&message("*", "-monitor", "master m 127.0.0.1 7000")).await;
}

#[tokio::test]
async fn nobody_misses_an_event_in_silence() {
    let world = world().await;
    let mut subscriber = listener(&world, "+switch-master").await;
    let mut other = Wire::open(world.addr).await;
    assert_eq!(other.ask("PING").await, "+PONG\r\n");
    // The fake keeps 64 events for its listeners. This task floods without a pause, so some are lost before they are published.
    let event = Event::GroupReset { master: addr(6379) };
    world.fake.flood(&LoggedEvent { index: LogIndex(99), at: WallTime(0), group: Some(group()), event }, 1000);
    assert_eq!(subscriber.until_closed().await, "");
    assert_eq!(other.ask("PING").await, "+PONG\r\n");
    assert!(other.ask("CLIENT LIST").await.contains("id=2 "));
    let again = listener(&world, "*").await;
    drop((again, Arc::clone(&world.fake)));
}

#[tokio::test]
async fn a_failover_of_many_groups_at_once_cuts_no_subscriber_off() {
    let world = world().await;
    let mut wire = Wire::open(world.addr).await;
    assert!(wire.ask("SUBSCRIBE +sdown").await.contains("+sdown"));
    for port in 0..20_000 {
        world.board.notify(Notice { group: group(), node: addr(10_000 + port), what: NoticeKind::Down });
    }
    for port in 0..20_000 {
        let (node, channel) = (addr(10_000 + port), "+sdown");
        let told = format!("slave {node} {} {} @ mymaster 127.0.0.1 6379", node.host(), node.port());
        wire.expect(&format!("*3\r\n$7\r\nmessage\r\n${}\r\n{channel}\r\n${}\r\n{told}\r\n", channel.len(), told.len())).await;
    }
}
