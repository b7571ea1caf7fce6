//! Webhooks: events as JSON, posted to where an operator wants them.
//!
//! `letter` is what is sent, `outbox` what waits for one group (pure), `post` one attempt over HTTP, `resolve` the addresses it may go to, `office` joins them.
//! Every sentinel posts what it is told, since any of them may be the only one that can; the receiver knows copies by their
//! `Idempotency-Key`.

mod letter;
mod office;
mod outbox;
mod post;
mod resolve;

pub use letter::Letter;
pub use office::{Counts, Office};
pub use outbox::Limits;
