//! What peers may ask of this sentinel. Each call: who are you, is it well-formed, then openraft (or the room's part) answers.

use std::sync::Arc;
use std::time::Duration;

use openraft::raft::{AppendEntriesResponse, VoteRequest, VoteResponse};
use tonic::{Request, Response, Status, Streaming};

use super::campaign::{NoVote, Voter};
use super::core::Core;
use super::types::Vote;
use super::{propose, wire};
use crate::base::NodeId;
use crate::proto::peer::{self, peer_server, snapshot_chunk::Part};

/// How long the next chunk of a snapshot may take.
const CHUNK_WITHIN: Duration = Duration::from_secs(10);

/// The peer service.
#[derive(Clone)]
pub(super) struct Service {
    pub core: Arc<Core>,
}

impl Service {
    async fn admit(&self, envelope: Option<peer::Envelope>) -> Result<NodeId, Status> {
        if self.core.stop.is_cancelled() {
            return Err(stopping());
        }
        self.core.passport.admit(envelope).await
    }

    /// For calls that only members make. (Raft's own calls may come from members that this sentinel has yet to learn of.)
    async fn admit_member(&self, envelope: Option<peer::Envelope>) -> Result<NodeId, Status> {
        let from = self.admit(envelope).await?;
        if self.core.standing().members.contains_key(&from) {
            return Ok(from);
        }
        let me = self.core.me;
        Err(Status::failed_precondition(format!("sentinel {from} is no member, as far as sentinel {me} knows: add it, or stop it")))
    }

    /// A stream must not keep this room from stopping.
    async fn next_chunk(&self, chunks: &mut Streaming<peer::SnapshotChunk>) -> Result<Option<peer::SnapshotChunk>, Status> {
        tokio::select! {
            () = self.core.stop.cancelled() => Err(stopping()),
            chunk = tokio::time::timeout(CHUNK_WITHIN, chunks.message()) => {
                chunk.map_err(|_| Status::deadline_exceeded(format!("no chunk of the snapshot within {} s", CHUNK_WITHIN.as_secs())))?
            }
        }
    }

    /// A legitimate leader calls. Noted when the call arrives and again when it is answered: a slow disk here says nothing
    /// about the leader there.
    fn note_leader(&self, from: NodeId, vote: &Vote) {
        if *vote >= self.core.vote() {
            self.core.ear.note_leader(from, self.core.clock.mono());
        }
    }

    fn voter(&self) -> Voter {
        Voter {
            now: self.core.clock.mono(),
            heard: self.core.ear.heard(),
            ack: self.core.quorum_ack(),
            last_log: self.core.consensus.data_metrics().borrow().last_log,
        }
    }

    async fn vote_on(&self, from: NodeId, request: VoteRequest<NodeId>) -> Result<VoteResponse<NodeId>, Status> {
        // A leader of openraft 0.9 grants any newer vote, because it does not count its own lease. Ours does.
        let voter = self.voter();
        if voter.judge(&self.core.spans, request.last_log_id) == Err(NoVote::Leads) {
            return Ok(VoteResponse::new(self.core.vote(), voter.last_log, false));
        }
        let asked = request.vote;
        let response = self.core.consensus.vote(request).await.map_err(|error| stopped(&error))?;
        if response.vote_granted && response.vote == asked {
            self.core.ear.note_vote(self.core.clock.mono());
            tracing::info!(candidate = %from, term = asked.leader_id.term, "gave the vote");
        }
        Ok(response)
    }
}

#[tonic::async_trait]
impl peer_server::Peer for Service {
    async fn append(&self, request: Request<peer::AppendRequest>) -> Result<Response<peer::AppendReply>, Status> {
        let mut request = request.into_inner();
        let from = self.admit(request.envelope.take()).await?;
        let request = wire::append_from_wire(request)?;
        let vote = request.vote;
        check_leader(from, &vote)?;
        self.note_leader(from, &vote);
        let response = self.core.consensus.append_entries(request).await.map_err(|error| stopped(&error))?;
        if !matches!(response, AppendEntriesResponse::HigherVote(_)) {
            self.note_leader(from, &vote);
        }
        Ok(Response::new(wire::append_reply_to_wire(self.core.passport.responder(), &response)))
    }

    async fn vote(&self, request: Request<peer::VoteRequest>) -> Result<Response<peer::VoteReply>, Status> {
        let request = request.into_inner();
        let from = self.admit(request.envelope).await?;
        let vote = wire::vote_from_wire(request.vote)?;
        if vote.committed || vote.leader_id.node_id != from {
            return Err(Status::invalid_argument(format!("sentinel {from} asks for a vote that is not its own: {vote}")));
        }
        let request = VoteRequest::new(vote, request.last_log.map(wire::log_id_from_wire));
        let response = self.vote_on(from, request).await?;
        Ok(Response::new(peer::VoteReply {
            responder: Some(self.core.passport.responder()),
            vote: Some(wire::vote_to_wire(&response.vote)),
            granted: response.vote_granted,
            last_log: response.last_log_id.as_ref().map(wire::log_id_to_wire),
        }))
    }

    async fn pre_vote(&self, request: Request<peer::PreVoteRequest>) -> Result<Response<peer::PreVoteReply>, Status> {
        let request = request.into_inner();
        self.admit(request.envelope).await?;
        let judged = self.voter().judge(&self.core.spans, request.last_log.map(wire::log_id_from_wire));
        Ok(Response::new(peer::PreVoteReply {
            responder: Some(self.core.passport.responder()),
            granted: judged.is_ok(),
            reason: judged.err().map(|why| why.to_string()).unwrap_or_default(),
        }))
    }

    async fn install_snapshot(&self, request: Request<Streaming<peer::SnapshotChunk>>) -> Result<Response<peer::SnapshotReply>, Status> {
        let mut chunks = request.into_inner();
        let Some(peer::SnapshotChunk { part: Some(Part::Header(mut header)) }) = self.next_chunk(&mut chunks).await? else {
            return Err(Status::invalid_argument("malformed message from a peer: a snapshot must begin with its header"));
        };
        let from = self.admit(header.envelope.take()).await?;
        let mut intake = wire::SnapshotIntake::new(header)?;
        check_leader(from, &intake.vote)?;
        while let Some(chunk) = self.next_chunk(&mut chunks).await? {
            self.note_leader(from, &intake.vote);
            intake.take(chunk)?;
        }
        let (vote, snapshot) = intake.finish()?;
        tracing::info!(leader = %from, bytes = snapshot.snapshot.len(), "received a snapshot");
        let response = self.core.consensus.install_full_snapshot(vote, snapshot).await.map_err(|error| stopped(&error))?;
        self.note_leader(from, &vote);
        Ok(Response::new(peer::SnapshotReply {
            responder: Some(self.core.passport.responder()),
            vote: Some(wire::vote_to_wire(&response.vote)),
        }))
    }

    async fn propose(&self, request: Request<peer::ProposeRequest>) -> Result<Response<peer::ProposeReply>, Status> {
        let request = request.into_inner();
        self.admit_member(request.envelope).await?;
        let command = wire::command_from_wire(request.command)?;
        let result = propose::for_peer(&self.core, command, request.within_ms).await;
        Ok(Response::new(peer::ProposeReply { responder: Some(self.core.passport.responder()), result: Some(result) }))
    }

    async fn read_index(&self, request: Request<peer::ReadIndexRequest>) -> Result<Response<peer::ReadIndexReply>, Status> {
        self.admit_member(request.into_inner().envelope).await?;
        let result = match self.core.reads.index_as_leader(&self.core).await {
            Ok(index) => peer::read_index_reply::Result::Index(index.0),
            Err(reason) => peer::read_index_reply::Result::Unconfirmed(reason),
        };
        Ok(Response::new(peer::ReadIndexReply { responder: Some(self.core.passport.responder()), result: Some(result) }))
    }

    async fn ping(&self, request: Request<peer::PingRequest>) -> Result<Response<peer::PingReply>, Status> {
        let from = self.admit(request.into_inner().envelope).await?;
        let members = self.core.standing().members;
        Ok(Response::new(peer::PingReply {
            responder: Some(self.core.passport.responder()),
            formed: !members.is_empty(),
            member: members.contains_key(&from),
        }))
    }
}

fn stopping() -> Status {
    Status::unavailable("this sentinel is stopping")
}

fn check_leader(from: NodeId, vote: &Vote) -> Result<(), Status> {
    if vote.leader_id.node_id == from {
        return Ok(());
    }
    Err(Status::invalid_argument(format!("sentinel {from} speaks for another leader: {vote}")))
}

fn stopped(error: &dyn std::error::Error) -> Status {
    Status::unavailable(format!("this sentinel's log does not work: {error}"))
}
