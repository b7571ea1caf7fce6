//! The connections that a gRPC port takes.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::Either;
use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::{Connected, TcpIncoming};

use crate::base::Mono;
use crate::clock::Clock;
use crate::tls::{CertificateNames, ServerTls};

/// How long the other side may take for the TLS handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);
/// Handshakes at the same time; whoever comes then waits in the queue of the socket.
const HANDSHAKES: usize = 64;
/// Pause after a failed accept (such as: out of descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Somebody who cannot get in tries again and again. It is told again when the reason changes, and else at most this often.
const REPEAT_AFTER_MS: u64 = 60_000;

/// The connections of one port, for tonic to serve. With `tls`, those whose handshake succeeded; nobody waits for the handshake of
/// another, and what goes wrong in one is logged with `port`, the words for people.
pub fn incoming(
    tcp: TcpIncoming,
    tls: Option<ServerTls>,
    port: &'static str,
    clock: Clock,
) -> impl Stream<Item = io::Result<Incoming>> + Send {
    let Some(tls) = tls else { return Either::Left(tcp.map(|accepted| accepted.map(Incoming::Plain))) };
    let (arrived, arrivals) = mpsc::channel(1);
    tokio::spawn(Porter { tls, port, clock, arrived, told: None }.work(tcp));
    Either::Right(ReceiverStream::new(arrivals).map(Ok))
}

/// Shakes hands with everybody who comes, until nobody waits for them any more.
struct Porter {
    tls: ServerTls,
    port: &'static str,
    clock: Clock,
    arrived: mpsc::Sender<Incoming>,
    told: Option<(String, Mono)>,
}

impl Porter {
    async fn work(mut self, mut tcp: TcpIncoming) {
        let places = Arc::new(Semaphore::new(HANDSHAKES));
        let (failed, mut failures) = mpsc::channel::<(Option<SocketAddr>, String)>(HANDSHAKES);
        loop {
            tokio::select! {
                () = self.arrived.closed() => return,
                // Both ends of this channel are here.
                Some((from, why)) = failures.recv() => self.tell(from, &why),
                (accepted, place) = next(&mut tcp, &places) => match accepted {
                    None => return,
                    Some(Ok(stream)) => {
                        let (tls, arrived, failed) = (self.tls.clone(), self.arrived.clone(), failed.clone());
                        tokio::spawn(async move {
                            shake_hands(stream, &tls, &arrived, &failed).await;
                            drop(place);
                        });
                    }
                    Some(Err(error)) => {
                        tracing::warn!("cannot accept a connection to {}: {error}", self.port);
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }

    fn tell(&mut self, from: Option<SocketAddr>, why: &str) {
        let from = from.map_or_else(|| "an unknown address".to_owned(), |addr| addr.ip().to_string());
        let text = format!("a connection to {} from {from} is turned away in the TLS handshake: {why}", self.port);
        let now = self.clock.mono();
        let due = self.told.as_ref().is_none_or(|(told, at)| *told != text || now.ms_since(*at) >= REPEAT_AFTER_MS);
        if due {
            tracing::warn!("{text}");
            self.told = Some((text, now));
        }
    }
}

/// The next connection, once there is a place for its handshake.
async fn next(
    tcp: &mut TcpIncoming,
    places: &Arc<Semaphore>,
) -> (Option<io::Result<TcpStream>>, Option<tokio::sync::OwnedSemaphorePermit>) {
    // Nobody closes the semaphore.
    let place = Arc::clone(places).acquire_owned().await.ok();
    (tcp.next().await, place)
}

async fn shake_hands(
    stream: TcpStream,
    tls: &ServerTls,
    arrived: &mpsc::Sender<Incoming>,
    failed: &mpsc::Sender<(Option<SocketAddr>, String)>,
) {
    let from = stream.peer_addr().ok();
    let why = match timeout(HANDSHAKE_WITHIN, tls.accept(stream)).await {
        Ok(Ok(stream)) => {
            // Nobody waits any more: the port is closed, and the connection with it.
            let _ = arrived.send(Incoming::Tls(Box::new(stream))).await;
            return;
        }
        // A look at whether the port is open, as load balancers take it.
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("not done within {} s", HANDSHAKE_WITHIN.as_secs()),
    };
    // With a queue full of failures one more or less says nothing new.
    let _ = failed.try_send((from, why));
}

/// A connection that was let in.
#[derive(Debug)]
pub enum Incoming {
    /// In clear text.
    Plain(TcpStream),
    /// Encrypted; boxed, since it is large.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Where a connection comes from. It is among the extensions of each request.
#[derive(Clone, Debug, Default)]
pub struct ConnectInfo {
    /// The other end; none if it was gone before it was asked for.
    pub peer: Option<SocketAddr>,
    /// The names in the certificate that was shown, and that was found to be of the authority.
    pub certificate: Option<Arc<CertificateNames>>,
}

impl Incoming {
    /// The other end; none if it has gone.
    pub(super) fn peer_addr(&self) -> Option<SocketAddr> {
        self.connect_info().peer
    }
}

impl Connected for Incoming {
    type ConnectInfo = ConnectInfo;

    fn connect_info(&self) -> ConnectInfo {
        match self {
            Self::Plain(tcp) => ConnectInfo { peer: tcp.peer_addr().ok(), certificate: None },
            Self::Tls(tls) => {
                let (tcp, session) = tls.get_ref();
                let shown = session.peer_certificates().and_then(<[_]>::first);
                let certificate = shown.map(|certificate| Arc::new(CertificateNames::of(certificate)));
                ConnectInfo { peer: tcp.peer_addr().ok(), certificate }
            }
        }
    }
}

impl AsyncRead for Incoming {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Incoming {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(tcp) => tcp.is_write_vectored(),
            Self::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
