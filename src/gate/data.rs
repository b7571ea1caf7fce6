//! What is on the disk that Redis would load, found out without loading it.
//!
//! Redis loads the append-only file where `appendonly yes` is said, and nothing but that: a snapshot beside it is then
//! ignored. Otherwise it loads the snapshot. What this says follows the same rule.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::rdb::{self, CHECKSUM_BYTES, Header};
use super::settings::Settings;
use crate::base::ReplId;
use crate::conf::words;

/// Enough of a snapshot for its header: a few short fields.
const HEADER_BYTES: u64 = 16 * 1024;
/// Largest manifest of an append-only file: a line for each of its parts.
const MANIFEST_BYTES: u64 = 1024 * 1024;

/// What Redis would load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DataFound {
    /// No data.
    Nothing {
        /// What was looked for, and what is the matter with it.
        why: String,
    },
    /// A snapshot.
    Snapshot {
        /// The file.
        file: PathBuf,
        /// Of which replication history it is and how far it goes; none if it was made on a server that never had a replica.
        history: Option<(ReplId, u64)>,
    },
    /// An append-only file.
    AppendOnly {
        /// Its manifest, or the file itself where the server is older than Redis 7.
        file: PathBuf,
        /// Whether it holds all that was acknowledged (`appendfsync always`). Otherwise its end may be missing, even if only the process had
        /// died: Redis puts a write off while the one before is being synced.
        synced: bool,
    },
}

impl fmt::Display for DataFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing { why } => write!(f, "it has no data ({why})"),
            Self::Snapshot { file, history: Some((_, offset)) } => write!(f, "its snapshot {} ends at offset {offset}", file.display()),
            Self::Snapshot { file, history: None } => write!(f, "its snapshot {} is older than its replicas", file.display()),
            Self::AppendOnly { file, .. } => write!(f, "it has {}", file.display()),
        }
    }
}

/// A file that is there but cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {error}; it must be readable for the user who starts Redis", file.display())]
pub(super) struct Unreadable {
    file: PathBuf,
    error: io::Error,
}

/// Looks at the files that a server with these settings would load.
///
/// # Errors
/// [`Unreadable`].
pub(super) fn look(settings: &Settings) -> Result<DataFound, Unreadable> {
    if settings.append_only { append_only(settings) } else { snapshot(&settings.dir.join(&settings.snapshot)) }
}

fn snapshot(file: &Path) -> Result<DataFound, Unreadable> {
    let nothing = |problem: &str| Ok(DataFound::Nothing { why: format!("{} {problem}", file.display()) });
    let Some((header, size)) = head_of(file)? else { return nothing("does not exist") };
    if size == 0 {
        return nothing("is empty");
    }
    let Some(Header { history, keyless }) = rdb::header(&header) else { return nothing("is not a snapshot") };
    if !ends_well(file)? {
        return nothing("is cut short");
    }
    if keyless.is_some() && history.is_none() {
        return nothing("has no keys");
    }
    Ok(DataFound::Snapshot { file: file.to_owned(), history })
}

/// A snapshot ends with a mark and a checksum.
fn ends_well(file: &Path) -> Result<bool, Unreadable> {
    let read = || -> io::Result<u8> {
        let mut opened = File::open(file)?;
        opened.seek(SeekFrom::End(-1 - CHECKSUM_BYTES.cast_signed()))?;
        let mut mark = [0];
        opened.read_exact(&mut mark)?;
        Ok(mark[0])
    };
    match read() {
        Ok(mark) => Ok(mark == rdb::END),
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::UnexpectedEof) => Ok(false),
        Err(error) => Err(Unreadable { file: file.to_owned(), error }),
    }
}

fn append_only(settings: &Settings) -> Result<DataFound, Unreadable> {
    let dir = settings.dir.join(&settings.append_dir);
    let manifest = dir.join(format!("{}.manifest", settings.append_file));
    let Some(text) = read_if_there(&manifest)? else { return single_file(settings, &manifest) };
    let mut named = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        named.extend(part(line).map(|name| dir.join(name)));
    }
    for file in &named {
        match head_of(file)? {
            // Redis will refuse to start on it, in its own words; as far as the group is concerned these data are lost.
            None => {
                return Ok(DataFound::Nothing { why: format!("{} names {}, which does not exist", manifest.display(), file.display()) });
            }
            Some((header, size)) if has_content(&header, size) => {
                return Ok(DataFound::AppendOnly { file: manifest, synced: settings.append_synced });
            }
            Some(_) => {}
        }
    }
    Ok(DataFound::Nothing { why: format!("the files that {} names have no keys", manifest.display()) })
}

/// Before Redis 7 there was one file; Redis 7 takes it over when it starts.
fn single_file(settings: &Settings, manifest: &Path) -> Result<DataFound, Unreadable> {
    let file = settings.dir.join(&settings.append_file);
    Ok(match head_of(&file)? {
        Some((header, size)) if has_content(&header, size) => DataFound::AppendOnly { file, synced: settings.append_synced },
        Some(_) | None => DataFound::Nothing { why: format!("appendonly is yes, and {} does not exist", manifest.display()) },
    })
}

/// The file that a line of a manifest names, unless it is only kept to be deleted.
fn part(line: &[u8]) -> Option<PathBuf> {
    let words: Vec<String> = words::split(line).ok()?.into_iter().map(|word| String::from_utf8_lossy(&word).into_owned()).collect();
    let value = |name: &str| words.chunks(2).find_map(|pair| (pair[0] == name).then(|| pair.get(1)).flatten());
    let kind = value("type")?;
    (kind != "h").then(|| value("file").map(PathBuf::from)).flatten()
}

/// Whether a part of an append-only file says anything: a snapshot at its head may be one of no keys.
fn has_content(header: &[u8], size: u64) -> bool {
    size > rdb::header(header).and_then(|header| header.keyless).unwrap_or(0)
}

/// The beginning of a file, and its size; none if it does not exist.
fn head_of(file: &Path) -> Result<Option<(Vec<u8>, u64)>, Unreadable> {
    let read = || -> io::Result<(Vec<u8>, u64)> {
        let opened = File::open(file)?;
        let size = opened.metadata()?.len();
        let mut bytes = Vec::new();
        opened.take(HEADER_BYTES).read_to_end(&mut bytes)?;
        Ok((bytes, size))
    };
    unless_missing(file, read())
}

fn read_if_there(file: &Path) -> Result<Option<Vec<u8>>, Unreadable> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        fs::File::open(file)?.take(MANIFEST_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    unless_missing(file, read())
}

fn unless_missing<T>(file: &Path, read: io::Result<T>) -> Result<Option<T>, Unreadable> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(Unreadable { file: file.to_owned(), error }),
    }
}

#[cfg(test)]
#[path = "data_test.rs"]
mod tests;
