//! Opening: everything is read once, and what does not fit together is an error. Nothing is skipped or repaired here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::commit_watermark::{Marked, WatermarkFile};
use super::engine::{self, Engine, MetaKey};
use super::{StoreError, codec, files};
use crate::base::{ClusterId, Incarnation, NodeId, limits};
use crate::failpoint;
use crate::machine::State;
use crate::machine::level::LEVEL;
use crate::raft::types::{Entry, LogId, SnapshotMeta, Vote};

/// Which data directory a log belongs to: a copy beside another identity is noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The sentinel.
    pub node_id: NodeId,
    /// Its cluster.
    pub cluster_id: ClusterId,
    /// The life of its directory.
    pub incarnation: Incarnation,
}

/// The Raft log and what belongs to it, all of it in memory.
///
/// The log is short: it is purged behind each snapshot (`limits::SNAPSHOT_EVERY_ENTRIES`).
#[derive(Debug, Default)]
pub(super) struct RecoveredLog {
    /// The vote.
    pub(super) vote: Option<Vote>,
    /// The commit point.
    pub(super) committed: Option<LogId>,
    /// The last entry that was purged.
    pub(super) purged: Option<LogId>,
    /// The entries behind it.
    pub(super) entries: BTreeMap<u64, Entry>,
}

impl RecoveredLog {
    /// Whether nothing was ever written.
    pub(super) fn is_pristine(&self) -> bool {
        self.vote.is_none() && self.purged.is_none() && self.entries.is_empty()
    }

    /// The last entry, or the purge point when there is none.
    pub(super) fn last(&self) -> Option<LogId> {
        self.entries.last_key_value().map(|(_, entry)| entry.log_id).or(self.purged)
    }
}

/// What was found on the disk.
pub(super) struct Recovered {
    pub(super) engine: Engine,
    pub(super) mark: WatermarkFile,
    pub(super) book: RecoveredLog,
    pub(super) snapshot: Option<(SnapshotMeta, State)>,
}

/// Starts a new log.
pub(super) fn create(dir: &Path, binding: &Binding) -> Result<Recovered, StoreError> {
    let unwritable = |error: serde_json::Error| StoreError::Io { action: "write down", path: dir.to_owned(), source: error.into() };
    let mark = WatermarkFile::create(dir)?;
    let engine = Engine::create(dir, codec::encode(binding).map_err(unwritable)?)?;
    Ok(Recovered { engine, mark, book: RecoveredLog::default(), snapshot: None })
}

/// Opens the log that belongs to `binding`.
pub(super) fn open(dir: &Path, binding: &Binding) -> Result<Recovered, StoreError> {
    let mut engine = Engine::open(dir)?;
    let (mark, marked) = WatermarkFile::open(dir)?;
    let (found, book, snapshot) = read_all(&mut engine, &marked)?;
    if found != *binding {
        let problem = format!("it belongs to sentinel {} of cluster '{}', life {}", found.node_id, found.cluster_id, found.incarnation);
        return Err(StoreError::damaged(engine.path(), "the binding to this directory", problem));
    }
    Ok(Recovered { engine, mark, book, snapshot })
}

/// Removes a log that was created but never used: the process died before the identity was written.
pub(super) fn discard_unused(dir: &Path) -> Result<(), StoreError> {
    let path = dir.join(engine::FILE);
    if !path.try_exists().map_err(StoreError::io("look for", &path))? {
        return Ok(());
    }
    let mut engine = Engine::open(dir)?;
    let (_, book, snapshot) = read_all(&mut engine, &Marked::default())?;
    if !book.is_pristine() || snapshot.is_some() {
        return Err(StoreError::damaged(
            &dir.join("identity.json"),
            "the identity",
            "it is missing, and the log beside it has been in use",
        ));
    }
    drop(engine);
    std::fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
    files::sync_dir(dir)
}

pub(super) type Content = (Binding, RecoveredLog, Option<(SnapshotMeta, State)>);

pub(super) fn read_all(engine: &mut Engine, marked: &Marked) -> Result<Content, StoreError> {
    let reader = RecordReader { engine };
    let binding: Binding = reader.required(MetaKey::Binding)?;
    let commits: u64 = reader.required(MetaKey::Commits)?;
    let mut book = RecoveredLog {
        vote: reader.optional(MetaKey::Vote)?,
        committed: reader.optional::<LogId>(MetaKey::Committed)?.max(marked.committed),
        purged: reader.optional(MetaKey::Purged)?,
        entries: BTreeMap::new(),
    };
    if let Some(term) = book.vote.map(|vote| vote.leader_id.term).filter(|term| *term > limits::TERM_LIMIT) {
        return Err(StoreError::BeyondReach { file: engine.path().to_owned(), key: "the term of the vote".to_owned(), number: term });
    }
    reader.entries(&mut book)?;
    let snapshot = reader.snapshot()?;
    let check = FileCheck { path: engine.path().to_owned(), book: &book, snapshot: snapshot.as_ref().map(|(meta, _)| meta) };
    check.nothing_acknowledged_is_missing(commits, marked)?;
    check.purged_is_in_the_snapshot()?;
    check.committed_is_there()?;
    engine.count_from(commits);
    Ok((binding, book, snapshot))
}

/// Reads and decodes; what fails is named.
struct RecordReader<'a> {
    engine: &'a Engine,
}

impl RecordReader<'_> {
    fn optional<T: DeserializeOwned>(&self, key: MetaKey) -> Result<Option<T>, StoreError> {
        let path = self.engine.path();
        let row = self.engine.row(key).map_err(|error| StoreError::damaged(path, key.name(), error))?;
        row.map(|bytes| codec::decode(&bytes).map_err(|problem| problem.at(path, key.name()))).transpose()
    }

    fn required<T: DeserializeOwned>(&self, key: MetaKey) -> Result<T, StoreError> {
        self.optional(key)?.ok_or_else(|| StoreError::damaged(self.engine.path(), key.name(), "it is missing"))
    }

    /// Reads the log and checks that it has no hole and belongs behind the purge point.
    fn entries(&self, book: &mut RecoveredLog) -> Result<(), StoreError> {
        let path = self.engine.path();
        let mut next = book.purged.map_or(0, |purged| purged.index + 1);
        let mut last = book.purged;
        self.engine.each_entry(|index, bytes| {
            let key = format!("entry {index}");
            if index != next {
                return Err(StoreError::damaged(path, key, format!("entry {next} should come before it and is missing")));
            }
            let entry: Entry = codec::decode(bytes).map_err(|problem| problem.at(path, &key))?;
            if let openraft::EntryPayload::Normal(command) = &entry.payload
                && failpoint::level_of(command.name(), command.level()) > failpoint::level(LEVEL)
            {
                let problem = format!("{} is of a later level", command.name());
                return Err(StoreError::Foreign { file: path.to_owned(), key, problem });
            }
            if index > limits::INDEX_LIMIT {
                return Err(StoreError::BeyondReach { file: path.to_owned(), key: "the end of the log".to_owned(), number: index });
            }
            if entry.log_id.index != index || Some(entry.log_id) <= last {
                return Err(StoreError::damaged(path, key, format!("it says that it is {}, behind {}", entry.log_id, shown(last))));
            }
            last = Some(entry.log_id);
            next += 1;
            book.entries.insert(index, entry);
            Ok(())
        })
    }

    fn snapshot(&self) -> Result<Option<(SnapshotMeta, State)>, StoreError> {
        let Some(meta) = self.optional::<SnapshotMeta>(MetaKey::SnapshotMeta)? else { return Ok(None) };
        let state: State = self.required(MetaKey::SnapshotData)?;
        if meta.last_log_id.map(|last| last.index) != Some(state.applied.0) {
            let problem = format!("it covers the log up to {}, its description says {}", state.applied, shown(meta.last_log_id));
            return Err(StoreError::damaged(self.engine.path(), MetaKey::SnapshotData.name(), problem));
        }
        Ok(Some((meta, state)))
    }
}

/// What must fit together.
struct FileCheck<'a> {
    path: PathBuf,
    book: &'a RecoveredLog,
    snapshot: Option<&'a SnapshotMeta>,
}

impl FileCheck<'_> {
    fn nothing_acknowledged_is_missing(&self, commits: u64, marked: &Marked) -> Result<(), StoreError> {
        if commits >= marked.commits {
            return Ok(());
        }
        let problem =
            format!("it ends with commit {commits}, but commit {} was acknowledged (an older copy, or a lost page)", marked.commits);
        Err(StoreError::damaged(&self.path, "the file", problem))
    }

    /// The log before the purge point lives on in the snapshot only.
    fn purged_is_in_the_snapshot(&self) -> Result<(), StoreError> {
        let covered = self.snapshot.and_then(|meta| meta.last_log_id);
        if self.book.purged <= covered {
            return Ok(());
        }
        let problem = format!("the log was purged up to {}, the snapshot covers {}", shown(self.book.purged), shown(covered));
        Err(StoreError::damaged(&self.path, "the snapshot", problem))
    }

    fn committed_is_there(&self) -> Result<(), StoreError> {
        let reach = self.book.last().max(self.snapshot.and_then(|meta| meta.last_log_id));
        if self.book.committed <= reach {
            return Ok(());
        }
        let problem = format!("it ends at {}, but {} was committed", shown(reach), shown(self.book.committed));
        Err(StoreError::damaged(&self.path, "the log", problem))
    }
}

/// A place in the log, for people: term, leader and index.
pub(super) fn shown(place: Option<LogId>) -> String {
    place.map_or_else(|| "nothing".to_owned(), |place| place.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails may panic")]
mod tests {
    use super::super::engine::Op;
    use super::*;

    /// The message about a log that was written as told.
    fn refused(ops: &[Op]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let binding = Binding {
            node_id: NodeId(1),
            cluster_id: ClusterId::new("prod").unwrap(),
            incarnation: Incarnation::new("0123456789abcdef0123456789abcdef").unwrap(),
        };
        let mut created = create(dir.path(), &binding).unwrap();
        created.engine.commit(ops).unwrap();
        drop(created);
        open(dir.path(), &binding).err().unwrap().to_string()
    }

    #[test]
    fn a_term_that_no_cluster_reaches_is_told_with_the_way_out() {
        for term in [limits::TERM_LIMIT + 1, u64::MAX] {
            let said = refused(&[Op::Set(MetaKey::Vote, codec::encode(&Vote::new(term, NodeId(2))).unwrap())]);
            assert!(said.contains(&format!("the term of the vote is {term}")) && said.contains("raft secret-file"), "{said}");
        }
    }

    #[test]
    fn an_entry_of_another_release_is_not_called_damage() {
        let said = refused(&[Op::Append(0, codec::encode(&serde_json::json!({ "later": true })).unwrap())]);
        assert!(said.contains("entry 0 is whole, but this release does not understand it"), "{said}");
        assert!(said.contains("install the release that wrote it") && said.contains("Nothing is lost"), "{said}");
    }
}
