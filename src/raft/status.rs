//! How the Raft group looks from this sentinel: plain values for people and for those who decide.

use crate::base::{Addr, ClusterId, LogIndex, Mono, NodeId};
use crate::machine::Outcome;

/// What a proposer gets once its entry is committed and applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The entry's place in the log.
    pub index: LogIndex,
    /// What came of it.
    pub outcome: Outcome,
}

/// Who leads, as far as this sentinel may trust it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// This sentinel leads, a quorum acknowledged it recently, and its state holds all that was committed before it led.
    Leading {
        /// The Raft term.
        term: u64,
    },
    /// Another sentinel leads.
    Following {
        /// Which.
        leader: NodeId,
    },
    /// No leader is known, or we lead without a recent acknowledgement: act on nothing.
    Unknown,
}

/// How a peer looks from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerHealth {
    /// Where it listens for peers.
    pub addr: Addr,
    /// When it last answered or called us; none if never.
    pub last_heard: Option<Mono>,
    /// When it last answered a call at that address; none if never. One that calls and does not answer is elsewhere, or cut off one way.
    pub last_answered: Option<Mono>,
    /// Why it refuses us or we refuse it (identity), if so.
    pub refused: Option<String>,
    /// How its state compared with that of this sentinel at the same entry, if it did.
    pub state: Option<StateCompared>,
}

/// The state of another sentinel, compared with that of this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateCompared {
    /// At which entry.
    pub index: LogIndex,
    /// Whether they were the same.
    pub same: bool,
}

/// A member of the Raft group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub id: NodeId,
    /// Where it listens for peers.
    pub addr: Addr,
    /// Whether it votes (else it is a learner).
    pub voter: bool,
}

/// A member that was left behind by one that goes on alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its number.
    pub id: NodeId,
    /// Where it listened for peers.
    pub addr: Addr,
    /// Somebody is there, with another data directory or as one that takes part.
    pub answers: bool,
}

/// Where the Raft group stands, seen from this sentinel.
#[derive(Clone, Debug)]
pub struct RaftStatus {
    /// This sentinel.
    pub id: NodeId,
    /// The cluster.
    pub cluster: ClusterId,
    /// The Raft term.
    pub term: u64,
    /// The leader, if one is known and trusted.
    pub leader: Option<NodeId>,
    /// The last entry in this sentinel's log.
    pub last_log: LogIndex,
    /// The last entry applied here.
    pub applied: LogIndex,
    /// The last entry in the newest snapshot.
    pub snapshot: Option<LogIndex>,
    /// Milliseconds since a quorum last acknowledged this leader; none if it does not lead.
    pub quorum_ack_age_ms: Option<u64>,
    /// How long a sync of this sentinel's disk takes.
    pub sync_us: u64,
    /// Other hosts reach the port for peers, and nothing is asked of them (`raft insecure yes`).
    pub insecure: bool,
    /// The members.
    pub members: Vec<Member>,
}
