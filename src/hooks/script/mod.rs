//! Scripts: a queue, and processes for its head.
//!
//! `queue` decides what runs when and has neither clock nor process; `run` is one process; `desk` joins the two.

mod desk;
mod queue;
#[cfg(test)]
mod queue_test;
mod run;

pub use desk::{Counts, Desk};
pub use queue::{Limits, Pending, Standing};
