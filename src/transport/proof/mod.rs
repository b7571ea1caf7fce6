//! The proof that both ends of a connection hold the same secret, and the encryption that binds every later byte to it.
//!
//! The Noise protocol (revision 34), pattern `NNpsk0`, with a key derived from the secret as the pre-shared key:
//!
//! ```text
//!   dialler                                     listener
//!   MAGIC, key id, e                ─────▶      the key id is looked up; a tag made with the key, or the end
//!                                   ◀─────      e, ee: fresh on both sides, so that nothing recorded can be played again
//!   an empty message, then the call ─────▶      only whoever holds the secret and made this very `e` can have sent it
//! ```
//!
//! Keys of both sides are fresh for each connection: whoever learns the secret later reads nothing that was recorded before. A listener says
//! nothing to a caller without the secret: it closes the connection. Two round trips are needed before the first answer, as with TLS.

mod handshake;
mod stream;

pub(super) use handshake::{MAGIC, accept, connect};
pub(super) use stream::ProvenStream;

#[cfg(test)]
mod tests;
