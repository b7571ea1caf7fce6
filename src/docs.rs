//! The long pages: why things are as they are, and how this sentinel differs from stock Redis Sentinel.
//!
//! They are part of the documentation build, so that a link to something that was renamed breaks it.

#[doc = include_str!("docs/decisions.md")]
pub mod decisions {}

#[doc = include_str!("docs/differences.md")]
pub mod differences {}

#[doc = include_str!("docs/fence.md")]
pub mod fence {}
