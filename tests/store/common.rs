//! A store in a temporary directory, and entries to put into it.

use std::path::{Path, PathBuf};

use openraft::storage::{RaftLogStorage, RaftLogStorageExt, RaftStateMachine};
use openraft::{CommittedLeaderId, EntryPayload, RaftLogReader, RaftSnapshotBuilder};
use raft_sentinel::base::settings::SettingChange;
use raft_sentinel::base::{Addr, ClusterId, Epoch, GroupName, GroupSettings, LogIndex, NodeId, WallTime};
use raft_sentinel::machine::command::Origin;
use raft_sentinel::machine::{Command, State};
use raft_sentinel::raft::types::{Entry, LogId};
use raft_sentinel::store::{self, Opened, StoreError};

pub(crate) const NODE: NodeId = NodeId(1);

pub(crate) fn cluster() -> ClusterId {
    ClusterId::new("test").expect("an id")
}

pub(crate) fn try_open(dir: &Path) -> Result<Opened, StoreError> {
    store::open(dir, NODE, cluster(), None)
}

pub(crate) fn open(dir: &Path) -> Opened {
    try_open(dir).unwrap_or_else(|error| panic!("{error}"))
}

/// Why it does not open.
pub(crate) fn refusal(dir: &Path) -> String {
    match try_open(dir) {
        Ok(_) => panic!("{} opened", dir.display()),
        Err(error) => error.to_string(),
    }
}

pub(crate) fn file(dir: &Path, name: &str) -> PathBuf {
    dir.join("raft-sentinel").join(name)
}

/// A copy of a data directory as it is at this moment: the mark first, for it must not be ahead of the log.
pub(crate) fn image(of: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    std::fs::create_dir(copy.path().join("raft-sentinel")).unwrap();
    for name in ["mark", "log.redb", "identity.json"] {
        std::fs::copy(file(of, name), file(copy.path(), name)).unwrap();
    }
    copy
}

pub(crate) fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(term, NODE), index)
}

pub(crate) fn group_name(number: u64) -> GroupName {
    GroupName::new(format!("group-{number}")).unwrap()
}

pub(crate) fn configure(number: u64) -> Command {
    Command::ConfigureGroup {
        name: group_name(number),
        master: Addr::new("10.0.0.1", 6379).expect("an address"),
        settings: GroupSettings { quorum: 2, ..GroupSettings::default() },
        replicas: vec![Addr::new("10.0.0.2", 6379).expect("an address"), Addr::new("10.0.0.3", 6379).expect("an address")],
        epoch: Epoch(0),
        origin: Origin::Operator,
        at: WallTime(1_000_000 + number),
        takes_up: None,
        asked: None,
    }
}

/// The command at `index` in every test's history: always the same.
pub(crate) fn command(index: u64) -> Command {
    let group = group_name(index % 5);
    let at = WallTime(index);
    match index {
        0..5 => configure(index),
        _ if index.is_multiple_of(11) => Command::RemoveGroup { group, at, keep: None, asked: None },
        _ if index.is_multiple_of(7) => configure(index % 5),
        _ => Command::SetOptions { group, changes: vec![SettingChange::DownAfterMs(index)], at, asked: None },
    }
}

pub(crate) fn entry(index: u64) -> Entry {
    Entry { log_id: log_id(1 + index / 100, index), payload: EntryPayload::Normal(command(index)) }
}

/// What the state must be after the entries up to `last`.
pub(crate) fn expected_state(last: u64) -> State {
    let mut state = State::default();
    for index in 0..=last {
        state.apply(LogIndex(index), &command(index));
    }
    state
}

/// Appends the entry at `index` and returns once it is acknowledged.
pub(crate) async fn append(store: &mut Opened, index: u64) {
    store.log.blocking_append([entry(index)]).await.unwrap();
}

/// What openraft does once an entry is committed.
pub(crate) async fn commit(store: &mut Opened, index: u64) {
    store.log.save_committed(Some(entry(index).log_id)).await.unwrap();
    store.machine.apply([entry(index)]).await.unwrap();
}

/// What openraft does from time to time.
pub(crate) async fn snapshot_and_purge(store: &mut Opened, keep: u64) {
    let built = store.machine.get_snapshot_builder().await.build_snapshot().await.unwrap();
    let last = built.meta.last_log_id.unwrap().index;
    if let Some(upto) = last.checked_sub(keep) {
        store.log.purge(entry(upto).log_id).await.unwrap();
    }
}

/// The last index in the log.
pub(crate) async fn last_index(store: &mut Opened) -> Option<u64> {
    store.log.get_log_state().await.unwrap().last_log_id.map(|last| last.index)
}

/// Applies everything behind the snapshot, and checks the entries and the state against the one history there is.
pub(crate) async fn replay(store: &mut Opened) -> Result<(), String> {
    let Some(last) = last_index(store).await else { return Ok(()) };
    let from = store.machine.applied_state().await.unwrap().0.map_or(0, |applied| applied.index + 1);
    let entries = store.log.try_get_log_entries(..).await.unwrap();
    if let Some(wrong) = entries.iter().find(|found| **found != entry(found.log_id.index)) {
        return Err(format!("entry {} has another content", wrong.log_id));
    }
    store.machine.apply(entries.into_iter().filter(|entry| entry.log_id.index >= from)).await.unwrap();
    let state = store.states.borrow().clone();
    if *state == expected_state(last) { Ok(()) } else { Err(format!("another state after entry {last}")) }
}

/// A directory that has seen `entries` entries, snapshots and purges, and was closed.
pub(crate) async fn used(entries: u64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    work(&mut store, 0..entries).await;
    dir
}

/// Lives through these entries.
pub(crate) async fn work(store: &mut Opened, indices: std::ops::Range<u64>) {
    for index in indices {
        append(store, index).await;
        commit(store, index).await;
        if index % 40 == 39 {
            snapshot_and_purge(store, 10).await;
        }
    }
}
