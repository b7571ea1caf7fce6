//! The record of changes that are no entries themselves: of members, and of one sentinel alone.

use super::ReplicatedState;
use crate::base::WallTime;
use crate::machine::{Asker, Command};
use crate::raft::ProposeError;

/// Commits that `asker` changed something, in the asker's own words. An entry that sets no parameter carries them: releases that know no
/// askers read it as one that changes nothing.
pub(crate) async fn record(agreement: &dyn ReplicatedState, asker: Asker, at: WallTime) -> Result<(), ProposeError> {
    agreement.propose(entry(agreement, asker, at)).await.map(drop)
}

/// The entry that says so.
pub(crate) fn entry(agreement: &dyn ReplicatedState, asker: Asker, at: WallTime) -> Command {
    Command::SetParameters { sentinel: agreement.id(), changes: Vec::new(), at, asked: None }.asked_by(asker)
}
