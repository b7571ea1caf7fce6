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
use super::types::{LogId, TypeConfig, Vote};
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
        if let (AppendEntriesResponse::Conflict, Some(previous)) = (&response, request.prev_log_id) {
            self.check_kept(previous, request.vote)?;
        }
        match &response {
            AppendEntriesResponse::Success | AppendEntriesResponse::PartialSuccess(_) | AppendEntriesResponse::Conflict => {
                self.network.acks.note(self.target, request.vote, sent);
            }
            AppendEntriesResponse::HigherVote(_) => {}
        }
        Ok(response)
    }

    /// A member that lacks what it accepted has lost it. openraft takes that for impossible, and would ask for the same entry again and again.
    fn check_kept(&self, lacking: LogId, vote: Vote) -> Result<(), LinkError> {
        let (id, network) = (self.target, &self.network);
        let Some(accepted) = network.acks.accepted(id, &vote).filter(|accepted| lacking.index <= accepted.index) else { return Ok(()) };
        let lost = format!(
            "sentinel {id} lacks entry {} although it had acknowledged the log up to {}: its data directory went back in time, or was damaged. It must not take part. \
             Give it back the directory that it had; or replace it: 'raft-sentinel members replace {id} NEW HOST:PORT' at this sentinel, and an empty 'dir' \
             and 'raft node-id NEW' there",
            lacking.index, accepted.index
        );
        network.calls.note_refused(id, &lost);
        Err(LinkError::Lost(lost))
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

    /// A leader that gives leadership away says nothing that would renew its lease; and nobody leads a member that must not take part. Whether that is
    /// still so is found out by signs of life.
    fn check_voice(&self) -> Result<(), CallError> {
        if self.network.calls.went_back(self.target) {
            let reason = "its data directory went back in time, so it must not take part".to_owned();
            return Err(CallError::Refused { peer: self.target, reason });
        }
        if self.network.handing.is_silent() {
            return Err(CallError::NotSent { peer: self.target, problem: "leadership is being handed over".to_owned() });
        }
        Ok(())
    }

    async fn send_snapshot(&self, vote: &Vote, snapshot: Snapshot<TypeConfig>) -> Result<Vote, LinkError> {
        self.check_voice()?;
        let last = snapshot.meta.last_log_id;
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
        if let Some(last) = last.filter(|_| answered == *vote) {
            self.network.acks.note_accepted(self.target, *vote, last);
        }
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
    /// The peer lacks what it had acknowledged.
    #[error("{0}")]
    Lost(String),
}

impl From<LinkError> for RaftRpcError {
    fn from(error: LinkError) -> Self {
        match &error {
            LinkError::Call(CallError::NoAnswer { .. }) => Self::Network(NetworkError::new(&error)),
            LinkError::Call(CallError::NotSent { .. } | CallError::Refused { .. }) | LinkError::Malformed(_) | LinkError::Lost(_) => {
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
        let accepted = match &response {
            AppendEntriesResponse::Success => wire::end_of(&rpc),
            AppendEntriesResponse::PartialSuccess(upto) => *upto,
            AppendEntriesResponse::Conflict | AppendEntriesResponse::HigherVote(_) => None,
        };
        if let Some(last) = accepted {
            self.network.acks.note_accepted(self.target, rpc.vote, last);
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
