//! Scripts: a queue, and processes for its head.
//!
//! `queue` decides what runs when and has neither clock nor process; `run` is one process; `runner` joins the two.

mod queue;
#[cfg(test)]
mod queue_test;
mod run;
mod runner;

pub use queue::{Limits, Pending, RunStanding};
pub use runner::{Counts, ScriptRunner};
