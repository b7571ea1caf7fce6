//! What an operator may change of this process while it runs, and what lasts no longer than it does.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::tunables::Tunables;
use crate::base::Credentials;
use crate::base::settings::PromotionPolicy;
use crate::conf::{LogLevel, NoQuorumReply};

/// The values. `Debug` shows no password.
#[derive(Clone, Debug, Default)]
pub struct RuntimeConfig {
    /// `loglevel`.
    pub log_level: LogLevel,
    /// `sentinel no-quorum-reply`.
    pub no_quorum_reply: NoQuorumReply,
    /// `sentinel sentinel-user` and `sentinel sentinel-pass`. The sentinels of this cluster know each other by their place in the Raft
    /// group: these are for stock sentinels. The password is only shown to be there.
    pub credentials: Credentials,
    /// `sentinel default-promotion-policy`: the policy of masters that are monitored from now on.
    pub default_promotion_policy: PromotionPolicy,
    /// Those of SENTINEL DEBUG.
    pub tunables: Tunables,
}

/// The values, and the way to put them into effect.
pub struct Live {
    facts: Mutex<RuntimeConfig>,
    apply_log_level: fn(LogLevel),
    credentials: watch::Sender<Credentials>,
}

impl Live {
    /// Starts with what the configuration says; `apply_log_level` is called when the level changes, and `credentials` are kept up to date.
    pub const fn new(facts: RuntimeConfig, apply_log_level: fn(LogLevel), credentials: watch::Sender<Credentials>) -> Self {
        Self { facts: Mutex::new(facts), apply_log_level, credentials }
    }

    /// The values now.
    pub(crate) fn facts(&self) -> RuntimeConfig {
        self.lock().clone()
    }

    /// Changes values, all at once for those who look, and puts them into effect.
    pub(crate) fn change(&self, change: impl FnOnce(&mut RuntimeConfig)) {
        let mut facts = self.lock();
        let before = facts.log_level;
        change(&mut facts);
        if facts.log_level != before {
            (self.apply_log_level)(facts.log_level);
        }
        self.credentials.send_if_modified(|current| {
            let changed = *current != facts.credentials;
            current.clone_from(&facts.credentials);
            changed
        });
    }

    fn lock(&self) -> MutexGuard<'_, RuntimeConfig> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.facts().fmt(f)
    }
}
