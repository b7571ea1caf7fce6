//! TCP connections, in clear text or TLS: how a port takes them, and how one is made.
//!
//! Lives here: [`incoming`] (the end that is connected to, for gRPC, HTTP and peers) and [`Dial`] (the end that connects). TLS is
//! spoken with the ends of `tls` rather than with tonic's own, so that certificates are renewed without a restart here as well. Each
//! connection that is taken has a place of [`admission`](crate::admission), and limits on its silence. Does not live here: what is
//! asked and answered, and where the files come from. Called by `raft` for the peers, `serve` and `ctl` for everybody else.

mod connection;
mod dial;
mod incoming;
mod link;
mod proof;
mod proving;

pub use connection::{ConnectInfo, Incoming, Opening};
pub use dial::{Dial, denied};
pub use incoming::{Intake, incoming};
pub use link::Proof;
pub use proving::{CallOrigin, PeerConnection, Terms, proving};
