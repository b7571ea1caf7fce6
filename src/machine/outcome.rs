//! What the proposer of an entry is told once it has been applied.

use serde::{Deserialize, Serialize};

use crate::base::settings::BadSetting;
use crate::base::{Addr, Epoch, GroupName, NodeId};

/// What came of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It changed the state.
    Done,
    /// It was already so.
    Unchanged,
    /// It does not fit the state; nothing changed.
    Refused(Refusal),
}

/// Why an entry does not fit the state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// No such group.
    #[error("no master named '{0}' is monitored")]
    NoSuchGroup(GroupName),
    /// The name is in use for something else.
    #[error("'{name}' is already monitored at {master} with quorum {quorum}")]
    NameTaken {
        /// The name.
        name: GroupName,
        /// Its master.
        master: Addr,
        /// Its quorum.
        quorum: u32,
    },
    /// An operator removed the group; a configuration file does not bring it back.
    #[error("'{0}' was removed by an operator; monitor it again with SENTINEL MONITOR")]
    Retired(GroupName),
    /// It is about another epoch than the current one.
    #[error("it is about epoch {about}, the current one is {current}")]
    StaleEpoch {
        /// The entry's epoch.
        about: Epoch,
        /// The group's epoch.
        current: Epoch,
    },
    /// The voter is no voting member of the Raft group.
    #[error("sentinel {0} is not a voting member")]
    NotAVoter(NodeId),
    /// A failover is already in progress.
    #[error("a failover is already in progress")]
    FailoverInProgress,
    /// The failover it belongs to is over, or in another phase.
    #[error("the failover it belongs to is over, or past that phase")]
    NotInThatPhase,
    /// It was computed for another number of replicas than are known.
    #[error("it was computed for {counted} replicas, {known} are known")]
    OtherReplicas {
        /// How many it was computed for.
        counted: u32,
        /// How many are known.
        known: u32,
    },
    /// The old master may still take writes, or may have confirmed writes that are missing.
    #[error("{have} intact replicas are detached, {need} are needed")]
    TooFewDetached {
        /// How many are.
        have: u32,
        /// How many it takes.
        need: u32,
    },
    /// The group is in shadow: nothing is carried out.
    #[error("the group is in shadow: what is decided is not carried out (raft-sentinel take-over changes that)")]
    InShadow,
    /// It belongs to groups in shadow, or to those that others lead.
    #[error("the group is led by this cluster, not in shadow")]
    NotInShadow,
    /// The data nodes hold a fence by our doing, which would be left behind.
    #[error(
        "the data nodes still hold the fence that this cluster has set (min-replicas-to-write), which nobody would look after; take it \
         back first: set promotion-policy to available, and try again when raft-sentinel masters shows no fence"
    )]
    StillFenced,
    /// The replicas of the group are fixed, and this is none of them.
    #[error("the replicas of the group are fixed (replicas-fixed), and {0} was not named")]
    NotNamed(Addr),
    /// The address is not a replica of the group.
    #[error("{0} is not a replica of the group")]
    NotAReplica(Addr),
    /// The chosen replica is not eligible by its own candidate table.
    #[error("{0} is not an eligible candidate")]
    NotEligible(Addr),
    /// A value is out of range.
    #[error(transparent)]
    BadSetting(#[from] BadSetting),
    /// A limit of the state is reached.
    #[error("{what} are limited to {limit}")]
    TooMany {
        /// What.
        what: String,
        /// How many there may be.
        limit: usize,
    },
}
