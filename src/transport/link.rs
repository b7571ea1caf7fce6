//! The bytes of a connection, in whichever clothes they come.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::proof::{self, MAGIC, ProvenStream};
use crate::secret::SecretFile;

/// A connection to read from and write to.
pub(super) trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Bytes for S {}

/// A connection of any kind.
pub(super) type AnyBytes = Box<dyn Bytes>;

/// Peers prove with this that they hold the secret.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The secrets.
    pub secret: SecretFile,
    /// Peers that do not prove anything are let in as well, and reached.
    pub optional: bool,
}

/// A connection that was taken, and whether its other end has proven that it holds the secret.
pub(super) enum Taken<S> {
    Proven(Box<ProvenStream<Rewound<S>>>),
    Unproven(Rewound<S>),
}

impl Proof {
    /// Asks the one that connected for its proof.
    pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: S) -> io::Result<Taken<S>> {
        let mut first = [0; MAGIC.len()];
        stream.read_exact(&mut first).await?;
        let rewound = Rewound { first, given: 0, inner: stream };
        if self.optional && first != MAGIC {
            return Ok(Taken::Unproven(rewound));
        }
        proof::accept(rewound, &self.secret.keys()).await.map(|stream| Taken::Proven(Box::new(stream)))
    }
}

/// A connection whose first bytes were read, and are read again.
#[derive(Debug)]
pub(super) struct Rewound<S> {
    first: [u8; MAGIC.len()],
    given: usize,
    inner: S,
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let rest = this.first.get(this.given..).unwrap_or_default();
        if rest.is_empty() {
            return Pin::new(&mut this.inner).poll_read(cx, buf);
        }
        let count = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..count]);
        this.given += count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}
