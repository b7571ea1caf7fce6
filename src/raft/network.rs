//! openraft's way to the peers.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use openraft::error::{Fatal, NetworkError, RPCError, RaftError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{Backoff, RPCOption};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse};
use openraft::{BasicNode, RaftNetwork, RaftNetworkFactory, Snapshot};

use super::acks::Acks;
use super::calls::{CallError, Calls};
use super::config::{DISK_WITHIN, SNAPSHOT_WITHIN};
use super::handover::Handing;
use super::types::{TypeConfig, Vote};
use super::wire;
use super::wire::Malformed;
use crate::base::NodeId;
use crate::clock::Clock;
use crate::proto::peer;
use crate::store::LogStore;

type RaftRpcError = RPCError<NodeId, BasicNode, RaftError<NodeId>>;

/// How long a peer that could not be reached is left alone. Short: a sentinel that comes back should be found at once.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// Makes [`Link`]s.
#[derive(Clone)]
pub(super) struct Network {
    pub calls: Calls,
    pub acks: Arc<Acks>,
    pub clock: Clock,
    pub log: LogStore,
    pub handing: Arc<Handing>,
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Link;

    async fn new_client(&mut self, target: NodeId, _node: &BasicNode) -> Link {
        Link { network: self.clone(), target }
    }
}

/// The way to one peer. All links to it share one connection.
pub(super) struct Link {
    network: Network,
    target: NodeId,
}

impl Link {
    /// AppendEntries; a peer that accepts the vote has acknowledged this leader.
    pub(super) async fn append(
        &self,
        request: &AppendEntriesRequest<TypeConfig>,
        within: Duration,
    ) -> Result<AppendEntriesResponse<NodeId>, LinkError> {
        self.check_voice()?;
        let sent = self.network.clock.mono();
        let asked = wire::Asked::of(request);
        let reply: peer::AppendReply = self
            .network
            .calls
            .call(self.target, within, |mut client, envelope| {
                let request = wire::append_to_wire(envelope, request);
                async move { client.append(request).await }
            })
            .await?;
        let response = wire::append_reply_from_wire(reply, &asked)?;
        if let AppendEntriesResponse::HigherVote(vote) = &response {
            wire::check_answered_vote(vote, &request.vote)?;
        }
        match &response {
            AppendEntriesResponse::Success | AppendEntriesResponse::PartialSuccess(_) | AppendEntriesResponse::Conflict => {
                self.network.acks.note(self.target, request.vote, sent);
            }
            AppendEntriesResponse::HigherVote(_) => {}
        }
        Ok(response)
    }

    /// Waits until this leader's own disk has what the peer accepted.
    ///
    /// openraft counts the leader for a quorum as soon as an entry is in its log, which runs ahead of the disk. A commit needs another
    /// voter (where it does not, the log waits for each entry), and no other is counted before this.
    async fn own_disk_has(&self, accepted: &AppendEntriesRequest<TypeConfig>) -> Result<(), RaftRpcError> {
        let Some(last) = wire::end_of(accepted) else { return Ok(()) };
        self.network.log.flushed(last.index).await.map_err(|failed| Unreachable::new(&failed).into())
    }

    async fn ask_vote(&self, request: VoteRequest<NodeId>, within: Duration) -> Result<VoteResponse<NodeId>, LinkError> {
        let reply: peer::VoteReply = self
            .network
            .calls
            .call(self.target, within, |mut client, envelope| async move {
                let last_log = request.last_log_id.as_ref().map(wire::log_id_to_wire);
                client.vote(peer::VoteRequest { envelope: Some(envelope), vote: Some(wire::vote_to_wire(&request.vote)), last_log }).await
            })
            .await?;
        let vote = wire::vote_from_wire(reply.vote)?;
        wire::check_answered_vote(&vote, &request.vote)?;
        Ok(VoteResponse { vote, vote_granted: reply.granted, last_log_id: reply.last_log.map(wire::log_id_from_wire) })
    }

    /// A leader that gives leadership away says nothing that would renew its lease.
    fn check_voice(&self) -> Result<(), CallError> {
        if self.network.handing.is_silent() {
            return Err(CallError::NotSent { peer: self.target, problem: "leadership is being handed over".to_owned() });
        }
        Ok(())
    }

    async fn send_snapshot(&self, vote: &Vote, snapshot: Snapshot<TypeConfig>) -> Result<Vote, LinkError> {
        self.check_voice()?;
        let reply: peer::SnapshotReply = self
            .network
            .calls
            .call(self.target, SNAPSHOT_WITHIN, |mut client, envelope| {
                let chunks = wire::chunks_of(envelope, vote, snapshot);
                async move { client.install_snapshot(tokio_stream::iter(chunks)).await }
            })
            .await?;
        let answered = wire::vote_from_wire(reply.vote)?;
        wire::check_answered_vote(&answered, vote)?;
        Ok(answered)
    }
}

impl Network {
    /// The way to `target`.
    pub(super) fn link(&self, target: NodeId) -> Link {
        Link { network: self.clone(), target }
    }
}

/// Why a peer gave no usable answer.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// No answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// An answer that no sentinel would give.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl From<LinkError> for RaftRpcError {
    fn from(error: LinkError) -> Self {
        match &error {
            LinkError::Call(CallError::NoAnswer { .. }) => Self::Network(NetworkError::new(&error)),
            LinkError::Call(CallError::NotSent { .. } | CallError::Refused { .. }) | LinkError::Malformed(_) => {
                Self::Unreachable(Unreachable::new(&error))
            }
        }
    }
}

impl RaftNetwork<TypeConfig> for Link {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<NodeId>, RaftRpcError> {
        let response = self.append(&rpc, DISK_WITHIN).await?;
        if let AppendEntriesResponse::Success | AppendEntriesResponse::PartialSuccess(_) = response {
            self.own_disk_has(&rpc).await?;
        }
        Ok(response)
    }

    async fn vote(&mut self, rpc: VoteRequest<NodeId>, _option: RPCOption) -> Result<VoteResponse<NodeId>, RaftRpcError> {
        Ok(self.ask_vote(rpc, DISK_WITHIN).await?)
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot<TypeConfig>,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<NodeId>, StreamingError<TypeConfig, Fatal<NodeId>>> {
        tokio::select! {
            closed = cancel => Err(StreamingError::Closed(closed)),
            answer = self.send_snapshot(&vote, snapshot) => match answer {
                Ok(vote) => Ok(SnapshotResponse::new(vote)),
                Err(error) => Err(StreamingError::Unreachable(Unreachable::new(&error))),
            },
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(RETRY_AFTER))
    }
}
