//! The content of a decision: who was considered, who could not be promoted and why, who was chosen and what set it apart.

use serde::{Deserialize, Serialize};

use crate::base::{Addr, Fence, ReplId, RunId};

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
    /// Its link to the master is down, and what it holds is of another history than the master's: it never got in sync.
    #[error(
        "is not in sync: its link to the master is down{since}, and what it holds belongs to another replication history ({replid}); its log says \
         why the link is down (a wrong masterauth, a copy that it cannot read, the network)",
        since = .down_s.map_or_else(String::new, |seconds| format!(" for {seconds} s"))
    )]
    OutOfSync {
        /// The history it reports.
        replid: ReplId,
        /// For how many seconds its link has been down, if it says so.
        down_s: Option<u64>,
    },
    /// It tells no replication history, so that its data cannot be compared.
    #[error("tells no replication history (INFO has no master_replid; Redis 4 or newer has), so that the policy strict cannot rely on it")]
    NoHistory,
    /// It is another process than when it was last seen in sync: what it confirmed then it may have lost.
    #[error("restarted since it was last seen in sync")]
    Restarted,
    /// It was never seen in sync with a master of this group.
    #[error("was never seen in sync")]
    NeverInSync,
    /// It gave up its data for a full copy that did not come to its end.
    #[error("began a full copy and did not finish it, so its data is not whole")]
    PlaceLost,
    /// It could not be told to leave the master yet.
    #[error("has not left the master yet")]
    Attached,
    /// It could be promoted, but too few replicas have left the master, or are there to.
    #[error("is ready, but only {have} intact replicas can be taken from the master and {need} are needed")]
    TooFew {
        /// How many there are.
        have: u32,
        /// How many it takes.
        need: u32,
    },
    /// Another one holds more data that may have been confirmed.
    #[error("lacks {behind_bytes} bytes that {ahead} holds")]
    Behind {
        /// Who holds more.
        ahead: Addr,
        /// How much more.
        behind_bytes: u64,
    },
    /// It cannot be made to hold a fence.
    #[error("cannot be made to hold a fence: {why}")]
    Unarmable {
        /// The server's words.
        why: String,
    },
    /// It refuses to be made a master or a replica to the sentinels' user.
    #[error("takes no orders from this cluster: {why}")]
    TakesNoOrders {
        /// The server's words.
        why: String,
    },
    /// Not a replica: the master to be replaced may still take writes.
    #[error("may still take writes: its fence was not in force, and it is not known to be gone")]
    NotFenced,
    /// Not a replica: the leader holds back because of others.
    #[error(
        "is watched by sentinels that are not of this cluster, which may promote another; nothing is done beside them (stop them, or see \
         raft-sentinel take-over --despite-stock)"
    )]
    StockWatches,
    /// Not a replica: the leader's own file forbids it to act.
    #[error("is not changed by this sentinel: its file says 'sentinel shadow yes', and no operator has taken the group over")]
    OwnFileSaysShadow,
    /// It was gone for long, and has not been seen in sync since.
    #[error("was gone for long, and has not been seen in sync since")]
    NotCounted,
    /// The replicas are fixed, and no operator named it.
    #[error("was not named, and the replicas of the group are fixed (replicas-fixed)")]
    NotNamed,
    /// It says that it holds more than the master can have written.
    #[error("claims offset {offset}, more than the master can have written ({most})")]
    ImpossibleOffset {
        /// What it claims.
        offset: u64,
        /// What the master can have written at most.
        most: u64,
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
    /// Whether it is intact and was detached from the old master before the decision.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub detached: bool,
    /// Why it cannot be promoted; none if it can.
    pub ineligible: Option<Ineligible>,
}

/// Why the old master could not take writes any more when the decision was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FencingProof {
    /// Nobody made sure of it: the policy is `available`.
    #[default]
    Unfenced,
    /// Its port refuses connections, for a majority of the sentinels: its process is gone.
    Gone,
    /// It was seen to be a replica, or to count too few replicas for its fence.
    SeenOut,
    /// Too few replicas were left to it, for longer than it can take not to notice.
    LagWindow,
    /// Its writes were paused, the chosen replica has all of them, and it was seen to count too few replicas before the pause could end.
    Drained,
    /// It was paused and then told to be a replica of nobody, and the chosen replica has all that it had written. So it is taken out of writes where too few
    /// replicas are there to be taken from it.
    HandedOver {
        /// How much it had written.
        offset: u64,
    },
    /// An operator accepted that confirmed writes may be lost.
    Forced,
}

impl FencingProof {
    /// A short phrase for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unfenced => "not fenced (policy available)",
            Self::Gone => "its process is gone",
            Self::SeenOut => "seen out of writes",
            Self::LagWindow => "out of writes since its fence has run out",
            Self::Drained => "paused, and drained to the last write",
            Self::HandedOver { .. } => "paused, drained to the last write, and made a replica itself",
            Self::Forced => "forced by an operator",
        }
    }
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
    /// Why the old master could not take writes any more.
    #[serde(default, skip_serializing_if = "is_unfenced")]
    pub basis: FencingProof,
    /// The fence that the promotion sets in the same transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arms: Option<Fence>,
    /// Whether the chosen one led already, since an operator had made it the master at the servers: it is adopted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_hand: bool,
}

impl Choice {
    /// What set the chosen one apart, in a short phrase for people.
    pub const fn why(&self) -> &'static str {
        if self.by_hand { "made the master by hand" } else { self.reason.as_str() }
    }

    /// Why the old master could take no writes any more, in a short phrase for people.
    pub const fn grounds(&self) -> &'static str {
        if self.by_hand { "gave up its place to one that was made the master by hand" } else { self.basis.as_str() }
    }
}

fn is_unfenced(basis: &FencingProof) -> bool {
    *basis == FencingProof::Unfenced
}
