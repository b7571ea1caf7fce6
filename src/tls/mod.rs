//! Keys and certificates: from PEM files to the two ends of an encrypted connection.
//!
//! Lives here: reading the files (`files`), the end that is connected to ([`ServerTls`]), the end that connects
//! ([`ClientTls`]), and their renewal when the files change ([`keep_fresh`]). Does not live here: who listens, who is
//! connected to, and what is said. Made by `app`, used by `redis` and `serve`.

mod client;
mod files;
mod renewal;
mod server;
mod suites;

pub use client::ClientTls;
pub use files::TlsError;
pub use renewal::{Renewable, keep_fresh};
pub use server::ServerTls;
