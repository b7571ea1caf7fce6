//! The connections that a TCP port takes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use super::connection::{Connection, Incoming, Opening};
use crate::admission::{Pause, Place, Port, Source};
use crate::base::Mono;
use crate::base::told::{Told, left_out};
use crate::clock::Clock;
use crate::tls::ServerTls;

/// How long the other side may take for a handshake. Members of one network need a few milliseconds.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(3);
/// Failures that may wait to be told.
const FAILURES: usize = 64;
/// Somebody who cannot get in tries again and again. Each source and reason is told at most this often.
const TELL_EVERY_MS: u64 = 60_000;
/// Connections that nobody hears from are found out after this long.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// A port, and how its connections begin.
#[derive(Clone, Debug)]
pub struct Intake {
    /// Its places. The name is for people: "the gRPC port".
    pub port: Port,
    /// Speaks TLS with everybody; none is clear text.
    pub tls: Option<ServerTls>,
    /// How many bytes have to come before a connection is taken for one of the protocol, and within which time.
    pub opening: Opening,
    /// Where strangers' handshakes are computed, if not here: a port whose service must not wait for strangers says so.
    pub strangers: Option<Handle>,
    /// The clock of this process.
    pub clock: Clock,
}

/// The connections of one port, for a server to serve: those with a place, and with TLS those whose handshake succeeded. Nobody waits
/// for the handshake of another. What goes wrong is logged, at most once a minute for each source and reason.
pub fn incoming(listener: TcpListener, intake: Intake) -> impl Stream<Item = io::Result<Incoming>> + Send + Unpin {
    let (arrived, arrivals) = mpsc::channel(1);
    let (pause, told) = (Pause::new(intake.port.name(), intake.clock), Told::new(TELL_EVERY_MS));
    tokio::spawn(Porter { intake: Arc::new(intake), arrived, pause, told }.work(listener));
    ReceiverStream::new(arrivals).map(Ok)
}

/// Why a connection was not taken, and whose it was.
struct Failure {
    source: Option<Source>,
    why: String,
}

/// Takes everybody who comes, until nobody waits for them any more.
struct Porter {
    intake: Arc<Intake>,
    arrived: mpsc::Sender<Incoming>,
    pause: Pause,
    told: Told<(Option<Source>, String)>,
}

impl Porter {
    async fn work(mut self, listener: TcpListener) {
        let (failed, mut failures) = mpsc::channel::<Failure>(FAILURES);
        loop {
            tokio::select! {
                () = self.arrived.closed() => return,
                // Both ends of this channel are here.
                Some(failure) = failures.recv() => self.tell(failure),
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        self.pause.over();
                        self.take(stream, Source::of(peer), &failed).await;
                    }
                    Err(error) => if let Some(pause) = self.pause.after(&error) {
                        tokio::time::sleep(pause).await;
                    },
                },
            }
        }
    }

    async fn take(&mut self, stream: TcpStream, source: Source, failed: &mpsc::Sender<Failure>) {
        // A socket that refuses options is one whose other end has gone: reading from it will tell.
        let _ = stream.set_nodelay(true);
        let _ = SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
        let place = match self.intake.port.enter(source) {
            Ok(place) => place,
            Err(refused) => return self.tell(Failure { source: Some(source), why: refused.why().to_owned() }),
        };
        let elsewhere = self.intake.strangers.clone().filter(|_| !self.intake.port.knows(source));
        let Some(tls) = self.intake.tls.clone() else {
            let taken = Incoming::new(Connection::Plain(stream), place, self.intake.opening, elsewhere);
            // Nobody waits any more: the port is closed, and the connection with it.
            let _ = self.arrived.send(taken).await;
            return;
        };
        let (intake, arrived, failed) = (Arc::clone(&self.intake), self.arrived.clone(), failed.clone());
        let later = elsewhere.clone();
        let shaking = async move {
            match shake_hands(stream, &place, &tls).await {
                Ok(connection) => _ = arrived.send(Incoming::new(connection, place, intake.opening, later)).await,
                // With a queue full of failures one more or less says nothing new.
                Err(Some(why)) => _ = failed.try_send(Failure { source: Some(source), why }),
                Err(None) => {}
            }
        };
        Incoming::start_handshake(elsewhere, shaking);
    }

    fn tell(&mut self, failure: Failure) {
        let now = self.intake.clock.mono();
        if let Some(line) = self.line(failure, now) {
            tracing::warn!("{line}");
        }
    }

    fn line(&mut self, Failure { source, why }: Failure, now: Mono) -> Option<String> {
        let from = source.map_or_else(|| "an unknown address".to_owned(), |source| source.to_string());
        let text = format!("a connection to {} from {from} is turned away: {why}", self.intake.port.name());
        self.told.due((source, why), now).map(|count| text + &left_out(count))
    }
}

/// The connection, or why there is none; no reason where the other side only looked whether the port is open, as load balancers do.
async fn shake_hands(stream: TcpStream, place: &Place, tls: &ServerTls) -> Result<Connection, Option<String>> {
    let shaken = tokio::select! {
        shaken = timeout(HANDSHAKE_WITHIN, tls.accept(stream)) => shaken,
        () = place.out().cancelled() => return Err(Some("too many handshakes are open, and this one was the oldest".to_owned())),
    };
    match shaken {
        Ok(Ok(stream)) => Ok(Connection::Tls(Box::new(stream))),
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Err(None),
        Ok(Err(error)) => Err(Some(format!("the TLS handshake failed: {error}"))),
        Err(_) => Err(Some(format!("no TLS handshake within {} s", HANDSHAKE_WITHIN.as_secs()))),
    }
}
