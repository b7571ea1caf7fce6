//! A model of Redis replication, of an ideal log and of everything that can go wrong between them, around the real judge and the
//! real state machine: their source files are compiled into this crate as they are.
//!
//! One [`Run`] is one schedule: a seed gives the groups (one to three, under the same sentinels and the same log), the faults, the delays and what clients do. After every event the promises
//! are checked ([`check`]); after the storm everything is healed and every group has to settle. Time is event driven, nothing waits.
//!
//! In reading order: [`setup`] (what a seed decides), `begin` (the world before the storm), `team` (one group), `data`, `orders`, `life` and `replication` (a data node), `net` (what may be late, held or lost),
//! `sentinel`, `eyes` and `hands` (one sentinel), `consensus` (the log), `client` (who writes), `hand_made` (an operator at the servers), `removal` (one who has a group removed), `storm` (what goes wrong),
//! [`check`] (what must hold), [`breach`] (rules broken on purpose), [`run`] (the loop), [`placed`] (faults at every boundary of one failover).

#[path = "../../src/base/mod.rs"]
pub mod base;
#[path = "../../src/judge/mod.rs"]
pub mod judge;
#[path = "../../src/machine/mod.rs"]
pub mod machine;

mod begin;
pub mod breach;
pub mod check;
mod client;
mod consensus;
mod data;
mod dice;
mod eyes;
mod guests;
mod hand_made;
mod hands;
mod life;
mod net;
mod orders;
pub mod placed;
mod removal;
mod replication;
pub mod run;
mod sentinel;
pub mod setup;
mod storm;
mod team;

pub use breach::Breach;
pub use check::{Promise, Violation};
pub use run::{Outcome, Run};
pub use setup::Setup;
