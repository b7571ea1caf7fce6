//! What the services need of the Raft group, so that a test can stand in for it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;

use tokio::sync::{broadcast, watch};

use crate::base::{Addr, NodeId, SentinelId};
use crate::machine::{Command, Logged, State};
use crate::raft::{Committed, Leadership, MembershipError, PeerHealth, ProposeError, Raft, RaftStatus, ReadError};

/// The Raft group, as far as the services use it. Clones are one and the same.
///
/// Each method means what the method of that name means on [`Raft`].
pub trait Agreement: Clone + Send + Sync + 'static {
    /// This sentinel's number.
    fn id(&self) -> NodeId;
    /// This sentinel's public id.
    fn sentinel_id(&self) -> SentinelId;
    /// The state as applied here.
    fn state(&self) -> Arc<State>;
    /// Follows the state as applied here; intermediate states may be skipped.
    fn states(&self) -> watch::Receiver<Arc<State>>;
    /// The state, at least as new as any answer given before this call; bounded in time.
    fn linearizable(&self) -> impl Future<Output = Result<Arc<State>, ReadError>> + Send;
    /// Puts a command into the log; bounded in time.
    fn propose(&self, command: Command) -> impl Future<Output = Result<Committed, ProposeError>> + Send;
    /// Listens to what becomes true from now on; a listener that is too slow is told how much it missed.
    fn events(&self) -> broadcast::Receiver<Arc<Logged>>;
    /// Who leads.
    fn leadership(&self) -> watch::Receiver<Leadership>;
    /// How the other sentinels look from here.
    fn peers(&self) -> BTreeMap<NodeId, PeerHealth>;
    /// Where the Raft group stands.
    fn status(&self) -> RaftStatus;
    /// Adds a member without a vote and waits until it has caught up.
    fn add_learner(&self, id: NodeId, addr: Addr) -> impl Future<Output = Result<(), MembershipError>> + Send;
    /// Makes exactly these members the voters.
    fn set_voters(&self, voters: BTreeSet<NodeId>) -> impl Future<Output = Result<(), MembershipError>> + Send;
    /// Removes a member.
    fn remove_member(&self, id: NodeId) -> impl Future<Output = Result<(), MembershipError>> + Send;
}

impl Agreement for Raft {
    fn id(&self) -> NodeId {
        Self::id(self)
    }

    fn sentinel_id(&self) -> SentinelId {
        Self::sentinel_id(self).clone()
    }

    fn state(&self) -> Arc<State> {
        Self::state(self)
    }

    fn states(&self) -> watch::Receiver<Arc<State>> {
        Self::states(self)
    }

    async fn linearizable(&self) -> Result<Arc<State>, ReadError> {
        Self::linearizable(self).await
    }

    async fn propose(&self, command: Command) -> Result<Committed, ProposeError> {
        Self::propose(self, command).await
    }

    fn events(&self) -> broadcast::Receiver<Arc<Logged>> {
        Self::events(self)
    }

    fn leadership(&self) -> watch::Receiver<Leadership> {
        Self::leadership(self)
    }

    fn peers(&self) -> BTreeMap<NodeId, PeerHealth> {
        Self::peers(self)
    }

    fn status(&self) -> RaftStatus {
        Self::status(self)
    }

    async fn add_learner(&self, id: NodeId, addr: Addr) -> Result<(), MembershipError> {
        Self::add_learner(self, id, addr).await
    }

    async fn set_voters(&self, voters: BTreeSet<NodeId>) -> Result<(), MembershipError> {
        Self::set_voters(self, voters).await
    }

    async fn remove_member(&self, id: NodeId) -> Result<(), MembershipError> {
        Self::remove_member(self, id).await
    }
}
