//! openraft's own examiner.

use openraft::testing::{StoreBuilder, Suite};
use raft_sentinel::base::NodeId;
use raft_sentinel::raft::types::TypeConfig;
use raft_sentinel::store::{LogStore, StateMachine};
use tempfile::TempDir;

use super::common::open;

struct OnDisk {
    reopened: bool,
}

impl StoreBuilder<TypeConfig, LogStore, StateMachine, TempDir> for OnDisk {
    async fn build(&self) -> Result<(TempDir, LogStore, StateMachine), openraft::StorageError<NodeId>> {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        if self.reopened {
            drop(store);
            store = open(dir.path());
        }
        Ok((dir, store.log, store.machine))
    }
}

#[test]
fn openraft_accepts_the_store() {
    Suite::test_all(OnDisk { reopened: false }).unwrap();
}

#[test]
fn openraft_accepts_the_store_after_it_was_reopened() {
    Suite::test_all(OnDisk { reopened: true }).unwrap();
}
