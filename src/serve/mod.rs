//! Answers to those who ask from outside: the SENTINEL protocol, gRPC, and HTTP for metrics and health; and the users of all three.
//!
//! These rooms read `raft` (agreed state, linearizable reads, proposals) and the `board` (what this sentinel
//! sees). They change nothing but through proposals, and know nothing of `agent`. Started by `app`.

mod adoption;
mod agreement;
mod audit;
mod endpoint;
mod fence;
mod glob;
pub mod grpc;
mod hold;
pub mod http;
pub mod names;
mod removal;
pub mod resp;
pub mod users;

pub use agreement::{ClusterAdmin, ReplicatedState};
pub use endpoint::Endpoint;
