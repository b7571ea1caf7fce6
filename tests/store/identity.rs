//! Who may open a directory, and what is never made anew.

use std::os::unix::fs::PermissionsExt;

use openraft::storage::RaftLogStorage;
use raft_sentinel::base::{ClusterId, Incarnation, NodeId, SentinelId};
use raft_sentinel::raft::types::Vote;
use raft_sentinel::store::{self, PinError, StoreError};

use super::common::{NODE, append, cluster, file, open, refusal, try_open, used};

#[tokio::test]
async fn a_new_directory_starts_one_life_and_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    assert!(store.pristine);
    let (life, id) = (store.identity.incarnation().clone(), store.identity.sentinel_id().clone());
    assert_eq!((life.as_str().len(), id.as_str().len()), (32, 40));
    drop(store);
    let mut store = open(dir.path());
    assert!(store.pristine, "nothing was written yet");
    assert_eq!((store.identity.incarnation(), store.identity.sentinel_id()), (&life, &id));
    store.log.save_vote(&Vote::new(3, NODE)).await.unwrap();
    drop(store);
    let mut store = open(dir.path());
    assert!(!store.pristine, "it has voted");
    assert_eq!(store.log.read_vote().await.unwrap(), Some(Vote::new(3, NODE)));
}

#[test]
fn only_the_owner_may_read_it() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir.path().join("raft-sentinel")), 0o700);
    for name in ["identity.json", "log.redb", "mark"] {
        assert_eq!(mode(&file(dir.path(), name)), 0o600, "{name}");
    }
}

#[test]
fn a_stock_id_is_taken_over_once() {
    let dir = tempfile::tempdir().unwrap();
    let bad = store::open(dir.path(), NODE, cluster(), Some(SentinelId::new("short").expect("an id"))).err().unwrap();
    assert!(matches!(bad, StoreError::BadSeed { .. }), "{bad}");
    let seed = SentinelId::new("0123456789abcdef0123456789abcdef01234567").expect("an id");
    drop(store::open(dir.path(), NODE, cluster(), Some(seed.clone())).unwrap());
    let store = store::open(dir.path(), NODE, cluster(), Some(SentinelId::new("f".repeat(40)).expect("an id"))).unwrap();
    assert_eq!(*store.identity.sentinel_id(), seed);
}

#[test]
fn two_processes_cannot_share_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    assert!(refusal(dir.path()).contains("in use by another process"));
    first.log.close();
    drop(open(dir.path()));
}

#[test]
fn a_directory_of_another_sentinel_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    for (node, cluster) in [(NodeId(2), cluster()), (NODE, ClusterId::new("other").expect("an id"))] {
        let error = store::open(dir.path(), node, cluster, None).err().unwrap();
        assert!(matches!(error, StoreError::OtherIdentity { .. }), "{error}");
        assert!(error.to_string().contains("raft node-id"), "{error}");
    }
}

#[test]
fn the_parent_must_exist() {
    let dir = tempfile::tempdir().unwrap();
    let error = refusal(&dir.path().join("mistyped"));
    assert!(error.contains("mistyped"), "{error}");
}

#[tokio::test]
async fn a_lost_log_is_never_made_anew() {
    for emptied in [false, true] {
        let dir = used(3).await;
        let path = file(dir.path(), "log.redb");
        std::fs::remove_file(&path).unwrap();
        if emptied {
            drop(std::fs::File::create(&path).unwrap());
        }
        let error = try_open(dir.path()).err().unwrap();
        assert!(matches!(error, StoreError::LostLog { .. }), "{error}");
        assert!(error.to_string().contains("join as a new member"), "{error}");
    }
}

#[tokio::test]
async fn a_lost_or_damaged_identity_is_never_made_anew() {
    let dir = used(3).await;
    let path = file(dir.path(), "identity.json");
    let whole = std::fs::read_to_string(&path).unwrap();
    let damaged = [String::new(), whole[..whole.len() / 2].to_owned(), whole.replace("\"node_id\": 1", "\"node_id\": 3"), "{}".to_owned()];
    for text in damaged {
        std::fs::write(&path, &text).unwrap();
        let error = refusal(dir.path());
        assert!(error.contains("identity.json"), "{error}");
    }
    std::fs::remove_file(&path).unwrap();
    let error = refusal(dir.path());
    assert!(error.contains("identity.json") && error.contains("missing"), "{error}");
    std::fs::write(&path, &whole).unwrap();
    drop(open(dir.path()));
}

#[test]
fn a_start_that_died_before_the_identity_was_written_starts_over() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    std::fs::remove_file(file(dir.path(), "identity.json")).unwrap();
    std::fs::write(file(dir.path(), "log.redb.new"), b"half a file").unwrap();
    assert!(open(dir.path()).pristine);
}

#[tokio::test]
async fn a_log_of_another_life_is_refused() {
    let (ours, theirs) = (used(3).await, used(3).await);
    std::fs::copy(file(theirs.path(), "log.redb"), file(ours.path(), "log.redb")).unwrap();
    let error = refusal(ours.path());
    assert!(error.contains("it belongs to sentinel"), "{error}");
}

#[test]
fn the_first_life_of_a_peer_is_trusted_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (peer, first, second) = (NodeId(2), Incarnation::new("first").expect("an id"), Incarnation::new("second").expect("an id"));
    let store = open(dir.path());
    assert!(store.identity.pin(peer, &first).unwrap());
    assert!(!store.identity.pin(peer, &first).unwrap());
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.identity.peers().get(&peer), Some(&first));
    let error = store.identity.pin(peer, &second).unwrap_err();
    assert!(matches!(error, PinError::Mismatch { .. }), "{error}");
    assert!(store.identity.unpin(peer).unwrap());
    assert!(!store.identity.unpin(peer).unwrap());
    assert!(store.identity.pin(peer, &second).unwrap());
}

#[tokio::test]
async fn a_closed_log_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    append(&mut store, 0).await;
    store.log.close();
    let error = store.log.save_vote(&Vote::new(1, NODE)).await.unwrap_err();
    assert!(error.to_string().contains("the log is closed"), "{error}");
}
