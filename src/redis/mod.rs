//! Talking to one monitored Redis server: connect, ask, understand the answer.
//!
//! Lives here: the RESP2 wire format ([`wire`]), one link ([`link`]), how to get in ([`access`]), the questions and acts
//! with typed answers ([`request`], [`act`]) and the pure reader of INFO ([`info`]).
//! Does not live here: when to ask, whether to try again, and what an answer means for the cluster.
//! Called by `probe`, and through it by `agent`.
//!
//! The wire is spoken by hand rather than with a client library, for four reasons. A monitored server is not trusted: the
//! size and depth of its replies are bounded before memory is spent. Every command may have another name there, MULTI, AUTH
//! and CLIENT included, and a library sends those by itself. The monitor needs the reply and the end of the link in one place,
//! without a task and a queue between. And a late reply must stay in its place in the order instead of being lost to a timeout.

pub mod access;
pub mod act;
mod dial;
mod dialect;
pub mod guard;
pub mod info;
mod lack;
pub mod link;
mod renames;
pub mod request;
mod rights;
mod stream;
pub mod wire;

pub use access::ServerAccess;
pub use act::{Act, ActReport, Clients, Step, StepReply};
pub use dial::Dialer;
pub use dialect::Dialect;
pub use guard::{Always, Permission};
pub use link::Link;
pub use renames::{RefusedRename, RenameTrust};
pub use request::AskError;
