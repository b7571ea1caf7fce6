//! What the cluster agrees on, as this room needs it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::broadcast;

use crate::base::{NodeId, SentinelId};
use crate::machine::{Command, Logged, State};
use crate::raft::{Committed, PeerHealth, ProposeError, Raft, ReadError};

/// The part of [`Raft`] that answers are made from. A trait, so that this room can be tried without peers or a disk.
#[async_trait]
pub trait Agreement: Send + Sync + 'static {
    /// This sentinel's number.
    fn id(&self) -> NodeId;
    /// This sentinel's public id.
    fn sentinel_id(&self) -> SentinelId;
    /// The state as applied here, which may lag behind.
    fn state(&self) -> Arc<State>;
    /// How the other sentinels look from here.
    fn peers(&self) -> BTreeMap<NodeId, PeerHealth>;
    /// What becomes true from now on.
    fn events(&self) -> broadcast::Receiver<Arc<Logged>>;
    /// The state, at least as new as any answer that was given anywhere before this call.
    async fn linearizable(&self) -> Result<Arc<State>, ReadError>;
    /// Commits a command and applies it here.
    async fn propose(&self, command: Command) -> Result<Committed, ProposeError>;
}

#[async_trait]
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

    fn peers(&self) -> BTreeMap<NodeId, PeerHealth> {
        Self::peers(self)
    }

    fn events(&self) -> broadcast::Receiver<Arc<Logged>> {
        Self::events(self)
    }

    async fn linearizable(&self) -> Result<Arc<State>, ReadError> {
        Self::linearizable(self).await
    }

    async fn propose(&self, command: Command) -> Result<Committed, ProposeError> {
        Self::propose(self, command).await
    }
}
