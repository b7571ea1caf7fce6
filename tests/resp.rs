//! The SENTINEL protocol over a real socket, in front of a real `machine::State` and without peers.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "resp/acl.rs"]
mod acl;
#[path = "resp/clients.rs"]
mod clients;
#[path = "resp/events.rs"]
mod events;
#[path = "resp/failovers.rs"]
mod failovers;
#[path = "resp/fake.rs"]
mod fake;
#[path = "resp/golden.rs"]
mod golden;
#[path = "resp/hostile.rs"]
mod hostile;
#[path = "resp/quorum.rs"]
mod quorum;
#[path = "resp/scripts.rs"]
mod scripts;
#[path = "resp/stock_clients.rs"]
mod stock_clients;
#[path = "resp/views.rs"]
mod views;
#[path = "resp/wire.rs"]
mod wire;
#[path = "resp/world.rs"]
mod world;
