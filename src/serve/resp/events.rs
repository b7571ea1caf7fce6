//! Words what becomes true, and what this sentinel sees, as stock Sentinel's events; logs and spreads them.
//!
//! One task for all subscribers. An event has the same text in the log and on its channel.

mod fact;
mod sight;
mod wording;

use std::sync::Arc;

use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::client::Shared;
use super::hub::News;
use wording::Wording;

/// Starts to listen now, and returns the task that words and spreads events until `cancel`.
pub(crate) fn run(shared: Arc<Shared>, cancel: CancellationToken) -> impl Future<Output = ()> + Send {
    let mut facts = shared.context.agreement.events();
    let mut sights = shared.context.board.notices();
    async move {
        loop {
            let wordings = tokio::select! {
                () = cancel.cancelled() => return,
                fact = facts.recv() => match fact {
                    Ok(logged) => fact::worded(&logged, &shared.context.agreement.state(), shared.context.agreement.id()),
                    Err(RecvError::Lagged(missed)) => gap(&shared, "agreed facts", missed),
                    Err(RecvError::Closed) => return,
                },
                sight = sights.recv() => match sight {
                    Ok(notice) => sight::worded(&notice, &shared.context.agreement.state()),
                    Err(RecvError::Lagged(missed)) => gap(&shared, "this sentinel's sights", missed),
                    Err(RecvError::Closed) => return,
                },
            };
            wordings.into_iter().for_each(|wording| spread(&shared, wording));
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
fn gap(shared: &Shared, source: &str, missed: u64) -> Vec<Wording> {
    shared.hub.send(News::Gap { reason: format!("{missed} of {source} passed before they could be published") });
    Vec::new()
}
