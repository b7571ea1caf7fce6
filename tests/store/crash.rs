//! The death of the process at any moment: what was acknowledged is there afterwards.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use openraft::RaftSnapshotBuilder;
use openraft::storage::{RaftLogStorage, RaftLogStorageExt, RaftStateMachine};
use raft_sentinel::raft::types::Vote;

use super::common::{NODE, append, commit, entry, image, last_index, open, replay, snapshot_and_purge, try_open, work};

const DIR: &str = "STORE_TEST_DIR";
const MARK: &str = "acknowledged ";

/// Runs in a process of its own, which is killed: appends for ever and says what is acknowledged.
#[tokio::test]
#[ignore = "the victim of the test below, not a test"]
async fn victim() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let mut store = open(Path::new(&dir));
    replay(&mut store).await.unwrap();
    let from = last_index(&mut store).await.map_or(0, |last| last + 1);
    for index in from.. {
        append(&mut store, index).await;
        println!("{MARK}{index}");
        commit(&mut store, index).await;
        if index % 40 == 39 {
            snapshot_and_purge(&mut store, 10).await;
        }
    }
}

/// Lets a process append until it has acknowledged `count` entries, kills it, and returns the last that it acknowledged.
fn kill_after(dir: &Path, count: usize) -> u64 {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::victim", "--ignored", "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut acknowledged = lines.filter_map(|line| line.split_once(MARK)?.1.parse().ok());
    let mut last = acknowledged.by_ref().take(count).last();
    victim.kill().unwrap();
    victim.wait().unwrap();
    // What it said before it died.
    last = acknowledged.last().or(last);
    last.expect("the victim acknowledged nothing; run it alone to see why")
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut total = 0;
    for round in 1..=12 {
        let acknowledged = kill_after(dir.path(), round * 9 % 53 + 1);
        let mut store = open(dir.path());
        let last = last_index(&mut store).await;
        assert!(last >= Some(acknowledged), "{acknowledged} was acknowledged, the log ends at {last:?}");
        let committed = store.log.read_committed().await.unwrap().map(|committed| committed.index);
        assert!(committed >= acknowledged.checked_sub(1), "the commit point is {committed:?} after {acknowledged}");
        replay(&mut store).await.unwrap();
        total = acknowledged;
    }
    println!("{total} entries over 12 deaths");
}

/// A leader's snapshot arrives while one is built here, and is saved first.
#[tokio::test]
async fn a_snapshot_that_was_begun_earlier_does_not_replace_a_newer_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    work(&mut store, 0..10).await;
    let mut slow = store.machine.get_snapshot_builder().await;
    let newer = snapshot_of_a_leader(30).await;
    store.machine.install_snapshot(&newer.meta, newer.snapshot).await.unwrap();
    store.log.purge(entry(29).log_id).await.unwrap();
    slow.build_snapshot().await.unwrap();
    append(&mut store, 30).await;
    let crashed = image(dir.path());
    let kept = store.machine.get_current_snapshot().await.unwrap().expect("there is one");
    assert_eq!(kept.meta.last_log_id, Some(entry(29).log_id));
    replay(&mut open(crashed.path())).await.unwrap();
}

/// openraft goes on with the entries behind a snapshot from the leader while that snapshot is still being saved.
#[tokio::test]
async fn an_entry_behind_a_snapshot_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    work(&mut store, 0..10).await;
    store.log.purge(entry(29).log_id).await.unwrap();
    store.log.save_committed(Some(entry(29).log_id)).await.unwrap();
    let mut log = store.log.clone();
    let appended = tokio::spawn(async move {
        log.blocking_append([entry(30), entry(31)]).await.unwrap();
        log.truncate(entry(31).log_id).await.unwrap();
    });
    // A vote has nothing to do with it: when it is durable, what came before it had its chance.
    tokio::task::yield_now().await;
    store.log.save_vote(&Vote::new(7, NODE)).await.unwrap();
    let crashed = image(dir.path());
    assert!(!appended.is_finished(), "the entry is acknowledged, and the disk has a hole before it");
    let mut before = open(crashed.path());
    assert_eq!(last_index(&mut before).await, Some(9));
    replay(&mut before).await.unwrap();
    let arrived = snapshot_of_a_leader(30).await;
    store.machine.install_snapshot(&arrived.meta, arrived.snapshot).await.unwrap();
    appended.await.unwrap();
    let mut after = open(image(dir.path()).path());
    assert_eq!(last_index(&mut after).await, Some(30));
    replay(&mut after).await.unwrap();
}

/// What a leader that has applied so many entries sends.
async fn snapshot_of_a_leader(entries: u64) -> openraft::storage::Snapshot<raft_sentinel::raft::types::TypeConfig> {
    let dir = tempfile::tempdir().unwrap();
    let mut leader = open(dir.path());
    for index in 0..entries {
        append(&mut leader, index).await;
        commit(&mut leader, index).await;
    }
    leader.machine.get_snapshot_builder().await.build_snapshot().await.unwrap()
}

/// openraft purges behind a snapshot from the leader while that snapshot is still being saved.
#[tokio::test]
async fn a_purge_waits_for_its_snapshot() {
    let leader = tempfile::tempdir().unwrap();
    let mut store = open(leader.path());
    work(&mut store, 0..30).await;
    let snapshot = store.machine.get_snapshot_builder().await.build_snapshot().await.unwrap();

    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    work(&mut store, 0..10).await;
    store.log.purge(entry(29).log_id).await.unwrap();
    store.log.save_vote(&Vote::new(5, NODE)).await.unwrap();
    assert_eq!(last_index(&mut store).await, Some(29), "openraft is not told that it has to wait");
    let mut before = open(image(dir.path()).path());
    assert_eq!(last_index(&mut before).await, Some(9), "the entries are still there");
    replay(&mut before).await.unwrap();

    store.machine.install_snapshot(&snapshot.meta, snapshot.snapshot).await.unwrap();
    let mut after = open(image(dir.path()).path());
    let state = after.log.get_log_state().await.unwrap();
    assert_eq!((state.last_purged_log_id, state.last_log_id), (Some(entry(29).log_id), Some(entry(29).log_id)));
    replay(&mut after).await.unwrap();
}

/// A copy of a file that is being written is worse than any crash: it may hold pages of many moments.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_taken_while_it_is_written_is_refused_or_whole() {
    let dir = tempfile::tempdir().unwrap();
    let acknowledged = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let (mut store, seen) = (open(dir.path()), acknowledged.clone());
    append(&mut store, 0).await;
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = stop.clone();
    let writing = tokio::spawn(async move {
        for index in 1.. {
            if stopped.load(std::sync::atomic::Ordering::SeqCst) {
                break;
            }
            append(&mut store, index).await;
            seen.store(index, std::sync::atomic::Ordering::SeqCst);
        }
    });
    let (mut whole, mut refused) = (0, 0);
    for _ in 0..40 {
        let before = acknowledged.load(std::sync::atomic::Ordering::SeqCst);
        let copy = image(dir.path());
        match try_open(copy.path()) {
            Err(error) => {
                assert!(error.to_string().contains("log.redb"), "{error}");
                refused += 1;
            }
            Ok(mut store) => {
                let last = last_index(&mut store).await.unwrap();
                assert!(last >= before, "{before} was acknowledged before the copy, it ends at {last}");
                replay(&mut store).await.unwrap();
                assert!(entry(last).log_id.index == last);
                whole += 1;
            }
        }
    }
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    writing.await.unwrap();
    println!("copies: {whole} whole, {refused} refused");
    assert!(whole > 0);
}
