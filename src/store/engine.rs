//! The tables in `log.redb`, and the one way to change them: a list of operations, all or none.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Builder, Database, Durability, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};

use super::{StoreError, codec, files};
use crate::failpoint;

pub(super) const FILE: &str = "log.redb";
/// Everything but the log entries.
const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");
/// The log entries, by index.
const ENTRIES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("entries");
/// Pages that the engine keeps in memory. The log has a copy of its own there; this is for writing.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// What one row of the meta table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MetaKey {
    /// Which data directory this log belongs to.
    Binding,
    /// The Raft vote.
    Vote,
    /// The last entry that was purged.
    Purged,
    /// The commit point, as of the last commit of the file.
    Committed,
    /// How many times the file was committed.
    Commits,
    /// What the snapshot covers.
    SnapshotMeta,
    /// The snapshot.
    SnapshotData,
}

impl MetaKey {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Binding => "binding",
            Self::Vote => "vote",
            Self::Purged => "purged",
            Self::Committed => "committed",
            Self::Commits => "commits",
            Self::SnapshotMeta => "snapshot-meta",
            Self::SnapshotData => "snapshot-data",
        }
    }
}

/// One change of the file. Values are already in their durable form.
#[derive(Debug)]
pub(super) enum Op {
    /// Sets a row of the meta table.
    Set(MetaKey, Vec<u8>),
    /// Appends an entry.
    Append(u64, Vec<u8>),
    /// Removes the entries from this index on.
    Truncate(u64),
    /// Removes the entries up to this index, and records the purge point.
    Purge(u64, Vec<u8>),
    /// Replaces the snapshot by one that covers the log up to this index: its description and its data.
    Snapshot(u64, Vec<u8>, Vec<u8>),
    /// Changes nothing.
    Nothing,
}

/// The open file.
pub(super) struct Engine {
    db: Database,
    path: PathBuf,
    commits: u64,
}

impl Engine {
    /// Creates the file, with its tables and first rows, under a temporary name, then puts it in place.
    pub(super) fn create(dir: &Path, binding: Vec<u8>) -> Result<Self, StoreError> {
        let path = dir.join(FILE);
        let fresh = dir.join("log.redb.new");
        let failed = |error: redb::Error| StoreError::Io { action: "create", path: fresh.clone(), source: std::io::Error::other(error) };
        let file = files::create_private(&fresh)?;
        let mut engine = Self::over(file_backend(file).map_err(&failed)?, &path).map_err(&failed)?;
        engine.commit(&[Op::Set(MetaKey::Binding, binding)]).map_err(failed)?;
        std::fs::rename(&fresh, &path).map_err(StoreError::io("put in place", &path))?;
        files::sync_dir(dir)?;
        Ok(engine)
    }

    /// Opens the file and has the engine verify every page of it.
    pub(super) fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(FILE);
        let size = match std::fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(StoreError::LostLog { path, problem: "the log is missing" });
            }
            Err(error) => return Err(StoreError::io("look at", &path)(error)),
        };
        if size == 0 {
            return Err(StoreError::LostLog { path, problem: "the log is empty" });
        }
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(StoreError::io("open", &path))?;
        file_backend(file).and_then(|backend| Self::over(backend, &path)).map_err(|error| match error {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => StoreError::InUse { path: path.clone() },
            redb::Error::Io(source) if !says_damaged(&source) => StoreError::Io { action: "open", path: path.clone(), source },
            other => StoreError::damaged(&path, "the file", other),
        })
    }

    /// Opens what a backend holds and has the engine verify every page of it. An empty one is initialized.
    pub(super) fn over(backend: impl StorageBackend, path: &Path) -> Result<Self, redb::Error> {
        // The integrity check reads the whole file. Without it the engine trusts a file that was closed cleanly, and may panic on a damaged one.
        let db = Builder::new().set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true).create_with_backend(backend)?;
        Ok(Self { db, path: path.to_owned(), commits: 0 })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How many times the file was committed.
    pub(super) const fn commits(&self) -> u64 {
        self.commits
    }

    /// Goes on counting from what the file says.
    pub(super) const fn count_from(&mut self, commits: u64) {
        self.commits = commits;
    }

    /// Makes all changes, in order, durable at once: one transaction, one sync.
    pub(super) fn commit(&mut self, ops: &[Op]) -> Result<(), redb::Error> {
        let mut txn = self.db.begin_write()?;
        // One phase and no allocator state in each commit: that would be a second sync. Checksums find a torn commit, and
        // a file of this size is repaired in milliseconds.
        txn.set_durability(Durability::Immediate)?;
        txn.set_two_phase_commit(false);
        txn.set_quick_repair(false);
        {
            let mut meta = txn.open_table(META)?;
            let mut entries = txn.open_table(ENTRIES)?;
            for op in ops {
                match op {
                    Op::Set(key, value) => drop(meta.insert(key.name(), value.as_slice())?),
                    Op::Append(index, value) => drop(entries.insert(index, value.as_slice())?),
                    Op::Truncate(since) => entries.retain_in(*since.., |_, _| false)?,
                    Op::Purge(upto, value) => {
                        entries.retain_in(..=*upto, |_, _| false)?;
                        meta.insert(MetaKey::Purged.name(), value.as_slice())?;
                    }
                    Op::Snapshot(_, described, data) => {
                        meta.insert(MetaKey::SnapshotMeta.name(), described.as_slice())?;
                        meta.insert(MetaKey::SnapshotData.name(), data.as_slice())?;
                    }
                    Op::Nothing => {}
                }
            }
            let commits = codec::encode(&(self.commits + 1)).map_err(std::io::Error::from)?;
            meta.insert(MetaKey::Commits.name(), commits.as_slice())?;
        }
        failpoint::linger("slow-sync");
        txn.commit()?;
        self.commits += 1;
        Ok(())
    }

    /// One row of the meta table, as it was written.
    pub(super) fn row(&self, key: MetaKey) -> Result<Option<Vec<u8>>, redb::Error> {
        let table = self.db.begin_read()?.open_table(META)?;
        Ok(table.get(key.name())?.map(|value| value.value().to_vec()))
    }

    /// Hands every entry to `each`, in the order of the log.
    pub(super) fn each_entry(&self, mut each: impl FnMut(u64, &[u8]) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let unreadable = |error: redb::Error| StoreError::damaged(&self.path, "the log", error);
        let table = self.db.begin_read().map_err(|e| unreadable(e.into()))?.open_table(ENTRIES).map_err(|e| unreadable(e.into()))?;
        for row in table.iter().map_err(|e| unreadable(e.into()))? {
            let (index, value) = row.map_err(|e| unreadable(e.into()))?;
            each(index.value(), value.value())?;
        }
        Ok(())
    }
}

/// The engine words some of what it finds in the file as errors of the system.
fn says_damaged(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof)
}

fn file_backend(file: File) -> Result<FileBackend, redb::Error> {
    Ok(FileBackend::new(file)?)
}
