//! Spreads events from the one task that words them to all who listen.

use std::sync::Arc;

use tokio::sync::broadcast;
use tracing::{info, warn};

use super::spoken::Spoken;
use crate::base::limits;

/// What listeners are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedItem {
    /// An event that is to be published.
    Event(Spoken),
    /// Events were lost before they came here, so nobody may go on as if there had been none.
    Gap {
        /// How, for the log.
        reason: String,
    },
}

/// The fan-out. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Hub {
    sender: broadcast::Sender<Arc<FeedItem>>,
}

impl Default for Hub {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(limits::EVENTS_WAITING) }
    }
}

impl Hub {
    /// Logs an event, and sends it to all who listen if it is for them. Never waits.
    pub fn say(&self, spoken: Spoken) {
        info!(target: "event", "{} {}", spoken.channel, spoken.payload);
        if spoken.published {
            self.send(FeedItem::Event(spoken));
        }
    }

    /// Tells all who listen that they missed something.
    pub(super) fn gap(&self, reason: String) {
        warn!("listeners for events have missed some: {reason}");
        self.send(FeedItem::Gap { reason });
    }

    /// Listens from now on.
    pub fn listen(&self) -> broadcast::Receiver<Arc<FeedItem>> {
        self.sender.subscribe()
    }

    fn send(&self, news: FeedItem) {
        // An error means that nobody listens, which is fine.
        let _ = self.sender.send(Arc::new(news));
    }
}
