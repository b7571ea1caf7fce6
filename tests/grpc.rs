//! The gRPC services, HTTP and the command line over real sockets, before a stand-in for the Raft group that applies
//! commands to a real state machine.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]
#![allow(unreachable_pub, reason = "a test is nobody's library")]

#[path = "grpc/admin.rs"]
mod admin;
#[path = "grpc/answers.rs"]
mod answers;
#[path = "grpc/command_line.rs"]
mod command_line;
#[path = "grpc/failovers.rs"]
mod failovers;
#[path = "grpc/fake.rs"]
mod fake;
#[path = "grpc/http.rs"]
mod http;
#[path = "grpc/standard.rs"]
mod standard;
#[path = "grpc/watch.rs"]
mod watch;
#[path = "grpc/world.rs"]
mod world;
