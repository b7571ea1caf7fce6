//! What the cluster agrees on, as those who answer need it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{broadcast, watch};

use crate::base::{Addr, NodeId, SentinelId};
use crate::machine::{Command, LoggedEvent, State};
use crate::raft::{Committed, Leadership, Left, MembershipError, PeerHealth, ProposeError, Raft, RaftStatus, ReadError, Resealed};

/// The part of [`Raft`] that answers are made from. A trait, so that these rooms can be tried without peers or a disk.
///
/// Each method means what the method of that name means on [`Raft`].
#[async_trait]
pub trait ReplicatedState: Send + Sync + 'static {
    /// This sentinel's number.
    fn id(&self) -> NodeId;
    /// This sentinel's public id.
    fn sentinel_id(&self) -> SentinelId;
    /// The state as applied here, which may lag behind.
    fn state(&self) -> Arc<State>;
    /// What becomes true from now on; a listener that is too slow is told how much it missed.
    fn events(&self) -> broadcast::Receiver<Arc<LoggedEvent>>;
    /// How the other sentinels look from here.
    fn peers(&self) -> BTreeMap<NodeId, PeerHealth>;
    /// The state, at least as new as any answer that was given anywhere before this call; bounded in time.
    async fn linearizable(&self) -> Result<Arc<State>, ReadError>;
    /// Commits a command and applies it here; bounded in time.
    async fn propose(&self, command: Command) -> Result<Committed, ProposeError>;
    /// Lets another voter lead; bounded in time.
    async fn hand_over(&self, to: NodeId) -> Result<(), MembershipError>;
}

/// Also who leads and who belongs to the group: what watchers and operators need beyond answers.
#[async_trait]
pub trait ClusterAdmin: ReplicatedState {
    /// Follows the state as applied here; intermediate states may be skipped.
    fn states(&self) -> watch::Receiver<Arc<State>>;
    /// Who leads.
    fn leadership(&self) -> watch::Receiver<Leadership>;
    /// Where the Raft group stands.
    fn status(&self) -> RaftStatus;
    /// Adds a member without a vote and waits until it has caught up.
    async fn add_learner(&self, id: NodeId, addr: Addr) -> Result<(), MembershipError>;
    /// Makes exactly these members the voters; by `force` also if no majority of them answers.
    async fn set_voters(&self, voters: BTreeSet<NodeId>, force: bool) -> Result<(), MembershipError>;
    /// Removes a member; by `force` also if no majority of the voters that remain answers.
    async fn remove_member(&self, id: NodeId, force: bool) -> Result<(), MembershipError>;
    /// Tells all members where one of them listens now; by `force` also if the others alone are no majority that answers.
    async fn move_member(&self, id: NodeId, addr: Addr, force: bool) -> Result<(), MembershipError>;
    /// Makes this sentinel a group of one; it starts anew after that.
    async fn recover(&self, record: Command) -> Result<Vec<Left>, MembershipError>;
    /// Seals all secrets with the current key; the error is for people.
    async fn reseal(&self) -> Result<Resealed, String>;
}

#[async_trait]
impl ReplicatedState for Raft {
    fn id(&self) -> NodeId {
        Self::id(self)
    }

    fn sentinel_id(&self) -> SentinelId {
        Self::sentinel_id(self).clone()
    }

    fn state(&self) -> Arc<State> {
        Self::state(self)
    }

    fn events(&self) -> broadcast::Receiver<Arc<LoggedEvent>> {
        Self::events(self)
    }

    fn peers(&self) -> BTreeMap<NodeId, PeerHealth> {
        Self::peers(self)
    }

    async fn linearizable(&self) -> Result<Arc<State>, ReadError> {
        Self::linearizable(self).await
    }

    async fn propose(&self, command: Command) -> Result<Committed, ProposeError> {
        Self::propose(self, command).await
    }

    async fn hand_over(&self, to: NodeId) -> Result<(), MembershipError> {
        Self::hand_over(self, to).await
    }
}

#[async_trait]
impl ClusterAdmin for Raft {
    fn states(&self) -> watch::Receiver<Arc<State>> {
        Self::states(self)
    }

    fn leadership(&self) -> watch::Receiver<Leadership> {
        Self::leadership(self)
    }

    fn status(&self) -> RaftStatus {
        Self::status(self)
    }

    async fn add_learner(&self, id: NodeId, addr: Addr) -> Result<(), MembershipError> {
        Self::add_learner(self, id, addr).await
    }

    async fn set_voters(&self, voters: BTreeSet<NodeId>, force: bool) -> Result<(), MembershipError> {
        Self::set_voters(self, voters, force).await
    }

    async fn remove_member(&self, id: NodeId, force: bool) -> Result<(), MembershipError> {
        Self::remove_member(self, id, force).await
    }

    async fn move_member(&self, id: NodeId, addr: Addr, force: bool) -> Result<(), MembershipError> {
        Self::move_member(self, id, addr, force).await
    }

    async fn recover(&self, record: Command) -> Result<Vec<Left>, MembershipError> {
        Self::recover(self, record).await
    }

    async fn reseal(&self) -> Result<Resealed, String> {
        Self::reseal(self).await
    }
}
