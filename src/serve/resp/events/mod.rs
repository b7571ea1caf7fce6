//! Words what becomes true, and what this sentinel sees, as stock Sentinel's events; logs and spreads them.
//!
//! One task for all subscribers. An event has the same text in the log and on its channel.

mod fact;
mod sight;
mod wording;

use std::sync::Arc;

use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::client::Shared;
use super::hub::News;
use wording::Wording;

/// Starts to listen now, and returns the task that words and spreads events until `cancel`.
pub(crate) fn run(shared: Arc<Shared>, cancel: CancellationToken) -> impl Future<Output = ()> + Send {
    let mut facts = shared.context.agreement.events();
    let mut sights = shared.context.board.notices();
    async move {
        let agreement = &shared.context.agreement;
        loop {
            let worded = tokio::select! {
                () = cancel.cancelled() => return,
                fact = facts.recv() => fact.map(|fact| fact::worded(&fact, &agreement.state(), agreement.id())),
                sight = sights.recv() => sight.map(|sight| sight::worded(&sight, &agreement.state())),
            };
            match worded {
                Ok(wordings) => wordings.into_iter().for_each(|wording| spread(&shared, wording)),
                Err(RecvError::Lagged(missed)) => gap(&shared, format!("{missed} events passed before they could be published")),
                Err(RecvError::Closed) => return gap(&shared, "this sentinel learns no more events".to_owned()),
            }
        }
    }
}

fn spread(shared: &Shared, wording: Wording) {
    info!(target: "event", "{} {}", wording.channel, wording.payload);
    if wording.published {
        shared.hub.send(News::Event { channel: wording.channel, payload: wording.payload });
    }
}

/// Subscribers are disconnected rather than left to believe that nothing happened; they look again when they are back.
fn gap(shared: &Shared, reason: String) {
    warn!("all subscribers of the SENTINEL port are disconnected: {reason}");
    shared.hub.send(News::Gap { reason });
}
