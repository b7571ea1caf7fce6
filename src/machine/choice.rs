//! The content of a decision: who was considered, who could not be promoted and why, who was chosen and what set it apart.

use serde::{Deserialize, Serialize};

use crate::base::{Addr, ReplId, RunId};

/// Why a replica cannot be promoted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Ineligible {
    /// It is down.
    #[error("down")]
    Down,
    /// It did not answer INFO in time.
    #[error("did not answer INFO in time")]
    NoReport,
    /// Its credentials are not ours, so nothing is known of it.
    #[error("refuses our credentials")]
    Credentials,
    /// Its priority is 0.
    #[error("its priority is 0")]
    PriorityZero,
    /// It reports to be a master itself.
    #[error("reports to be a master itself")]
    NotAReplica,
    /// It is loading its data.
    #[error("is loading its data")]
    Loading,
    /// It is receiving a full copy, so what it holds is not whole.
    #[error("is receiving a full copy, so its data is not whole")]
    Syncing,
    /// It has never been synchronised with a master.
    #[error("has never been synchronised")]
    NeverSynced,
    /// Its data belongs to another replication history than the master's.
    #[error("its data belongs to another replication history ({replid})")]
    ForeignHistory {
        /// The history it reports.
        replid: ReplId,
    },
    /// Its link to the master has been down for too long.
    #[error("its link to the master has been down for {link_down_ms} ms, {limit_ms} ms are allowed")]
    StaleData {
        /// For how long.
        link_down_ms: u64,
        /// How long is allowed.
        limit_ms: u64,
    },
}

/// One row of the candidate table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The replica.
    pub addr: Addr,
    /// Its process, if it was seen.
    pub run_id: Option<RunId>,
    /// Its priority, if it was seen.
    pub priority: Option<u32>,
    /// How much of the history it holds, if it was seen.
    pub offset: Option<u64>,
    /// Why it cannot be promoted; none if it can.
    pub ineligible: Option<Ineligible>,
}

/// What set the chosen replica apart from the other eligible ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChosenFor {
    /// It was the only eligible one.
    OnlyCandidate,
    /// It has the lowest priority number.
    Priority,
    /// It holds the most data.
    Offset,
    /// It has the smallest run id; all else was equal.
    RunId,
}

impl ChosenFor {
    /// A short phrase for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OnlyCandidate => "the only eligible replica",
            Self::Priority => "the preferred priority",
            Self::Offset => "the most data",
            Self::RunId => "the smallest run id, all else being equal",
        }
    }
}

/// The content of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The new master.
    pub chosen: Addr,
    /// All replicas that were considered, best first.
    pub candidates: Vec<Candidate>,
    /// Why this one.
    pub reason: ChosenFor,
    /// The last offset that the deciding sentinel saw of the old master.
    pub master_offset: Option<u64>,
    /// `master_offset` minus the chosen one's offset: what is known to be missing.
    ///
    /// What the master accepted after it was last seen is not in it.
    pub estimated_loss_bytes: Option<u64>,
}
