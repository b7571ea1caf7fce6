//! Making a gRPC connection.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tonic::codegen::Service;
use tonic::codegen::http::Uri;
use tonic::transport::{Channel, Endpoint, Error};

use crate::base::Addr;
use crate::tls::ClientTls;

/// How connections are made.
#[derive(Clone, Debug)]
pub struct Dial {
    /// Speaks TLS; none is clear text.
    pub tls: Option<ClientTls>,
    /// How long making one may take, the TLS handshake included.
    pub within: Duration,
}

impl Dial {
    /// The way to an address, to be adjusted before it is passed to [`Dial::lazy`] or [`Dial::connect`].
    ///
    /// # Errors
    /// When the address cannot be part of a URL.
    pub fn endpoint(&self, addr: &Addr) -> Result<Endpoint, Error> {
        // The scheme is what tonic decides by whether it speaks TLS itself, which it never does here.
        let endpoint = Endpoint::from_shared(format!("http://{}", addr.authority()))?.tcp_nodelay(true);
        // With a connector of ours tonic would report this limit as something else than a connection that was not made.
        Ok(if self.tls.is_none() { endpoint.connect_timeout(self.within) } else { endpoint })
    }

    /// A channel that connects when it is first used, and again whenever the connection is lost.
    pub fn lazy(&self, endpoint: &Endpoint) -> Channel {
        match self.connector() {
            None => endpoint.connect_lazy(),
            Some(connector) => endpoint.connect_with_connector_lazy(connector),
        }
    }

    /// A channel that is connected.
    ///
    /// # Errors
    /// When that fails.
    pub async fn connect(&self, endpoint: &Endpoint) -> Result<Channel, Error> {
        match self.connector() {
            None => endpoint.connect().await,
            Some(connector) => endpoint.connect_with_connector(connector).await,
        }
    }

    fn connector(&self) -> Option<Connector> {
        self.tls.clone().map(|tls| Connector { tls, within: self.within })
    }
}

/// Connects with TLS. What tonic keeps, so the certificates are those of the moment in which it connects.
#[derive(Clone)]
struct Connector {
    tls: ClientTls,
    within: Duration,
}

impl Connector {
    async fn connect(self, uri: Uri) -> io::Result<TokioIo<TlsStream<TcpStream>>> {
        let invalid = |what| io::Error::new(io::ErrorKind::InvalidInput, format!("{uri} names no {what}"));
        let host = uri.host().ok_or_else(|| invalid("host"))?.trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().ok_or_else(|| invalid("port"))?;
        let made = async {
            let tcp = TcpStream::connect((host, port)).await?;
            tcp.set_nodelay(true)?;
            self.tls.connect(host, tcp).await
        };
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("no TLS connection within {} ms", self.within.as_millis()));
        timeout(self.within, made).await.map_err(late)?.map(TokioIo::new)
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}
