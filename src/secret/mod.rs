//! The secret that the sentinels of one cluster share, and the keys that are derived from it.
//!
//! Lives here: reading the file ([`SecretFile`]), the keys of its lines ([`Keys`]), and a fresh secret ([`generate`]). Does not live
//! here: the use of a key. Used by `transport` (peers prove themselves with it) and by whoever seals stored text; made by `app`.
//!
//! ```text
//!   line 1   the current secret: dialled and sealed with          ┐  each: a public KeyId, and
//!   line 2.. accepted as well: the one before, or the next one    ┘  derive(label), one key for each purpose
//! ```
//!
//! Rotation without an interruption takes three steps, each on all sentinels before the next begins: add the new secret as the second
//! line, swap the lines, remove the old one.

mod file;
mod keys;

pub use file::{SecretError, SecretFile};
pub use keys::{DerivedKey, Key, KeyId, Keys, generate};
