//! What an operator may set for one group, with stock Sentinel's names and defaults.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{StoredSecret, StoredWebhook, limits};

/// How often a data node is asked for INFO, where nobody wants it sooner.
pub const INFO_PERIOD_MS: u64 = 1000;
/// The longest time between two PINGs to a data node.
pub const PING_PERIOD_MAX_MS: u64 = 1000;

/// A replica that has been gone for so long is forgotten, unless the settings say otherwise.
pub const FORGET_AFTER_MS: u64 = 10 * 60 * 1000;

const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// How careful a promotion must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PromotionPolicy {
    /// Strict where the group is large enough for it, available otherwise.
    #[default]
    Auto,
    /// Promote only behind the fence.
    Strict,
    /// Stock Sentinel's trade-off: one good replica is enough.
    Available,
}

impl PromotionPolicy {
    /// The word used in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Strict => "strict",
            Self::Available => "available",
        }
    }

    /// The policy that a word of the configuration means.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Auto, Self::Strict, Self::Available].into_iter().find(|policy| policy.as_str().eq_ignore_ascii_case(word))
    }
}

/// The settings of one group. Replicated: every sentinel works with the same ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupSettings {
    /// How many sentinels must see the master down before a failover starts.
    pub quorum: u32,
    /// Without a valid reply for this long a data node is down.
    pub down_after_ms: u64,
    /// A shorter limit that applies only while the port actively refuses connections; 0 is off.
    pub crash_down_after_ms: u64,
    /// Bounds each waiting step of a failover.
    pub failover_timeout_ms: u64,
    /// How many replicas may be synchronising with a new master at the same time.
    pub parallel_syncs: u32,
    /// How long LOADING is tolerated after a restart of the master; 0 is for ever.
    pub master_reboot_down_after_ms: u64,
    /// ACL user for the data nodes.
    pub auth_user: Option<String>,
    /// Password for the data nodes.
    pub auth_pass: Option<StoredSecret>,
    /// What a promotion has to wait for.
    pub promotion_policy: PromotionPolicy,
    /// `min-replicas-max-lag` of the fence: for how many seconds after its last acknowledgement a replica counts.
    pub fence_max_lag_s: u32,
    /// A replica that has been gone for this long is forgotten, and the fence counts without it; 0 is the default.
    pub replica_forget_after_ms: u64,
    /// Whether only replicas that operators named count and are promoted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replicas_fixed: bool,
    /// How many replicas may be recorded; 0 is as many as can be.
    #[serde(skip_serializing_if = "is_zero")]
    pub max_replicas: u32,
    /// Program to run for each warning-level event.
    pub notification_script: Option<String>,
    /// Program to run when the master's address changes.
    pub client_reconfig_script: Option<String>,
    /// Where warning-level events are posted to. Left out where there is none, so that older releases read the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notification_webhook: Option<StoredWebhook>,
    /// Commands that the data nodes know under another name: upper-case stock name to name in use.
    pub rename_commands: BTreeMap<String, String>,
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self {
            quorum: 2,
            down_after_ms: 30_000,
            crash_down_after_ms: 0,
            failover_timeout_ms: 180_000,
            parallel_syncs: 1,
            master_reboot_down_after_ms: 0,
            auth_user: None,
            auth_pass: None,
            promotion_policy: PromotionPolicy::Auto,
            fence_max_lag_s: 2,
            replica_forget_after_ms: 0,
            replicas_fixed: false,
            max_replicas: 0,
            notification_script: None,
            client_reconfig_script: None,
            notification_webhook: None,
            rename_commands: BTreeMap::new(),
        }
    }
}

/// One option that an operator sets for a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SettingChange {
    /// `quorum`, at least 1.
    Quorum(u32),
    /// `down-after-milliseconds`, at least 1.
    DownAfterMs(u64),
    /// `crash-down-after-milliseconds`; 0 turns it off.
    CrashDownAfterMs(u64),
    /// `failover-timeout`, at least 1.
    FailoverTimeoutMs(u64),
    /// `parallel-syncs`, at least 1.
    ParallelSyncs(u32),
    /// `master-reboot-down-after-period`; 0 turns it off.
    MasterRebootDownAfterMs(u64),
    /// `auth-user`; none unsets it.
    AuthUser(Option<String>),
    /// `auth-pass`; none unsets it.
    AuthPass(Option<StoredSecret>),
    /// `promotion-policy`.
    PromotionPolicy(PromotionPolicy),
    /// `fence-max-lag`, in seconds, at least 1.
    FenceMaxLagS(u32),
    /// `replica-forget-after`; 0 is the default.
    ReplicaForgetAfterMs(u64),
    /// `replicas-fixed`.
    ReplicasFixed(bool),
    /// `max-replicas`; 0 is as many as can be.
    MaxReplicas(u32),
    /// `notification-script`; none unsets it.
    NotificationScript(Option<String>),
    /// `client-reconfig-script`; none unsets it.
    ClientReconfigScript(Option<String>),
    /// `notification-webhook`; none unsets it.
    NotificationWebhook(Option<StoredWebhook>),
    /// `rename-command`: the upper-case stock name and the name in use; renaming to itself removes the mapping.
    RenameCommand {
        /// Stock name, upper case.
        command: String,
        /// Name in use on the data nodes.
        to: String,
    },
}

/// Why a change of settings is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{option} must be at least 1")]
pub struct BadSetting {
    /// The option's name.
    pub option: String,
}

impl SettingChange {
    /// Whether it holds a secret in clear text.
    pub const fn has_clear_secret(&self) -> bool {
        matches!(self, Self::AuthPass(Some(StoredSecret::Clear(_))) | Self::NotificationWebhook(Some(StoredWebhook::Clear(_))))
    }

    /// The option's name as in `sentinel <option> ...` and `SENTINEL SET`.
    pub const fn option(&self) -> &'static str {
        match self {
            Self::Quorum(_) => "quorum",
            Self::DownAfterMs(_) => "down-after-milliseconds",
            Self::CrashDownAfterMs(_) => "crash-down-after-milliseconds",
            Self::FailoverTimeoutMs(_) => "failover-timeout",
            Self::ParallelSyncs(_) => "parallel-syncs",
            Self::MasterRebootDownAfterMs(_) => "master-reboot-down-after-period",
            Self::AuthUser(_) => "auth-user",
            Self::AuthPass(_) => "auth-pass",
            Self::PromotionPolicy(_) => "promotion-policy",
            Self::FenceMaxLagS(_) => "fence-max-lag",
            Self::ReplicaForgetAfterMs(_) => "replica-forget-after",
            Self::ReplicasFixed(_) => "replicas-fixed",
            Self::MaxReplicas(_) => "max-replicas",
            Self::NotificationScript(_) => "notification-script",
            Self::ClientReconfigScript(_) => "client-reconfig-script",
            Self::NotificationWebhook(_) => "notification-webhook",
            Self::RenameCommand { .. } => "rename-command",
        }
    }

    /// The new value for people and events; secrets are masked.
    pub fn shown_value(&self) -> String {
        match self {
            Self::Quorum(n) | Self::ParallelSyncs(n) | Self::FenceMaxLagS(n) | Self::MaxReplicas(n) => n.to_string(),
            Self::ReplicasFixed(yes) => if *yes { "yes" } else { "no" }.to_owned(),
            Self::DownAfterMs(ms)
            | Self::CrashDownAfterMs(ms)
            | Self::FailoverTimeoutMs(ms)
            | Self::MasterRebootDownAfterMs(ms)
            | Self::ReplicaForgetAfterMs(ms) => ms.to_string(),
            Self::AuthUser(text) | Self::NotificationScript(text) | Self::ClientReconfigScript(text) => text.clone().unwrap_or_default(),
            Self::AuthPass(_) => "******".to_owned(),
            Self::NotificationWebhook(url) => url.as_ref().map(StoredWebhook::shown).unwrap_or_default(),
            Self::PromotionPolicy(policy) => policy.as_str().to_owned(),
            Self::RenameCommand { command, to } => format!("{command} {to}"),
        }
    }
}

impl GroupSettings {
    /// Makes one change.
    ///
    /// # Errors
    /// [`BadSetting`] where a number must be at least 1; nothing is changed then.
    pub fn change(&mut self, change: &SettingChange) -> Result<(), BadSetting> {
        let zero = matches!(
            change,
            SettingChange::Quorum(0)
                | SettingChange::ParallelSyncs(0)
                | SettingChange::DownAfterMs(0)
                | SettingChange::FailoverTimeoutMs(0)
                | SettingChange::FenceMaxLagS(0)
        );
        if zero {
            return Err(BadSetting { option: change.option().to_owned() });
        }
        match change.clone() {
            SettingChange::Quorum(n) => self.quorum = n,
            SettingChange::DownAfterMs(ms) => self.down_after_ms = ms,
            SettingChange::CrashDownAfterMs(ms) => self.crash_down_after_ms = ms,
            SettingChange::FailoverTimeoutMs(ms) => self.failover_timeout_ms = ms,
            SettingChange::ParallelSyncs(n) => self.parallel_syncs = n,
            SettingChange::MasterRebootDownAfterMs(ms) => self.master_reboot_down_after_ms = ms,
            SettingChange::AuthUser(user) => self.auth_user = user,
            SettingChange::AuthPass(pass) => self.auth_pass = pass,
            SettingChange::PromotionPolicy(policy) => self.promotion_policy = policy,
            SettingChange::FenceMaxLagS(seconds) => self.fence_max_lag_s = seconds,
            SettingChange::ReplicaForgetAfterMs(ms) => self.replica_forget_after_ms = ms,
            SettingChange::ReplicasFixed(yes) => self.replicas_fixed = yes,
            SettingChange::MaxReplicas(n) => self.max_replicas = n,
            SettingChange::NotificationScript(path) => self.notification_script = path,
            SettingChange::ClientReconfigScript(path) => self.client_reconfig_script = path,
            SettingChange::NotificationWebhook(url) => self.notification_webhook = url,
            SettingChange::RenameCommand { command, to } => {
                if to.eq_ignore_ascii_case(&command) {
                    self.rename_commands.remove(&command);
                } else {
                    self.rename_commands.insert(command, to);
                }
            }
        }
        Ok(())
    }

    /// The names of the keys that its secrets are sealed with, one for each; none for one in clear text.
    pub fn secret_keys(&self) -> impl Iterator<Item = Option<&str>> {
        let password = self.auth_pass.as_ref().map(StoredSecret::key);
        password.into_iter().chain(self.notification_webhook.as_ref().map(StoredWebhook::key))
    }

    /// How often a data node is pinged: a tenth of the limit, from 10 ms to 1 s.
    ///
    /// Stock pings once a second whatever the limit. The limit counts from the last valid reply,
    /// so a short limit with rare pings would leave a healthy node almost no time to answer.
    pub fn ping_period_ms(&self) -> u64 {
        (self.down_after_ms / 10).clamp(10, PING_PERIOD_MAX_MS)
    }

    /// How many replicas may be recorded.
    pub fn room_for_replicas(&self) -> usize {
        let set = usize::try_from(self.max_replicas).unwrap_or(usize::MAX);
        if set == 0 { limits::REPLICAS_PER_GROUP } else { set.min(limits::REPLICAS_PER_GROUP) }
    }

    /// For how long a replica must be gone to be forgotten.
    pub const fn forget_after_ms(&self) -> u64 {
        if self.replica_forget_after_ms == 0 { FORGET_AFTER_MS } else { self.replica_forget_after_ms }
    }

    /// The name under which the data nodes know `command` (upper case).
    pub fn command<'a>(&'a self, command: &'a str) -> &'a str {
        self.rename_commands.get(command).map_or(command, String::as_str)
    }
}
