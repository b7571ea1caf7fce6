//! Failovers that operators ask for over gRPC: how they may be asked for, and what they are told came of it.

use raft_sentinel::base::{Addr, WallTime};
use raft_sentinel::machine::{AbortReason, Cause, Command, FailoverMode, Ineligible, Phase};
use raft_sentinel::proto::admin as pb;
use raft_sentinel::proto::admin::switchover_response::Outcome;
use tonic::{Code, Status};

use crate::world::{World, identity, name, node, soon};

fn at(addr: &Addr) -> Option<pb::Address> {
    Some(pb::Address { host: addr.host().to_owned(), port: addr.port().into() })
}

fn asked(manner: pb::FailoverManner, accept_loss: bool, target: Option<&Addr>) -> pb::RequestFailoverRequest {
    pb::RequestFailoverRequest { group: "a".to_owned(), epoch: None, manner: manner.into(), target: target.and_then(at), accept_loss }
}

async fn request(world: &World, request: pb::RequestFailoverRequest) -> Result<pb::RequestFailoverResponse, Status> {
    soon("an answer", world.admin().await.request_failover(request)).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn the_manner_and_the_target_reach_the_log() {
    let world = World::start().await;
    world.monitor("a");
    request(&world, asked(pb::FailoverManner::Coordinated, false, Some(&node(3)))).await.unwrap();
    let failover = world.group("a").failover.clone().unwrap();
    assert_eq!(failover.phase, Phase::Draining { target: Some(node(3)) });
    assert!(matches!(failover.cause, Cause::Requested { manner: FailoverMode::Coordinated, .. }));
    // To name the next master is to plan the change.
    world.monitor("b");
    let plain = pb::RequestFailoverRequest { group: "b".to_owned(), ..asked(pb::FailoverManner::Plain, false, Some(&node(2))) };
    request(&world, plain).await.unwrap();
    assert_eq!(world.group("b").failover.clone().unwrap().phase, Phase::Draining { target: Some(node(2)) });
    let unknown = pb::RequestFailoverRequest { group: "c".to_owned(), ..asked(pb::FailoverManner::Plain, false, Some(&node(9))) };
    world.monitor("c");
    assert_eq!(request(&world, unknown).await.unwrap_err().code(), Code::NotFound, "no replica of the group");
}

#[tokio::test]
async fn a_loss_is_accepted_in_so_many_words() {
    let world = World::start().await;
    world.monitor("a");
    for (wrong, what) in [
        (asked(pb::FailoverManner::Force, false, None), "force without accept_loss"),
        (asked(pb::FailoverManner::Plain, true, None), "accept_loss without force"),
        (asked(pb::FailoverManner::Coordinated, true, None), "accept_loss without force"),
        (asked(pb::FailoverManner::Force, true, Some(&node(2))), "force with a target"),
        (pb::RequestFailoverRequest { manner: 77, ..asked(pb::FailoverManner::Plain, false, None) }, "an unknown manner"),
    ] {
        assert_eq!(request(&world, wrong).await.unwrap_err().code(), Code::InvalidArgument, "{what}");
        assert!(world.group("a").failover.is_none(), "{what}");
    }
    request(&world, asked(pb::FailoverManner::Force, true, None)).await.unwrap();
    assert!(world.group("a").failover.as_ref().unwrap().forced.is_some());
}

#[tokio::test]
async fn a_blocked_failover_is_forced() {
    let world = World::start().await;
    world.monitor("a");
    world.vote_down("a", 1, 2_000_000);
    world.vote_down("a", 2, 2_000_000);
    let (id, reasons) = (world.running("a"), vec![(node(2), Ineligible::Down)]);
    world.fake.commit(&Command::FailoverBlocked { group: name("a"), id, reasons, at: WallTime(0) });
    let plain = asked(pb::FailoverManner::Plain, false, None);
    assert_eq!(request(&world, plain).await.unwrap_err().code(), Code::FailedPrecondition, "one is under way");
    request(&world, asked(pb::FailoverManner::Force, true, None)).await.unwrap();
    assert_eq!((world.running("a"), world.group("a").failover.as_ref().unwrap().forced.is_some()), (id, true));
    world.decide("a", &node(2), 3_000_000);
    let late = asked(pb::FailoverManner::Force, true, None);
    assert_eq!(request(&world, late).await.unwrap_err().code(), Code::FailedPrecondition, "it is decided");
}

/// Asks for a switchover of `a`, and meanwhile does what a leader would.
async fn switchover(world: &World, wait_ms: u32, lead: impl AsyncFnOnce()) -> pb::SwitchoverResponse {
    let mut admin = world.admin().await;
    let request = pb::SwitchoverRequest { group: "a".to_owned(), target: at(&node(3)), epoch: None, wait_ms };
    let begun = async {
        while world.group("a").failover.is_none() {
            tokio::task::yield_now().await;
        }
        lead().await;
    };
    let (answer, ()) = soon("an answer", async { tokio::join!(admin.switchover(request), begun) }).await;
    answer.unwrap().into_inner()
}

#[tokio::test]
async fn a_switchover_says_what_came_of_it() {
    let world = World::start().await;
    world.monitor("a");
    let told = switchover(&world, 0, async || {
        world.decide("a", &node(3), 3_000_000);
        let (id, identity) = (world.running("a"), identity("new"));
        world.fake.commit(&Command::Promoted { group: name("a"), id, identity, at: WallTime(3_500_000) });
    })
    .await;
    assert_eq!((told.outcome(), told.epoch, told.master, told.reason.as_str()), (Outcome::Switched, 1, at(&node(3)), ""));
}

#[tokio::test]
async fn a_switchover_that_came_to_nothing_says_why() {
    let world = World::start().await;
    world.monitor("a");
    let told = switchover(&world, 0, async || {
        let (id, reason) = (world.running("a"), AbortReason::NotDrained);
        world.fake.commit(&Command::FailoverAborted { group: name("a"), id, reason, at: WallTime(3_000_000) });
    })
    .await;
    assert_eq!((told.outcome(), told.master), (Outcome::Aborted, at(&node(1))));
    assert_eq!(told.reason, AbortReason::NotDrained.as_str());
}

#[tokio::test]
async fn a_switchover_is_not_waited_for_for_ever() {
    let world = World::start().await;
    world.monitor("a");
    let told = switchover(&world, 30, async || {}).await;
    assert_eq!((told.outcome(), told.master, told.revision), (Outcome::UnderWay, at(&node(1)), world.running("a").started.0));
}
