//! The ways in: a port, a port with TLS, a socket in the file system. And who stands at one.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::admission::canonical;
use crate::serve::Endpoint;
use crate::tls::ServerTls;

/// A way in.
#[derive(Debug)]
pub enum Listener {
    /// `port`.
    Tcp(TcpListener),
    /// `tls-port`.
    Tls(TcpListener, ServerTls),
    /// `unixsocket`, and where it is.
    Unix(UnixListener, Arc<Path>),
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

/// Somebody who came in.
pub(super) enum Stream {
    Tcp(TcpStream),
    Tls(TcpStream, ServerTls),
    Unix(UnixStream),
}

/// A visitor with both ends of the connection: the other one, then ours.
pub(super) struct Accepted {
    pub(super) visitor: Stream,
    pub(super) peer: Endpoint,
    pub(super) local: Endpoint,
}

impl Listener {
    /// Waits for the next visitor.
    pub(super) async fn open(&self, keepalive_s: u32) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let stream = listener.accept().await?.0;
                let (peer, local) = prepare(&stream, keepalive_s)?;
                Ok(Accepted { visitor: Stream::Tcp(stream), peer, local })
            }
            Self::Tls(listener, tls) => {
                let stream = listener.accept().await?.0;
                let (peer, local) = prepare(&stream, keepalive_s)?;
                Ok(Accepted { visitor: Stream::Tls(stream, tls.clone()), peer, local })
            }
            Self::Unix(listener, path) => {
                let (stream, _) = listener.accept().await?;
                let end = Endpoint::Unix(Arc::clone(path));
                Ok(Accepted { visitor: Stream::Unix(stream), peer: end.clone(), local: end })
            }
        }
    }
}

/// Sets a connection up. As Redis does it: three probes within the time once the other side has been quiet for as long.
fn prepare(stream: &TcpStream, keepalive_s: u32) -> io::Result<(Endpoint, Endpoint)> {
    stream.set_nodelay(true)?;
    if keepalive_s > 0 {
        let quiet = Duration::from_secs(keepalive_s.into());
        let between = Duration::from_secs((keepalive_s / 3).max(1).into());
        SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(quiet).with_interval(between).with_retries(3))?;
    }
    Ok((Endpoint::Ip(canonical(stream.peer_addr()?)), Endpoint::Ip(canonical(stream.local_addr()?))))
}
