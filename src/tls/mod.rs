//! Keys and certificates: from PEM files to the two ends of an encrypted connection.
//!
//! Lives here: reading the files (`files`), the end that is connected to ([`ServerTls`]) and the end that connects
//! ([`ClientTls`]); `renewal` reads the files again when they change. Does not live here: who listens, who is
//! connected to, and what is said. Made by `app` and `ctl`, used by `redis`,
//! `serve` and `transport`. [`rehearse`] tries two ends on each other, [`cause`] finds TLS among the causes of an error,
//! [`CertificateNames`] tells whom a certificate names.

mod cause;
mod client;
mod files;
mod names;
mod peers;
mod self_check;
mod server;
mod suites;

pub use cause::cause;
pub use client::ClientTls;
pub use files::TlsError;
pub use names::CertificateNames;
pub use self_check::rehearse;
pub use server::ServerTls;
