//! The history: each failover with its grounds.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::masters::{held, obstacles};
use super::{address, moment};
use crate::base::NodeId;
use crate::machine::{Candidate, Cause, Choice, Decision, DownVote, Ending, Evidence, FailoverMode, FencingProof, Group, Stamp};
use crate::proto::sentinel as pb;

/// The newest `limit` failovers of these groups, newest first; with who asked for them, for those who may know.
pub(in super::super) fn newest<'a>(groups: impl Iterator<Item = &'a Arc<Group>>, limit: usize, with_askers: bool) -> Vec<pb::Decision> {
    let mut all: Vec<_> = groups.flat_map(|group| group.history.iter().map(move |decision| (group, decision))).collect();
    all.sort_by_key(|(_, decision)| Reverse(decision.started.index));
    all.into_iter().take(limit).map(|(group, decision)| shown(group, decision, with_askers)).collect()
}

fn shown(group: &Group, decision: &Decision, with_askers: bool) -> pb::Decision {
    let running = group.failover.as_ref().filter(|failover| failover.id == decision.id);
    let ended = decision.ended.as_ref();
    pb::Decision {
        group: group.name.to_string(),
        epoch: decision.id.epoch.0,
        old_master: Some(address(&decision.old)),
        cause: Some(cause(&decision.cause, with_askers)),
        choice: decision.choice.as_ref().map(|(choice, by)| chosen(choice, *by)),
        started: Some(moment(decision.started)),
        decided: decision.decided.map(moment),
        promoted: decision.promoted.map(moment),
        ended: ended.map(|(stamp, _)| moment(*stamp)),
        ending: ended.map(|(_, how)| ending(how)),
        timings: Some(timings(decision)),
        blocked: running.map(|failover| obstacles(failover.blocked.as_deref().unwrap_or_default())).unwrap_or_default(),
        is_blocked: running.is_some_and(|failover| failover.blocked.is_some()),
    }
}

fn cause(cause: &Cause, with_askers: bool) -> pb::Cause {
    let cause = match cause {
        Cause::Down { votes, quorum } => pb::cause::Cause::Down(pb::MasterDown { votes: shown_votes(votes), quorum: *quorum }),
        Cause::Requested { by, manner: how, asked } => pb::cause::Cause::Requested(pb::OperatorRequest {
            by: by.0,
            manner: manner(*how).into(),
            asked: asked.as_ref().filter(|_| with_askers).map(|asker| pb::Asker {
                user: asker.user().to_owned(),
                address: asker.from().to_owned(),
                port: asker.port().to_owned(),
            }),
        }),
    };
    pb::Cause { cause: Some(cause) }
}

const fn manner(manner: FailoverMode) -> pb::FailoverManner {
    match manner {
        FailoverMode::Plain => pb::FailoverManner::Plain,
        FailoverMode::Coordinated => pb::FailoverManner::Coordinated,
        FailoverMode::Force => pb::FailoverManner::Force,
    }
}

pub(super) fn shown_votes(votes: &BTreeMap<NodeId, DownVote>) -> Vec<pb::Vote> {
    votes.iter().map(|(voter, vote)| shown_vote(*voter, vote)).collect()
}

fn shown_vote(voter: NodeId, vote: &DownVote) -> pb::Vote {
    let testimony = &vote.testimony;
    let witnesses = testimony.replicas.iter().map(|witness| pb::Witness {
        replica: Some(address(&witness.replica)),
        link_up: witness.link_up,
        last_io_s: witness.last_io_s,
    });
    pb::Vote {
        voter: voter.0,
        evidence: evidence(testimony.evidence).into(),
        silent_ms: testimony.silent_ms,
        limit_ms: testimony.limit_ms,
        replicas: witnesses.collect(),
        cast: Some(moment(vote.cast)),
    }
}

const fn evidence(evidence: Evidence) -> pb::Evidence {
    match evidence {
        Evidence::Silent => pb::Evidence::Silent,
        Evidence::Refused => pb::Evidence::Refused,
        Evidence::Closed => pb::Evidence::Closed,
        Evidence::Busy => pb::Evidence::Busy,
        Evidence::Unresolved => pb::Evidence::Unresolved,
        Evidence::WrongRole => pb::Evidence::WrongRole,
        Evidence::LostHistory => pb::Evidence::LostHistory,
        Evidence::Loading => pb::Evidence::Loading,
        Evidence::Elsewhere => pb::Evidence::Elsewhere,
        Evidence::Error => pb::Evidence::Error,
        Evidence::Emptied => pb::Evidence::Emptied,
    }
}

pub(super) fn chosen(choice: &Choice, by: NodeId) -> pb::Choice {
    pb::Choice {
        chosen: Some(address(&choice.chosen)),
        reason: choice.why().to_owned(),
        decided_by: by.0,
        candidates: choice.candidates.iter().map(candidate).collect(),
        master_offset: choice.master_offset,
        estimated_loss_bytes: choice.estimated_loss_bytes,
        basis: if choice.by_hand { pb::DecisionBasis::ByHand } else { basis(choice.basis) }.into(),
        arms: choice.arms.map(held),
    }
}

const fn basis(basis: FencingProof) -> pb::DecisionBasis {
    match basis {
        FencingProof::Unfenced => pb::DecisionBasis::Unfenced,
        FencingProof::Gone => pb::DecisionBasis::Gone,
        FencingProof::SeenOut => pb::DecisionBasis::SeenOut,
        FencingProof::LagWindow => pb::DecisionBasis::LagWindow,
        FencingProof::Drained => pb::DecisionBasis::Drained,
        FencingProof::HandedOver { .. } => pb::DecisionBasis::HandedOver,
        FencingProof::Forced => pb::DecisionBasis::Forced,
    }
}

fn candidate(candidate: &Candidate) -> pb::Candidate {
    pb::Candidate {
        address: Some(address(&candidate.addr)),
        run_id: candidate.run_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        priority: candidate.priority,
        offset: candidate.offset,
        eligible: candidate.ineligible.is_none(),
        ineligible_reason: candidate.ineligible.as_ref().map(ToString::to_string).unwrap_or_default(),
        detached: candidate.detached,
    }
}

fn ending(ending: &Ending) -> pb::Ending {
    use pb::ending::Kind;
    let (kind, left, reason) = match ending {
        Ending::Completed { left } => (Kind::Completed, left.iter().map(address).collect(), ""),
        Ending::Aborted(reason) => (Kind::Aborted, Vec::new(), reason.as_str()),
        Ending::Superseded => (Kind::Superseded, Vec::new(), "the new master was found down before the end"),
    };
    pb::Ending { kind: kind.into(), left, reason: reason.to_owned() }
}

fn timings(decision: &Decision) -> pb::Timings {
    let between = |from: Option<Stamp>, to: Option<Stamp>| Some(to?.at.micros_since(from?.at));
    let (started, ended) = (Some(decision.started), decision.ended.as_ref().map(|(stamp, _)| *stamp));
    pb::Timings {
        started_to_decided_us: between(started, decision.decided),
        decided_to_promoted_us: between(decision.decided, decision.promoted),
        promoted_to_ended_us: between(decision.promoted, ended),
        total_us: between(started, ended),
    }
}
