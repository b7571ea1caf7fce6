//! The secret that the sentinels of one cluster share, and the keys that are derived from it.
//!
//! Lives here: reading the file ([`SecretFile`]), the keys of its lines ([`Keys`]), a fresh secret ([`generate`]), and sealed text
//! ([`Sealer`]). Does not live here: when something is sealed. Used by `transport` (peers prove themselves with it), by `raft`, which seals what is
//! proposed, and by `agent` and `hooks`, which open what they use; made by `app`.
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
mod seal;
mod sealer;

pub use file::{SecretError, SecretFile};
pub use keys::{DerivedKey, Key, KeyId, Keys, generate};
pub use seal::OpenError;
pub use sealer::{CannotOpen, Sealer, Sealing};
