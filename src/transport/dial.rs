//! Making a gRPC connection.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::codegen::Service;
use tonic::codegen::http::Uri;
use tonic::transport::{Channel, Endpoint, Error};

use super::link::{AnyBytes, Proof};
use crate::base::Addr;
use crate::tls::ClientTls;

/// How connections are made.
#[derive(Clone, Debug)]
pub struct Dial {
    /// Speaks TLS; none is clear text.
    pub tls: Option<ClientTls>,
    /// Proves that we hold the secret, and asks for the same.
    pub proof: Option<Proof>,
    /// How long making one may take, handshakes included.
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
        Ok(if self.connector().is_none() { endpoint.connect_timeout(self.within) } else { endpoint })
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
        (self.tls.is_some() || self.proof.is_some()).then(|| Connector(self.clone()))
    }

    async fn open(&self, host: &str, port: u16) -> io::Result<AnyBytes> {
        let tcp = TcpStream::connect((host, port)).await?;
        tcp.set_nodelay(true)?;
        Ok(match &self.tls {
            None => Box::new(tcp),
            Some(tls) => Box::new(tls.connect(host, tcp).await?),
        })
    }

    async fn prove(&self, host: &str, port: u16) -> io::Result<AnyBytes> {
        let bytes = self.open(host, port).await?;
        let Some(proof) = &self.proof else { return Ok(bytes) };
        match proof.give(bytes).await {
            Ok(proven) => Ok(Box::new(proven)),
            // A peer that has no secret yet. It hears HTTP/2 or nothing.
            Err(error) if proof.optional && error.kind() == io::ErrorKind::PermissionDenied => self.open(host, port).await,
            Err(error) => Err(error),
        }
    }
}

/// The reason why the other side and this one do not accept each other's secret, if that is among the causes of an error.
pub fn denied(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(current) = cause {
        let io = current.downcast_ref::<io::Error>();
        if let Some(io) = io.filter(|io| io.kind() == io::ErrorKind::PermissionDenied && io.raw_os_error().is_none()) {
            return Some(io.to_string());
        }
        cause = current.source();
    }
    None
}

/// Connects with TLS, with a proof, or both. What tonic keeps, so certificates and secrets are those of the moment in which it connects.
#[derive(Clone)]
struct Connector(Dial);

impl Connector {
    async fn connect(self, uri: Uri) -> io::Result<TokioIo<AnyBytes>> {
        let invalid = |what| io::Error::new(io::ErrorKind::InvalidInput, format!("{uri} names no {what}"));
        let host = uri.host().ok_or_else(|| invalid("host"))?.trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().ok_or_else(|| invalid("port"))?;
        let within = self.0.within;
        let what = if self.0.tls.is_some() { "TLS connection" } else { "proven connection" };
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("no {what} within {} ms", within.as_millis()));
        timeout(within, self.0.prove(host, port)).await.map_err(late)?.map(TokioIo::new)
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<AnyBytes>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}
