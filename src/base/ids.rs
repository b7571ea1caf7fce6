//! Names and numbers that identify things. Each is a type of its own, so that no two can be swapped.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::addr::shown;

/// A sentinel's number in the Raft group (`raft node-id`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u64);

/// The configuration epoch of a group: which promotion its current master comes from.
///
/// Grows by exactly one for each promotion and never shrinks (promise P1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch of the next promotion.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The position of an entry in the Raft log; also the revision of what that entry changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogIndex(pub u64);

impl LogIndex {
    /// Whether it is the first of all, which no entry of ours has.
    pub const fn is_zero(&self) -> bool {
        self.0 == 0
    }
}

/// Characters in the longest id.
const ID_CHARS: usize = 128;

/// Why a text cannot be an id. The text is cut and escaped: it may come from a stranger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no id: an id has 1 to {ID_CHARS} printable ASCII characters, without blanks")]
pub struct BadId(String);

fn checked_id(text: String) -> Result<String, BadId> {
    let fits = (1..=ID_CHARS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(text) } else { Err(BadId(shown(&text))) }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Checks the text and keeps it as it is.
            ///
            /// # Errors
            /// [`BadId`] when it is empty, longer than any id, or has characters that no id has.
            pub fn new(text: impl Into<String>) -> Result<Self, BadId> {
                checked_id(text.into()).map(Self)
            }

            /// The hexadecimal digits of random bytes, or of a digest.
            pub fn of_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// `run_id` of a Redis process: 40 hex characters, new at every start.
    RunId, 20
}
text_id! {
    /// A replication history (`master_replid`): two servers with the same one hold prefixes of the same data.
    ReplId, 20
}
text_id! {
    /// A sentinel's public id (`SENTINEL MYID`): 40 hex characters, kept in its data directory.
    SentinelId, 20
}
text_id! {
    /// Identifies one Raft group; every peer call carries it.
    ClusterId, 8
}
text_id! {
    /// Identifies one life of a data directory: a sentinel that lost its disk has a new one.
    Incarnation, 16
}

impl ReplId {
    /// What stands for the history of a server that tells none (Redis before 4.0, Kvrocks). Redis itself says so where there is no history.
    pub fn unknown() -> Self {
        Self("0".repeat(40))
    }

    /// Whether the server told none.
    pub fn is_unknown(&self) -> bool {
        self.0.bytes().all(|byte| byte == b'0')
    }
}

/// The name of a monitored master and its replicas, as in `sentinel monitor <name> ...`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupName(String);

/// Why a text cannot name a group. The text is cut and escaped: it may come from a stranger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' cannot name a master: a name has 1 to 128 characters, without blanks, commas or control characters")]
pub struct BadGroupName(String);

impl GroupName {
    /// Checks the name.
    ///
    /// Stock Sentinel takes any text, but blanks break its file, and commas its hello messages.
    ///
    /// # Errors
    /// [`BadGroupName`] when it is empty, too long, or has a blank, comma or control character.
    pub fn new(text: impl Into<String>) -> Result<Self, BadGroupName> {
        let text = text.into();
        let fits = !text.is_empty() && text.len() <= 128 && !text.chars().any(|c| c.is_whitespace() || c.is_control() || c == ',');
        if fits { Ok(Self(text)) } else { Err(BadGroupName(shown(&text))) }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! shown_as_inner {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )*};
}
shown_as_inner!(NodeId, Epoch, LogIndex, GroupName);

impl From<u64> for NodeId {
    fn from(number: u64) -> Self {
        Self(number)
    }
}
