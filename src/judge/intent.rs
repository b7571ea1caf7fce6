//! What the judge wants done. Values; `agent` performs them.

use crate::base::{Addr, Epoch};
use crate::machine::Command;

/// Something to be done. Each may be done twice without harm, and is wanted again until it is seen done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Put a command into the log. At most one for each key is under way.
    Propose {
        /// What it is about.
        key: ProposalKey,
        /// The command.
        command: Box<Command>,
    },
    /// Ask the node for INFO now, out of turn.
    Look(Addr),
    /// Change the role of a data node. Only while leading, and only while the group is in epoch `epoch`.
    Ask {
        /// The node.
        node: Addr,
        /// What to change it to.
        ask: Ask,
        /// The epoch that permits it.
        epoch: Epoch,
    },
    /// Tell those who listen what changed in this sentinel's eyes.
    Notify {
        /// The node.
        node: Addr,
        /// What changed.
        what: Remark,
    },
}

/// A change of role. Each kills the node's clients where they would otherwise stay with the wrong role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Become a master (`REPLICAOF NO ONE`).
    Promote,
    /// Become a replica of `master`, having been a master.
    Demote {
        /// The recorded master.
        master: Addr,
    },
    /// Follow `master`, having followed another.
    Repoint {
        /// The recorded master.
        master: Addr,
    },
}

impl Ask {
    /// A short name, for logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::Demote { .. } => "demote",
            Self::Repoint { .. } => "repoint",
        }
    }
}

/// What a proposal is about: while one is under way, no second one is made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProposalKey {
    /// This sentinel's vote.
    Vote,
    /// The recorded master's identity.
    Master,
    /// A replica's record.
    Replica(Addr),
    /// The next step of the failover.
    Step,
    /// A replica that follows the new master.
    Follows(Addr),
}

/// What changed in this sentinel's eyes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remark {
    /// The node is down.
    Down,
    /// The node is up again.
    Up,
    /// It reports another role than before.
    RoleChanged {
        /// Whether it is a master's role now.
        to_master: bool,
        /// Whether that is the recorded role.
        expected: bool,
    },
    /// It was a master by mistake and was told to be a replica.
    Demoted,
    /// It followed another address and was pointed at the master.
    Repointed,
}
