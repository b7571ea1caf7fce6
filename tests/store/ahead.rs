//! A log that runs ahead of the disk: appends are acknowledged at once, and what is flushed survives.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use futures_util::FutureExt;
use openraft::storage::{RaftLogStorage, RaftLogStorageExt};
use openraft::{BasicNode, EntryPayload, RaftLogReader};
use raft_sentinel::base::NodeId;
use raft_sentinel::raft::types::{Entry, Vote};
use raft_sentinel::store::Opened;

use super::common::{NODE, entry, image, last_index, log_id, open};

const DIR: &str = "STORE_TEST_AHEAD_DIR";
const MARK: &str = "flushed ";

/// The first entry: who votes.
fn members(ids: &[u64]) -> Entry {
    let voters: BTreeSet<NodeId> = ids.iter().copied().map(NodeId).collect();
    let nodes: BTreeMap<NodeId, BasicNode> = voters.iter().map(|id| (*id, BasicNode::default())).collect();
    Entry { log_id: log_id(1, 0), payload: EntryPayload::Membership(openraft::Membership::new(vec![voters], nodes)) }
}

/// A new store whose log runs ahead, with these voters.
async fn ahead(dir: &Path, voters: &[u64]) -> Opened {
    let mut store = open(dir);
    store.log = store.log.ahead_of_the_disk();
    store.log.blocking_append([members(voters)]).await.unwrap();
    store
}

/// Runs in a process of its own, which is killed: appends three entries at a time, and says what is flushed.
#[tokio::test]
#[ignore = "the victim of the test below, not a test"]
async fn victim() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let mut store = ahead(Path::new(&dir), &[1, 2, 3]).await;
    for index in (1..).step_by(3) {
        store.log.blocking_append((index..index + 3).map(entry)).await.unwrap();
        store.log.save_committed(Some(entry(index + 2).log_id)).await.unwrap();
        if index % 2 == 0 {
            store.log.flushed(index + 2).await.unwrap();
            println!("{MARK}{}", index + 2);
        }
    }
}

#[tokio::test]
async fn what_is_flushed_survives_the_death_of_the_process() {
    for count in [1, 7, 30] {
        let dir = tempfile::tempdir().unwrap();
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "ahead::victim", "--ignored", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut flushed = lines.filter_map(|line| line.split_once(MARK)?.1.parse::<u64>().ok());
        let mut last = flushed.by_ref().take(count).last();
        victim.kill().unwrap();
        victim.wait().unwrap();
        last = flushed.last().or(last);
        let mut store = open(dir.path());
        let found = last_index(&mut store).await;
        assert!(found >= last && last.is_some(), "{last:?} was flushed, the log ends at {found:?}");
        let entries = store.log.try_get_log_entries(1..).await.unwrap();
        assert!(entries.iter().all(|found| *found == entry(found.log_id.index)), "another content");
    }
}

/// openraft counts a lone voter's own log for a commit at once, and nobody else is asked who could wait for the disk.
#[tokio::test]
async fn a_lone_voter_waits_for_its_disk() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = ahead(dir.path(), &[1]).await;
    for index in 1..40 {
        store.log.blocking_append([entry(index)]).await.unwrap();
        assert!(store.log.flushed(index).now_or_never().is_some(), "entry {index} is acknowledged and not on the disk");
    }
}

#[tokio::test]
async fn a_leaders_vote_is_on_the_disk_before_its_entries() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = ahead(dir.path(), &[1, 2, 3]).await;
    let leader = Vote::new_committed(5, NodeId(2));
    store.log.save_vote(&leader).await.unwrap();
    store.log.blocking_append([entry(1)]).await.unwrap();
    store.log.flushed(1).await.unwrap();
    let mut after = open(image(dir.path()).path());
    assert_eq!(after.log.read_vote().await.unwrap(), Some(leader));
    assert_eq!(last_index(&mut after).await, Some(1));
}

/// A promise to a candidate is given by the answer to its call, so it is on the disk before that.
#[tokio::test]
async fn a_promise_is_on_the_disk_when_it_is_given() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = ahead(dir.path(), &[1, 2, 3]).await;
    for term in 2..30 {
        store.log.save_vote(&Vote::new(term, NODE)).await.unwrap();
        let mut after = open(image(dir.path()).path());
        assert_eq!(after.log.read_vote().await.unwrap(), Some(Vote::new(term, NODE)));
    }
}

#[tokio::test]
async fn what_was_cut_off_is_not_taken_for_what_replaced_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = ahead(dir.path(), &[1, 2, 3]).await;
    store.log.blocking_append([entry(1), entry(2)]).await.unwrap();
    store.log.flushed(2).await.unwrap();
    let replaced = entry(2).log_id;
    store.log.truncate(replaced).await.unwrap();
    assert!(store.log.flushed(2).now_or_never().is_none(), "it is gone");
    let newer = Entry { log_id: log_id(9, 2), payload: EntryPayload::Blank };
    store.log.blocking_append([newer.clone()]).await.unwrap();
    store.log.flushed(2).await.unwrap();
    assert!(!store.log.holds(replaced) && store.log.holds(newer.log_id));
}
