//! Why a failover was started, how an operator wants one to be done, and why one is given up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ballot::DownVote;
use super::request::Asked;
use crate::base::NodeId;

/// Why a failover was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Enough sentinels saw the master down.
    Down {
        /// The votes that stood.
        votes: BTreeMap<NodeId, DownVote>,
        /// How many were needed.
        quorum: u32,
    },
    /// An operator asked for it.
    Requested {
        /// The sentinel that was asked.
        by: NodeId,
        /// How it is to be done.
        #[serde(default, skip_serializing_if = "FailoverMode::is_plain")]
        manner: FailoverMode,
        /// Who asked; none in records of releases that did not write it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked: Asked,
    },
}

/// How an operator wants a failover to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailoverMode {
    /// As the policy has it: `available` promotes at once as stock does, `strict` loses nothing.
    #[default]
    Plain,
    /// Without the loss of any write, or not at all, whatever the policy.
    Coordinated,
    /// With what is there, whatever it may cost: confirmed writes may be lost, and two masters may take writes for a while.
    Force,
}

impl FailoverMode {
    /// Whether it is the plain one.
    pub fn is_plain(&self) -> bool {
        *self == Self::Plain
    }
}

/// Why a failover was given up before a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AbortReason {
    /// Too few sentinels still see the master down.
    MasterReturned,
    /// It was asked for, and no replica could be promoted in time.
    NoGoodReplica,
    /// A planned change: the master went down before it came to a decision.
    MasterDown,
    /// A planned change: the next master did not have every write in time, or the old one could not be kept from taking more.
    NotDrained,
    /// A planned change: the leader holds back, because of sentinels that are not of this cluster or of another group that has the servers.
    HeldBack,
    /// The group went into shadow.
    StoodDown,
    /// Others changed the master first.
    MovedByOthers,
}

impl AbortReason {
    /// A short phrase for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MasterReturned => "too few sentinels still see the master down",
            Self::NoGoodReplica => "no replica could be promoted in time",
            Self::MasterDown => "the master went down before the planned change was decided",
            Self::NotDrained => "the next master did not have every write in time",
            Self::HeldBack => "the cluster holds back from this group (status says why), so nothing is done",
            Self::StoodDown => "the group went into shadow",
            Self::MovedByOthers => "others changed the master first",
        }
    }
}
