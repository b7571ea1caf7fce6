//! Between openraft's types and the messages of `proto/peer.proto`.
//!
//! Whatever a peer sends is judged here before openraft sees it: what is missing or contradicts itself is [`Malformed`],
//! answered with INVALID_ARGUMENT. No call is made from here and nothing is decided. Called by `network`, `service` and `calls`.

mod append;
mod document;
mod entry;
mod ids;
mod membership;
mod plausible;
mod snapshot;
#[cfg(test)]
mod tests;

pub(super) use append::{Asked, append_from_wire, append_reply_from_wire, append_reply_to_wire, append_to_wire, end_of};

pub(super) use document::{command_from_wire, command_to_wire, outcome_from_wire, outcome_to_wire, readable_command};
pub(super) use ids::{log_id_from_wire, log_id_to_wire, vote_from_wire, vote_to_wire};
pub(super) use membership::{membership_from_wire, membership_to_wire};
pub(super) use plausible::{Standpoint, check_answered_vote};
pub(super) use snapshot::{SnapshotIntake, chunks_of};

/// A message that no sentinel would send.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed message from a peer: {0}")]
pub(super) struct Malformed(pub String);

impl Malformed {
    fn missing(what: &str) -> Self {
        Self(format!("{what} is missing"))
    }
}

impl From<Malformed> for tonic::Status {
    fn from(malformed: Malformed) -> Self {
        Self::invalid_argument(malformed.to_string())
    }
}

/// A field that must be there.
fn required<T>(field: Option<T>, what: &str) -> Result<T, Malformed> {
    field.ok_or_else(|| Malformed::missing(what))
}
