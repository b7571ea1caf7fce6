//! The SENTINEL protocol: what clients and scripts of Redis Sentinel ask on port 26379.
//!
//! Here live the request reader, the replies, the one table of commands, and the subscriptions. It reads what is
//! agreed through [`ReplicatedState`](crate::serve::ReplicatedState) and what this sentinel sees from the [`Board`](crate::board::Board), and changes nothing
//! but through proposals. It makes no decision, opens no link to a data node, and does not know `agent`.
//! Started by `app` through [`serve`].
//!
//! In reading order: [`context`] and what it is given, [`live`] (what can be changed at run time), `server` (listeners), `session`
//! (one client: read, dispatch, write), `reader` and `inline` (bytes to words), `command` (the table and its handlers), `instance` (what is told of a data node or sentinel), `reply` and `writer` (values to bytes).
//! What subscribers hear comes from [`events`](crate::events).

mod bounds;
mod client;
pub(crate) mod command;
pub mod context;
mod door;
mod inline;
mod instance;
pub mod live;
mod number;
mod reader;
mod registry;
mod reply;
mod server;
mod session;
mod tunables;
mod writer;

pub use context::{ClientPolicy, LocalFacts, RespContext};
pub use door::Listener;
pub use server::serve;
