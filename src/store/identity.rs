//! Who this sentinel is, and which lives of its peers it trusts.
//!
//! A Raft member that forgot what it voted or acknowledged must not come back under its old id: it could help to commit two
//! histories. So a directory has one *life*, its incarnation, bound to one log file; peers pin each other's. What is missing or
//! damaged is never made anew here: only a directory without any trace of a life starts one.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::record::{self, Record};
use super::verify::Recovered;
use super::{StoreError, files, verify};
use crate::base::{ClusterId, Incarnation, NodeId, SentinelId};

/// The data directory, held by this process alone while the value lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    // Closing the file releases the lock, however the process ends.
    _lock: File,
}

impl DataDir {
    /// Creates `<dir>/raft-sentinel` if need be, and locks it.
    ///
    /// # Errors
    /// [`StoreError`] when `dir` does not exist, cannot be written, or another process holds it.
    pub fn lock(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join("raft-sentinel");
        files::private_dir(&path)?;
        files::sync_dir(dir)?;
        let file = files::create_private(&path.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path, _lock: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path }),
            Err(TryLockError::Error(source)) => Err(StoreError::Io { action: "lock", path, source }),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Why a peer is not who it was.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// Another life is pinned.
    #[error(
        "sentinel {peer} presents incarnation {presented}, but {pinned} is known: its data directory was lost or swapped; \
         remove it from the cluster and let it join as a new member with a new node id"
    )]
    Mismatch {
        /// The peer.
        peer: NodeId,
        /// What it presents.
        presented: Incarnation,
        /// What is pinned.
        pinned: Incarnation,
    },
    /// The pin could not be made durable.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Who this sentinel is. Shared; changes are durable before they return.
#[derive(Debug)]
pub struct Identity {
    dir: PathBuf,
    record: Mutex<Record>,
    fixed: Record,
}

impl Identity {
    /// This sentinel's number.
    pub const fn node_id(&self) -> NodeId {
        self.fixed.node_id
    }

    /// The cluster it belongs to.
    pub const fn cluster_id(&self) -> &ClusterId {
        &self.fixed.cluster_id
    }

    /// The life of its data directory.
    pub const fn incarnation(&self) -> &Incarnation {
        &self.fixed.incarnation
    }

    /// Its public id.
    pub const fn sentinel_id(&self) -> &SentinelId {
        &self.fixed.sentinel_id
    }

    /// The pinned lives of the other sentinels.
    pub fn peers(&self) -> BTreeMap<NodeId, Incarnation> {
        self.locked().peers.clone()
    }

    /// Trusts `incarnation` of `peer` from now on, if none is pinned yet; true if this call pinned it. Blocks on the disk then.
    ///
    /// # Errors
    /// [`PinError::Mismatch`] when another one is pinned; [`PinError::Store`] when it could not be made durable (it is not pinned then).
    pub fn pin(&self, peer: NodeId, incarnation: &Incarnation) -> Result<bool, PinError> {
        let mut record = self.locked();
        match record.peers.get(&peer) {
            Some(pinned) if pinned == incarnation => Ok(false),
            Some(pinned) => Err(PinError::Mismatch { peer, presented: incarnation.clone(), pinned: pinned.clone() }),
            None => {
                let mut next = record.clone();
                next.peers.insert(peer, incarnation.clone());
                record::write(&self.dir, &next)?;
                *record = next;
                Ok(true)
            }
        }
    }

    /// Forgets what is pinned for `peer` (it was removed from the cluster); true if something was. Blocks on the disk then.
    ///
    /// # Errors
    /// [`StoreError`] when that could not be made durable (it stays pinned then).
    pub fn unpin(&self, peer: NodeId) -> Result<bool, StoreError> {
        let mut record = self.locked();
        let mut next = record.clone();
        if next.peers.remove(&peer).is_none() {
            return Ok(false);
        }
        record::write(&self.dir, &next)?;
        *record = next;
        Ok(true)
    }

    fn locked(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens the identity and the log that is bound to it, or starts a new life in a directory that has no trace of one.
pub(super) fn open_or_create(
    data: &DataDir,
    node_id: NodeId,
    cluster_id: ClusterId,
    seed: Option<SentinelId>,
) -> Result<(Identity, Recovered), StoreError> {
    let dir = data.path();
    let (record, recovered) = match record::read(dir)? {
        Some(record) => {
            check_owner(dir, &record, node_id, &cluster_id)?;
            let recovered = verify::open(dir, &record.binding())?;
            (record, recovered)
        }
        None => {
            verify::discard_unused(dir)?;
            let sentinel_id = seed.map_or_else(|| Ok(SentinelId::of_bytes(rand::random())), checked_seed)?;
            let incarnation = Incarnation::of_bytes(rand::random());
            let record = Record { node_id, cluster_id, incarnation, sentinel_id, peers: BTreeMap::new() };
            // The log first: an identity without a log means that the log was lost.
            let recovered = verify::create(dir, &record.binding())?;
            record::write(dir, &record)?;
            (record, recovered)
        }
    };
    Ok((Identity { dir: dir.to_owned(), fixed: record.clone(), record: Mutex::new(record) }, recovered))
}

fn check_owner(dir: &Path, record: &Record, node: NodeId, cluster: &ClusterId) -> Result<(), StoreError> {
    if record.node_id == node && record.cluster_id == *cluster {
        return Ok(());
    }
    Err(StoreError::OtherIdentity {
        path: dir.to_owned(),
        found_node: record.node_id,
        found_cluster: record.cluster_id.clone(),
        node,
        cluster: cluster.clone(),
    })
}

fn checked_seed(seed: SentinelId) -> Result<SentinelId, StoreError> {
    let text = seed.as_str();
    let fits = text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if fits { Ok(seed) } else { Err(StoreError::BadSeed { given: text.to_owned() }) }
}
