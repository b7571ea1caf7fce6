//! What events call for and this sentinel's own file does not allow, or cannot open: not done, counted, and told once.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::warn;

use crate::base::{CallRules, GroupName, ScriptKind, StoredWebhook, WebhookUrl};
use crate::events::{Hub, Spoken};
use crate::secret::Sealer;

/// Different refusals that are remembered, so that each is told once. Beyond that they are counted only.
const REMEMBERED: usize = 1024;

/// The rules, and what was refused by them. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(super) struct Refusals {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    rules: Arc<CallRules>,
    sealer: Sealer,
    hub: Hub,
    told: Mutex<BTreeSet<(GroupName, String)>>,
    count: AtomicU64,
}

impl Refusals {
    pub(super) fn new(rules: Arc<CallRules>, sealer: Sealer, hub: Hub) -> Self {
        Self { shared: Arc::new(Shared { rules, sealer, hub, told: Mutex::default(), count: AtomicU64::new(0) }) }
    }

    pub(super) fn count(&self) -> u64 {
        self.shared.count.load(Ordering::Relaxed)
    }

    /// Whether an agreed script is run here.
    pub(super) fn lets_run(&self, group: &GroupName, kind: ScriptKind, path: &str) -> bool {
        if self.shared.rules.runs(kind, path) {
            return true;
        }
        let advice = "this sentinel's file does not name it; name it there, or say 'sentinel deny-scripts-reconfig no'";
        self.refuse(group, "-script-denied", path, advice);
        false
    }

    /// The agreed webhook in clear text, if it can be opened and is called from here.
    pub(super) fn open(&self, group: &GroupName, stored: &StoredWebhook) -> Option<WebhookUrl> {
        let refusal = match self.shared.sealer.open_webhook(group, stored) {
            Ok(url) => match self.shared.rules.refusal(&url) {
                None => return Some(url),
                Some(why) => why.to_owned(),
            },
            Err(unopened) => unopened.to_string(),
        };
        self.refuse(group, "-webhook-denied", &stored.shown(), &refusal);
        None
    }

    fn refuse(&self, group: &GroupName, channel: &'static str, what: &str, why: &str) {
        self.shared.count.fetch_add(1, Ordering::Relaxed);
        let fresh = {
            let mut told = self.shared.told.lock().unwrap_or_else(PoisonError::into_inner);
            told.len() < REMEMBERED && told.insert((group.clone(), what.to_owned()))
        };
        if fresh {
            warn!(%group, "not done here for an event, because {why}: {}", what.escape_debug());
            self.shared.hub.say(Spoken::about_this_process(channel, &format!("{group} {what} #{why}")));
        }
    }
}
