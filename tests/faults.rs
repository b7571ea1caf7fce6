//! Proof by fault injection: real redis-servers and real sentinels, each in a network namespace of its own, that are cut off,
//! stopped and killed while clients on all sides write, and while all sentinels are asked all the time who the master is.
//!
//! Run by `make test-faults`, and not by `make test`: it needs root (namespaces), and takes minutes. Each scenario
//! leaves one row of measured numbers; the target ends with the table. `POLICY=available make test-faults` shows what the strict
//! policy is for: the same faults, and losses.
//!
//! In reading order: [`world`] (what a scenario runs in), [`clients`] (writers), [`readers`] and [`answers`] (questions to the
//! sentinels, and whether the answers are linearizable), [`verdict`] (what is checked for each history, and the numbers);
//! then the scenarios. [`by_hand`] and [`checker`] show that all of this finds what is wrong where something is.

#[path = "kit/mod.rs"]
mod kit;

#[path = "faults/answers.rs"]
mod answers;
#[path = "faults/clients.rs"]
mod clients;
#[path = "faults/readers.rs"]
mod readers;
#[path = "faults/verdict.rs"]
mod verdict;
#[path = "faults/world.rs"]
mod world;

#[path = "faults/behind.rs"]
mod behind;
#[path = "faults/by_hand.rs"]
mod by_hand;
#[path = "faults/checker.rs"]
mod checker;
#[path = "faults/crashes.rs"]
mod crashes;
#[path = "faults/cuts.rs"]
mod cuts;
#[path = "faults/frozen.rs"]
mod frozen;
#[path = "faults/network.rs"]
mod network;
#[path = "faults/phases.rs"]
mod phases;
#[path = "faults/planned.rs"]
mod planned;
#[path = "faults/protected.rs"]
mod protected;
#[path = "faults/sight.rs"]
mod sight;
#[path = "faults/stops.rs"]
mod stops;
