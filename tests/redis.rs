//! The rooms `redis` and `probe` against real servers, and against servers that misbehave.

#[path = "redis/acts.rs"]
mod acts;
#[path = "redis/fake.rs"]
mod fake;
#[path = "redis/hello.rs"]
mod hello;
#[path = "redis/partitions.rs"]
mod partitions;
#[path = "redis/permission.rs"]
mod permission;
#[path = "redis/proxy.rs"]
mod proxy;
#[path = "redis/rights.rs"]
mod rights;
#[path = "redis/seeing.rs"]
mod seeing;
#[path = "redis/server.rs"]
mod server;
#[path = "redis/strangers.rs"]
mod strangers;
#[path = "redis/watched.rs"]
mod watched;
