//! gRPC connections, in clear text or TLS: how a port takes them, and how one is made.
//!
//! Lives here: [`incoming`] (the end that is connected to) and [`Dial`] (the end that connects). TLS is spoken with the ends of
//! `tls` rather than with tonic's own, so that certificates are renewed without a restart here as well. Does not live here: what is
//! asked and answered, and where the files come from. Called by `raft` for the peers, `serve` and `ctl` for everybody else.

mod dial;
mod incoming;
mod link;
mod proof;
mod proving;

pub use dial::{Dial, denied};
pub use incoming::{ConnectInfo, Incoming, incoming};
pub use link::Proof;
pub use proving::{Caller, PeerConnection, Terms, proving};
