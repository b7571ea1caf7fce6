//! Who sees the master down, on what grounds, and whether that is enough.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::failover::Stamp;
use crate::base::{Addr, NodeId, WallTime};

/// Why a sentinel holds the master to be down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// No valid reply for the group's limit.
    Silent,
    /// No valid reply for the limit, and the port refuses connections.
    Refused,
    /// No valid reply for the limit, since the server closed the connection.
    Closed,
    /// No valid reply for the limit; it answers that a script keeps it busy.
    Busy,
    /// No valid reply for the limit; its name does not resolve.
    Unresolved,
    /// It answers, but has reported the role of a replica for longer than repair may take.
    WrongRole,
    /// It restarted, and may lack data that replicas of it still hold.
    LostHistory,
    /// It restarted and has been loading for longer than `master-reboot-down-after-period`.
    Loading,
    /// Another server answers at its address: its name leads elsewhere, say.
    Elsewhere,
    /// No valid reply for the limit; it answers PING with an error, which is none that a script causes.
    Error,
    /// It restarted without any key, while replicas of it have some.
    Emptied,
}

impl Evidence {
    /// A short phrase for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Silent => "no valid reply",
            Self::Refused => "connection refused",
            Self::Closed => "connection closed",
            Self::Busy => "busy with a script",
            Self::Unresolved => "name does not resolve",
            Self::WrongRole => "reports the role of a replica",
            Self::LostHistory => "restarted, and may lack what its replicas hold",
            Self::Loading => "restarted and still loading",
            Self::Elsewhere => "another server answers at its address",
            Self::Error => "answers PING with an error",
            Self::Emptied => "restarted without its data",
        }
    }
}

/// What a replica says of its link to the master, reported beside a vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaLinkReport {
    /// The replica.
    pub replica: Addr,
    /// `master_link_status:up`.
    pub link_up: bool,
    /// `master_last_io_seconds_ago`.
    pub last_io_s: Option<u64>,
}

/// The grounds of a vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DownEvidence {
    /// Why.
    pub evidence: Evidence,
    /// For how long there has been no valid reply, in milliseconds, when the vote was cast.
    pub silent_ms: u64,
    /// The limit that ran out, in milliseconds.
    pub limit_ms: u64,
    /// What the replicas say of the master.
    #[serde(default)]
    pub replicas: Vec<ReplicaLinkReport>,
}

/// One sentinel's standing vote that the master is down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DownVote {
    /// On what grounds.
    pub testimony: DownEvidence,
    /// When it was cast, and its place in the log.
    pub cast: Stamp,
}

/// Where a ballot stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tally {
    /// Not enough sentinels see the master down.
    Pending {
        /// Votes so far.
        have: u32,
        /// Votes needed.
        need: u32,
    },
    /// The master is objectively down.
    Agreed {
        /// Votes so far.
        have: u32,
        /// Votes needed.
        need: u32,
    },
}

impl Tally {
    /// Whether the master is objectively down.
    pub const fn agreed(self) -> bool {
        matches!(self, Self::Agreed { .. })
    }
}

/// The standing votes about the master of the group's current epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ballot {
    down: BTreeMap<NodeId, DownVote>,
}

impl Ballot {
    /// Records that `voter` sees the master down; true if it did not stand before.
    pub(super) fn cast(&mut self, voter: NodeId, testimony: DownEvidence, cast: Stamp) -> bool {
        self.down.insert(voter, DownVote { testimony, cast }).is_none()
    }

    /// Takes back the vote of `voter`; true if there was one.
    pub(super) fn withdraw(&mut self, voter: NodeId) -> bool {
        self.down.remove(&voter).is_some()
    }

    /// Starts over, as for a new epoch.
    pub(super) fn clear(&mut self) {
        self.down.clear();
    }

    /// The standing votes.
    pub const fn votes(&self) -> &BTreeMap<NodeId, DownVote> {
        &self.down
    }

    /// Whether the vote of `voter` stands.
    pub fn has(&self, voter: NodeId) -> bool {
        self.down.contains_key(&voter)
    }

    /// Where the ballot stands against `quorum`.
    pub fn tally(&self, quorum: u32) -> Tally {
        let have = u32::try_from(self.down.len()).unwrap_or(u32::MAX);
        if have >= quorum { Tally::Agreed { have, need: quorum } } else { Tally::Pending { have, need: quorum } }
    }

    /// When the newest standing vote was cast.
    pub fn newest(&self) -> Option<WallTime> {
        self.down.values().map(|vote| vote.cast.at).max()
    }
}
