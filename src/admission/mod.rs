//! Places for connections: how many there are at each port, for each source, and for all clients together.
//!
//! Lives here: [`Port`] (the places of one port, and who stands at it), [`Descriptors`] (what of this process's descriptors clients
//! may use, so that probes, peers and an operator always find some), [`Pause`] (an accept that fails is not tried in a tight loop), [`Precedence`]
//! (busy clients wait for the threads of consensus).
//! All ports use it. Does not live here: what is spoken at a port, and who is let in by name.
//!
//! A connection is *unproven* until it has shown that it is of use (a handshake that ended, a request that was permitted). Unproven
//! connections never turn a newcomer away: where there are too many, the oldest one of the most crowded source goes. So a flood of
//! connections that say nothing cannot keep out those who finish what they begin, even from the same address.

mod descriptors;
mod pause;
mod port;
mod precedence;
mod source;

pub use descriptors::{Descriptors, Need};
pub use pause::Pause;
pub use port::{Counts, Place, Port, Refused, Shares};
pub use precedence::Precedence;
pub use source::{Source, canonical};
