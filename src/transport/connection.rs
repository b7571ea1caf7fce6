//! One connection that was taken: its bytes, its place, and the limits on its silence.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::transport::server::Connected;

use crate::admission::{Place, canonical};
use crate::tls::CertificateNames;

/// How long the other side may take no byte while there is something for it.
const STALL: Duration = Duration::from_secs(20);

/// The beginning of a protocol: a connection that has not sent so many bytes in time is closed.
///
/// Whoever serves the connection says when it is proven ([`Place::prove`]). Until then it may have to go for a newer one, whatever it has
/// sent: bytes cost a stranger nothing.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    bytes: usize,
    within: Duration,
}

impl Opening {
    /// HTTP/2: the preface, 24 bytes that each client sends at once (RFC 9113, section 3.4). A permitted call proves the connection.
    pub const HTTP2: Self = Self { bytes: 24, within: Duration::from_secs(3) };
    /// A proof of its own (`Incoming::place`), which is all that is waited for.
    pub const PROOF: Self = Self { bytes: usize::MAX, within: Duration::from_secs(3) };
    /// HTTP/1: the first byte; the limit on the header follows. A permitted request proves the connection.
    pub const HTTP1: Self = Self { bytes: 1, within: Duration::from_secs(5) };
}

/// The bytes of a connection, in clear text or not.
#[derive(Debug)]
pub(super) enum Connection {
    /// In clear text.
    Plain(TcpStream),
    /// Encrypted; boxed, since it is large.
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection that was let in.
#[derive(Debug)]
pub struct Incoming {
    connection: Connection,
    place: Arc<Place>,
    /// Where its handshakes are computed, if not where it is served.
    elsewhere: Option<Handle>,
    unproven: Option<Unproven>,
    stalled: Option<Pin<Box<Sleep>>>,
}

/// A connection that is not proven yet.
#[derive(Debug)]
struct Unproven {
    missing: usize,
    /// The end of the time for the bytes that are missing; none once they have come.
    due: Option<Pin<Box<Sleep>>>,
    out: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Incoming {
    pub(super) fn new(connection: Connection, place: Place, opening: Opening, elsewhere: Option<Handle>) -> Self {
        let due = Some(Box::pin(sleep_until(Instant::now() + opening.within)));
        let out = Box::pin(place.out().clone().cancelled_owned());
        let unproven = Some(Unproven { missing: opening.bytes, due, out });
        Self { connection, place: Arc::new(place), elsewhere, unproven, stalled: None }
    }

    /// Its place, to say that it is proven.
    pub fn place(&self) -> Arc<Place> {
        Arc::clone(&self.place)
    }

    /// Starts `task`, part of a handshake, where it keeps nobody waiting.
    pub(super) fn start_handshake(elsewhere: Option<Handle>, task: impl Future<Output = ()> + Send + 'static) {
        match elsewhere {
            Some(elsewhere) => elsewhere.spawn(task),
            None => tokio::spawn(task),
        };
    }

    /// See [`Incoming::start_handshake`].
    pub(super) fn elsewhere(&self) -> Option<Handle> {
        self.elsewhere.clone()
    }

    /// The other end; none if it has gone.
    pub(super) fn peer_addr(&self) -> Option<SocketAddr> {
        self.connect_info().peer
    }

    /// Notes bytes that came; with the last one of the beginning its time is no longer limited here.
    fn note_read(&mut self, bytes: usize) {
        if let Some(unproven) = &mut self.unproven {
            unproven.missing = unproven.missing.saturating_sub(bytes);
            if unproven.missing == 0 {
                unproven.due = None;
            }
        }
    }

    /// Ends a connection that takes no bytes.
    fn note_write<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + STALL)));
        if stalled.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the other side takes no bytes")));
        }
        Poll::Pending
    }
}

impl Unproven {
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Option<io::Error> {
        if self.out.as_mut().poll(cx).is_ready() {
            return Some(io::Error::new(io::ErrorKind::ConnectionAborted, "it had to go for a newer connection"));
        }
        let late = self.due.as_mut().is_some_and(|due| due.as_mut().poll(cx).is_ready());
        late.then(|| io::Error::new(io::ErrorKind::TimedOut, "nothing of the protocol came in time"))
    }
}

/// Where a connection comes from. It is among the extensions of each request.
#[derive(Clone, Debug, Default)]
pub struct ConnectInfo {
    /// The other end, an IPv4 address as one; none if it was gone before it was asked for.
    pub peer: Option<SocketAddr>,
    /// The names in the certificate that was shown, and that was found to be of the authority.
    pub certificate: Option<Arc<CertificateNames>>,
    /// Its place, to be proven by the first request that is permitted.
    pub place: Option<Arc<Place>>,
}

impl Connected for Incoming {
    type ConnectInfo = ConnectInfo;

    fn connect_info(&self) -> ConnectInfo {
        let place = Some(self.place());
        match &self.connection {
            Connection::Plain(tcp) => ConnectInfo { peer: tcp.peer_addr().ok().map(canonical), certificate: None, place },
            Connection::Tls(tls) => {
                let (tcp, session) = tls.get_ref();
                let shown = session.peer_certificates().and_then(<[_]>::first);
                let certificate = shown.map(|certificate| Arc::new(CertificateNames::of(certificate)));
                ConnectInfo { peer: tcp.peer_addr().ok().map(canonical), certificate, place }
            }
        }
    }
}

impl AsyncRead for Incoming {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.place.is_proven() {
            this.unproven = None;
        }
        if let Some(error) = this.unproven.as_mut().and_then(|unproven| unproven.poll_overdue(cx)) {
            return Poll::Ready(Err(error));
        }
        let before = buf.filled().len();
        let read = match &mut this.connection {
            Connection::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Connection::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        };
        this.note_read(buf.filled().len() - before);
        read
    }
}

impl AsyncWrite for Incoming {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = match &mut this.connection {
            Connection::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Connection::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        };
        this.note_write(cx, written)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = match &mut this.connection {
            Connection::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Connection::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
        };
        this.note_write(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.connection {
            Connection::Plain(tcp) => tcp.is_write_vectored(),
            Connection::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = match &mut this.connection {
            Connection::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Connection::Tls(tls) => Pin::new(tls).poll_flush(cx),
        };
        this.note_write(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = match &mut this.connection {
            Connection::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Connection::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        };
        this.note_write(cx, shut)
    }
}
