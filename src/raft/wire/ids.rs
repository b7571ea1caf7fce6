//! Places in the log, and Raft's votes.

use openraft::{CommittedLeaderId, LeaderId};

use super::{Malformed, required};
use crate::base::NodeId;
use crate::proto::peer;
use crate::raft::types::{LogId, Vote};

pub(in crate::raft) fn log_id_to_wire(id: &LogId) -> peer::LogId {
    peer::LogId { term: id.leader_id.term, leader: id.leader_id.node_id.0, index: id.index }
}

pub(in crate::raft) fn log_id_from_wire(id: peer::LogId) -> LogId {
    LogId::new(CommittedLeaderId::new(id.term, NodeId(id.leader)), id.index)
}

pub(in crate::raft) fn vote_to_wire(vote: &Vote) -> peer::Ballot {
    peer::Ballot { term: vote.leader_id.term, candidate: vote.leader_id.node_id.0, committed: vote.committed }
}

pub(in crate::raft) fn vote_from_wire(vote: Option<peer::Ballot>) -> Result<Vote, Malformed> {
    let vote = required(vote, "the vote")?;
    Ok(Vote { leader_id: LeaderId::new(vote.term, NodeId(vote.candidate)), committed: vote.committed })
}
