//! The store on a real disk: openraft's own suite, identity rules, damage, crashes, what listeners hear, and the durable format.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

#[path = "store/ahead.rs"]
mod ahead;
#[path = "store/common.rs"]
mod common;
#[path = "store/crash.rs"]
mod crash;
#[path = "store/damage.rs"]
mod damage;
#[path = "store/golden.rs"]
mod golden;
#[path = "store/identity.rs"]
mod identity;
#[path = "store/listeners.rs"]
mod listeners;
#[path = "store/suite.rs"]
mod suite;
#[path = "store/survives.rs"]
mod survives;
#[path = "store/timing.rs"]
mod timing;
