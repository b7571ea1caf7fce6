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
    Proven(Box<Revocable<Rewound<S>>>),
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
        let stream = proof::accept(rewound, &self.secret.keys()).await?;
        Ok(Taken::Proven(Box::new(Revocable { stream, secret: self.secret.clone() })))
    }

    /// Gives the proof on a connection that was made, and asks for it.
    pub(super) async fn give<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<Revocable<S>> {
        let stream = proof::connect(stream, &self.secret.keys()).await?;
        Ok(Revocable { stream, secret: self.secret.clone() })
    }
}

/// A proven connection that lasts as long as the secret it was proven with is in the file: a secret is removed because somebody else may
/// have it, and he may have a connection, too.
#[derive(Debug)]
pub(super) struct Revocable<S> {
    stream: ProvenStream<S>,
    secret: SecretFile,
}

impl<S> Revocable<S> {
    fn check(&self) -> io::Result<()> {
        let id = self.stream.key();
        if self.secret.keys().find(id).is_some() {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("its secret {id} is no longer one of ours (raft secret-file)")))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Revocable<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let (this, before) = (self.get_mut(), buf.filled().len());
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        if read.is_ready()
            && let Err(revoked) = this.check()
        {
            // Nothing that came is passed on.
            buf.set_filled(before);
            return Poll::Ready(Err(revoked));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Revocable<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check()?;
        Pin::new(&mut this.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check()?;
        Pin::new(&mut this.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
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
