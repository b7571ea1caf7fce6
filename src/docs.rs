//! The long pages: what clients and scripts are told, why things are as they are, how this sentinel differs from stock Redis Sentinel and how to come from there, what to do with members, and what
//! was done to it to see whether it keeps its promises.
//!
//! They are part of the documentation build, so that a link to something that was renamed breaks it.

#[doc = include_str!("docs/clients.md")]
pub mod clients {}

#[doc = include_str!("docs/decisions.md")]
pub mod decisions {}

#[doc = include_str!("docs/differences.md")]
pub mod differences {}

#[doc = include_str!("docs/fence.md")]
pub mod fence {}

#[doc = include_str!("docs/faults.md")]
pub mod faults {}

#[doc = include_str!("docs/field.md")]
pub mod field {}

#[doc = include_str!("docs/members.md")]
pub mod members {}

#[doc = include_str!("docs/migration.md")]
pub mod migration {}

#[doc = include_str!("docs/security.md")]
pub mod security {}
