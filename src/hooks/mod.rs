//! Hooks: what an operator wants done when something happens: scripts to run here, and webhooks to call.
//!
//! Events come from [`events`](crate::events), settings from the agreed state. Here lives what waits, runs and is retried. All queues
//! are bounded and lose their oldest entry when they are full; nobody who decides or acts on Redis ever waits for this room,
//! and nothing in it changes what is agreed. What waits is lost when the process ends, as in stock Sentinel.
//! Started by `app`; `serve` shows what is pending and counted.
//!
//! In reading order: `due` (what an event calls for), `refusals` (what of it this sentinel's own file does not allow), [`script`] and [`webhook`] (the two kinds), `listen` (the loop).

mod due;
mod listen;
mod refusals;
pub mod script;
pub mod webhook;

use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub use listen::Sources;
use refusals::Refusals;
pub use script::{Pending, RunStanding};

use crate::base::{CallRules, ClusterId, GroupName, NodeId, SentinelId};
use crate::clock::Clock;
use crate::events::Hub;
use crate::secret::Sealer;

/// Who tells.
#[derive(Clone, Debug)]
pub struct SenderIdentity {
    /// The cluster.
    pub cluster: ClusterId,
    /// This sentinel's number.
    pub node: NodeId,
    /// This sentinel's public id.
    pub sentinel: SentinelId,
}

/// Bounds and times; the defaults are those of production.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// Of scripts.
    pub scripts: script::Limits,
    /// Of webhooks.
    pub webhooks: webhook::Limits,
}

/// What this sentinel's own file says of scripts and webhooks.
#[derive(Clone, Debug, Default)]
pub struct OwnFile {
    /// Which of the agreed ones it runs and calls.
    pub rules: Arc<CallRules>,
    /// Opens those that are sealed.
    pub sealer: Sealer,
}

/// The scripts and webhooks of this sentinel. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Hooks {
    scripts: script::ScriptRunner,
    webhooks: webhook::WebhookSender,
    refusals: Refusals,
}

impl Hooks {
    /// Nothing waits yet. `own` is what this sentinel's own file says. Scripts run in `dir`, and what becomes of them is said to `hub`.
    pub fn new(limits: Limits, own: OwnFile, clock: Clock, dir: PathBuf, hub: Hub) -> Self {
        let OwnFile { rules, sealer } = own;
        let webhooks = webhook::WebhookSender::new(limits.webhooks, Arc::clone(&rules));
        Self {
            scripts: script::ScriptRunner::new(limits.scripts, clock, dir, hub.clone()),
            webhooks,
            refusals: Refusals::new(rules, sealer, hub),
        }
    }

    /// Does what events call for until `cancel`. Scripts that run then go on by themselves; what waits is lost.
    pub async fn run(self, sources: Sources, cancel: CancellationToken) {
        let running = Arc::new(self.clone());
        tokio::join!(self.scripts.run(cancel.clone()), listen::run(&running, sources, cancel));
    }

    /// The scripts that run or wait, oldest first.
    pub fn pending(&self) -> Vec<Pending> {
        self.scripts.pending()
    }

    /// How long the next run of a script may take, and the pause after a first run that asks for another.
    pub fn set_script_times(&self, run_ms: u64, retry_ms: u64) {
        self.scripts.set_times(run_ms, retry_ms);
    }

    /// What was counted of the scripts.
    pub fn counts(&self) -> script::Counts {
        self.scripts.counts()
    }

    /// Scripts and webhooks that were due here and are not allowed by this sentinel's own file, since this process started.
    pub fn refused(&self) -> u64 {
        self.refusals.count()
    }

    /// What was counted of the webhooks of each group that has had something to send.
    pub fn letters(&self) -> Vec<(GroupName, webhook::Counts)> {
        self.webhooks.counts()
    }
}
