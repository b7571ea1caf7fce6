//! Webhooks: events as JSON, posted to where an operator wants them.
//!
//! `payload` is what is sent, `queue` what waits for one group (pure), `post` one attempt over HTTP, `resolve` the addresses it may go to, `sender` joins them.
//! Every sentinel posts what it is told, since any of them may be the only one that can; the receiver knows copies by their
//! `Idempotency-Key`.

mod payload;
mod post;
mod queue;
mod resolve;
mod sender;

pub use payload::Payload;
pub use queue::Limits;
pub use sender::{Counts, WebhookSender};
