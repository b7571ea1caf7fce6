//! What can go wrong, shaped by what the caller can do about it.

use crate::base::{Addr, NodeId};

/// Why a proposal has no outcome.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProposeError {
    /// Certainly not proposed: try again, here or elsewhere.
    #[error("no leader with a quorum is known ({0}); nothing was changed")]
    NoLeader(String),
    /// It may still take effect: look at the state before trying again.
    #[error("no quorum acknowledged it within {waited_ms} ms; it may still take effect")]
    Unknown {
        /// How long we waited.
        waited_ms: u64,
    },
    /// The entry is larger than the limit.
    #[error("the change is too large ({bytes} bytes, {limit} are allowed)")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The entry would be malformed to the others, and damage to a restart.
    #[error("the change was refused before it was proposed, and nothing was changed: {0}")]
    Unreadable(String),
    /// A member would not understand the entry.
    #[error("{0}")]
    NotUnderstood(String),
    /// This sentinel is stopping, or its log failed.
    #[error("this sentinel cannot work: {0}")]
    Stopped(String),
}

/// Why no linearizable answer can be given.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no quorum of sentinels confirmed the answer within {waited_ms} ms ({reason})")]
pub struct ReadError {
    /// How long we waited.
    pub waited_ms: u64,
    /// What stood in the way.
    pub reason: String,
}

/// Why a change of members failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MembershipError {
    /// Ask the leader.
    #[error("this sentinel does not lead; ask {0:?}")]
    NotLeading(Option<NodeId>),
    /// The request does not fit the members there are.
    #[error("{0}")]
    Refused(String),
    /// It may or may not have taken effect.
    #[error("{0}; list the members to see what took effect")]
    Unknown(String),
}

/// Why this sentinel could not take its part in the group.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings contradict each other.
    #[error("the raft settings do not fit: {0}")]
    Config(String),
    /// The data directory cannot be used.
    #[error("cannot open the log: {0}")]
    Store(String),
    /// The peers' port cannot be opened.
    #[error("cannot listen for peers on {addr}: {problem} (raft listen)")]
    Listen {
        /// Where.
        addr: Addr,
        /// What the system says.
        problem: String,
    },
    /// Other hosts reach the peers' port, and nothing is asked of them.
    #[error(
        "raft listen {addr} can be reached from other hosts, and nothing proves who calls: add 'raft secret-file <path>' or 'raft tls yes' (or 'raft insecure yes', where every host may do everything)"
    )]
    Exposed {
        /// Where.
        addr: Addr,
    },
    /// The log was opened, but consensus did not start on it.
    #[error("cannot start on the log that is there: {0}")]
    Raft(String),
}
