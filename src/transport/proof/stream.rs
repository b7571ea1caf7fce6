//! The bytes after the proof: frames of Noise, each a length (two bytes, big-endian) and a ciphertext with its tag.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use snow::TransportState;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::secret::KeyId;

/// Bytes of clear text in one frame. Small enough that a frame is decrypted while the next one travels.
const PLAIN_BYTES: usize = 16 * 1024;
/// The tag that each frame ends with.
const TAG_BYTES: usize = 16;
/// The length that each frame begins with.
const LENGTH_BYTES: usize = 2;
const FRAME_BYTES: usize = LENGTH_BYTES + PLAIN_BYTES + TAG_BYTES;

/// A connection whose other end has proven itself. What was tampered with, left out, repeated or reordered ends it.
pub(in crate::transport) struct ProvenStream<S> {
    inner: S,
    noise: TransportState,
    key: KeyId,
    input: ProvenInput,
    output: Output,
}

/// Bytes that were received: frames, and the clear text of the last one.
struct ProvenInput {
    frames: Box<[u8]>,
    filled: usize,
    plain: Box<[u8]>,
    plain_at: usize,
    plain_end: usize,
}

/// Frames that are to be sent.
struct Output {
    plain: Box<[u8]>,
    frames: Box<[u8]>,
    at: usize,
    end: usize,
}

impl<S> fmt::Debug for ProvenStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProvenStream").finish_non_exhaustive()
    }
}

impl<S> ProvenStream<S> {
    pub(super) fn new(inner: S, noise: TransportState, key: KeyId) -> Self {
        let bytes = |count| vec![0; count].into_boxed_slice();
        Self {
            inner,
            noise,
            key,
            input: ProvenInput { frames: bytes(FRAME_BYTES), filled: 0, plain: bytes(PLAIN_BYTES + TAG_BYTES), plain_at: 0, plain_end: 0 },
            output: Output { plain: bytes(PLAIN_BYTES), frames: bytes(FRAME_BYTES), at: 0, end: 0 },
        }
    }

    /// The secret that both ends have proven to hold.
    pub(in crate::transport) const fn key(&self) -> KeyId {
        self.key
    }

    /// Encrypts the empty message that ends the handshake. It travels with the first bytes that are written.
    pub(super) fn queue_confirmation(&mut self) -> io::Result<()> {
        self.output.seal(&mut self.noise, 0)
    }
}

impl<S: AsyncRead + Unpin> ProvenStream<S> {
    /// Waits for the empty message that ends the handshake.
    pub(super) async fn read_confirmation(&mut self) -> io::Result<()> {
        let mut frame = [0; LENGTH_BYTES + TAG_BYTES];
        self.inner.read_exact(&mut frame).await?;
        let (length, sealed) = frame.split_at(LENGTH_BYTES);
        if length != (TAG_BYTES as u16).to_be_bytes() {
            return Err(tampered());
        }
        self.noise.read_message(sealed, &mut []).map(drop).map_err(|_| tampered())
    }
}

fn tampered() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the connection was tampered with (raft secret-file)")
}

impl ProvenInput {
    /// Decrypts the first frame, if all of it is here. Returns whether it was.
    fn open(&mut self, noise: &mut TransportState) -> io::Result<bool> {
        let Some((length, rest)) = self.frames.get(..self.filled).and_then(<[u8]>::split_first_chunk::<LENGTH_BYTES>) else {
            return Ok(false);
        };
        let length = usize::from(u16::from_be_bytes(*length));
        // An empty frame is never sent: a stream of them would be work without an end.
        if !(TAG_BYTES + 1..=PLAIN_BYTES + TAG_BYTES).contains(&length) {
            return Err(tampered());
        }
        let Some(sealed) = rest.get(..length) else { return Ok(false) };
        self.plain_end = noise.read_message(sealed, &mut self.plain).map_err(|_| tampered())?;
        self.plain_at = 0;
        let used = LENGTH_BYTES + length;
        self.frames.copy_within(used..self.filled, 0);
        self.filled -= used;
        Ok(true)
    }

    /// Moves clear text into `buf`. Returns whether there was any.
    fn give(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let Some(plain) = self.plain.get(self.plain_at..self.plain_end).filter(|plain| !plain.is_empty()) else { return false };
        let piece = &plain[..plain.len().min(buf.remaining())];
        buf.put_slice(piece);
        self.plain_at += piece.len();
        true
    }
}

impl Output {
    /// Encrypts the first `count` bytes of `plain` as one frame, behind what is to be sent already.
    fn seal(&mut self, noise: &mut TransportState, count: usize) -> io::Result<()> {
        let room = self.frames.get_mut(self.end + LENGTH_BYTES..).unwrap_or_default();
        let sealed = noise.write_message(&self.plain[..count], room).map_err(io::Error::other)?;
        let length = u16::try_from(sealed).map_err(io::Error::other)?.to_be_bytes();
        self.frames[self.end..self.end + LENGTH_BYTES].copy_from_slice(&length);
        self.end += LENGTH_BYTES + sealed;
        Ok(())
    }

    /// Bytes of clear text that fit into one more frame.
    fn room(&self) -> usize {
        (self.frames.len() - self.end).saturating_sub(LENGTH_BYTES + TAG_BYTES).min(PLAIN_BYTES)
    }

    fn poll_send<S: AsyncWrite + Unpin>(&mut self, cx: &mut Context<'_>, inner: &mut S) -> Poll<io::Result<()>> {
        while self.at < self.end {
            let sent = ready!(Pin::new(&mut *inner).poll_write(cx, &self.frames[self.at..self.end]))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.at += sent;
        }
        (self.at, self.end) = (0, 0);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ProvenStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            if this.input.give(buf) {
                return Poll::Ready(Ok(()));
            }
            if this.input.open(&mut this.noise)? {
                continue;
            }
            let mut more = ReadBuf::new(&mut this.input.frames[this.input.filled..]);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut more))?;
            match more.filled().len() {
                0 if this.input.filled == 0 => return Poll::Ready(Ok(())),
                0 => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                count => this.input.filled += count,
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ProvenStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }

    /// What is written at once travels in one frame, as far as it fits.
    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // Frames that could not be sent yet wait while there is room behind them.
        if this.output.room() == 0 {
            ready!(this.output.poll_send(cx, &mut this.inner))?;
        }
        let room = this.output.room();
        let mut count = 0;
        for piece in bufs {
            let piece = &piece[..piece.len().min(room - count)];
            this.output.plain[count..count + piece.len()].copy_from_slice(piece);
            count += piece.len();
        }
        if count > 0 {
            this.output.seal(&mut this.noise, count)?;
            // What cannot be sent now is sent by the next write or flush.
            if let Poll::Ready(Err(error)) = this.output.poll_send(cx, &mut this.inner) {
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.output.poll_send(cx, &mut this.inner))?;
        Pin::new(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.output.poll_send(cx, &mut this.inner))?;
        Pin::new(&mut this.inner).poll_shutdown(cx)
    }
}
