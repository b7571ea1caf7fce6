//! Events: what becomes true, and what this sentinel sees, in stock Sentinel's words.
//!
//! One task words facts of the log and notices of the board, logs them, and spreads them over one [`Hub`]; an event has the same
//! text for subscribers, scripts, webhooks and the log. Nothing here decides, asks or waits for a listener.
//! `app` starts the task; `serve::resp` and `hooks` listen.

mod fact;
mod hub;
mod shadow;
mod sight;
mod spoken;
mod wording;

use std::fmt;
use std::sync::Arc;

use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;

pub use hub::{Hub, News};
pub use spoken::{Level, Origin, Spoken, Switch};

use crate::base::NodeId;
use crate::board::Notice;
use crate::machine::{Logged, State};

/// Where events come from. Whoever makes it listens from that moment on.
pub struct Sources {
    /// What becomes true for all sentinels.
    pub facts: broadcast::Receiver<Arc<Logged>>,
    /// What this sentinel sees.
    pub sights: broadcast::Receiver<Arc<Notice>>,
    /// The state as applied here.
    pub state: Box<dyn Fn() -> Arc<State> + Send>,
    /// This sentinel.
    pub me: NodeId,
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

    fn of_fact(&self, fact: &Logged) -> Vec<Spoken> {
        let origin = Origin::Agreed { index: fact.index, at: fact.at };
        let wordings = fact::worded(fact, &(self.state)(), self.me);
        wordings.into_iter().map(|wording| Spoken::new(wording, fact.group.clone(), origin)).collect()
    }

    fn of_sight(&self, sight: &Notice) -> Vec<Spoken> {
        let wordings = sight::worded(sight, &(self.state)());
        wordings.into_iter().map(|wording| Spoken::new(wording, Some(sight.group.clone()), Origin::Local)).collect()
    }
}
