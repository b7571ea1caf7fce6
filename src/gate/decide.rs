//! The decision. Pure: what the sentinels answered, who this node is and what is on its disk go in; to start, and as what,
//! or why to wait, comes out.

use std::fmt;

use super::data::DataFound;
use crate::base::{Addr, ReplId};

/// A replica was heard this short a time ago: a fresh report of it will come.
const HEARD_MS: u64 = 2_000;

/// What the sentinels agree on about the group, and how the one that answered sees its replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GateAnswer {
    /// The recorded master.
    pub(super) master: Addr,
    /// Its epoch.
    pub(super) epoch: u64,
    /// Its replication history as last recorded; none if it was never seen.
    pub(super) history: Option<ReplId>,
    /// The k with which clients confirm writes that are to survive; 0: none gives that promise.
    pub(super) wait_replicas: u32,
    /// Whether it is being replaced.
    pub(super) replacement: Replacement,
    /// The replicas on record.
    pub(super) replicas: Vec<Replica>,
    /// The Raft id of the sentinel that answered.
    pub(super) told_by: u64,
}

/// Whether the sentinels are about to decide on another master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Replacement {
    /// They are not.
    None,
    /// They are, and get on with it.
    Running,
    /// They would, and cannot: why, for each replica.
    Blocked(String),
}

/// A replica as the answering sentinel sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Replica {
    /// Where it listens.
    pub(super) addr: Addr,
    /// What it last reported of its data, and how many milliseconds ago.
    pub(super) report: Option<(u64, Holding)>,
    /// Milliseconds since it last answered anything; none if it is down, cannot be judged, or never did.
    pub(super) heard_ms: Option<u64>,
    /// Whether the sentinel has come to a view of it: one that has just started has not.
    pub(super) looked_at: bool,
    /// Why it does not look well; empty if it does.
    pub(super) trouble: String,
}

/// What a replica holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holding {
    /// Its replication history; none while it loads its data.
    pub(super) history: Option<ReplId>,
    /// How much of it, in bytes.
    pub(super) offset: u64,
    /// Its keys; none while it loads its data.
    pub(super) keys: Option<u64>,
}

/// Which data node of the group this node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// The recorded master.
    Master,
    /// A recorded replica.
    Replica(Addr),
    /// None on record.
    Newcomer,
    /// Several, the master among them.
    Several(Vec<Addr>),
    /// It cannot be told whether it is the recorded master: why.
    Unclear(String),
}

/// What an operator decided for cases that cannot be decided here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rules {
    /// Start a master without data although recorded replicas cannot be asked for theirs.
    pub(super) without_absent_replicas: bool,
}

/// What Redis is to be started as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StartRole {
    /// A master.
    Master,
    /// A replica of this node.
    ReplicaOf(Addr),
    /// A replica of nobody, for the sentinels to compare it with its replicas: they make it the master, or another one.
    Compared,
}

/// The outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GateVerdict {
    /// Start as this.
    Start(StartRole),
    /// Not yet.
    Wait(WaitReason),
}

/// Why Redis cannot be started yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WaitReason {
    /// No sentinel answered: what came of asking each.
    NoAnswer(Vec<(Addr, String)>),
    /// They do not know the group.
    UnknownGroup(String),
    /// This node answers to several addresses on record.
    Several(Vec<Addr>),
    /// It cannot be told which data node this is.
    Unclear(String),
    /// This node is the recorded master and is just being replaced.
    Replaced,
    /// This node is the recorded master, and a replica has what it lacks.
    Lacking {
        /// What is on the disk.
        found: DataFound,
        /// Who has more.
        holder: Addr,
        /// What it has.
        holding: Holding,
        /// Why no replica can be promoted, if the sentinels say so.
        blocked: Option<String>,
    },
    /// This node is the recorded master, and of these replicas it is not known what they hold.
    Unseen {
        /// What is on the disk.
        found: DataFound,
        /// Which, and why.
        replicas: Vec<(Addr, String)>,
    },
}

/// What to do. `begun_ms` ago this node began to start: what a replica reported before that may be out of date.
pub(super) fn decide(answer: &GateAnswer, who: &Who, found: &DataFound, rules: Rules, begun_ms: u64) -> GateVerdict {
    match who {
        Who::Replica(_) | Who::Newcomer => GateVerdict::Start(StartRole::ReplicaOf(answer.master.clone())),
        Who::Several(addrs) => GateVerdict::Wait(WaitReason::Several(addrs.clone())),
        Who::Unclear(why) => GateVerdict::Wait(WaitReason::Unclear(why.clone())),
        Who::Master => Case { answer, found, rules, begun_ms }.verdict(),
    }
}

/// This node is the recorded master.
struct Case<'a> {
    answer: &'a GateAnswer,
    found: &'a DataFound,
    rules: Rules,
    begun_ms: u64,
}

impl Case<'_> {
    fn verdict(&self) -> GateVerdict {
        let replicas = &self.answer.replicas;
        if self.answer.replacement == Replacement::Running {
            return GateVerdict::Wait(WaitReason::Replaced);
        }
        let has_more = |replica: &&Replica| replica.report.as_ref().is_some_and(|(age_ms, held)| self.lacks(held, *age_ms));
        if let Some((holder, (_, holding))) = replicas.iter().find(has_more).and_then(|one| Some((&one.addr, one.report.as_ref()?))) {
            let blocked = match &self.answer.replacement {
                Replacement::Blocked(why) => Some(why.clone()),
                Replacement::None | Replacement::Running => None,
            };
            let (found, holder, holding) = (self.found.clone(), holder.clone(), holding.clone());
            return GateVerdict::Wait(WaitReason::Lacking { found, holder, holding, blocked });
        }
        let unseen: Vec<_> = replicas.iter().filter_map(|replica| Some((replica.addr.clone(), self.unseen(replica)?))).collect();
        if unseen.is_empty() {
            return GateVerdict::Start(if self.is_to_be_compared() { StartRole::Compared } else { StartRole::Master });
        }
        GateVerdict::Wait(WaitReason::Unseen { found: self.found.clone(), replicas: unseen })
    }

    /// Whether the end of its append-only file may be missing, and so many replicas are there that one of them has whatever `WAIT` confirmed. As a
    /// master it would be copied by them before any sentinel has seen it.
    fn is_to_be_compared(&self) -> bool {
        let GateAnswer { replicas, wait_replicas, .. } = self.answer;
        let holders = (replicas.len() + 1).saturating_sub(*wait_replicas as usize);
        let there = replicas.iter().filter(|replica| replica.heard_ms.is_some_and(|ms| ms <= HEARD_MS)).count();
        matches!(self.found, DataFound::AppendOnly { synced: false, .. }) && *wait_replicas > 0 && there > 0 && there >= holders
    }

    /// Whether this node lacks something that a replica with this report has.
    fn lacks(&self, held: &Holding, age_ms: u64) -> bool {
        match self.found {
            // An append-only file does not say how far it goes: that it is there is as much as can be known.
            DataFound::AppendOnly { .. } => false,
            // What it held before may be gone since.
            DataFound::Nothing { .. } => age_ms <= self.begun_ms && held.keys.is_some_and(|keys| keys > 0),
            // A history only grows, so this holds for old reports too.
            DataFound::Snapshot { history: Some((history, offset)), .. } if held.history.as_ref() == Some(history) => held.offset > *offset,
            // It holds what the master last had, and the snapshot is from before that began.
            DataFound::Snapshot { .. } => held.history.is_some() && held.history == self.answer.history && held.keys != Some(0),
        }
    }

    /// Why what a replica holds is not known well enough; none if it is, or does not matter.
    fn unseen(&self, replica: &Replica) -> Option<String> {
        let fresh = replica.report.as_ref().filter(|(age_ms, _)| *age_ms <= self.begun_ms);
        let present = !replica.looked_at || replica.heard_ms.is_some_and(|ms| ms <= HEARD_MS);
        match (self.found, fresh) {
            (DataFound::AppendOnly { .. }, _) => None,
            (_, Some((_, held))) if held.keys.is_some() => None,
            // One that is away is no reason not to start with the data that are here.
            (DataFound::Snapshot { .. }, _) => present.then(|| why_unseen(replica, fresh.is_some())),
            (DataFound::Nothing { .. }, _) if self.rules.without_absent_replicas && !present => None,
            (DataFound::Nothing { .. }, _) => Some(why_unseen(replica, fresh.is_some())),
        }
    }
}

fn why_unseen(replica: &Replica, loading: bool) -> String {
    if loading {
        "it is loading its data".to_owned()
    } else if replica.trouble.is_empty() {
        "it has not been looked at since this node began to start".to_owned()
    } else {
        replica.trouble.clone()
    }
}

impl WaitReason {
    /// Whether a person who has read `self` need not be told `other`: it differs at most in what grows by itself.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::NoAnswer(a), Self::NoAnswer(b)) => a.len() == b.len(),
            (Self::Lacking { blocked: a, .. }, Self::Lacking { blocked: b, .. }) => a.is_some() == b.is_some(),
            (Self::Unseen { replicas: a, .. }, Self::Unseen { replicas: b, .. }) => {
                a.iter().map(|(addr, _)| addr).eq(b.iter().map(|(addr, _)| addr))
            }
            (a, b) => a == b,
        }
    }
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer(tried) => {
                write!(f, "no sentinel can say who the master is: a quorum of them must be up and reachable")?;
                tried.iter().try_for_each(|(addr, why)| write!(f, "\n  {addr}: {why}"))
            }
            Self::UnknownGroup(group) => write!(
                f,
                "the sentinels monitor no group '{group}'. `raft-sentinel masters` shows those that they do; `sentinel monitor` adds one; \
                 --if-unknown start starts Redis as it is configured"
            ),
            Self::Several(addrs) => write!(
                f,
                "this node answers to several addresses on record, {}, so it cannot be told whether it is the master: say which with --self \
                 HOST:PORT",
                list(addrs)
            ),
            Self::Unclear(why) => {
                write!(
                    f,
                    "it cannot be told whether this node is the recorded master: {why}. Say which address is ours with --self HOST:PORT"
                )
            }
            Self::Replaced => write!(f, "this node is the recorded master, and the sentinels are replacing it just now"),
            Self::Lacking { found, holder, holding, blocked } => {
                write!(f, "this node is the recorded master, but {found}, while its replica {holder} holds {holding}")?;
                if let DataFound::Snapshot { history: Some((history, _)), .. } = found
                    && holding.history.as_ref() != Some(history)
                {
                    write!(f, " of another history, the recorded one")?;
                }
                match blocked {
                    None => write!(f, ": waiting until the sentinels promote a replica"),
                    Some(why) => write!(f, ". The sentinels would promote a replica and cannot: {why}"),
                }
            }
            Self::Unseen { found, replicas } => {
                write!(f, "this node is the recorded master, but {found}, and what its replicas hold must be known first:")?;
                replicas.iter().try_for_each(|(addr, why)| write!(f, "\n  {addr}: {why}"))?;
                if matches!(found, DataFound::Nothing { .. }) {
                    write!(
                        f,
                        "\n  (one that is gone for good can be forgotten: SENTINEL FORGET; --if-replica-down start does not wait for any)"
                    )?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.keys {
            Some(keys) => write!(f, "{keys} keys at offset {}", self.offset),
            None => write!(f, "data at offset {}", self.offset),
        }
    }
}

fn list(addrs: &[Addr]) -> String {
    addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
#[path = "decide_test.rs"]
mod tests;
