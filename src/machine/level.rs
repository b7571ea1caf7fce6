//! Which entries a release understands.
//!
//! A member that does not understand an entry cannot apply it, and stops; one that drops a field of it makes another state of it. So a release that adds a kind of
//! entry, or a field whose loss would matter, raises [`LEVEL`] and names the new level at that entry in [`Command::level`]. Members tell their levels in their
//! records, and nothing above the lowest of them is proposed: `raft` sees to that. The record itself is told before levels are known, so it is the one entry whose
//! unknown fields are dropped.

use super::command::Command;

/// The level of this release. Releases that tell none understand the first. The second keeps groups that were removed, so that they can be taken up again.
pub const LEVEL: u32 = 2;

impl Command {
    /// The level that a member must have to understand it.
    pub const fn level(&self) -> u32 {
        match self {
            Self::RemoveGroup { keep: Some(_), .. } | Self::ConfigureGroup { takes_up: Some(_), .. } => 2,
            _ => 1,
        }
    }
}
