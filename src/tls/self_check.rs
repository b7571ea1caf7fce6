//! Two ends that are tried on each other, without a network.

use rustls::{ClientConnection, ServerConnection};

use super::cause::in_words;
use super::files::TlsError;
use super::{ClientTls, ServerTls};
use rustls::pki_types::ServerName;

/// Messages of a handshake that are passed to and fro at most; three are usual.
const ROUNDS: usize = 16;

/// Whether a sentinel that connects to `host` with `client` and one that listens there with `server` accept each other now: sentinels of one
/// deployment have certificates of one authority, so one that would not accept itself is not accepted by the others either.
///
/// # Errors
/// Which side turns the other away, and why (expired, not of this authority, not made for this use, ...).
pub fn rehearse(client: &ClientTls, server: &ServerTls, host: &str) -> Result<(), TlsError> {
    let name =
        ServerName::try_from(host.to_owned()).map_err(|_| TlsError::Setup(format!("'{host}' cannot be the name of a TLS server")))?;
    let mut connecting = ClientConnection::new(client.current(), name).map_err(TlsError::setup)?;
    let mut listening = ServerConnection::new(server.current()).map_err(TlsError::setup)?;
    for _ in 0..ROUNDS {
        if !connecting.is_handshaking() && !listening.is_handshaking() {
            return Ok(());
        }
        let mut wire = Vec::new();
        connecting.write_tls(&mut wire).map_err(TlsError::setup)?;
        feed(&mut wire.as_slice(), &mut listening).map_err(|why| {
            TlsError::Setup(format!("our own certificate would be refused by a sentinel that we connect to: {}", in_words(&why)))
        })?;
        let mut wire = Vec::new();
        listening.write_tls(&mut wire).map_err(TlsError::setup)?;
        feed(&mut wire.as_slice(), &mut connecting).map_err(|why| {
            TlsError::Setup(format!("our own certificate would be refused by a sentinel that connects to {host}: {}", in_words(&why)))
        })?;
    }
    Err(TlsError::Setup("two ends with these settings come to no agreement".to_owned()))
}

fn feed<S>(wire: &mut &[u8], to: &mut rustls::ConnectionCommon<S>) -> Result<(), rustls::Error> {
    while !wire.is_empty() {
        // Reading from memory does not fail.
        if to.read_tls(wire).unwrap_or(0) == 0 {
            break;
        }
        to.process_new_packets()?;
    }
    Ok(())
}
