//! How a durable value is written down: a format version, a checksum, then JSON.
//!
//! ```text
//! byte 0        format version
//! bytes 1..5    CRC-32 of the version and the body, little-endian
//! bytes 5..     the body: JSON
//! ```
//!
//! The engine has checksums of its own; these are ours because a value also travels (snapshots), and because
//! they tell damage from a bug of the engine. The golden files in `tests/store/golden` guard the format.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StoreError;
use crate::base::{LogIndex, said_plainly};
use crate::machine::State;

/// The newest format that this release reads, and the one it writes.
pub(super) const FORMAT: u8 = 1;
const HEADER: usize = 5;

/// What is wrong with the bytes of a value.
#[derive(Debug, thiserror::Error)]
pub enum BadValue {
    /// Shorter than its own header.
    #[error("it is cut off after {0} bytes")]
    Short(usize),
    /// The bytes are not those that were written.
    #[error("its checksum does not match")]
    Checksum,
    /// A newer release wrote it.
    #[error("it has format {0}, this release reads up to {FORMAT}")]
    Newer(u8),
    /// The checksum is right, and this release does not understand the content.
    #[error("it does not decode: {0}")]
    Undecodable(#[from] serde_json::Error),
}

impl BadValue {
    /// Says where the value was found.
    pub(super) fn at(self, file: &Path, key: impl Into<String>) -> StoreError {
        match self {
            Self::Newer(found) => {
                StoreError::Newer { file: file.to_owned(), key: key.into(), found: u64::from(found), known: u64::from(FORMAT) }
            }
            Self::Undecodable(problem) => StoreError::Foreign { file: file.to_owned(), key: key.into(), problem: problem.to_string() },
            Self::Short(_) | Self::Checksum => StoreError::damaged(file, key, self),
        }
    }
}

/// Writes a value down.
///
/// # Errors
/// When the value has no JSON form (a map with keys that are not text).
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = vec![0; HEADER];
    bytes[0] = FORMAT;
    serde_json::to_writer(&mut bytes, value)?;
    let sum = checksum(FORMAT, &bytes[HEADER..]);
    bytes[1..HEADER].copy_from_slice(&sum.to_le_bytes());
    Ok(bytes)
}

/// Reads a value that [`encode`] wrote.
///
/// # Errors
/// [`BadValue`]. The checksum covers the version, so a version that was damaged does not look like a newer one.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BadValue> {
    let (header, body) = bytes.split_at_checked(HEADER).ok_or(BadValue::Short(bytes.len()))?;
    let [version, a, b, c, d] = header else { return Err(BadValue::Short(bytes.len())) };
    if checksum(*version, body) != u32::from_le_bytes([*a, *b, *c, *d]) {
        return Err(BadValue::Checksum);
    }
    match *version {
        0 => Err(BadValue::Checksum),
        1..=FORMAT => Ok(whole(body)?),
        newer => Err(BadValue::Newer(newer)),
    }
}

/// Reads a document whole: a field that this release does not know is an error, for what is made of the rest would be something else than elsewhere.
///
/// # Errors
/// It is no such value, or has more than this release knows.
pub fn whole<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_json::Error> {
    let mut unknown = None;
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_ignored::deserialize(&mut reader, |path| {
        let path = path.to_string();
        if !is_of_a_record(&path) {
            unknown.get_or_insert(path);
        }
    })?;
    reader.end()?;
    match unknown {
        None => Ok(value),
        Some(path) => Err(serde::de::Error::custom(format_args!("unknown field '{}'", said_plainly(&path)))),
    }
}

/// The records of sentinels, in the state and in the entry that has one: they are told before it is known who understands what. Paths name fields, and not kinds of entries.
fn is_of_a_record(path: &str) -> bool {
    path.starts_with("sentinels.") || path.starts_with("record.") || path.contains(".record.")
}

fn checksum(version: u8, body: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&[version]);
    sum.update(body);
    sum.finalize()
}

/// Checks the bytes of a snapshot, as received from a peer, before openraft is given them. `last` is the entry that it goes up to.
///
/// # Errors
/// A text that says what is wrong. A snapshot that fails after openraft took it would stop this sentinel.
pub fn verify_snapshot(data: &[u8], last: Option<LogIndex>) -> Result<(), String> {
    let state: State = decode(data).map_err(|problem| problem.to_string())?;
    if Some(state.applied) == last {
        Ok(())
    } else {
        Err(format!("its content goes up to {}, its description says otherwise", state.applied))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails may panic")]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let whole = encode(&vec!["a", "b"]).unwrap();
        assert_eq!(decode::<Vec<String>>(&whole).unwrap(), ["a", "b"]);
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(decode::<Vec<String>>(&flipped), Err(BadValue::Checksum)), "bit {bit}");
        }
        for len in 0..whole.len() {
            assert!(decode::<Vec<String>>(&whole[..len]).is_err(), "cut to {len}");
        }
    }

    /// The JSON of a value with one more field in the object at `place`.
    fn with_more<T: Serialize>(value: &T, place: &str) -> Vec<u8> {
        let mut json = serde_json::to_value(value).unwrap();
        let object = json.pointer_mut(place).unwrap().as_object_mut().unwrap();
        object.insert("later".to_owned(), true.into());
        serde_json::to_vec(&json).unwrap()
    }

    #[test]
    fn a_field_of_a_later_release_is_not_dropped() {
        use crate::base::{Addr, Incarnation, NodeId, SentinelId, WallTime};
        use crate::machine::{Command, SentinelRecord};
        use crate::raft::types::{Entry, LogId};
        use openraft::EntryPayload;

        let left = Command::SentinelLeft { id: NodeId(1) };
        let parameters = Command::SetParameters { sentinel: NodeId(1), changes: Vec::new(), at: WallTime(1), asked: None };
        for (command, place) in [(&left, "/sentinel-left"), (&parameters, "/set-parameters")] {
            let problem = whole::<Command>(&with_more(command, place)).unwrap_err().to_string();
            assert!(problem.contains("unknown field") && problem.contains("later"), "{problem}");
        }
        assert!(whole::<State>(&with_more(&State::default(), "")).is_err());
        assert!(whole::<State>(b"{} {}").is_err());
        // The record of a sentinel is told to all, whatever they know.
        let at = Addr::new("10.0.0.1", 1).unwrap();
        let record = SentinelRecord {
            sentinel_id: SentinelId::new("1".repeat(40)).unwrap(),
            incarnation: Incarnation::new("i").unwrap(),
            resp: at.clone(),
            grpc: at.clone(),
            raft: at,
            shadow: false,
            key_ids: None,
            level: Some(7),
        };
        let joined = Command::SentinelJoined { id: NodeId(1), record: record.clone() };
        assert_eq!(whole::<Command>(&with_more(&joined, "/sentinel-joined/record")).unwrap(), joined);
        assert!(whole::<Command>(&with_more(&joined, "/sentinel-joined")).is_err());
        let entry = Entry { log_id: LogId::default(), payload: EntryPayload::Normal(joined) };
        assert_eq!(whole::<Entry>(&with_more(&entry, "/payload/Normal/sentinel-joined/record")).unwrap(), entry);
        let state = State { sentinels: [(NodeId(1), record)].into(), ..State::default() };
        assert_eq!(whole::<State>(&with_more(&state, "/sentinels/1")).unwrap(), state);
    }

    /// Inside of an entry as it is kept, which has openraft's types around it.
    #[test]
    fn nor_in_an_entry_of_the_log() {
        use crate::base::NodeId;
        use crate::machine::Command;
        use crate::raft::types::Entry;

        let log_id = crate::raft::types::LogId::new(openraft::CommittedLeaderId::new(1, NodeId(1)), 5);
        let entry = Entry { log_id, payload: openraft::EntryPayload::Normal(Command::SentinelLeft { id: NodeId(1) }) };
        assert!(whole::<Entry>(&serde_json::to_vec(&entry).unwrap()).is_ok());
        let problem = whole::<Entry>(&with_more(&entry, "/payload/Normal/sentinel-left")).unwrap_err().to_string();
        assert!(problem.contains("later"), "{problem}");
    }

    #[test]
    fn a_newer_format_is_not_called_damage() {
        let mut newer = encode(&1).unwrap();
        newer[0] = FORMAT + 1;
        let sum = checksum(FORMAT + 1, &newer[HEADER..]);
        newer[1..HEADER].copy_from_slice(&sum.to_le_bytes());
        let error = decode::<u8>(&newer).unwrap_err().at(Path::new("log.redb"), "vote");
        assert!(error.to_string().contains("a downgrade is not possible"), "{error}");
    }
}
