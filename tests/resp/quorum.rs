//! Answers with a quorum, without one, and while one is awaited.

use std::sync::atomic::Ordering;

use raft_sentinel::base::WallTime;
use raft_sentinel::conf::NoQuorumReply;
use raft_sentinel::judge::{Outlook, Readiness};
use raft_sentinel::machine::Command;

use super::wire::Wire;
use super::world::{Options, addr, eventually, group, world, world_with};

#[tokio::test]
async fn one_who_waits_does_not_hold_up_the_others() {
    let world = world().await;
    world.fake.reads_allowed.forget_permits(usize::MAX >> 3);
    let mut waiting = Wire::open(world.addr).await;
    waiting.send("SENTINEL GET-MASTER-ADDR-BY-NAME mymaster\r\nPING\r\n").await;
    eventually("the read has begun", || world.fake.reads.load(Ordering::SeqCst) == 1).await;
    let mut other = Wire::open(world.addr).await;
    assert_eq!(other.ask("PING").await, "+PONG\r\n");
    assert!(other.ask("SENTINEL REPLICAS mymaster").await.starts_with("*2\r\n"));
    world.fake.reads_allowed.add_permits(1);
    waiting.expect("*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6379\r\n+PONG\r\n").await;
}

#[tokio::test]
async fn a_pipeline_shares_one_round() {
    let world = world().await;
    let mut wire = Wire::open(world.addr).await;
    wire.send("SENTINEL GET-MASTER-ADDR-BY-NAME mymaster\r\n".repeat(20)).await;
    wire.expect(&"*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6379\r\n".repeat(20)).await;
    // The bytes may have come in two reads, but not in twenty.
    assert!(world.fake.reads.load(Ordering::SeqCst) <= 2);
    // What came later is confirmed anew.
    let before = world.fake.reads.load(Ordering::SeqCst);
    wire.ask("SENTINEL MASTERS").await;
    assert_eq!(world.fake.reads.load(Ordering::SeqCst), before + 1);
}

#[tokio::test]
async fn a_pipeline_sees_its_own_changes() {
    let world = world().await;
    let mut wire = Wire::open(world.addr).await;
    let get = "SENTINEL GET-MASTER-ADDR-BY-NAME m\r\n";
    wire.send(format!("{get}SENTINEL MONITOR m 127.0.0.1 7000 1\r\n{get}SENTINEL REMOVE m\r\n{get}")).await;
    wire.expect("*-1\r\n+OK\r\n*2\r\n$9\r\n127.0.0.1\r\n$4\r\n7000\r\n+OK\r\n*-1\r\n").await;
}

#[tokio::test]
async fn stale_answers_are_an_explicit_choice() {
    let world = world_with(Options { stale_answers: true, ..Options::default() }).await;
    world.fake.quorum.store(false, Ordering::SeqCst);
    let mut wire = Wire::open(world.addr).await;
    wire.send("SENTINEL GET-MASTER-ADDR-BY-NAME mymaster\r\nSENTINEL GET-MASTER-ADDR-BY-NAME nosuch\r\n").await;
    wire.expect("*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6379\r\n*-1\r\n").await;
    assert!(wire.ask("SENTINEL MASTERS").await.starts_with("*1\r\n*66\r\n"));
    // Changes are another thing.
    assert!(wire.ask("SENTINEL REMOVE mymaster").await.starts_with("-NOQUORUM "));
    assert!(wire.ask("SENTINEL FAILOVER mymaster").await.starts_with("-NOQUORUM "));
}

/// The questions by which clients look for a master.
const LOOK_UP: [&str; 2] = ["SENTINEL GET-MASTER-ADDR-BY-NAME mymaster", "SENTINEL MASTERS"];

async fn without_a_quorum(no_quorum_reply: NoQuorumReply) -> super::world::World {
    let world = world_with(Options { no_quorum_reply, ..Options::default() }).await;
    world.fake.quorum.store(false, Ordering::SeqCst);
    world
}

#[tokio::test]
async fn without_a_quorum_a_null_reply_sends_clients_to_the_next_sentinel() {
    let world = without_a_quorum(NoQuorumReply::default()).await;
    for (hello, null) in [("HELLO 2", "*-1\r\n"), ("HELLO 3", "_\r\n")] {
        let mut wire = Wire::open(world.addr).await;
        wire.ask(hello).await;
        assert_eq!([wire.ask(LOOK_UP[0]).await, wire.ask(LOOK_UP[1]).await], [null, "*0\r\n"]);
        // Clients of this one expect an error where there is no master, and changes must not seem to be made.
        for words in ["SENTINEL MASTER mymaster", "SENTINEL REMOVE mymaster", "SENTINEL SET mymaster quorum 1"] {
            assert!(wire.ask(words).await.starts_with("-NOQUORUM "), "{words}");
        }
        // This sentinel's own view needs no quorum: clients read on, and know the other sentinels.
        for words in ["SENTINEL REPLICAS mymaster", "SENTINEL SENTINELS mymaster"] {
            assert!(wire.ask(words).await.starts_with("*2\r\n"), "{words}");
        }
    }
}

#[tokio::test]
async fn what_is_said_without_a_quorum_can_be_chosen() {
    let world = without_a_quorum(NoQuorumReply::Error).await;
    let mut wire = Wire::open(world.addr).await;
    for words in LOOK_UP {
        assert!(wire.ask(words).await.starts_with("-NOQUORUM "), "{words}");
    }
    assert_eq!(wire.ask("SENTINEL CONFIG SET no-quorum-reply close").await, "+OK\r\n");
    assert!(wire.ask("SENTINEL CONFIG GET no-quorum*").await.ends_with("$5\r\nclose\r\n"));
    for words in LOOK_UP.into_iter().chain(["SENTINEL MASTER mymaster"]) {
        let mut wire = Wire::open(world.addr).await;
        wire.send(format!("PING\r\n{words}\r\nPING\r\n")).await;
        assert_eq!(wire.until_closed().await, "+PONG\r\n", "{words}");
    }
    let mut wire = Wire::open(world.addr).await;
    assert!(wire.ask("SENTINEL REMOVE mymaster").await.starts_with("-NOQUORUM "), "a change is refused, and the connection stays");
    assert!(wire.ask("SENTINEL CONFIG SET no-quorum-reply perhaps").await.starts_with("-ERR Invalid value 'perhaps'"));
}

#[tokio::test]
async fn clients_that_take_a_null_reply_for_final_are_told_otherwise() {
    let world = without_a_quorum(NoQuorumReply::Nil).await;
    let mut person = Wire::open(world.addr).await;
    person.ask("COMMAND DOCS").await;
    assert!(person.ask(LOOK_UP[0]).await.starts_with("-NOQUORUM "), "redis-cli as a person uses it");
    let mut predis = Wire::open(world.addr).await;
    predis.ask("CLIENT SETINFO LIB-NAME predis").await;
    predis.send(format!("{}\r\n", LOOK_UP[0])).await;
    assert_eq!(predis.until_closed().await, "");
}

#[tokio::test]
async fn reset_drops_only_what_is_down() {
    let world = world().await;
    let mut view = super::world::view(world.clock);
    view.nodes.get_mut(&addr(6381)).unwrap().down_since = Some(world.clock.mono());
    world.board.show(&group(), view);
    let mut wire = Wire::open(world.addr).await;
    assert!(wire.ask("SENTINEL REPLICAS mymaster").await.contains("s_down,slave\r\n"));
    assert_eq!(wire.ask("SENTINEL RESET *").await, ":1\r\n");
    let replicas = wire.ask("SENTINEL REPLICAS mymaster").await;
    assert!(replicas.starts_with("*1\r\n") && replicas.contains("127.0.0.1:6380"), "{replicas}");
}

#[tokio::test]
async fn a_failover_that_would_be_blocked_is_an_error_with_everybody_there() {
    let world = world().await;
    let mut wire = Wire::open(world.addr).await;
    let say = |would| {
        let mut view = super::world::view(world.clock);
        view.readiness = Readiness { would, next: None, why: vec!["127.0.0.1:6380: down".to_owned()] };
        world.board.show(&group(), view);
    };
    let reached = "3 usable Sentinels. Quorum and failover authorization can be reached";
    say(Outlook::No);
    let text = format!("-NOFAILOVER {reached}, but a failover would be blocked: 127.0.0.1:6380: down\r\n");
    assert_eq!(wire.ask("SENTINEL CKQUORUM mymaster").await, text);
    say(Outlook::Partly);
    assert_eq!(wire.ask("SENTINEL CKQUORUM mymaster").await, format!("+OK {reached}; 127.0.0.1:6380: down\r\n"));
    let master = wire.ask("SENTINEL MASTER mymaster").await;
    assert!(master.contains("failover-ready\r\n$6\r\npartly\r\n"), "{master}");
    assert!(master.contains("failover-obstacle\r\n$20\r\n127.0.0.1:6380: down\r\n"), "{master}");
    say(Outlook::UnderWay);
    assert_eq!(wire.ask("SENTINEL CKQUORUM mymaster").await, format!("+OK {reached}\r\n"));
}

#[tokio::test]
async fn unusable_sentinels_are_not_counted() {
    let world = world().await;
    world.fake.peers.lock().unwrap().clear();
    let mut wire = Wire::open(world.addr).await;
    let text = "-NOQUORUM 1 usable Sentinels. Not enough available Sentinels to reach the specified quorum for this master. \
                Not enough available Sentinels to reach the majority and authorize a failover\r\n";
    assert_eq!(wire.ask("SENTINEL CKQUORUM mymaster").await, text);
    assert!(wire.ask("SENTINEL SENTINELS mymaster").await.contains("sentinel,disconnected\r\n"));
}

#[tokio::test]
async fn a_master_that_is_down_says_so() {
    let world = world().await;
    let mut view = super::world::view(world.clock);
    view.nodes.get_mut(&addr(6379)).unwrap().down_since = Some(world.clock.mono());
    world.board.show(&group(), view);
    let mut wire = Wire::open(world.addr).await;
    assert!(wire.ask("SENTINEL MASTER mymaster").await.contains("\r\ns_down,master\r\n"));
    assert!(wire.ask("INFO sentinel").await.contains("status=sdown"));
    assert_eq!(wire.ask("SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 6379 7 me").await, "*3\r\n:1\r\n$1\r\n*\r\n:0\r\n");
    for voter in [1, 2] {
        world.fake.done(&super::events::vote(voter));
    }
    let master = wire.ask("SENTINEL MASTER mymaster").await;
    assert!(master.contains("\r\ns_down,o_down,master,failover_in_progress\r\n"), "{master}");
    assert!(master.contains("o-down-time") && master.contains("s-down-time"));
    assert!(wire.ask("INFO sentinel").await.contains("status=odown"));
    assert!(wire.ask("SENTINEL SENTINELS mymaster").await.contains("\r\nsentinel,master_down\r\n"));
    world.fake.done(&Command::VoteUp {
        group: group(),
        epoch: raft_sentinel::base::Epoch(4),
        voter: raft_sentinel::base::NodeId(1),
        at: WallTime(0),
    });
    assert!(wire.ask("SENTINEL MASTER mymaster").await.contains("\r\ns_down,master\r\n"));
}
