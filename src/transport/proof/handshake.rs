//! The three messages that both sides begin with.

use std::io;

use snow::{Builder, HandshakeState};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::stream::ProvenStream;
use crate::secret::{Key, KeyId, Keys};

/// The first bytes of a connection with a proof. Neither HTTP/2 nor TLS begins with them.
pub(in crate::transport) const MAGIC: [u8; 8] = *b"\0RSPEER1";

const PATTERN: &str = "Noise_NNpsk0_25519_ChaChaPoly_SHA256";
/// The label under which the pre-shared key is derived from the secret.
const LABEL: &str = "peer psk";
/// A public key, and the tag of an empty payload.
const MESSAGE_BYTES: usize = 32 + 16;
/// The prologue: what both sides must have seen alike.
const PROLOGUE_BYTES: usize = MAGIC.len() + KeyId::BYTES;

fn prologue(id: KeyId) -> [u8; PROLOGUE_BYTES] {
    let mut bytes = [0; PROLOGUE_BYTES];
    bytes.iter_mut().zip(MAGIC.into_iter().chain(id.to_bytes())).for_each(|(to, from)| *to = from);
    bytes
}

/// Both sides of the handshake are made alike but for the last step.
fn handshake(key: &Key, make: impl FnOnce(Builder<'_>) -> Result<HandshakeState, snow::Error>) -> io::Result<HandshakeState> {
    let (prologue, psk) = (prologue(key.id()), key.derive(LABEL));
    let params = PATTERN.parse().map_err(io::Error::other)?;
    let builder = Builder::new(params).prologue(&prologue).and_then(|builder| builder.psk(0, &psk)).map_err(io::Error::other)?;
    make(builder).map_err(io::Error::other)
}

fn denied(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, text.into())
}

/// Proves to the listener that we hold the secret, and lets it prove the same.
///
/// # Errors
/// The reason, for the log of this side. The listener gives none.
pub(in crate::transport) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, keys: &Keys) -> io::Result<ProvenStream<S>> {
    let key = keys.current();
    let mut noise = handshake(key, |builder| builder.build_initiator())?;
    let mut hello = [0; PROLOGUE_BYTES + MESSAGE_BYTES];
    let (head, message) = hello.split_at_mut(PROLOGUE_BYTES);
    head.copy_from_slice(&prologue(key.id()));
    noise.write_message(&[], message).map_err(io::Error::other)?;
    let mut answer = [0; MESSAGE_BYTES];
    let exchanged = async {
        stream.write_all(&hello).await?;
        stream.flush().await?;
        stream.read_exact(&mut answer).await.map(drop)
    };
    exchanged.await.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => denied(format!(
            "it closed the connection when shown the secret {} (raft secret-file): it has another secret, or none, or it stopped just then",
            key.id()
        )),
        _ => error,
    })?;
    noise.read_message(&answer, &mut []).map_err(|_| denied("it does not hold our secret (raft secret-file)"))?;
    let mut proven = ProvenStream::new(stream, noise.into_transport_mode().map_err(io::Error::other)?, key.id());
    proven.queue_confirmation()?;
    Ok(proven)
}

/// Lets a caller prove that it holds one of our secrets, and proves the same.
///
/// # Errors
/// The reason, for the log of this side; the caller must be told nothing but the end.
pub(in crate::transport) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, keys: &Keys) -> io::Result<ProvenStream<S>> {
    let mut magic = [0; MAGIC.len()];
    stream.read_exact(&mut magic).await?;
    if magic != MAGIC {
        return Err(denied("it does not begin with the proof of a secret (raft secret-file)"));
    }
    let (mut id, mut message) = ([0; KeyId::BYTES], [0; MESSAGE_BYTES]);
    stream.read_exact(&mut id).await?;
    stream.read_exact(&mut message).await?;
    let id = KeyId::from_bytes(id);
    let key = keys.find(id).ok_or_else(|| denied(format!("its secret {id} is none of ours (raft secret-file)")))?;
    let mut noise = handshake(key, |builder| builder.build_responder())?;
    noise.read_message(&message, &mut []).map_err(|_| denied(format!("it names the secret {id} without holding it")))?;
    let mut answer = [0; MESSAGE_BYTES];
    noise.write_message(&[], &mut answer).map_err(io::Error::other)?;
    stream.write_all(&answer).await?;
    stream.flush().await?;
    let mut proven = ProvenStream::new(stream, noise.into_transport_mode().map_err(io::Error::other)?, key.id());
    proven.read_confirmation().await.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => denied(format!("it repeats what was recorded of somebody who holds the secret {id}")),
        _ => error,
    })?;
    Ok(proven)
}
