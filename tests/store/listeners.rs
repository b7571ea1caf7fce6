//! What listeners hear: everything once, nothing twice.

use std::sync::Arc;

use openraft::storage::RaftStateMachine;
use openraft::{Membership, RaftSnapshotBuilder};
use raft_sentinel::base::{Addr, Epoch, LogIndex, NodeId, ReplId, RunId, WallTime};
use raft_sentinel::machine::ChosenFor;
use raft_sentinel::machine::{Candidate, Choice, Command, Event, FailoverId, FailoverMode, FencingProof, Identity, LoggedEvent, Outcome};
use raft_sentinel::raft::types::Entry;
use tokio::sync::broadcast::Receiver;

use super::common::{append, command, commit, configure, entry, expected_state, group_name, log_id, open, snapshot_and_purge, work};

fn heard(events: &mut Receiver<Arc<LoggedEvent>>) -> Vec<Arc<LoggedEvent>> {
    std::iter::from_fn(|| events.try_recv().ok()).collect()
}

#[tokio::test]
async fn events_of_an_earlier_life_are_not_told_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let mut events = store.events.subscribe();
    work(&mut store, 0..6).await;
    append(&mut store, 6).await;
    assert!(heard(&mut events).iter().any(|event| event.index == LogIndex(5)));
    drop(store);

    let mut store = open(dir.path());
    let mut events = store.events.subscribe();
    store.machine.apply((0..=5).map(entry)).await.unwrap();
    assert_eq!(heard(&mut events), []);
    assert_eq!(**store.states.borrow(), expected_state(5), "the state is there all the same");
    commit(&mut store, 6).await;
    assert_eq!(heard(&mut events).iter().map(|event| event.index).collect::<Vec<_>>(), [LogIndex(6)]);
}

#[tokio::test]
async fn the_state_is_the_snapshot_until_the_rest_is_applied() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    work(&mut store, 0..5).await;
    snapshot_and_purge(&mut store, 2).await;
    append(&mut store, 5).await;
    commit(&mut store, 5).await;
    drop(store);
    let mut store = open(dir.path());
    assert_eq!(**store.states.borrow(), expected_state(4));
    assert_eq!(store.machine.applied_state().await.unwrap().0, Some(entry(4).log_id));
    let snapshot = store.machine.get_current_snapshot().await.unwrap().unwrap();
    assert_eq!(snapshot.meta.last_log_id, Some(entry(4).log_id));
}

#[tokio::test]
async fn only_voters_reach_the_state() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let nodes = (1..=4).map(|id| (NodeId(id), openraft::BasicNode::new("10.0.0.1:1"))).collect::<std::collections::BTreeMap<_, _>>();
    let voters = (1..=3).map(NodeId).collect::<std::collections::BTreeSet<_>>();
    let membership = Membership::new(vec![voters.clone()], nodes);
    let entry = Entry { log_id: log_id(1, 0), payload: openraft::EntryPayload::Membership(membership) };
    assert_eq!(store.machine.apply([entry]).await.unwrap(), [Outcome::Done]);
    assert_eq!(store.states.borrow().voters, voters);
}

/// The history of a group whose master was replaced.
pub(crate) fn failover() -> Vec<Command> {
    let (group, at, by) = (group_name(0), WallTime(7), NodeId(1));
    let id = FailoverId { epoch: Epoch(1), started: LogIndex(1) };
    let chosen = Addr::new("10.0.0.2", 6379).expect("an address");
    let candidate =
        Candidate { addr: chosen.clone(), run_id: None, priority: Some(100), offset: Some(5), detached: false, ineligible: None };
    let reason = ChosenFor::OnlyCandidate;
    let choice = Choice {
        chosen,
        candidates: vec![candidate],
        reason,
        master_offset: Some(5),
        estimated_loss_bytes: Some(0),
        basis: FencingProof::Unfenced,
        arms: None,
        by_hand: false,
    };
    let identity =
        Identity { run_id: RunId::new("r").expect("an id"), replid: ReplId::new("h").expect("an id"), replid2: None, second_offset: None };
    vec![
        configure(0),
        Command::FailoverRequested {
            group: group.clone(),
            epoch: Epoch(0),
            by,
            manner: FailoverMode::Plain,
            target: None,
            at,
            asked: None,
        },
        Command::Promote { group: group.clone(), id, choice, by, at },
        Command::Promoted { group, id, identity, at },
    ]
}

async fn install(commands: Vec<Command>, into: &mut raft_sentinel::store::Opened) {
    let dir = tempfile::tempdir().unwrap();
    let mut leader = open(dir.path());
    let entries = commands
        .into_iter()
        .zip(0..)
        .map(|(command, index)| Entry { log_id: log_id(1, index), payload: openraft::EntryPayload::Normal(command) });
    leader.machine.apply(entries).await.unwrap();
    let snapshot = leader.machine.get_snapshot_builder().await.build_snapshot().await.unwrap();
    raft_sentinel::store::verify_snapshot(&snapshot.snapshot, snapshot.meta.last_log_id.map(|last| LogIndex(last.index))).unwrap();
    into.machine.install_snapshot(&snapshot.meta, snapshot.snapshot).await.unwrap();
}

#[tokio::test]
async fn a_snapshot_that_jumps_over_a_failover_tells_the_new_master() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.machine.apply([entry(0), entry(1)]).await.unwrap();
    let mut events = store.events.subscribe();
    install(failover(), &mut store).await;
    let (old, new) = (Addr::new("10.0.0.1", 6379).expect("an address"), Addr::new("10.0.0.2", 6379).expect("an address"));
    let heard: Vec<_> = heard(&mut events).iter().map(|event| (event.index, event.event.clone())).collect();
    let gone = Event::GroupRemoved { master: old.clone() };
    assert_eq!(heard, [(LogIndex(3), gone), (LogIndex(3), Event::SwitchMaster { epoch: Epoch(1), from: old, to: new })]);
    let state = store.states.borrow().clone();
    assert_eq!((state.applied, state.groups.len()), (LogIndex(3), 1));
    drop(store);
    assert_eq!(*open(dir.path()).states.borrow(), state, "it was durable before it was acknowledged");
}

#[tokio::test]
async fn a_snapshot_during_a_promotion_tells_nothing_yet() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.machine.apply([entry(0)]).await.unwrap();
    let mut events = store.events.subscribe();
    install(failover().into_iter().take(3).collect(), &mut store).await;
    assert_eq!(heard(&mut events), []);
    let (outcomes, index) = (failover().pop().unwrap(), 3);
    let last = Entry { log_id: log_id(1, index), payload: openraft::EntryPayload::Normal(outcomes) };
    store.machine.apply([last]).await.unwrap();
    assert!(heard(&mut events).iter().any(|event| matches!(event.event, Event::SwitchMaster { .. })));
}

#[tokio::test]
async fn a_damaged_snapshot_is_not_installed() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.machine.apply([entry(0)]).await.unwrap();
    let built = store.machine.get_snapshot_builder().await.build_snapshot().await.unwrap();
    let mut data = built.snapshot.clone();
    *data.last_mut().unwrap() ^= 1;
    assert!(raft_sentinel::store::verify_snapshot(&data, built.meta.last_log_id.map(|last| LogIndex(last.index))).is_err());
    let error = store.machine.install_snapshot(&built.meta, data).await.unwrap_err();
    assert!(error.to_string().contains("checksum"), "{error}");
    assert_eq!(command(0), configure(0));
}
