//! Promise P3: a watch delivers every master change once, in order, and can resume from a revision.

use std::time::Duration;

use raft_sentinel::base::{LogIndex, NodeId, WallTime, limits};
use raft_sentinel::machine::{Command, FailoverMode};
use raft_sentinel::proto::sentinel::watch_masters_response::Event;
use raft_sentinel::proto::sentinel::{Consistency, MasterChange, WatchMastersRequest, WatchMastersResponse};
use raft_sentinel::raft::Leadership;
use tonic::{Code, Status, Streaming};

use crate::world::{World, identity, name, node, soon};

/// An interval so long that no progress message disturbs a story.
const NEVER: Duration = Duration::from_secs(3600);

struct Watch(Streaming<WatchMastersResponse>);

impl Watch {
    async fn open(world: &World, groups: &[&str], after: Option<LogIndex>) -> Result<Self, Status> {
        let groups = groups.iter().map(ToString::to_string).collect();
        let request = WatchMastersRequest { groups, after_revision: after.map(|after| after.0), consistency: 0 };
        soon("a watch", world.sentinel().await.watch_masters(request)).await.map(|stream| Self(stream.into_inner()))
    }

    async fn next(&mut self) -> Result<Event, Status> {
        let message = soon("a message", self.0.message()).await?;
        Ok(message.expect("the watch goes on").event.expect("a message says something"))
    }

    async fn change(&mut self) -> MasterChange {
        loop {
            match self.next().await.unwrap() {
                Event::Change(change) => return change,
                Event::Progress(_) | Event::Unconfirmed(_) => {}
                Event::Snapshot(snapshot) => panic!("a second beginning: {snapshot:?}"),
            }
        }
    }

    async fn snapshot(&mut self) -> (Vec<String>, u64) {
        match self.next().await.unwrap() {
            Event::Snapshot(snapshot) => (snapshot.masters.into_iter().map(|master| master.group).collect(), snapshot.revision),
            other => panic!("no snapshot but {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_watch_begins_with_a_snapshot_and_goes_on_behind_it() {
    let world = World::start_with(NEVER).await;
    world.monitor("a");
    let last = world.monitor("b");
    let mut watch = Watch::open(&world, &[], None).await.unwrap();
    assert_eq!(watch.snapshot().await, (vec!["a".to_owned(), "b".to_owned()], last.0));
    let revision = world.move_master("b", &node(2));
    let change = watch.change().await;
    assert_eq!((change.group.as_str(), change.revision, change.epoch), ("b", revision.0, 1));
    assert_eq!(change.master.unwrap().port, 2);
    let removed = world.remove("a");
    let change = watch.change().await;
    assert_eq!((change.group.as_str(), change.revision, change.master), ("a", removed.0, None));
}

#[tokio::test]
async fn coalesced_states_miss_nothing_and_double_nothing() {
    let world = World::start_with(NEVER).await;
    world.monitor("a");
    let mut watch = Watch::open(&world, &["a"], None).await.unwrap();
    watch.snapshot().await;
    // The runtime has one thread: all of this happens before the watch looks again, and it sees only the last state.
    let expected: Vec<u64> = (0..300).map(|round| world.move_master("a", &node(2 - round % 2)).0).collect();
    let mut seen = Vec::new();
    while seen.len() < expected.len() {
        seen.push(watch.change().await);
    }
    assert_eq!(seen.iter().map(|change| change.revision).collect::<Vec<_>>(), expected);
    assert_eq!(seen.iter().map(|change| change.epoch).collect::<Vec<_>>(), (1..=300).collect::<Vec<_>>());
    // And nothing more is waiting: the next thing to come is the next change.
    let last = world.move_master("a", &node(2));
    assert_eq!(watch.change().await.revision, last.0);
}

#[tokio::test]
async fn a_watch_can_be_resumed_after_every_revision() {
    let world = World::start_with(NEVER).await;
    world.monitor("noise");
    let mut revisions = vec![world.monitor("a")];
    for round in 0..12 {
        world.move_master("noise", &node(2 - round % 2));
        revisions.push(world.move_master("a", &node(2 - round % 2)));
    }
    for (seen, after) in revisions.iter().enumerate() {
        let mut watch = Watch::open(&world, &["a"], Some(*after)).await.unwrap();
        for expected in &revisions[seen + 1..] {
            assert_eq!(watch.change().await.revision, expected.0, "resumed after {after}");
        }
        match watch.next().await.unwrap() {
            Event::Progress(progress) => assert!(progress.revision >= revisions[12].0, "resumed after {after}"),
            other => panic!("resumed after {after}: no progress but {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_forgotten_revision_is_out_of_range_and_names_the_oldest() {
    let world = World::start_with(NEVER).await;
    let first = world.monitor("a");
    let mut slow = Watch::open(&world, &["a"], Some(first)).await.unwrap();
    let changes: Vec<LogIndex> =
        (0..=limits::MASTER_CHANGES).map(|round| world.move_master("a", &node(2 - u16::from(round % 2 == 1)))).collect();
    let oldest = changes[0];
    let refused = Watch::open(&world, &["a"], Some(first)).await.err().unwrap();
    assert_eq!(refused.code(), Code::OutOfRange);
    assert!(refused.message().contains(&format!("is {oldest};")), "{}", refused.message());
    assert_eq!(refused.metadata().get("oldest-revision").unwrap(), &oldest.to_string());
    // The oldest one it names is good.
    let mut resumed = Watch::open(&world, &["a"], Some(oldest)).await.unwrap();
    assert_eq!(resumed.change().await.revision, changes[1].0);
    // One that was watching, but not reading, is told instead of being skipped ahead.
    let ended = loop {
        match slow.next().await {
            Ok(Event::Progress(_)) => {}
            Ok(other) => panic!("{other:?} instead of the end"),
            Err(status) => break status,
        }
    };
    assert_eq!(ended.code(), Code::OutOfRange);
}

#[tokio::test]
async fn changes_of_others_do_not_push_a_watch_out_of_range() {
    let world = World::start_with(NEVER).await;
    world.monitor("quiet");
    world.monitor("busy");
    let mut watch = Watch::open(&world, &["quiet"], None).await.unwrap();
    watch.snapshot().await;
    for half in 0..4 {
        for round in 0..limits::MASTER_CHANGES / 2 {
            world.move_master("busy", &node(2 - u16::from((half + round) % 2 == 1)));
        }
        // The watch has looked at them when a fresh one, resumed at the same point, has.
        tokio::task::yield_now().await;
        let mut sentinel = world.sentinel().await;
        soon("an answer", sentinel.list_masters(raft_sentinel::proto::sentinel::ListMastersRequest::default())).await.unwrap();
    }
    let expected = world.move_master("quiet", &node(2));
    assert_eq!(watch.change().await.revision, expected.0);
}

#[tokio::test]
async fn a_future_revision_is_an_invalid_argument_only_if_a_quorum_says_so() {
    let world = World::start_with(NEVER).await;
    let last = world.monitor("a");
    let future = LogIndex(last.0 + 1);
    assert_eq!(Watch::open(&world, &[], Some(future)).await.err().unwrap().code(), Code::InvalidArgument);
    // This sentinel lags behind; the revision is real.
    let real = world.fake.commit_quietly(&raft_sentinel::machine::Command::SentinelLeft { id: raft_sentinel::base::NodeId(9) }).index;
    assert_eq!(real, future);
    let mut watch = Watch::open(&world, &[], Some(future)).await.unwrap();
    assert!(matches!(watch.next().await.unwrap(), Event::Progress(_)));
    // Without the quorum it cannot be told.
    let request = WatchMastersRequest { groups: vec![], after_revision: Some(future.0), consistency: Consistency::Stale.into() };
    let refused = soon("an answer", world.sentinel().await.watch_masters(request)).await.err().unwrap();
    assert_eq!(refused.code(), Code::Unavailable);
    world.fake.lead(Leadership::Unknown);
    assert_eq!(Watch::open(&world, &[], Some(future)).await.err().unwrap().code(), Code::Unavailable);
}

#[tokio::test]
async fn an_idle_watch_says_whether_a_quorum_confirms_it_and_survives_the_loss() {
    let world = World::start().await;
    let last = world.monitor("a");
    let mut watch = Watch::open(&world, &[], None).await.unwrap();
    watch.snapshot().await;
    match watch.next().await.unwrap() {
        Event::Progress(progress) => assert_eq!(progress.revision, last.0),
        other => panic!("no progress but {other:?}"),
    }
    world.fake.lead(Leadership::Unknown);
    let reason = loop {
        match watch.next().await.unwrap() {
            Event::Unconfirmed(unconfirmed) => break unconfirmed.reason,
            Event::Progress(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert!(reason.contains("the others are unreachable"), "{reason}");
    world.fake.lead(Leadership::Leading { term: 8 });
    let revision = world.move_master("a", &node(2));
    assert_eq!(watch.change().await.revision, revision.0);
    while !matches!(watch.next().await.unwrap(), Event::Progress(progress) if progress.revision > revision.0) {}
}

#[tokio::test]
async fn a_new_watch_on_an_unknown_group_is_refused() {
    let world = World::start().await;
    assert_eq!(Watch::open(&world, &["nobody"], None).await.err().unwrap().code(), Code::NotFound);
}

#[tokio::test]
async fn stopping_ends_watches_and_returns() {
    let mut world = World::start_with(NEVER).await;
    world.monitor("a");
    let mut watch = Watch::open(&world, &[], None).await.unwrap();
    watch.snapshot().await;
    world.stop.cancel();
    assert_eq!(watch.next().await.unwrap_err().code(), Code::Unavailable);
    drop(watch);
    soon("the end of the services", &mut world.served).await.unwrap().unwrap();
}

/// Decided is not yet done: who is told of the new master goes there, and is refused until it takes writes.
#[tokio::test]
async fn a_planned_change_is_told_when_the_new_master_takes_writes_or_after_a_moment() {
    for announced in [true, false] {
        let world = World::start_with(NEVER).await;
        world.monitor("a");
        let mut watch = Watch::open(&world, &["a"], None).await.unwrap();
        watch.snapshot().await;
        let (epoch, at) = (world.group("a").epoch, WallTime(0));
        let manner = FailoverMode::Coordinated;
        world.fake.commit(&Command::FailoverRequested { group: name("a"), epoch, by: NodeId(2), manner, target: None, at, asked: None });
        let id = world.running("a");
        let begun = std::time::Instant::now();
        let revision = world.decide("a", &node(2), 0);
        let early = tokio::time::timeout(Duration::from_millis(100), watch.change()).await;
        assert!(early.is_err(), "{early:?}");
        if announced {
            world.fake.commit(&Command::Promoted { group: name("a"), id, identity: identity("run-chosen"), at });
        }
        assert_eq!(watch.change().await.revision, revision.0);
        assert_eq!(begun.elapsed() >= Duration::from_millis(300), !announced, "after {:?}", begun.elapsed());
    }
}
