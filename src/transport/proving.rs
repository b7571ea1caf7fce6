//! The connections that the port for peers takes: each proves that it belongs here before its first call is read.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

use super::connection::Incoming;
use super::link::{AnyBytes, Proof, Taken};
use crate::base::told::{Told, left_out};
use crate::clock::Clock;

/// Time for the proof. Members of one network need a few milliseconds.
const PROOF_WITHIN: Duration = Duration::from_secs(3);
/// Failures that may wait to be told. The number of proofs at the same time is bounded by the places of the port.
const FAILURES: usize = 64;
/// A source that cannot get in tries again and again. Each is told at most this often.
const TELL_EVERY_MS: u64 = 60_000;

/// The terms on which peers are let in.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The proof that is asked for.
    pub proof: Option<Proof>,
    /// The connection itself proves who calls: each shows a certificate of a peer.
    pub certified: bool,
}

/// The origin of a call, among the extensions of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallOrigin {
    /// The other end; none if it was gone before it was asked for.
    pub addr: Option<SocketAddr>,
    /// It holds the secret, or showed the certificate of a peer.
    pub proven: bool,
}

impl CallOrigin {
    /// Its address, for the log.
    pub fn shown(&self) -> String {
        self.addr.map_or_else(|| "an unknown address".to_owned(), |addr| addr.ip().to_canonical().to_string())
    }

    /// Whether it may be told why it is refused: it has proven itself, or is on this host.
    pub fn may_know(&self) -> bool {
        self.proven || self.addr.is_some_and(|addr| addr.ip().to_canonical().is_loopback())
    }
}

/// A connection of a peer, or of a stranger where no proof is asked for.
pub struct PeerConnection {
    bytes: AnyBytes,
    caller: CallOrigin,
}

/// The connections of `taken` that meet the terms. None waits for the proof of another; one that fails is closed without a word, and
/// the reason is logged here.
pub fn proving<S>(taken: S, terms: Terms, clock: Clock) -> impl Stream<Item = io::Result<PeerConnection>> + Send
where
    S: Stream<Item = io::Result<Incoming>> + Send + Unpin + 'static,
{
    let (arrived, arrivals) = mpsc::channel(1);
    tokio::spawn(work(taken, terms, clock, arrived));
    ReceiverStream::new(arrivals).map(Ok)
}

async fn work<S>(mut taken: S, terms: Terms, clock: Clock, arrived: mpsc::Sender<PeerConnection>)
where
    S: Stream<Item = io::Result<Incoming>> + Send + Unpin,
{
    let (failed, mut failures) = mpsc::channel::<(Option<SocketAddr>, String)>(FAILURES);
    let mut told = Told::new(TELL_EVERY_MS);
    loop {
        tokio::select! {
            () = arrived.closed() => return,
            // Both ends of this channel are here.
            Some((from, why)) = failures.recv() => {
                let source = from.map_or_else(|| "an unknown address".to_owned(), |addr| addr.ip().to_canonical().to_string());
                if let Some(count) = told.due(source.clone(), clock.mono()) {
                    tracing::warn!("a connection to the port for peers from {source} is turned away: {why}{}", left_out(count));
                }
            }
            next = taken.next() => match next {
                None => return,
                // The port has told of it.
                Some(Err(_)) => {}
                Some(Ok(incoming)) => {
                    let (terms, arrived, failed) = (terms.clone(), arrived.clone(), failed.clone());
                    let elsewhere = incoming.elsewhere();
                    Incoming::start_handshake(elsewhere, async move {
                        let addr = incoming.peer_addr();
                        match prove(incoming, &terms, addr).await {
                            // Nobody waits any more: the port is closed, and the connection with it.
                            Ok(connection) => _ = arrived.send(connection).await,
                            // With a queue full of failures one more or less says nothing new.
                            Err(Some(why)) => _ = failed.try_send((addr, why)),
                            Err(None) => {}
                        }
                    });
                }
            },
        }
    }
}

/// The connection, or the reason why it is none; no reason where the other side only looked whether the port is open.
async fn prove(incoming: Incoming, terms: &Terms, addr: Option<SocketAddr>) -> Result<PeerConnection, Option<String>> {
    let Some(proof) = &terms.proof else {
        let caller = CallOrigin { addr, proven: terms.certified };
        return Ok(PeerConnection { bytes: Box::new(incoming), caller });
    };
    let place = incoming.place();
    let asked = timeout(PROOF_WITHIN, proof.ask(incoming)).await;
    if matches!(asked, Ok(Ok(_))) {
        place.prove();
    }
    match asked {
        Ok(Ok(Taken::Proven(stream))) => Ok(PeerConnection { bytes: stream, caller: CallOrigin { addr, proven: true } }),
        Ok(Ok(Taken::Unproven(stream))) => {
            Ok(PeerConnection { bytes: Box::new(stream), caller: CallOrigin { addr, proven: terms.certified } })
        }
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Err(None),
        Ok(Err(error)) => Err(Some(error.to_string())),
        Err(_) => Err(Some(format!("no proof of the secret within {} s (raft secret-file)", PROOF_WITHIN.as_secs()))),
    }
}

impl Connected for PeerConnection {
    type ConnectInfo = CallOrigin;

    fn connect_info(&self) -> CallOrigin {
        self.caller
    }
}

impl AsyncRead for PeerConnection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().bytes).poll_read(cx, buf)
    }
}

impl AsyncWrite for PeerConnection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().bytes).poll_write(cx, buf)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().bytes).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.bytes.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().bytes).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().bytes).poll_shutdown(cx)
    }
}
