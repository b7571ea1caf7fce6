//! Answers to those who ask from outside: the SENTINEL protocol, gRPC, and HTTP for metrics and health.
//!
//! These rooms read `raft` (agreed state, linearizable reads, proposals) and the `board` (what this sentinel
//! sees). They change nothing but through proposals, and know nothing of `agent`. Started by `app`.

mod agreement;
mod fence;
pub mod grpc;
pub mod http;
pub mod resp;

pub use agreement::{Agreement, Consensus};
