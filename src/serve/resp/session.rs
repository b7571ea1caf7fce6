//! One client's session: read, dispatch, write, in order; and the events it subscribed to in between.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::bounds;
use super::client::{Client, Shared};
use super::command;
use super::reader::{Allowance, ProtocolError, Reader};
use super::registry::ClientEntry;
use super::reply::Reply;
use super::writer;
use crate::base::limits;
use crate::events::FeedItem;

/// Why a session is over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionEnd {
    /// The client left, or asked to be let go.
    #[error("closed by the client")]
    Closed,
    /// Its bytes were no request.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// It did not keep up with the events, and must not go on as if it had.
    #[error("missed events: {0}")]
    Missed(String),
    /// It takes no bytes.
    #[error("took no bytes for {} ms", bounds::WRITE_STALL_MS)]
    Stalled,
    /// It has said nothing for `timeout`, or nothing that was permitted since it came.
    #[error("said nothing for too long")]
    Idle,
    /// CLIENT KILL, or this server stops.
    #[error("closed by this server")]
    Cut,
    /// All clients together hold too much, and it much of it.
    #[error("unfinished requests and unread replies of all clients take too much memory, and this one holds much of it")]
    Crowded,
    /// The connection broke.
    #[error("connection failed: {0}")]
    Broken(#[from] io::Error),
}

/// A session.
pub(crate) struct Session<S> {
    stream: S,
    reader: Reader,
    out: BytesMut,
    client: Client,
    cut: CancellationToken,
    last_heard: Instant,
    /// When it came, until it has made a request that was permitted.
    unproven_since: Option<Instant>,
    /// Requests that were served since others last had their turn.
    turn: usize,
    held: Held,
}

/// The part of one session in [`Shared::held`]; given back when dropped.
struct Held {
    shared: Arc<Shared>,
    bytes: usize,
}

impl Held {
    /// Notes how much is held now. What everybody holds costs no counting.
    fn note(&mut self, bytes: usize) -> Result<(), SessionEnd> {
        let bytes = if bytes > bounds::HELD_BYTES_UNCOUNTED { bytes } else { 0 };
        if bytes == self.bytes {
            return Ok(());
        }
        let all = &self.shared.held;
        all.fetch_add(bytes, Ordering::Relaxed);
        let now = all.fetch_sub(self.bytes, Ordering::Relaxed) - self.bytes;
        self.bytes = bytes;
        if now > bounds::HELD_BYTES && bytes > bounds::HELD_BYTES_OF_ONE { Err(SessionEnd::Crowded) } else { Ok(()) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    /// A session over a connection. It ends early when `stop` or the client's own token is cancelled.
    pub(crate) fn new(stream: S, shared: Arc<Shared>, entry: Arc<ClientEntry>) -> Self {
        let cut = entry.kill.clone();
        Self {
            stream,
            reader: Reader::default(),
            out: BytesMut::new(),
            held: Held { shared: Arc::clone(&shared), bytes: 0 },
            client: Client::new(shared, entry),
            cut,
            last_heard: Instant::now(),
            unproven_since: Some(Instant::now()),
            turn: 0,
        }
    }

    /// Serves the client until the session is over.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> SessionEnd {
        let cut = self.cut.clone();
        // A child of its own, and both waits made once: else all sessions would meet at the lock of `stop` for every request.
        let stopping = stop.child_token();
        let (mut stopped, mut killed) = (pin!(stopping.cancelled()), pin!(cut.cancelled()));
        loop {
            if let Err(ending) = self.serve_requests(&stop).await {
                // The reason of a protocol error is in `out`; whoever is cut off may not take it any more.
                if matches!(ending, SessionEnd::Protocol(_) | SessionEnd::Closed) {
                    let _ = self.flush().await;
                    let _ = self.stream.shutdown().await;
                }
                return ending;
            }
            // In this order, since most often there are bytes. That they never end keeps no session: each request looks at both.
            let step = tokio::select! {
                biased;
                step = self.wait() => step,
                () = &mut stopped => Err(SessionEnd::Cut),
                () = &mut killed => Err(SessionEnd::Cut),
            };
            if let Err(ending) = step {
                return ending;
            }
        }
    }

    /// Waits for bytes or for an event, whichever comes first.
    async fn wait(&mut self) -> Result<(), SessionEnd> {
        let idle_at = self.idle_at();
        let Self { stream, reader, client, .. } = self;
        let news = async {
            match client.subscriptions.news.as_mut() {
                Some(news) => news.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            read = stream.read_buf(reader.buffer()) => {
                if read? == 0 {
                    return Err(SessionEnd::Closed);
                }
                client.note_arrival();
                self.last_heard = Instant::now();
                Ok(())
            }
            news = news => self.deliver(news).await,
            () = sleep_until(idle_at.unwrap_or(self.last_heard)), if idle_at.is_some() => Err(SessionEnd::Idle),
        }
    }

    /// When it has been silent for too long. A subscriber may be silent for ever.
    fn idle_at(&self) -> Option<Instant> {
        if let Some(since) = self.unproven_since {
            return Some(since + Duration::from_millis(bounds::FIRST_REQUEST_MS));
        }
        let timeout_s = self.client.context().manners.timeout_s;
        (timeout_s > 0 && !self.client.subscribed()).then(|| self.last_heard + Duration::from_secs(timeout_s.into()))
    }

    /// Answers all requests that have arrived whole, so many at a time: others have their turn in between.
    async fn serve_requests(&mut self, stop: &CancellationToken) -> Result<(), SessionEnd> {
        while !self.client.closing {
            if self.turn >= bounds::REQUESTS_PER_TURN {
                self.turn = 0;
                self.client.context().precedence.wait().await;
            }
            let words = match self.reader.next(Allowance::new(self.client.is_stranger())) {
                Ok(Some(words)) => words,
                Ok(None) => break,
                Err(error) => {
                    self.write(&Reply::error(format!("ERR {error}")));
                    return Err(error.into());
                }
            };
            self.client.shared.registry.commands.fetch_add(1, Ordering::Relaxed);
            let reply = command::dispatch(&mut self.client, &words).await;
            if self.unproven_since.is_some() && !self.client.is_stranger() {
                self.unproven_since = None;
                self.client.entry.place.prove();
            }
            let before = self.out.len();
            if self.client.wants_reply() {
                self.write(&reply);
            }
            self.turn += 1 + (self.out.len() - before) / bounds::REPLY_BYTES_PER_REQUEST;
            if self.out.len() >= bounds::WRITE_BYTES {
                self.flush().await?;
            }
            if stop.is_cancelled() || self.cut.is_cancelled() {
                self.client.closing = true;
            }
        }
        self.flush().await?;
        self.held.note(self.reader.held())?;
        if self.client.closing { Err(SessionEnd::Closed) } else { Ok(()) }
    }

    /// Sends an event, and those that wait behind it, to this client.
    async fn deliver(&mut self, first: Result<Arc<FeedItem>, RecvError>) -> Result<(), SessionEnd> {
        let mut next = match first {
            Ok(news) => Some(news),
            Err(RecvError::Lagged(missed)) => return Err(too_slow(missed)),
            Err(RecvError::Closed) => return Err(SessionEnd::Cut),
        };
        while let Some(news) = next {
            match &*news {
                FeedItem::Event(event) => {
                    for message in self.client.subscriptions.messages(event.channel, &event.payload) {
                        self.write(&message);
                    }
                }
                FeedItem::Gap { reason } => return Err(SessionEnd::Missed(reason.clone())),
            }
            if self.out.len() >= bounds::WRITE_BYTES {
                break;
            }
            next = match self.client.subscriptions.news.as_mut().map(tokio::sync::broadcast::Receiver::try_recv) {
                Some(Ok(news)) => Some(news),
                Some(Err(TryRecvError::Lagged(missed))) => return Err(too_slow(missed)),
                Some(Err(TryRecvError::Empty | TryRecvError::Closed)) | None => None,
            };
        }
        self.flush().await
    }

    fn write(&mut self, reply: &Reply) {
        writer::write(&mut self.out, self.client.protocol, reply);
    }

    /// Sends what was collected. No further request is read meanwhile, so what waits for a slow client stays bounded.
    async fn flush(&mut self) -> Result<(), SessionEnd> {
        let Self { stream, reader, out, client, cut, held, .. } = self;
        let mut quiet_ms = 0;
        loop {
            held.note(reader.held() + out.len())?;
            let all_taken = out.is_empty();
            let send = async {
                // What is encrypted may wait in a buffer of the stream's own.
                if all_taken { stream.flush().await.map(|()| 0) } else { stream.write_buf(out).await }
            };
            // In this order, since most often the socket takes it at once; then no timer is started.
            let written = tokio::select! {
                biased;
                written = send => written?,
                () = cut.cancelled() => return Err(SessionEnd::Cut),
                () = sleep(Duration::from_millis(bounds::WRITE_LOOK_MS)) => {
                    quiet_ms += bounds::WRITE_LOOK_MS;
                    check_pace(client, quiet_ms)?;
                    continue;
                }
            };
            if all_taken {
                break;
            }
            if written == 0 {
                return Err(SessionEnd::Closed);
            }
            quiet_ms = 0;
        }
        // Thousands of idle clients must not keep the room that their largest reply once took.
        if out.capacity() > bounds::READ_BYTES {
            *out = BytesMut::new();
        }
        Ok(())
    }
}

/// Whether a client that takes no bytes may stay: not for long, and not once it has missed an event.
fn check_pace(client: &Client, quiet_ms: u64) -> Result<(), SessionEnd> {
    let waiting = client.subscriptions.news.as_ref().map_or(0, tokio::sync::broadcast::Receiver::len);
    match waiting.checked_sub(limits::EVENTS_WAITING) {
        Some(missed) if missed > 0 => Err(too_slow(missed as u64)),
        Some(_) | None if quiet_ms >= bounds::WRITE_STALL_MS => Err(SessionEnd::Stalled),
        Some(_) | None => Ok(()),
    }
}

fn too_slow(missed: u64) -> SessionEnd {
    SessionEnd::Missed(format!("the client is {missed} events behind what is kept"))
}
