//! What peers may ask of this sentinel. Each call: who are you, is it well-formed, then openraft (or the room's part) answers.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use openraft::Snapshot;
use openraft::raft::{AppendEntriesResponse, VoteRequest, VoteResponse};
use tokio::time::Instant;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Response, Status, Streaming};

use super::config::SNAPSHOT_WITHIN;
use super::core::Core;
use super::election_policy::{NoVote, Voter};
use super::peers::Way;
use super::types::{LogId, TypeConfig, Vote};
use super::wire::Malformed;
use super::{diverged, peer_identity, propose, vouch, wire};
use crate::base::{LogIndex, NodeId, said_plainly};
use crate::proto::peer::{self, peer_server, snapshot_chunk::Part};
use crate::store;
use crate::transport::CallOrigin;

/// How long the next chunk of a snapshot may take.
const CHUNK_WITHIN: Duration = Duration::from_secs(10);
/// How long its header may take, which says who sends it.
const HEADER_WITHIN: Duration = Duration::from_secs(2);

/// The peer service.
#[derive(Clone)]
pub(super) struct Service {
    pub core: Arc<Core>,
}

impl Service {
    async fn admit(&self, caller: CallOrigin, envelope: Option<peer::Envelope>) -> Result<NodeId, Status> {
        if self.core.stop.is_cancelled() {
            return Err(stopping());
        }
        self.core.passport.admit(envelope, &caller.shown()).await
    }

    /// For Raft's own calls: from members, also from those that this sentinel has yet to learn of.
    async fn admit_raft(&self, caller: CallOrigin, envelope: Option<peer::Envelope>) -> Result<NodeId, Status> {
        let incarnation = envelope.as_ref().map(|envelope| envelope.from_incarnation.clone()).unwrap_or_default();
        let from = self.admit(caller, envelope).await?;
        vouch::check(&self.core, from, &incarnation).map_err(|refused| Status::failed_precondition(refused.0))?;
        Ok(from)
    }

    /// For calls that only members make, as far as this sentinel knows.
    pub(super) async fn admit_member(&self, caller: CallOrigin, envelope: Option<peer::Envelope>) -> Result<NodeId, Status> {
        let from = self.admit(caller, envelope).await?;
        if self.core.is_member(from) {
            return Ok(from);
        }
        let me = self.core.me;
        Err(Status::failed_precondition(format!("sentinel {from} is no member, as far as sentinel {me} knows: add it, or stop it")))
    }

    /// For questions about members: from members, and from all who have proven themselves.
    pub(super) async fn admit_curious(&self, caller: CallOrigin, envelope: Option<peer::Envelope>) -> Result<NodeId, Status> {
        if caller.may_know() { self.admit(caller, envelope).await } else { self.admit_member(caller, envelope).await }
    }

    /// For signs of life: before the group has formed, those in the file count as members.
    pub(super) async fn admit_known(&self, caller: CallOrigin, envelope: Option<peer::Envelope>) -> Result<NodeId, Status> {
        if self.core.has_members() { self.admit_curious(caller, envelope).await } else { self.admit_raft(caller, envelope).await }
    }

    /// A member that sends what none would send is told of here: it is damaged, or somebody poses as it.
    pub(super) fn checked<T>(&self, from: NodeId, checked: Result<T, Malformed>) -> Result<T, Status> {
        checked.map_err(|malformed| {
            self.core.peers.note_refused(from, Way::In, &format!("refused from sentinel {from}: {}", said_plainly(&malformed.0)));
            malformed.into()
        })
    }

    /// A stream must not keep this room from stopping.
    async fn next_chunk(
        &self,
        chunks: &mut Streaming<peer::SnapshotChunk>,
        within: Duration,
    ) -> Result<Option<peer::SnapshotChunk>, Status> {
        tokio::select! {
            () = self.core.stop.cancelled() => Err(stopping()),
            chunk = tokio::time::timeout(within, chunks.message()) => {
                chunk.map_err(|_| Status::deadline_exceeded(format!("no chunk of the snapshot within {} ms", within.as_millis())))?
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

/// The calls, for a caller that is known.
impl Service {
    async fn take_entries(&self, caller: CallOrigin, mut request: peer::AppendRequest) -> Result<peer::AppendReply, Status> {
        let from = self.admit_raft(caller, request.envelope.take()).await?;
        let request = self.checked(from, wire::append_from_wire(request))?;
        let (vote, end) = (request.vote, wire::end_of(&request));
        check_leader(from, &vote)?;
        self.checked(from, self.core.standpoint().check_vote(&vote))?;
        self.note_leader(from, &vote);
        let core = Arc::clone(&self.core);
        // In a task of its own: a caller that gives up does not end it, and openraft would take the request all the same.
        let taken = tokio::spawn(async move {
            // One at a time: what is checked must still be so when openraft takes it.
            let _order = core.order.lock().await;
            let request = if vote < core.vote() {
                // A leader that was replaced. openraft refuses it by its vote before it looks at any entry, and tells it the newer one.
                request
            } else {
                let standpoint = core.standpoint();
                let places = request.prev_log_id.into_iter().chain(request.entries.iter().map(|entry| entry.log_id));
                if let Some(place) = standpoint.contradicted(places) {
                    diverged::suspect(&core, place);
                }
                standpoint.check_append(request)?
            };
            Ok::<_, Malformed>(core.consensus.append_entries(request).await)
        });
        let taken = self.checked(from, taken.await.map_err(|_| stopping())?)?;
        let mut response = taken.map_err(|error| stopped(&error))?;
        if let (AppendEntriesResponse::Success | AppendEntriesResponse::PartialSuccess(_), Some(end)) = (&response, end) {
            response = self.once_durable(response, end, &vote).await?;
        }
        if !matches!(response, AppendEntriesResponse::HigherVote(_)) {
            self.note_leader(from, &vote);
        }
        Ok(wire::append_reply_to_wire(self.core.passport.responder(), &response))
    }

    /// Holds an acknowledgement until what it acknowledges is on the disk: openraft gives it as soon as the entries are in memory.
    ///
    /// Another leader may have replaced them meanwhile, and then it would be about others.
    async fn once_durable(
        &self,
        response: AppendEntriesResponse<NodeId>,
        end: LogId,
        vote: &Vote,
    ) -> Result<AppendEntriesResponse<NodeId>, Status> {
        self.core.log.flushed(end.index).await.map_err(|error| stopped(&error))?;
        let now = self.core.vote();
        if now > *vote {
            return Ok(AppendEntriesResponse::HigherVote(now));
        }
        if self.core.log.holds(end) { Ok(response) } else { Err(Status::aborted("the entries were replaced before they were durable")) }
    }

    async fn take_vote_request(&self, caller: CallOrigin, request: peer::VoteRequest) -> Result<peer::VoteReply, Status> {
        let from = self.admit_raft(caller, request.envelope).await?;
        let vote = self.checked(from, wire::vote_from_wire(request.vote))?;
        if vote.committed || vote.leader_id.node_id != from {
            return Err(Status::invalid_argument(format!("sentinel {from} asks for a vote that is not its own: {vote}")));
        }
        let request = VoteRequest::new(vote, request.last_log.map(wire::log_id_from_wire));
        self.checked(from, self.core.standpoint().check_candidate(&vote, request.last_log_id))?;
        let response = self.vote_on(from, request).await?;
        Ok(peer::VoteReply {
            responder: Some(self.core.passport.responder()),
            vote: Some(wire::vote_to_wire(&response.vote)),
            granted: response.vote_granted,
            last_log: response.last_log_id.as_ref().map(wire::log_id_to_wire),
        })
    }

    async fn answer_pre_vote(&self, caller: CallOrigin, request: peer::PreVoteRequest) -> Result<peer::PreVoteReply, Status> {
        self.admit_raft(caller, request.envelope).await?;
        let judged = self.voter().judge(&self.core.spans, request.last_log.map(wire::log_id_from_wire));
        Ok(peer::PreVoteReply {
            responder: Some(self.core.passport.responder()),
            granted: judged.is_ok(),
            reason: judged.err().map(|why| why.to_string()).unwrap_or_default(),
            sync_ms: u32::try_from(self.core.log.sync_takes().as_millis()).unwrap_or(u32::MAX),
        })
    }

    async fn take_snapshot(&self, caller: CallOrigin, mut chunks: Streaming<peer::SnapshotChunk>) -> Result<peer::SnapshotReply, Status> {
        let Some(peer::SnapshotChunk { part: Some(Part::Header(mut header)) }) = self.next_chunk(&mut chunks, HEADER_WITHIN).await? else {
            return Err(Status::invalid_argument("malformed message from a peer: a snapshot must begin with its header"));
        };
        let from = self.admit_raft(caller, header.envelope.take()).await?;
        let Some(_room) = self.core.intakes.enter(from, header.bytes) else {
            return Err(Status::resource_exhausted("other snapshots are on their way"));
        };
        let mut intake = self.checked(from, wire::SnapshotIntake::new(header))?;
        check_leader(from, &intake.vote)?;
        if let Some(place) = self.core.standpoint().contradicted(intake.meta.last_log_id.into_iter()) {
            diverged::suspect(&self.core, place);
        }
        self.checked(from, self.core.standpoint().check_snapshot(&intake.vote, &intake.meta))?;
        let deadline = Instant::now() + SNAPSHOT_WITHIN;
        while let Some(chunk) = self.next_chunk(&mut chunks, CHUNK_WITHIN.min(deadline.saturating_duration_since(Instant::now()))).await? {
            self.note_leader(from, &intake.vote);
            self.checked(from, intake.take(chunk))?;
        }
        let (vote, snapshot) = self.checked(from, intake.finish())?;
        let snapshot = self.verified(from, snapshot).await?;
        tracing::info!(leader = %from, bytes = snapshot.snapshot.len(), "received a snapshot");
        let order = self.core.order.lock().await;
        self.checked(from, self.core.standpoint().check_snapshot(&vote, &snapshot.meta))?;
        let mut installing = std::pin::pin!(self.core.consensus.install_full_snapshot(vote, snapshot));
        // The first look hands it over. Writing it down takes longer than a leader may be kept waiting.
        let installed = installing.as_mut().now_or_never();
        drop(order);
        let installed = match installed {
            Some(installed) => installed,
            None => installing.await,
        };
        let response = installed.map_err(|error| stopped(&error))?;
        self.note_leader(from, &vote);
        Ok(peer::SnapshotReply { responder: Some(self.core.passport.responder()), vote: Some(wire::vote_to_wire(&response.vote)) })
    }

    /// A snapshot whose content can be read and is what its description says: one that cannot would stop openraft.
    async fn verified(&self, from: NodeId, snapshot: Snapshot<TypeConfig>) -> Result<Snapshot<TypeConfig>, Status> {
        let last = snapshot.meta.last_log_id.map(|last| LogIndex(last.index));
        let checking = tokio::task::spawn_blocking(move || (store::verify_snapshot(&snapshot.snapshot, last), snapshot));
        let (verdict, snapshot) = checking.await.map_err(|_| stopping())?;
        self.checked(from, verdict.map_err(|problem| Malformed(format!("a snapshot that cannot be used: {problem}"))))?;
        Ok(snapshot)
    }

    async fn take_proposal(&self, caller: CallOrigin, request: peer::ProposeRequest) -> Result<peer::ProposeReply, Status> {
        let from = self.admit_member(caller, request.envelope).await?;
        let command = self.checked(from, wire::command_from_wire(request.command))?;
        let result = propose::for_peer(&self.core, command, request.within_ms).await;
        Ok(peer::ProposeReply { responder: Some(self.core.passport.responder()), result: Some(result) })
    }

    async fn answer_read_index(&self, caller: CallOrigin, request: peer::ReadIndexRequest) -> Result<peer::ReadIndexReply, Status> {
        self.admit_member(caller, request.envelope).await?;
        let result = match self.core.reads.index_as_leader(&self.core).await {
            Ok(index) => peer::read_index_reply::Result::Index(index.0),
            Err(reason) => peer::read_index_reply::Result::Unconfirmed(reason),
        };
        Ok(peer::ReadIndexReply { responder: Some(self.core.passport.responder()), result: Some(result) })
    }
}

#[tonic::async_trait]
impl peer_server::Peer for Service {
    async fn survey(&self, request: Request<peer::SurveyRequest>) -> Result<Response<peer::SurveyReply>, Status> {
        let caller = caller_of(&request);
        answer(caller, self.answer_survey(caller, request.into_inner()).await)
    }

    async fn take_lead(&self, request: Request<peer::TakeLeadRequest>) -> Result<Response<peer::TakeLeadReply>, Status> {
        let caller = caller_of(&request);
        answer(caller, self.take_invitation(caller, request.into_inner()).await)
    }

    async fn append(&self, request: Request<peer::AppendRequest>) -> Result<Response<peer::AppendReply>, Status> {
        let caller = caller_of(&request);
        answer(caller, self.take_entries(caller, request.into_inner()).await)
    }

    async fn vote(&self, request: Request<peer::VoteRequest>) -> Result<Response<peer::VoteReply>, Status> {
        let caller = caller_of(&request);
        answer(caller, self.take_vote_request(caller, request.into_inner()).await)
    }

    async fn pre_vote(&self, request: Request<peer::PreVoteRequest>) -> Result<Response<peer::PreVoteReply>, Status> {
        let caller = caller_of(&request);
        answer(caller, self.answer_pre_vote(caller, request.into_inner()).await)
    }

    async fn install_snapshot(&self, request: Request<Streaming<peer::SnapshotChunk>>) -> Result<Response<peer::SnapshotReply>, Status> {
        let caller = caller_of(&request);
        answer(caller, self.take_snapshot(caller, request.into_inner()).await)
    }

    async fn propose(&self, request: Request<peer::ProposeRequest>) -> Result<Response<peer::ProposeReply>, Status> {
        let caller = caller_of(&request);
        answer(caller, self.take_proposal(caller, request.into_inner()).await)
    }

    async fn read_index(&self, request: Request<peer::ReadIndexRequest>) -> Result<Response<peer::ReadIndexReply>, Status> {
        let caller = caller_of(&request);
        answer(caller, self.answer_read_index(caller, request.into_inner()).await)
    }

    async fn ping(&self, request: Request<peer::PingRequest>) -> Result<Response<peer::PingReply>, Status> {
        let caller = caller_of(&request);
        answer(caller, self.answer_ping(caller, request.into_inner()).await)
    }

    async fn vouch(&self, request: Request<peer::VouchRequest>) -> Result<Response<peer::VouchReply>, Status> {
        let caller = caller_of(&request);
        answer(caller, self.answer_vouch(caller, request.into_inner()).await)
    }
}

/// The origin of a call; a stranger where it is not known.
fn caller_of<T>(request: &Request<T>) -> CallOrigin {
    request.extensions().get::<CallOrigin>().copied().unwrap_or(CallOrigin { addr: None, proven: false })
}

/// A stranger hears one refusal, whatever its reason: each other text would say something about the cluster.
fn answer<T>(caller: CallOrigin, answered: Result<T, Status>) -> Result<Response<T>, Status> {
    answered.map(Response::new).map_err(|status| {
        if caller.may_know() {
            return status;
        }
        // That a number was used before is what the caller's own disk would have told it.
        let metadata = if peer_identity::knows_another_life(&status) { status.metadata().clone() } else { MetadataMap::new() };
        Status::with_metadata(Code::FailedPrecondition, "refused; the log of this sentinel says why", metadata)
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_hears_one_refusal_whatever_the_reason() {
        let told = |addr: &str, proven| {
            let caller = CallOrigin { addr: addr.parse().ok(), proven };
            let refusals = [
                Status::failed_precondition("sentinel 1 belongs to cluster prod"),
                Status::invalid_argument("voter 3 has no address"),
                Status::resource_exhausted("other snapshots"),
                Status::unavailable("stopping"),
            ];
            refusals
                .map(|status| answer::<()>(caller, Err(status)).expect_err("a refusal"))
                .map(|status| (status.code(), status.message().to_owned()))
        };
        let [first, rest @ ..] = told("10.0.0.9:5000", false);
        assert!(!first.1.contains("prod") && rest.iter().all(|other| *other == first), "{first:?} {rest:?}");
        assert!(told("10.0.0.9:5000", true)[0].1.contains("prod"), "whoever has proven itself is told");
        assert!(told("127.0.0.1:5000", false)[0].1.contains("prod"), "and this host");
        assert!(told("[::ffff:127.0.0.1]:5000", false)[0].1.contains("prod"));
        assert!(told("unknown", false)[0] == first, "an origin that is not known is a stranger's");
    }
}
