//! The same questions to stock `redis-sentinel` and to our sentinels, in the same situation, and what each answers.
//!
//! Whatever differs must be a row of `differential/known.rs`, and each row names a row of the page of differences
//! (`src/docs/differences.md`), so that neither can go stale: an unknown difference fails, and so does a row that no longer differs.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "differential/events.rs"]
mod events;
#[path = "kit/mod.rs"]
mod kit;
#[path = "differential/known.rs"]
mod known;
#[path = "differential/labels.rs"]
mod labels;
#[path = "differential/raw.rs"]
mod raw;
#[path = "differential/shape.rs"]
mod shape;
#[path = "differential/situations.rs"]
mod situations;
