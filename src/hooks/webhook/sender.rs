//! Takes letters, posts those of one group in order, and counts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::payload::Payload;
use super::post::{PostError, Poster};
use super::queue::{Limits, Queue};
use crate::base::{CallRules, GroupName, WebhookUrl};

/// The webhooks of this sentinel. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct WebhookSender {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limits: Limits,
    rules: Arc<CallRules>,
    desks: Mutex<BTreeMap<GroupName, GroupDesk>>,
    /// Made when it is first needed: most sentinels have no webhook.
    poster: OnceLock<Poster>,
}

/// One group. Its worker lives as long as there is something to post.
#[derive(Debug, Default)]
struct GroupDesk {
    outbox: Queue,
    working: bool,
    counts: Counts,
}

/// What was counted of one group: how it stands, and sums since this process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Letters that wait, without the one that is being posted.
    pub waiting: usize,
    /// Letters that arrived.
    pub sent: u64,
    /// Letters that were given up.
    pub failed: u64,
    /// Letters that were never posted because too many waited.
    pub dropped: u64,
}

impl WebhookSender {
    pub(in crate::hooks) fn new(limits: Limits, rules: Arc<CallRules>) -> Self {
        Self { shared: Arc::new(Shared { limits, rules, desks: Mutex::default(), poster: OnceLock::new() }) }
    }

    /// Puts a letter into the group's outbox. Never waits.
    pub(in crate::hooks) fn submit(&self, group: &GroupName, url: WebhookUrl, letter: Payload, cancel: &CancellationToken) {
        let mut desks = self.desks();
        let desk = desks.entry(group.clone()).or_default();
        if let Some(dropped) = desk.outbox.put(url, letter, &self.shared.limits) {
            desk.counts.dropped += 1;
            warn!(%group, "too many events wait for the webhook; dropped the oldest, {}", dropped.event);
        }
        if !std::mem::replace(&mut desk.working, true) {
            let (office, group, cancel) = (self.clone(), group.clone(), cancel.clone());
            tokio::spawn(async move {
                let work = office.work(&group);
                cancel.run_until_cancelled(work).await;
            });
        }
    }

    pub(in crate::hooks) fn counts(&self) -> Vec<(GroupName, Counts)> {
        let counts = |desk: &GroupDesk| Counts { waiting: desk.outbox.len(), ..desk.counts };
        self.desks().iter().map(|(group, desk)| (group.clone(), counts(desk))).collect()
    }

    /// One letter after the other, so that the receiver hears of events in their order.
    async fn work(&self, group: &GroupName) {
        while let Some((url, letter)) = self.next(group) {
            let arrived = self.deliver(group, &url, &letter).await;
            let mut desks = self.desks();
            let counts = &mut desks.entry(group.clone()).or_default().counts;
            if arrived { counts.sent += 1 } else { counts.failed += 1 }
        }
    }

    /// The next letter; with none the worker's work is over, and that is noted under the same lock.
    fn next(&self, group: &GroupName) -> Option<(WebhookUrl, Payload)> {
        let mut desks = self.desks();
        let desk = desks.get_mut(group)?;
        let next = desk.outbox.take();
        desk.working = next.is_some();
        next
    }

    async fn deliver(&self, group: &GroupName, url: &WebhookUrl, letter: &Payload) -> bool {
        let limits = &self.shared.limits;
        for attempt in 1..=limits.attempts {
            let Err(error) = self.poster().await.post(url, letter, limits.attempt_ms).await else { return true };
            if attempt == limits.attempts || !error.may_pass() {
                give_up(group, url, letter, attempt, &error);
                return false;
            }
            let pause_ms = limits.pause_ms(attempt);
            info!(%group, "{} did not reach the webhook {}: {error}; trying again in {pause_ms} ms", letter.event, url.shown());
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        }
        false
    }

    async fn poster(&self) -> Poster {
        if let Some(poster) = self.shared.poster.get() {
            return poster.clone();
        }
        // Reads files.
        let (rules, again) = (Arc::clone(&self.shared.rules), Arc::clone(&self.shared.rules));
        let made = tokio::task::spawn_blocking(|| Poster::new(rules)).await.unwrap_or_else(|_| Poster::new(again));
        self.shared.poster.get_or_init(|| made).clone()
    }

    fn desks(&self) -> MutexGuard<'_, BTreeMap<GroupName, GroupDesk>> {
        self.shared.desks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn give_up(group: &GroupName, url: &WebhookUrl, letter: &Payload, attempts: u32, error: &PostError) {
    warn!(%group, "{} did not reach the webhook {} and is given up after {attempts} attempts: {error}", letter.event, url.shown());
}
