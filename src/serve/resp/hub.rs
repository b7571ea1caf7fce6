//! Spreads events from the one task that words them to all who subscribed.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::base::limits;

/// What subscribers are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// An event: its name is the channel.
    Event {
        /// Such as `+switch-master`.
        channel: &'static str,
        /// Its text.
        payload: String,
    },
    /// Events were lost before they came here, so nobody may go on as if there had been none.
    Gap {
        /// How, for the log.
        reason: String,
    },
}

/// The fan-out. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Hub {
    sender: broadcast::Sender<Arc<News>>,
}

impl Default for Hub {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(limits::EVENTS_WAITING) }
    }
}

impl Hub {
    /// Sends to all who listen.
    pub(crate) fn send(&self, news: News) {
        // An error means that nobody listens, which is fine.
        let _ = self.sender.send(Arc::new(news));
    }

    /// Listens from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Arc<News>> {
        self.sender.subscribe()
    }
}
