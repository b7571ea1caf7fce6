//! What the disks of the other members had on them when they last answered, kept so that a restart does not forget it.
//!
//! Like the mark it is never synced: after the death of the process the page cache has it, and after a power loss an older one, or none,
//! only means that less is found out.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{StoreError, codec, files};
use crate::base::{Incarnation, NodeId};

const FILE: &str = "peer-marks";

/// What one member had on its disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerMark {
    /// The life of its data directory.
    pub incarnation: Incarnation,
    /// How many commits its log had.
    pub commits: u64,
    /// The process that told it, by its random number.
    pub process: u64,
}

/// The file.
#[derive(Clone, Debug)]
pub struct PeerMarks {
    dir: PathBuf,
}

impl PeerMarks {
    pub(super) fn of(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// What was kept. Blocks on the disk.
    pub fn load(&self) -> BTreeMap<NodeId, PeerMark> {
        let path = self.dir.join(FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return BTreeMap::new(),
            Err(problem) => {
                tracing::warn!(file = %path.display(), %problem, "cannot read what the other sentinels had on their disks; going on without");
                return BTreeMap::new();
            }
        };
        codec::decode(&bytes).unwrap_or_else(|problem| {
            tracing::warn!(file = %path.display(), %problem, "what the other sentinels had on their disks is unreadable, as a power loss may leave it; going on without");
            BTreeMap::new()
        })
    }

    /// Keeps this in place of what was kept. Blocks on the disk, and does not wait for a sync.
    ///
    /// # Errors
    /// [`StoreError`]: what was kept before is still there.
    pub fn save(&self, marks: &BTreeMap<NodeId, PeerMark>) -> Result<(), StoreError> {
        let (path, fresh) = (self.dir.join(FILE), self.dir.join("peer-marks.new"));
        let bytes = codec::encode(marks).map_err(|error| StoreError::io("write down", &path)(error.into()))?;
        files::create_private(&fresh)?.write_all(&bytes).map_err(StoreError::io("write", &fresh))?;
        std::fs::rename(&fresh, &path).map_err(StoreError::io("put in place", &path))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails may panic")]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_there_after_a_restart_and_garbage_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = PeerMarks::of(dir.path());
        assert_eq!(file.load(), BTreeMap::new());
        let marks = BTreeMap::from([(NodeId(2), PeerMark { incarnation: Incarnation::new("fedcba").unwrap(), commits: 7, process: 5 })]);
        file.save(&marks).unwrap();
        assert_eq!(file.load(), marks);
        for garbage in [&[][..], &[0; 64]] {
            std::fs::write(dir.path().join(FILE), garbage).unwrap();
            assert_eq!(file.load(), BTreeMap::new());
        }
    }

    /// The file of this format must stay readable; `UPDATE_GOLDEN=1` rewrites it.
    #[test]
    fn the_written_form_is_the_golden_one() {
        let golden = PeerMarks { dir: Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store/golden") };
        let incarnation = Incarnation::new("fedcba9876543210fedcba9876543210").unwrap();
        let marks = BTreeMap::from([(NodeId(2), PeerMark { incarnation, commits: 123_456, process: u64::MAX })]);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            golden.save(&marks).unwrap();
        }
        assert_eq!(golden.load(), marks);
    }
}
