//! `identity.json`: what it says, and how it is written down.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::verify::Binding;
use super::{StoreError, files};
use crate::base::{ClusterId, Incarnation, NodeId, SentinelId};

const FILE: &str = "identity.json";
const FORMAT: u64 = 1;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) node_id: NodeId,
    pub(super) cluster_id: ClusterId,
    pub(super) incarnation: Incarnation,
    pub(super) sentinel_id: SentinelId,
    pub(super) peers: BTreeMap<NodeId, Incarnation>,
}

/// The file: people may read it, so it is JSON all through, with the checksum as text.
#[derive(Serialize, Deserialize)]
struct Written {
    version: u64,
    crc32: String,
    identity: serde_json::Value,
}

impl Record {
    /// What ties the log to this identity.
    pub(super) fn binding(&self) -> Binding {
        Binding { node_id: self.node_id, cluster_id: self.cluster_id.clone(), incarnation: self.incarnation.clone() }
    }
}

/// Reads the file; none if there is none.
pub(super) fn read(dir: &Path) -> Result<Option<Record>, StoreError> {
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

/// Replaces the file, durably.
pub(super) fn write(dir: &Path, record: &Record) -> Result<(), StoreError> {
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
            cluster_id: ClusterId::new("prod").unwrap(),
            incarnation: Incarnation::new("0123456789abcdef0123456789abcdef").unwrap(),
            sentinel_id: SentinelId::new("0123456789abcdef0123456789abcdef01234567").unwrap(),
            peers: BTreeMap::from([(NodeId(2), Incarnation::new("fedcba9876543210fedcba9876543210").unwrap())]),
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
