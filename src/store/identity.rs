//! Who this sentinel is, and which lives of its peers it trusts.
//!
//! A Raft member that forgot what it voted or acknowledged must not come back under its old id: it could help to commit two
//! histories. So a directory has one *life*, its incarnation, bound to one log file; peers pin each other's. What is missing or
//! damaged is never made anew here: only a directory without any trace of a life starts one.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::verify::{Binding, Recovered};
use super::{StoreError, files, verify};
use crate::base::{ClusterId, Incarnation, NodeId, SentinelId};

const FILE: &str = "identity.json";
const FORMAT: u64 = 1;

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

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    node_id: NodeId,
    cluster_id: ClusterId,
    incarnation: Incarnation,
    sentinel_id: SentinelId,
    peers: BTreeMap<NodeId, Incarnation>,
}

/// The file: people may read it, so it is JSON all through, with the checksum as text.
#[derive(Serialize, Deserialize)]
struct Written {
    version: u64,
    crc32: String,
    identity: serde_json::Value,
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
                write(&self.dir, &next)?;
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
        write(&self.dir, &next)?;
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
    let (record, recovered) = match read(dir)? {
        Some(record) => {
            check_owner(dir, &record, node_id, &cluster_id)?;
            let recovered = verify::open(dir, &record.binding())?;
            (record, recovered)
        }
        None => {
            verify::discard_unused(dir)?;
            let sentinel_id = seed.map_or_else(|| Ok(SentinelId::new(random_hex::<20>())), checked_seed)?;
            let incarnation = Incarnation::new(random_hex::<16>());
            let record = Record { node_id, cluster_id, incarnation, sentinel_id, peers: BTreeMap::new() };
            // The log first: an identity without a log means that the log was lost.
            let recovered = verify::create(dir, &record.binding())?;
            write(dir, &record)?;
            (record, recovered)
        }
    };
    Ok((Identity { dir: dir.to_owned(), fixed: record.clone(), record: Mutex::new(record) }, recovered))
}

impl Record {
    fn binding(&self) -> Binding {
        Binding { node_id: self.node_id, cluster_id: self.cluster_id.clone(), incarnation: self.incarnation.clone() }
    }
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

fn random_hex<const BYTES: usize>() -> String {
    (0..BYTES).map(|_| format!("{:02x}", rand::random::<u8>())).collect()
}

fn read(dir: &Path) -> Result<Option<Record>, StoreError> {
    let path = dir.join(FILE);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io("read", &path)(error)),
    };
    let damaged = |problem: String| StoreError::damaged(&path, "the identity", problem);
    let written: Written = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    if checksum(written.version, &written.identity) != written.crc32 {
        return Err(damaged("its checksum does not match".to_owned()));
    }
    if written.version > FORMAT {
        return Err(StoreError::Newer { file: path, key: "the identity".to_owned(), found: written.version, known: FORMAT });
    }
    serde_json::from_value(written.identity).map(Some).map_err(|error| damaged(error.to_string()))
}

fn write(dir: &Path, record: &Record) -> Result<(), StoreError> {
    let to_json = |error: serde_json::Error| StoreError::Io { action: "write down", path: dir.join(FILE), source: error.into() };
    let identity = serde_json::to_value(record).map_err(to_json)?;
    let written = Written { version: FORMAT, crc32: checksum(FORMAT, &identity), identity };
    let mut bytes = serde_json::to_vec_pretty(&written).map_err(to_json)?;
    bytes.push(b'\n');
    files::replace(dir, FILE, &bytes)
}

/// Over the version and the compact form, whose keys are sorted: layout is free, content is not.
fn checksum(version: u64, identity: &serde_json::Value) -> String {
    format!("{:08x}", crc32fast::hash(format!("{version} {identity}").as_bytes()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails may panic")]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            node_id: NodeId(1),
            cluster_id: ClusterId::new("prod"),
            incarnation: Incarnation::new("0123456789abcdef0123456789abcdef"),
            sentinel_id: SentinelId::new("0123456789abcdef0123456789abcdef01234567"),
            peers: BTreeMap::from([(NodeId(2), Incarnation::new("fedcba9876543210fedcba9876543210"))]),
        }
    }

    /// The file of this format must stay readable; `UPDATE_GOLDEN=1` rewrites it.
    #[test]
    fn the_written_form_is_the_golden_one() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store/golden");
        let record = record();
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            write(&golden, &record).unwrap();
        }
        assert_eq!(read(&golden).unwrap(), Some(record.clone()));
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &record).unwrap();
        assert_eq!(std::fs::read(dir.path().join(FILE)).unwrap(), std::fs::read(golden.join(FILE)).unwrap());
    }

    #[test]
    fn every_flipped_bit_of_a_digit_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &record()).unwrap();
        let path = dir.path().join(FILE);
        let whole = std::fs::read(&path).unwrap();
        for at in (0..whole.len()).filter(|at| whole[*at].is_ascii_alphanumeric()) {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            std::fs::write(&path, flipped).unwrap();
            assert!(read(dir.path()).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_newer_identity_is_not_called_damage() {
        let dir = tempfile::tempdir().unwrap();
        let identity = serde_json::json!({ "whatever": "comes" });
        let written = Written { version: FORMAT + 1, crc32: checksum(FORMAT + 1, &identity), identity };
        std::fs::write(dir.path().join(FILE), serde_json::to_vec(&written).unwrap()).unwrap();
        let error = read(dir.path()).unwrap_err();
        assert!(matches!(error, StoreError::Newer { found: 2, known: 1, .. }), "{error}");
    }
}
