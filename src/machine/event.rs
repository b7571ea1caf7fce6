//! What became true by applying an entry: the facts that are logged, published and handed to scripts.

use super::ballot::DownEvidence;
use super::cause::AbortReason;
use super::choice::{Choice, Ineligible};
use super::failover::FailoverId;
use super::replica::Retirement;
use super::shadow::ShadowEvent;
use crate::base::{Addr, Epoch, Fence, GroupName, LogIndex, NodeId, WallTime};

/// A fact and its place in the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedEvent {
    /// The entry that made it true.
    pub index: LogIndex,
    /// The moment stamped into that entry.
    pub at: WallTime,
    /// The group it is about; none for facts about sentinels.
    pub group: Option<GroupName>,
    /// The fact.
    pub event: Event,
}

/// A fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A group is monitored now.
    GroupAdded {
        /// Its master.
        master: Addr,
        /// Its quorum.
        quorum: u32,
    },
    /// A group is no longer monitored.
    GroupRemoved {
        /// The last recorded master.
        master: Addr,
    },
    /// An option was set.
    OptionSet {
        /// The recorded master.
        master: Addr,
        /// Name of the option.
        option: &'static str,
        /// The value as it may be shown.
        value: String,
    },
    /// A group was reset.
    GroupReset {
        /// The recorded master.
        master: Addr,
    },
    /// A replica is known now.
    ReplicaAdded {
        /// Where it listens.
        replica: Addr,
        /// The recorded master.
        master: Addr,
    },
    /// A replica was forgotten.
    ReplicaForgotten {
        /// Where it listened.
        replica: Addr,
        /// The recorded master.
        master: Addr,
        /// Why, where no operator said so.
        why: Option<Retirement>,
    },
    /// A replica counts for the fence from now on, or no longer.
    ReplicaCounted {
        /// Where it listens.
        replica: Addr,
        /// The recorded master.
        master: Addr,
        /// Whether it counts.
        counted: bool,
    },
    /// The master is known to hold a fence.
    FenceArmed {
        /// The recorded master.
        master: Addr,
        /// What it holds.
        fence: Fence,
        /// The number of known replicas.
        replicas: u32,
    },
    /// Less is relied on of the master's fence than before.
    FenceLoosened {
        /// The recorded master.
        master: Addr,
        /// What is relied on.
        held: Fence,
    },
    /// The group has no fence any more.
    FenceDropped {
        /// The recorded master.
        master: Addr,
    },
    /// A data node runs as another process than before.
    Restarted {
        /// The node.
        node: Addr,
        /// The recorded master (which may be the node itself).
        master: Addr,
    },
    /// A sentinel sees the master down.
    VotedDown {
        /// Who.
        voter: NodeId,
        /// Which master, by epoch.
        epoch: Epoch,
        /// On what grounds.
        testimony: DownEvidence,
    },
    /// A sentinel no longer sees the master down, or no longer counts.
    VoteWithdrawn {
        /// Who.
        voter: NodeId,
        /// Whether the vote was taken away for silence rather than taken back.
        expired: bool,
    },
    /// Enough sentinels see the master down.
    ObjectivelyDown {
        /// The master.
        master: Addr,
        /// Votes.
        have: u32,
        /// Votes needed.
        need: u32,
    },
    /// No longer enough sentinels see the master down.
    ObjectivelyUp {
        /// The master.
        master: Addr,
    },
    /// A failover began.
    FailoverStarted {
        /// Which.
        id: FailoverId,
        /// The master to be replaced.
        master: Addr,
        /// Whether an operator asked for it.
        requested: bool,
    },
    /// A replica was chosen: the decision.
    Decided {
        /// Which failover.
        id: FailoverId,
        /// The master that is replaced.
        old: Addr,
        /// Who was chosen, among whom, and why.
        choice: Choice,
    },
    /// The chosen replica is a master now.
    Promoted {
        /// Which failover.
        id: FailoverId,
        /// The new master.
        master: Addr,
        /// The replaced one.
        old: Addr,
    },
    /// The master that clients should use has another address. Exactly one for each change.
    SwitchMaster {
        /// The epoch of the new master.
        epoch: Epoch,
        /// Where clients were sent before.
        from: Addr,
        /// Where they are sent now.
        to: Addr,
    },
    /// A replica follows the new master.
    ReplicaFollows {
        /// The replica.
        replica: Addr,
        /// The new master.
        master: Addr,
    },
    /// A failover is over.
    FailoverEnded {
        /// Which.
        id: FailoverId,
        /// The new master.
        master: Addr,
        /// Replicas that are still to be pointed at it.
        left: Vec<Addr>,
    },
    /// A failover was given up before a decision.
    FailoverAborted {
        /// Which.
        id: FailoverId,
        /// The master that stays.
        master: Addr,
        /// Why.
        reason: AbortReason,
    },
    /// A failover cannot go on now.
    FailoverBlocked {
        /// Which.
        id: FailoverId,
        /// The master to be replaced.
        master: Addr,
        /// A reason for every replica.
        reasons: Vec<(Addr, Ineligible)>,
    },
    /// A fact about a group that is, or was, in shadow.
    Shadow(ShadowEvent),
    /// A sentinel is known now, or has new addresses.
    SentinelJoined {
        /// Which.
        id: NodeId,
        /// Where it spoke the SENTINEL protocol before, if it was known.
        before: Option<Addr>,
    },
    /// A sentinel left for good.
    SentinelLeft {
        /// Which.
        id: NodeId,
    },
}
