//! The entries of the log, in the words of the domain.
//!
//! The names and fields here are a durable format: entries of this release must be readable by the
//! next. Add fields with `#[serde(default)]`; never change the meaning of one.

use serde::{Deserialize, Serialize};

use super::ballot::DownEvidence;
use super::cause::{AbortReason, FailoverMode};
use super::choice::{Choice, Ineligible};
use super::failover::FailoverId;
use super::group::Identity;
use super::removed::Keep;
use super::replica::{Retirement, Tenure};
use super::request::Asked;
use super::shadow::ShadowEntry;
use super::state::SentinelRecord;
use crate::base::parameters::ParameterChange;
use crate::base::settings::SettingChange;
use crate::base::{Addr, Epoch, Fence, GroupName, GroupSettings, LogIndex, NodeId, RunId, StoredSecret, StoredWebhook, WallTime};

/// Who wants a group to exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// `SENTINEL MONITOR` or the operators' gRPC service.
    Operator,
    /// A sentinel's configuration file: seeds a group that the log has never known, and nothing else.
    File,
    /// The same, of a sentinel that is told to shadow: a group that it seeds begins in shadow.
    FileInShadow,
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(clippy::large_enum_variant, reason = "one at a time is built, proposed and applied; there are no arrays of them to save memory in")]
pub enum Command {
    /// Monitor a master. Saying again what is already so changes nothing.
    ConfigureGroup {
        /// Its name.
        name: GroupName,
        /// Where the master listens.
        master: Addr,
        /// The settings to start with.
        settings: GroupSettings,
        /// Replicas already known (from a stock configuration file).
        #[serde(default)]
        replicas: Vec<Addr>,
        /// The epoch to start from (from a stock configuration file).
        #[serde(default)]
        epoch: Epoch,
        /// Who wants it.
        origin: Origin,
        /// When it was said.
        at: WallTime,
        /// The removal that this takes back: the group goes on as it was, if its master is the same. None begins a new group.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        takes_up: Option<LogIndex>,
        /// Who asked for it; none where no client did, and in entries of releases that did not write it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked: Asked,
    },
    /// Change settings: all of these or none.
    SetOptions {
        /// The group.
        group: GroupName,
        /// The changes, in order.
        changes: Vec<SettingChange>,
        /// When it was said.
        at: WallTime,
        /// Who asked for it; none where no client did, and in entries of releases that did not write it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked: Asked,
    },
    /// The secrets of a group's settings, sealed as they are to be from now on. What was set after the proposer looked stays.
    SecretsSealed {
        /// The group.
        group: GroupName,
        /// The last entry that the proposer had applied.
        seen: LogIndex,
        /// The password, if it is to be replaced.
        auth_pass: Option<StoredSecret>,
        /// The webhook, if it is to be replaced.
        notification_webhook: Option<StoredWebhook>,
        /// When it was sealed.
        at: WallTime,
    },
    /// Stop monitoring a master.
    RemoveGroup {
        /// The group.
        group: GroupName,
        /// When it was said.
        at: WallTime,
        /// What is to be kept for one that monitors it again; none keeps its epoch only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keep: Option<Keep>,
        /// Who asked for it; none where no client did, and in entries of releases that did not write it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked: Asked,
    },
    /// Forget the replicas that the proposer sees down. Harmless otherwise, and refused during a failover.
    ResetGroup {
        /// The group.
        group: GroupName,
        /// Replicas that are down.
        down: Vec<Addr>,
        /// When it was said.
        at: WallTime,
        /// Who asked for it; none where no client did, and in entries of releases that did not write it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked: Asked,
    },
    /// The recorded master runs as this process with this replication history.
    MasterSeen {
        /// The group.
        group: GroupName,
        /// The master's epoch.
        epoch: Epoch,
        /// What was seen.
        identity: Identity,
        /// When it was seen.
        at: WallTime,
    },
    /// A data node is a replica of the group, and perhaps what it was seen to be.
    ReplicaSeen {
        /// The group.
        group: GroupName,
        /// The epoch in which it was seen.
        epoch: Epoch,
        /// Where it listens.
        replica: Addr,
        /// What was seen of it, if anything yet.
        identity: Option<Identity>,
        /// What it counts for from now on; none leaves that as it is, and counts one that is new.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tenure: Option<Tenure>,
        /// When it was seen.
        at: WallTime,
    },
    /// A replica is no longer counted, or no longer known, by what was seen.
    ReplicaRetired {
        /// The group.
        group: GroupName,
        /// The epoch in which that was seen.
        epoch: Epoch,
        /// The replica.
        replica: Addr,
        /// Why.
        why: Retirement,
        /// How many of those that stay hold all that it may have confirmed.
        covered: u32,
        /// The number of counted replicas at that time; with another number it does not count.
        replicas: u32,
        /// When it was seen.
        at: WallTime,
    },
    /// An operator names a replica, to be counted and promoted also where replicas are fixed.
    ReplicaNamed {
        /// The group.
        group: GroupName,
        /// The replica.
        replica: Addr,
        /// The process there whose data the operator gives up, so that it may be made a replica.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        adopts: Option<RunId>,
        /// When it was said.
        at: WallTime,
        /// Who asked for it; none where no client did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked: Asked,
    },
    /// An operator forgets a replica.
    ReplicaForgotten {
        /// The group.
        group: GroupName,
        /// The replica.
        replica: Addr,
        /// When it was said.
        at: WallTime,
        /// Who asked for it; none where no client did, and in entries of releases that did not write it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked: Asked,
    },
    /// The master holds this fence: seen on it, not merely asked of it.
    FenceArmed {
        /// The group.
        group: GroupName,
        /// The master's epoch.
        epoch: Epoch,
        /// What it holds.
        fence: Fence,
        /// The number of known replicas that it was computed for; with another number it does not count.
        replicas: u32,
        /// When it was seen.
        at: WallTime,
    },
    /// The master holds less than was recorded, or is about to be told to: from here on no more is relied on.
    FenceLoosened {
        /// The group.
        group: GroupName,
        /// The master's epoch.
        epoch: Epoch,
        /// What may be relied on.
        held: Fence,
        /// When it was found or wanted.
        at: WallTime,
    },
    /// So many replicas hold all that was confirmed with fewer of them.
    FenceCovered {
        /// The group.
        group: GroupName,
        /// The master's epoch.
        epoch: Epoch,
        /// How many hold it.
        covered: u32,
        /// The number of known replicas at that time; with another number it does not count.
        replicas: u32,
        /// When it was seen.
        at: WallTime,
    },
    /// No data node holds a fence by our doing any more, as the group's settings want it.
    FenceDropped {
        /// The group.
        group: GroupName,
        /// The master's epoch.
        epoch: Epoch,
        /// When it was seen.
        at: WallTime,
    },
    /// A sentinel sees the master of this epoch down.
    VoteDown {
        /// The group.
        group: GroupName,
        /// The epoch of the master it is about; a vote about another epoch does not count.
        epoch: Epoch,
        /// Who votes.
        voter: NodeId,
        /// On what grounds.
        testimony: DownEvidence,
        /// When it was cast.
        at: WallTime,
    },
    /// A sentinel sees the master of this epoch up again.
    VoteUp {
        /// The group.
        group: GroupName,
        /// The epoch of the master it is about.
        epoch: Epoch,
        /// Who votes.
        voter: NodeId,
        /// When it was cast.
        at: WallTime,
    },
    /// A sentinel has been silent; its votes no longer count.
    VotesExpired {
        /// Whose votes.
        voter: NodeId,
        /// For how long it has been silent.
        silent_ms: u64,
        /// When that was found.
        at: WallTime,
    },
    /// An operator wants another master although this one is up.
    FailoverRequested {
        /// The group.
        group: GroupName,
        /// The epoch of the master to be replaced.
        epoch: Epoch,
        /// The sentinel that was asked.
        by: NodeId,
        /// How it is to be done.
        #[serde(default, skip_serializing_if = "FailoverMode::is_plain")]
        manner: FailoverMode,
        /// The replica to be promoted, if the operator named one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<Addr>,
        /// When it was asked.
        at: WallTime,
        /// Who asked for it; none where no client did, and in entries of releases that did not write it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked: Asked,
    },
    /// **The decision**: the master of epoch `id.epoch` is `choice.chosen`.
    Promote {
        /// The group.
        group: GroupName,
        /// The failover it belongs to.
        id: FailoverId,
        /// Who was chosen, among whom, and why.
        choice: Choice,
        /// The sentinel that chose.
        by: NodeId,
        /// When it chose.
        at: WallTime,
    },
    /// The chosen replica was seen to be a master.
    Promoted {
        /// The group.
        group: GroupName,
        /// The failover it belongs to.
        id: FailoverId,
        /// The new master's process and history.
        identity: Identity,
        /// When it was seen.
        at: WallTime,
    },
    /// A replica was seen to follow the new master with its link up.
    ReplicaFollows {
        /// The group.
        group: GroupName,
        /// The failover it belongs to.
        id: FailoverId,
        /// The replica.
        replica: Addr,
        /// When it was seen.
        at: WallTime,
    },
    /// Nothing is left to be done for this failover.
    FailoverDone {
        /// The group.
        group: GroupName,
        /// The failover.
        id: FailoverId,
        /// Replicas that could not be pointed at the new master yet (down, or too slow); they are repaired later.
        left: Vec<Addr>,
        /// When it ended.
        at: WallTime,
    },
    /// The failover is given up before a decision.
    FailoverAborted {
        /// The group.
        group: GroupName,
        /// The failover.
        id: FailoverId,
        /// Why.
        reason: AbortReason,
        /// When.
        at: WallTime,
    },
    /// The failover cannot go on now, for these reasons.
    FailoverBlocked {
        /// The group.
        group: GroupName,
        /// The failover.
        id: FailoverId,
        /// A reason for every replica.
        reasons: Vec<(Addr, Ineligible)>,
        /// When that was found.
        at: WallTime,
    },
    /// What is said about a group in shadow, or about its way in or out.
    Shadow {
        /// The group.
        group: GroupName,
        /// What is said.
        entry: ShadowEntry,
        /// When.
        at: WallTime,
        /// Who asked for it; none where no client did, and in entries of releases that did not write it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked: Asked,
    },
    /// An operator sets parameters of the sentinels themselves: all of these.
    SetParameters {
        /// The sentinel that was asked; what belongs to one sentinel alone is meant of it.
        sentinel: NodeId,
        /// The changes, in order.
        changes: Vec<ParameterChange>,
        /// When it was said.
        at: WallTime,
        /// Who asked for it; none where no client did, and in entries of releases that did not write it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked: Asked,
    },
    /// A sentinel presents itself, or changed its addresses.
    SentinelJoined {
        /// Its number.
        id: NodeId,
        /// Who and where it is.
        record: SentinelRecord,
    },
    /// A sentinel has been removed for good.
    SentinelLeft {
        /// Its number.
        id: NodeId,
    },
}
