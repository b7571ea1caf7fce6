//! The replicated log: a Raft group of sentinels (openraft), its peers over gRPC, proposals and linearizable reads.
//!
//! With `store` the only room that knows openraft. It carries commands and does not know what they mean beyond
//! `machine::State::apply`. Called by `agent` and `serve` through [`Raft`]; started by `app`.

pub mod types;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::{broadcast, watch};

use crate::base::{Addr, ClusterId, LogIndex, Mono, NodeId, SentinelId};
use crate::machine::{Command, Logged, Outcome, State};

/// What a proposer gets once its entry is committed and applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The entry's place in the log.
    pub index: LogIndex,
    /// What came of it.
    pub outcome: Outcome,
}

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

/// Who leads, as far as this sentinel may trust it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// This sentinel leads, and a quorum acknowledged it recently.
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
    /// Why it refuses us or we refuse it (identity), if so.
    pub refused: Option<String>,
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
    /// The members.
    pub members: Vec<Member>,
}

/// This sentinel's part in the Raft group. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Raft {
    states: watch::Receiver<Arc<State>>,
}

#[expect(clippy::unimplemented, clippy::unused_async, reason = "the shape of the room; its work follows")]
impl Raft {
    /// This sentinel's number.
    pub fn id(&self) -> NodeId {
        unimplemented!()
    }

    /// This sentinel's public id.
    pub fn sentinel_id(&self) -> &SentinelId {
        unimplemented!()
    }

    /// Puts a command into the log, through the leader, and returns once it is committed and applied **here**.
    ///
    /// # Errors
    /// [`ProposeError`]; bounded in time.
    pub async fn propose(&self, _command: Command) -> Result<Committed, ProposeError> {
        unimplemented!()
    }

    /// The state, at least as new as any answer that was given anywhere before this call (read index).
    ///
    /// # Errors
    /// [`ReadError`] when no quorum confirms it in time.
    pub async fn linearizable(&self) -> Result<Arc<State>, ReadError> {
        unimplemented!()
    }

    /// The state as applied here, which may lag behind.
    pub fn state(&self) -> Arc<State> {
        self.states.borrow().clone()
    }

    /// Follows the state as applied here. Intermediate states may be skipped.
    pub fn states(&self) -> watch::Receiver<Arc<State>> {
        self.states.clone()
    }

    /// Listens to what becomes true from now on. A listener that is too slow is told how much it missed.
    pub fn events(&self) -> broadcast::Receiver<Arc<Logged>> {
        unimplemented!()
    }

    /// Who leads.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        unimplemented!()
    }

    /// Makes sure that this sentinel leads right now: a quorum acknowledged it after this call, or within the lease.
    ///
    /// To be called before each act on Redis.
    ///
    /// # Errors
    /// [`ReadError`] when it does not lead, or cannot know.
    pub async fn confirm_leadership(&self) -> Result<(), ReadError> {
        unimplemented!()
    }

    /// How the other sentinels look from here.
    pub fn peers(&self) -> BTreeMap<NodeId, PeerHealth> {
        unimplemented!()
    }

    /// Where the Raft group stands.
    pub fn status(&self) -> RaftStatus {
        unimplemented!()
    }

    /// Adds a sentinel that receives the log but does not vote, and waits until it has caught up.
    ///
    /// # Errors
    /// [`MembershipError`].
    pub async fn add_learner(&self, _id: NodeId, _addr: Addr) -> Result<(), MembershipError> {
        unimplemented!()
    }

    /// Makes exactly these members the voters. They must be members that have caught up.
    ///
    /// # Errors
    /// [`MembershipError`].
    pub async fn set_voters(&self, _voters: BTreeSet<NodeId>) -> Result<(), MembershipError> {
        unimplemented!()
    }

    /// Removes a member, voter or not.
    ///
    /// # Errors
    /// [`MembershipError`].
    pub async fn remove_member(&self, _id: NodeId) -> Result<(), MembershipError> {
        unimplemented!()
    }

    /// Stops: no more calls are answered, the log is closed.
    pub async fn shutdown(&self) {
        unimplemented!()
    }
}
