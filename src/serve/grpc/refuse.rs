//! Our errors as gRPC codes. What the caller should do next decides the code.

use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

use crate::base::LogIndex;
use crate::machine::{Outcome, Refusal, State};
use crate::raft::{Committed, MembershipError, ProposeError, ReadError};

/// Metadata that carries the leader's gRPC address, for calls that only the leader takes.
pub(super) const LEADER_GRPC: &str = "leader-grpc";
/// Metadata that carries the oldest revision that a watch can be resumed from.
pub(super) const OLDEST_REVISION: &str = "oldest-revision";

/// The most of a client's text that is repeated to it: errors travel in headers.
const QUOTED_CHARS: usize = 128;

pub(super) fn quoted(text: &str) -> String {
    let cut = if text.chars().nth(QUOTED_CHARS).is_some() { "..." } else { "" };
    format!("'{}{cut}'", text.chars().take(QUOTED_CHARS).collect::<String>().escape_debug())
}

pub(super) fn no_such_group(name: &str) -> Status {
    Status::not_found(format!("no master named {} is monitored; ListMasters names those that are", quoted(name)))
}

pub(super) fn read(error: &ReadError) -> Status {
    Status::unavailable(error.to_string())
}

pub(super) fn propose(error: &ProposeError) -> Status {
    let code = match error {
        ProposeError::NoLeader(_) | ProposeError::Stopped(_) => Code::Unavailable,
        ProposeError::Unknown { .. } => Code::DeadlineExceeded,
        ProposeError::NotUnderstood(_) => Code::FailedPrecondition,
        ProposeError::TooLarge { .. } | ProposeError::Unreadable(_) => Code::InvalidArgument,
    };
    let hint = if code == Code::DeadlineExceeded { "outcome unknown: " } else { "" };
    Status::new(code, format!("{hint}{error}"))
}

/// The place of a change in the log and whether it changed anything; a refusal is an error.
pub(super) fn committed(committed: &Committed) -> Result<(LogIndex, bool), Status> {
    match &committed.outcome {
        Outcome::Done => Ok((committed.index, true)),
        Outcome::Unchanged => Ok((committed.index, false)),
        Outcome::Refused(refusal) => Err(refused(refusal)),
    }
}

fn refused(refusal: &Refusal) -> Status {
    let code = match refusal {
        Refusal::NoSuchGroup(_) | Refusal::NotAReplica(_) | Refusal::NotNamed(_) => Code::NotFound,
        Refusal::NameTaken { .. } => Code::AlreadyExists,
        Refusal::BadSetting(_) => Code::InvalidArgument,
        Refusal::TooMany { .. } => Code::ResourceExhausted,
        Refusal::Retired(_)
        | Refusal::StaleEpoch { .. }
        | Refusal::NotAVoter(_)
        | Refusal::FailoverInProgress
        | Refusal::NotInThatPhase
        | Refusal::OtherReplicas { .. }
        | Refusal::TooFewDetached { .. }
        | Refusal::InShadow
        | Refusal::NotInShadow
        | Refusal::StillFenced
        | Refusal::NotEligible(_) => Code::FailedPrecondition,
    };
    Status::new(code, refusal.to_string())
}

/// `state` tells where the leader answers gRPC clients.
pub(super) fn membership(error: &MembershipError, state: &State) -> Status {
    match error {
        MembershipError::Refused(_) => Status::failed_precondition(error.to_string()),
        MembershipError::Unknown(_) => Status::deadline_exceeded(format!("outcome unknown: {error}")),
        MembershipError::NotLeading(None) => {
            Status::unavailable("no leader with a quorum is known, so no member can be changed; nothing was changed")
        }
        MembershipError::NotLeading(Some(leader)) => match state.sentinels.get(leader) {
            None => Status::failed_precondition(format!("only the leader changes members; that is sentinel {leader}")),
            Some(record) => {
                let mut status = Status::failed_precondition(format!(
                    "only the leader changes members; that is sentinel {leader}, ask it at {}",
                    record.grpc
                ));
                // A host name that is not ASCII cannot go into metadata; the message has it.
                if let Ok(value) = MetadataValue::try_from(record.grpc.authority()) {
                    status.metadata_mut().insert(LEADER_GRPC, value);
                }
                status
            }
        },
    }
}

pub(super) fn compacted(after: LogIndex, oldest: LogIndex) -> Status {
    let mut status = Status::out_of_range(format!(
        "changes after revision {after} are no longer remembered; the oldest revision to resume from is {oldest}; watch again without a revision"
    ));
    status.metadata_mut().insert(OLDEST_REVISION, MetadataValue::from(oldest.0));
    status
}

pub(super) fn stopping() -> Status {
    Status::unavailable("this sentinel is stopping; ask another one")
}
