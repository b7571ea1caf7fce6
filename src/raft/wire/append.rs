//! AppendEntries, there and back.

use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse};

use super::entry::{entry_from_wire, entry_to_wire};
use super::{Malformed, log_id_from_wire, log_id_to_wire, required, vote_from_wire, vote_to_wire};
use crate::base::{NodeId, limits};
use crate::proto::peer;
use crate::proto::peer::append_reply::Result as Answer;
use crate::raft::types::{LogId, TypeConfig, Vote};

type Request = AppendEntriesRequest<TypeConfig>;
type Response = AppendEntriesResponse<NodeId>;

pub(in crate::raft) fn append_to_wire(envelope: peer::Envelope, request: &Request) -> peer::AppendRequest {
    peer::AppendRequest {
        envelope: Some(envelope),
        vote: Some(vote_to_wire(&request.vote)),
        previous: request.prev_log_id.as_ref().map(log_id_to_wire),
        entries: request.entries.iter().map(entry_to_wire).collect(),
        leader_commit: request.leader_commit.as_ref().map(log_id_to_wire),
    }
}

pub(in crate::raft) fn append_from_wire(request: peer::AppendRequest) -> Result<Request, Malformed> {
    let vote = vote_from_wire(request.vote)?;
    if !vote.committed {
        return Err(Malformed("entries from a candidate that was not elected".to_owned()));
    }
    if request.entries.len() as u64 > limits::APPEND_ENTRIES {
        return Err(Malformed(format!("{} entries in one call, {} are allowed", request.entries.len(), limits::APPEND_ENTRIES)));
    }
    let prev_log_id = request.previous.map(log_id_from_wire);
    let entries = request.entries.into_iter().map(entry_from_wire).collect::<Result<Vec<_>, _>>()?;
    check_consecutive(prev_log_id, entries.iter().map(|entry| entry.log_id), &vote)?;
    Ok(Request { vote, prev_log_id, entries, leader_commit: request.leader_commit.map(log_id_from_wire) })
}

/// openraft takes it for granted that entries follow one another, and would stop the node otherwise.
fn check_consecutive(previous: Option<LogId>, ids: impl Iterator<Item = LogId>, vote: &Vote) -> Result<(), Malformed> {
    let mut last = previous;
    for id in ids {
        let next = last.map_or(0, |last| last.index.saturating_add(1));
        let older = last.is_some_and(|last| id.leader_id < last.leader_id);
        if id.index != next || older || id.leader_id > vote.leader_id {
            return Err(Malformed(format!("entry {id} does not follow {last:?} in a log of {vote}")));
        }
        last = Some(id);
    }
    Ok(())
}

/// The last entry that a peer vouches for when it accepts the request; none for one that only says who leads.
pub(in crate::raft) fn end_of(request: &Request) -> Option<LogId> {
    request.entries.last().map(|entry| entry.log_id).or(request.prev_log_id)
}

pub(in crate::raft) fn append_reply_to_wire(responder: peer::Responder, response: &Response) -> peer::AppendReply {
    let result = match response {
        Response::Success => Answer::Accepted(peer::Accepted {}),
        Response::Conflict => Answer::Conflict(peer::Conflict {}),
        Response::HigherVote(vote) => Answer::HigherVote(vote_to_wire(vote)),
        Response::PartialSuccess(matching) => {
            Answer::PartlyAccepted(peer::PartlyAccepted { matching: matching.as_ref().map(log_id_to_wire) })
        }
    };
    peer::AppendReply { responder: Some(responder), result: Some(result) }
}

/// The answer to `request`. One that cannot be an answer to it is malformed: openraft would trust it blindly.
pub(in crate::raft) fn append_reply_from_wire(reply: peer::AppendReply, request: &Asked) -> Result<Response, Malformed> {
    match required(reply.result, "the result")? {
        Answer::Accepted(peer::Accepted {}) => Ok(Response::Success),
        Answer::Conflict(peer::Conflict {}) if request.previous.is_some() => Ok(Response::Conflict),
        Answer::Conflict(peer::Conflict {}) => Err(Malformed("a conflict with the very beginning of the log".to_owned())),
        Answer::HigherVote(vote) => {
            let vote = vote_from_wire(Some(vote))?;
            let higher = vote > request.vote;
            if higher { Ok(Response::HigherVote(vote)) } else { Err(Malformed(format!("{vote} is not higher than {}", request.vote))) }
        }
        Answer::PartlyAccepted(partly) => {
            let matching = partly.matching.map(log_id_from_wire);
            let within = matching >= request.previous && matching <= request.last;
            if within { Ok(Response::PartialSuccess(matching)) } else { Err(Malformed("it accepted what it was not sent".to_owned())) }
        }
    }
}

/// What was asked, as far as its answer must fit it.
pub(in crate::raft) struct Asked {
    vote: Vote,
    previous: Option<LogId>,
    last: Option<LogId>,
}

impl Asked {
    /// Of a request that is about to be sent.
    pub(in crate::raft) fn of(request: &Request) -> Self {
        Self { vote: request.vote, previous: request.prev_log_id, last: end_of(request) }
    }
}
