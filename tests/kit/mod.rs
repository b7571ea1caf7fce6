//! What live tests, the demo and the benchmark share: real processes, a cluster of them, a client that writes.
//!
//! It knows sentinels only from outside (their ports and their protocol), so that ours and stock Redis's are run and
//! measured by the same code. Nothing here judges; tests do.
//!
//! In reading order: [`ports`] and [`scratch`] (what a process needs), [`process`] (one child), [`timeline`] (what
//! happened, and waiting for facts), [`resp`] (asking), [`server`] and [`sentinel`] (the two kinds of children),
//! [`cluster`] (all of them together), [`beside`] (ours beside a deployment of stock's), [`writer`] (a client that never stops), [`history`] and [`grpc`] (our gRPC answers),
//! [`looks`] (what many tests look at), [`failpoints`] (where a sentinel is to die), [`program`] (what runs to its end), [`python`] (other people's clients), [`http2`] (clients that misbehave), [`net`]
//! (hosts with a network between them that can be cut).
#![allow(dead_code, unused_imports, unreachable_pub, reason = "compiled into several binaries, none of which needs all of it")]

pub mod beside;
pub mod certs;
pub mod cluster;
pub mod failpoints;
pub mod grpc;
pub mod history;
pub mod http2;
pub mod looks;
pub mod net;
pub mod ports;
pub mod process;
pub mod program;
pub mod python;
pub mod resp;
pub mod scratch;
pub mod sentinel;
pub mod server;
pub mod timeline;
pub mod writer;

pub use cluster::{Cluster, Plan};
pub use failpoints::Failpoints;
pub use grpc::Grpc;
pub use history::History;
pub use resp::{Conn, Reply};
pub use scratch::Scratch;
pub use sentinel::{Flavour, Sentinel};
pub use server::{RedisServer, ServerOptions, redis_server};
pub use timeline::Timeline;
pub use writer::{Ack, WriteLog, Writer};

/// The group that every cluster of the kit monitors.
pub const GROUP: &str = "mymaster";
