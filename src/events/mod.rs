//! Events: what becomes true, and what this sentinel sees, in stock Sentinel's words.
//!
//! One task words facts of the log and notices of the board, logs them, and spreads them over one [`Hub`]; an event has the same
//! text for subscribers, scripts, webhooks and the log. Nothing here decides, asks or waits for a listener.
//! `app` starts the task; `serve::resp` and `hooks` listen.

mod from_local;
mod from_log;
mod hub;
mod shadow;
mod spoken;
mod wording;

use std::fmt;
use std::sync::Arc;

use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;

pub use hub::{FeedItem, Hub};
pub use spoken::{Level, Origin, Spoken, Switch};

use wording::Wording;

use crate::base::{Addr, GroupName, NodeId};
use crate::board::Notice;
use crate::machine::{Group, LoggedEvent, State};

/// The data nodes of a group that are told by another address than the recorded one, with that.
pub type NamesOf = Box<dyn Fn(&Group) -> Vec<(Addr, Addr)> + Send>;

/// Where events come from. Whoever makes it listens from that moment on.
pub struct Sources {
    /// What becomes true for all sentinels.
    pub facts: broadcast::Receiver<Arc<LoggedEvent>>,
    /// What this sentinel sees.
    pub sights: broadcast::Receiver<Arc<Notice>>,
    /// The state as applied here.
    pub state: Box<dyn Fn() -> Arc<State> + Send>,
    /// This sentinel.
    pub me: NodeId,
    /// How the data nodes of a group are told.
    pub names: NamesOf,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").field("me", &self.me).finish_non_exhaustive()
    }
}

impl Sources {
    /// Words, logs and spreads events until `cancel`.
    pub async fn run(mut self, hub: Hub, cancel: CancellationToken) {
        loop {
            let told = tokio::select! {
                () = cancel.cancelled() => return,
                fact = self.facts.recv() => fact.map(|fact| self.of_fact(&fact)),
                sight = self.sights.recv() => sight.map(|sight| self.of_sight(&sight)),
            };
            match told {
                Ok(told) => told.into_iter().for_each(|spoken| hub.say(spoken)),
                Err(RecvError::Lagged(missed)) => hub.gap(format!("{missed} events passed before they could be published")),
                Err(RecvError::Closed) => return hub.gap("this sentinel learns no more events".to_owned()),
            }
        }
    }

    fn of_fact(&self, fact: &LoggedEvent) -> Vec<Spoken> {
        let (origin, state) = (Origin::Agreed { index: fact.index, at: fact.at }, (self.state)());
        self.spoken(from_log::worded(fact, &state, self.me), fact.group.clone(), &state, origin)
    }

    fn of_sight(&self, sight: &Notice) -> Vec<Spoken> {
        let state = (self.state)();
        self.spoken(from_local::worded(sight, &state), Some(sight.group.clone()), &state, Origin::Local)
    }

    fn spoken(&self, wordings: Vec<Wording>, name: Option<GroupName>, state: &State, origin: Origin) -> Vec<Spoken> {
        let group = name.as_ref().and_then(|name| state.groups.get(name));
        let names = group.map(|group| (self.names)(group)).unwrap_or_default();
        wordings.into_iter().map(|wording| Spoken::new(wording.telling(&names), name.clone(), origin)).collect()
    }
}
