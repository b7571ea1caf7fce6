//! Keys and certificates: from PEM files to the two ends of an encrypted connection.
//!
//! Lives here: reading the files (`files`), the end that is connected to ([`ServerTls`]) and the end that connects
//! ([`ClientTls`]); `renewal` reads the files again when they change. Does not live here: who listens, who is
//! connected to, and what is said. Made by `app` and `ctl`, used by `redis`,
//! `serve` and `transport`. [`rehearse`] tries two ends on each other, [`trouble`] finds TLS among the causes of an error,
//! [`CertificateNames`] tells whom a certificate names.

mod client;
mod files;
mod names;
mod peers;
mod rehearsal;
mod server;
mod suites;
mod trouble;

pub use client::ClientTls;
pub use files::TlsError;
pub use names::CertificateNames;
pub use rehearsal::rehearse;
pub use server::ServerTls;
pub use trouble::trouble;
