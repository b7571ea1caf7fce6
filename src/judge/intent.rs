//! What the judge wants done. Values; `agent` performs them.

use super::view::Owner;
use crate::base::{Addr, Epoch, Fence, Standing};
use crate::machine::{Command, FailoverId, Group};

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
    /// Change a data node. Only while leading, and only while the log permits it.
    Ask {
        /// The node.
        node: Addr,
        /// What to change it to.
        ask: Ask,
        /// What permits it.
        permit: Permit,
        /// What the node was when it was judged: to another one the change is not made. None where that does not matter, or was not seen.
        judged: Option<Standing>,
    },
    /// Tell those who listen what changed in this sentinel's eyes.
    Notify {
        /// The node.
        node: Addr,
        /// What changed.
        what: LocalEvent,
    },
}

/// What the log must say for a change to be made: in any other epoch, or another failover, it is not due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    /// The group's epoch.
    pub epoch: Epoch,
    /// The failover under way and whether it is still undecided; none if there must be none.
    pub failover: Option<(FailoverId, bool)>,
}

impl Permit {
    /// What the group permits now.
    pub fn of(group: &Group) -> Self {
        let failover = group.failover.as_ref().map(|failover| (failover.id, failover.phase.is_undecided()));
        Self { epoch: group.epoch, failover }
    }
}

/// A change of a data node. Each kills the node's clients where they would otherwise stay with the wrong role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Become a master (`REPLICAOF NO ONE`).
    Promote {
        /// What it must hold from its first moment as a master.
        fence: Option<Fence>,
    },
    /// Become a replica of `master`, having been a master.
    Demote {
        /// The recorded master; nobody in a planned change, in which clients wait for the end of the pause.
        master: Addr,
    },
    /// Follow `master`, having followed another.
    Repoint {
        /// The recorded master.
        master: Addr,
    },
    /// Leave the master, and stay a replica of nobody.
    Detach {
        /// What it is to hold when it becomes a master.
        fence: Option<Fence>,
    },
    /// Be a master without writes, for another replica to fetch what it lacks.
    ServeCatchUp,
    /// Hold this fence.
    Arm(Fence),
    /// Close ordinary connections, and keep writes waiting for so many milliseconds at most.
    Pause {
        /// How long.
        ms: u64,
    },
    /// Go on with the writes that were paused.
    Unpause,
    /// End the script that keeps it busy.
    KillScript,
}

impl Ask {
    /// Whether the node is asked for the next thing as soon as it has done this one.
    pub(super) const fn is_step(&self) -> bool {
        match self {
            Self::ServeCatchUp | Self::Pause { .. } | Self::Detach { .. } => true,
            Self::Promote { .. } | Self::Demote { .. } | Self::Repoint { .. } | Self::Arm(_) | Self::Unpause | Self::KillScript => false,
        }
    }

    /// Whether it changes whom the node follows, or whether it follows: that is right only for what the node was when it was judged.
    pub(super) const fn is_of_role(&self) -> bool {
        match self {
            Self::Promote { .. } | Self::Demote { .. } | Self::Repoint { .. } | Self::Detach { .. } | Self::ServeCatchUp => true,
            Self::Arm(_) | Self::Pause { .. } | Self::Unpause | Self::KillScript => false,
        }
    }

    /// A short name, for logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Promote { .. } => "promote",
            Self::Detach { .. } => "detach",
            Self::ServeCatchUp => "lend",
            Self::Arm(_) => "arm",
            Self::Pause { .. } => "pause",
            Self::Unpause => "unpause",
            Self::KillScript => "kill-script",
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
    /// The group's fence.
    Fence,
    /// A replica that is to be forgotten.
    Forget(Addr),
}

/// What changed in this sentinel's eyes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalEvent {
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
    /// It is a server of others at an address of the group, and is left as it is; or that one is gone.
    Foreign {
        /// Whose it is; none where it is gone.
        owner: Option<Owner>,
    },
    /// It was a master by mistake and was told to be a replica.
    Demoted,
    /// It followed another address and was pointed at the master.
    Repointed,
    /// Something has been wrong with the fence of the group for a while.
    FenceProblem {
        /// What, for people.
        why: String,
    },
    /// Nothing is wrong with the fence of the group any more.
    FenceWell,
    /// The loss of the master would not be made good as it should be, and that has lasted for a while.
    Unready {
        /// Why, for people.
        why: String,
    },
    /// It would be, again.
    Ready,
}
