//! Hears events, and hands what they call for to the queues.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::webhook::Payload;
use super::{Hooks, SenderIdentity};
use crate::base::{GroupName, WallTime};
use crate::clock::Clock;
use crate::events::{FeedItem, Origin, Spoken};
use crate::hooks::due::due;
use crate::machine::{Group, State};

/// What this room listens to. Whoever makes it listens from that moment on.
pub struct Sources {
    /// The events.
    pub news: broadcast::Receiver<Arc<FeedItem>>,
    /// The state as applied here.
    pub state: Box<dyn Fn() -> Arc<State> + Send + Sync>,
    /// For what is not stamped.
    pub clock: Clock,
    /// Who tells.
    pub teller: SenderIdentity,
    /// Set in the first life of a data directory: a sentinel that joins is told the whole log, and what was stamped before this is history.
    pub history_until: Option<WallTime>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").field("teller", &self.teller).finish_non_exhaustive()
    }
}

pub(super) async fn run(hooks: &Hooks, sources: Sources, cancel: CancellationToken) {
    let mut listener = HookListener { hooks, known: BTreeMap::new(), last: (sources.state)(), sources };
    listener.remember(true);
    loop {
        let news = tokio::select! {
            () = cancel.cancelled() => return,
            news = listener.sources.news.recv() => news,
        };
        match news {
            Ok(news) => match &*news {
                FeedItem::Event(spoken) => listener.hear(spoken, &cancel),
                FeedItem::Gap { reason } => listener.missed(reason),
            },
            Err(RecvError::Lagged(missed)) => listener.missed(&format!("{missed} events passed")),
            Err(RecvError::Closed) => return,
        }
    }
}

struct HookListener<'a> {
    hooks: &'a Hooks,
    sources: Sources,
    /// The groups as last seen: the event that a group is gone comes when the state has it no more.
    known: BTreeMap<GroupName, Arc<Group>>,
    last: Arc<State>,
}

impl HookListener<'_> {
    fn hear(&mut self, spoken: &Spoken, cancel: &CancellationToken) {
        let state = (self.sources.state)();
        let changed = !Arc::ptr_eq(&state, &self.last);
        self.last = state;
        self.remember(changed);
        let Some(name) = &spoken.group else { return };
        let Some(group) = self.known.get(name).cloned() else { return };
        if !self.is_history(spoken) {
            self.act(spoken, &group, cancel);
        }
        if spoken.channel == "-monitor" && !self.last.groups.contains_key(name) {
            self.known.remove(name);
        }
    }

    fn act(&self, spoken: &Spoken, group: &Group, cancel: &CancellationToken) {
        let due = due(spoken, group, self.sources.teller.node);
        let refusals = &self.hooks.refusals;
        for (kind, argv) in due.scripts {
            if argv.first().is_some_and(|path| refusals.lets_run(&group.name, kind, path)) {
                self.hooks.scripts.submit(argv);
            }
        }
        if let Some(url) = due.webhook.and_then(|url| refusals.open(&group.name, &url)) {
            let now = self.sources.clock.wall();
            let letter = Payload::new(spoken, group, &self.sources.teller, self.last.applied, now);
            self.hooks.webhooks.submit(&group.name, url, letter, cancel);
        }
    }

    fn is_history(&self, spoken: &Spoken) -> bool {
        match spoken.origin {
            Origin::Agreed { at, .. } => self.sources.history_until.is_some_and(|until| at < until),
            Origin::Local => false,
        }
    }

    fn remember(&mut self, changed: bool) {
        if changed {
            self.known.extend(self.last.groups.iter().map(|(name, group)| (name.clone(), Arc::clone(group))));
        }
    }

    fn missed(&mut self, reason: &str) {
        warn!("scripts and webhooks were not told of everything: {reason}");
        self.last = (self.sources.state)();
        self.known = self.last.groups.iter().map(|(name, group)| (name.clone(), Arc::clone(group))).collect();
    }
}
