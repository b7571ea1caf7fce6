//! SENTINEL FAILOVER: how it may be asked for, and when it is refused.

use raft_sentinel::base::settings::{PromotionPolicy, SettingChange};
use raft_sentinel::base::{Fence, NodeId, ReplId, WallTime};
use raft_sentinel::machine::{Cause, Choice, ChosenFor, Command, FailoverMode, FencingProof, Ineligible, Phase};
use raft_sentinel::serve::ReplicatedState;

use super::events::{failover_id, listener, message, promote, promoted, vote};
use super::wire::Wire;
use super::world::{World, addr, group, view, world};

const NOGOODSLAVE: &str = "-NOGOODSLAVE No suitable replica to promote\r\n";
const INPROG: &str = "-INPROG Failover already in progress\r\n";

async fn ask(world: &World, request: &str) -> String {
    Wire::open(world.addr).await.ask(request).await
}

fn phase(world: &World) -> Option<Phase> {
    world.fake.state().groups[&group()].failover.as_ref().map(|failover| failover.phase.clone())
}

/// All replicas as this sentinel sees them cannot be promoted for that reason.
fn spoil(world: &World, reason: &Ineligible) {
    let mut view = view(world.clock);
    view.candidates.iter_mut().for_each(|candidate| candidate.ineligible = Some(reason.clone()));
    world.board.show(&group(), view);
}

fn strict(world: &World) {
    let changes = vec![SettingChange::PromotionPolicy(PromotionPolicy::Strict)];
    world.fake.done(&Command::SetOptions { group: group(), changes, at: WallTime(0), asked: None });
}

#[tokio::test]
async fn words_are_read_in_any_case_and_no_others() {
    for (words, expected) in [
        ("", Phase::Choosing),
        (" force", Phase::Choosing),
        (" Coordinated", Phase::Draining { target: None }),
        (" COORDINATED to 127.0.0.1 6381", Phase::Draining { target: Some(addr(6381)) }),
        (" TO 127.0.0.1 6380", Phase::Draining { target: Some(addr(6380)) }),
    ] {
        let world = world().await;
        assert_eq!(ask(&world, &format!("SENTINEL FAILOVER mymaster{words}")).await, "+OK\r\n", "{words}");
        assert_eq!(phase(&world), Some(expected), "{words}");
    }
    let world = world().await;
    for words in ["x", "FORCE COORDINATED", "TO", "TO 127.0.0.1", "COORDINATED TO 127.0.0.1", "TO 127.0.0.1 6381 FORCE", "FORCE FORCE"] {
        assert_eq!(ask(&world, &format!("SENTINEL FAILOVER mymaster {words}")).await, "-ERR syntax error\r\n", "{words}");
    }
    for (words, refused) in [
        ("mymaster TO 127.0.0.1 x", "-ERR Invalid port\r\n"),
        ("mymaster TO 127.0.0.1 0", "-ERR Invalid port\r\n"),
        ("mymaster TO 127.0.0.1 9999", "-ERR refused: 127.0.0.1:9999 is not a replica of the group\r\n"),
        ("mymaster FORCE TO 127.0.0.1 6381", "-ERR FORCE promotes the replica that lacks least: it takes no TO\r\n"),
        ("nosuch FORCE", "-ERR No such master with that name\r\n"),
        ("mymaster a b c d e", "-ERR wrong number of arguments for 'sentinel|failover' command\r\n"),
    ] {
        assert_eq!(ask(&world, &format!("SENTINEL FAILOVER {words}")).await, refused, "{words}");
    }
    assert_eq!(phase(&world), None);
}

#[tokio::test]
async fn what_a_planned_change_may_do_is_not_refused() {
    let world = world().await;
    let foreign = Ineligible::ForeignHistory { replid: ReplId::new("x").expect("an id") };
    spoil(&world, &foreign);
    assert_eq!(ask(&world, "SENTINEL FAILOVER mymaster").await, NOGOODSLAVE, "available promotes by this look");
    assert_eq!(ask(&world, "SENTINEL FAILOVER mymaster FORCE").await, NOGOODSLAVE, "and so does force");
    strict(&world);
    spoil(&world, &Ineligible::Down);
    for words in ["", " COORDINATED", " TO 127.0.0.1 6380"] {
        assert_eq!(ask(&world, &format!("SENTINEL FAILOVER mymaster{words}")).await, NOGOODSLAVE, "all are down{words}");
    }
    spoil(&world, &foreign);
    assert_eq!(ask(&world, "SENTINEL FAILOVER mymaster").await, "+OK\r\n", "strict looks for itself");
    assert_eq!(phase(&world), Some(Phase::Draining { target: None }));
}

#[tokio::test]
async fn a_blocked_failover_goes_on_by_force_and_only_so() {
    let world = world().await;
    strict(&world);
    let fence = Fence { min_replicas: 1, max_lag_s: 2 };
    let epoch = world.fake.state().groups[&group()].epoch;
    world.fake.done(&Command::FenceArmed { group: group(), epoch, fence, replicas: 2, at: WallTime(0) });
    world.fake.done(&vote(1));
    world.fake.done(&vote(2));
    assert_eq!(phase(&world), Some(Phase::Detaching));
    spoil(&world, &Ineligible::Down);
    for words in ["", " COORDINATED", " TO 127.0.0.1 6380"] {
        assert_eq!(ask(&world, &format!("SENTINEL FAILOVER mymaster{words}")).await, INPROG, "{words}");
    }
    let mut wire = listener(&world, "+failover-forced").await;
    assert_eq!(ask(&world, "SENTINEL FAILOVER mymaster FORCE").await, "+OK\r\n", "whoever is there then is taken");
    assert_eq!(phase(&world), Some(Phase::Choosing));
    let choice = Choice {
        chosen: addr(6380),
        candidates: view(world.clock).candidates,
        reason: ChosenFor::RunId,
        master_offset: Some(1450),
        estimated_loss_bytes: Some(50),
        basis: FencingProof::Forced,
        arms: Some(fence),
        by_hand: false,
    };
    world.fake.done(&Command::Promote { group: group(), id: failover_id(&world), choice, by: NodeId(1), at: WallTime(0) });
    let chosen = "slave 127.0.0.1:6380 127.0.0.1 6380 @ mymaster 127.0.0.1 6379";
    let told = format!("{chosen} #old master: forced by an operator; known to be missing: 50 bytes");
    wire.expect(&message("+failover-forced", "+failover-forced", &told)).await;
    assert_eq!(ask(&world, "SENTINEL FAILOVER mymaster FORCE").await, INPROG, "it is decided");
}

#[tokio::test]
async fn the_log_knows_how_it_was_asked_for() {
    let world = world().await;
    ask(&world, "SENTINEL FAILOVER mymaster FORCE").await;
    let failover = world.fake.state().groups[&group()].failover.clone().unwrap();
    let Cause::Requested { by, manner, asked } = &failover.cause else { panic!("{:?}", failover.cause) };
    assert_eq!((*by, *manner), (NodeId(1), FailoverMode::Force));
    let asked = asked.as_ref().expect("it is recorded who asked");
    assert_eq!((asked.user(), asked.port()), ("default", "sentinel"));
    assert_eq!(failover.forced, Some(NodeId(1)));
}

const WHO: &str = "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster";

fn told(port: u16) -> String {
    format!("*2\r\n$9\r\n127.0.0.1\r\n$4\r\n{port}\r\n")
}

/// A client whose connection the old master has closed is told the next address when that takes writes, and no address before.
#[tokio::test]
async fn an_answer_waits_for_the_end_of_a_planned_change() {
    let world = world().await;
    assert_eq!(ask(&world, "SENTINEL FAILOVER mymaster COORDINATED").await, "+OK\r\n");
    let change = async {
        assert_eq!(ask(&world, "SENTINEL GET-MASTER-ADDR-BY-NAME other").await, "*-1\r\n", "about another group");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        promote(&world);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        promoted(&world);
    };
    let (who, one, all, ()) =
        tokio::join!(ask(&world, WHO), ask(&world, "SENTINEL MASTER mymaster"), ask(&world, "SENTINEL MASTERS"), change);
    assert_eq!(who, told(6380));
    for answer in [one, all] {
        assert!(answer.contains("$4\r\nport\r\n$4\r\n6380\r\n"), "{answer}");
        assert!(!answer.contains("failover_in_progress"), "{answer}");
    }
}

#[tokio::test]
async fn an_answer_does_not_wait_for_long() {
    let world = world().await;
    assert_eq!(ask(&world, "SENTINEL FAILOVER mymaster COORDINATED").await, "+OK\r\n");
    let (begun, undecided) = (std::time::Instant::now(), ask(&world, WHO).await);
    let waited = begun.elapsed().as_millis();
    assert!(undecided == told(6379) && (80..1000).contains(&waited), "{undecided} after {waited} ms");
    promote(&world);
    let (begun, decided) = (std::time::Instant::now(), ask(&world, WHO).await);
    let waited = begun.elapsed().as_millis();
    assert!(decided == told(6380) && (300..1500).contains(&waited), "{decided} after {waited} ms");
}

/// The clients of a dead master wait for any address, and whoever forces a change accepts what comes of it.
#[tokio::test]
async fn no_other_failover_holds_an_answer_back() {
    for forced in [false, true] {
        let world = world().await;
        if forced {
            ask(&world, "SENTINEL FAILOVER mymaster FORCE").await;
        } else {
            world.fake.done(&vote(1));
            world.fake.done(&vote(2));
        }
        promote(&world);
        let begun = std::time::Instant::now();
        assert_eq!(ask(&world, WHO).await, told(6380));
        assert!(begun.elapsed().as_millis() < 250, "after {:?}", begun.elapsed());
    }
}
