//! The permission for an act, asked for once the link is ready and looked at again right before the act takes effect.

use async_trait::async_trait;

use crate::base::{RunId, Standing};

/// Permits one act on a server. The link holds it; whoever ordered the act says what it means.
///
/// An act that was permitted before its link was ready may reach the server much later: connecting takes time, and this process may be
/// stopped meanwhile. So the link asks in this order: the link is ready, [`Permission::confirm`], the server has begun the transaction,
/// [`Permission::holds`], EXEC.
#[async_trait]
pub trait Permission: Send {
    /// Asks anew whether the act may be done.
    ///
    /// # Errors
    /// Why it may not.
    async fn confirm(&mut self) -> Result<(), String>;

    /// The process that the act is for, where it matters no further what that is: another one at the same address is not to be changed. None
    /// where any will do.
    fn process(&self) -> Option<&RunId> {
        None
    }

    /// What the server was when the act was decided: on one that is something else by now it is not done. None if that does not matter.
    fn judged(&self) -> Option<&Standing> {
        None
    }

    /// Looks once more, without waiting: the last confirmation is young by every clock, and nothing that is known here speaks against it.
    fn holds(&self) -> bool;
}

/// Permits everything.
#[derive(Clone, Copy, Debug)]
pub struct Always;

#[async_trait]
impl Permission for Always {
    async fn confirm(&mut self) -> Result<(), String> {
        Ok(())
    }

    fn holds(&self) -> bool {
        true
    }
}
