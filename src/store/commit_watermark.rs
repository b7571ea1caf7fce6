//! The mark: the newest commit that was acknowledged, beside the log, never synced.
//!
//! The engine commits with one sync. When it finds the newest commit torn after a crash it goes back to the one before, which is right for
//! a commit that was never acknowledged and wrong for one that was (a page that rotted, an older copy of the file). It cannot tell
//! the two apart; the mark can. It is written after the commit is durable, so it is never ahead of an intact log: a log that is behind its mark
//! has lost something that others rely on.
//!
//! The commit point of Raft is in it too. Losing that is safe: it is learnt again from the leader, and until then the state is only
//! older. So neither needs a sync: after the death of the process the page cache has both, after a power loss they may be older.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{StoreError, codec, files};
use crate::raft::types::LogId;

const FILE: &str = "mark";
/// Written in place in one piece, within one sector.
const BYTES: usize = 256;

/// What the mark says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marked {
    /// How many commits the log has acknowledged.
    pub commits: u64,
    /// Up to where the Raft log is known to be committed.
    pub committed: Option<LogId>,
}

/// The open file.
#[derive(Debug)]
pub(super) struct WatermarkFile {
    file: File,
}

impl WatermarkFile {
    /// Starts anew.
    pub(super) fn create(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(FILE);
        let mark = Self { file: files::create_private(&path)? };
        mark.write(&Marked::default()).and_then(|()| mark.sync()).map_err(StoreError::io("write", &path))?;
        Ok(mark)
    }

    /// Opens the mark. One that is missing or unreadable says nothing: it is never synced, so a power loss may leave that.
    pub(super) fn open(dir: &Path) -> Result<(Self, Marked), StoreError> {
        let path = dir.join(FILE);
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(StoreError::io("open", &path))?;
        let bytes = std::fs::read(&path).map_err(StoreError::io("read", &path))?;
        let content = bytes.iter().rposition(|byte| *byte != 0).map_or(&[][..], |last| &bytes[..=last]);
        let marked = codec::decode(content).unwrap_or_else(|problem| {
            tracing::warn!(file = %path.display(), %problem, "the mark is unreadable, as a power loss may leave it; going on without");
            Marked::default()
        });
        Ok((Self { file }, marked))
    }

    pub(super) fn write(&self, marked: &Marked) -> std::io::Result<()> {
        let mut bytes = codec::encode(marked)?;
        if bytes.len() > BYTES {
            return Err(std::io::Error::other("the mark is larger than its place"));
        }
        bytes.resize(BYTES, 0);
        self.file.write_all_at(&bytes, 0)
    }

    pub(super) fn sync(&self) -> std::io::Result<()> {
        self.file.sync_data()
    }
}
