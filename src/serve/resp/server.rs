//! Listens on the SENTINEL port and starts a session for each client.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::bounds;
use super::client::Shared;
use super::context::Context;
use super::door::{Arrival, Door, Visitor};
use super::registry::Admission;
use super::session::{Ending, Session};
use crate::serve::Endpoint;

/// Serves the SENTINEL protocol at all `doors` until `cancel` is cancelled and the sessions are over.
///
/// Clients are answered at once, with or without a quorum; what needs one is answered with an error.
pub async fn serve(doors: Vec<Door>, context: Arc<Context>, cancel: CancellationToken) {
    let shared = Arc::new(Shared { context, registry: Arc::default(), records: Arc::new(Semaphore::new(bounds::RECORDS)) });
    let tasks = TaskTracker::new();
    for door in doors {
        tasks.spawn(accept(door, Arc::clone(&shared), cancel.clone(), tasks.clone()));
    }
    tasks.close();
    cancel.cancelled().await;
    if timeout(Duration::from_millis(bounds::DRAIN_MS), tasks.wait()).await.is_err() {
        warn!("{} clients of the SENTINEL port are cut off: they did not end within {} ms", tasks.len(), bounds::DRAIN_MS);
        shared.registry.all().iter().for_each(|entry| entry.kill.cancel());
    }
}

async fn accept(door: Door, shared: Arc<Shared>, cancel: CancellationToken, tasks: TaskTracker) {
    loop {
        let arrived = tokio::select! {
            () = cancel.cancelled() => return,
            arrived = door.open(shared.context.manners.keepalive_s) => arrived,
        };
        match arrived {
            Ok(arrival) => {
                tasks.spawn(welcome(arrival, Arc::clone(&shared), cancel.clone()));
            }
            // It left before it was looked at: no reason to keep the others waiting.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotConnected | io::ErrorKind::ConnectionReset) => {}
            Err(error) => {
                warn!("cannot accept a client on the SENTINEL port: {error}");
                tokio::time::sleep(Duration::from_millis(bounds::ACCEPT_PAUSE_MS)).await;
            }
        }
    }
}

async fn welcome(arrival: Arrival, shared: Arc<Shared>, cancel: CancellationToken) {
    let Arrival { visitor, peer, local } = arrival;
    let context = &shared.context;
    let refusal = refusal(&peer, context);
    // What waits for its handshake counts as well: it must not cost more than a client does.
    let admission =
        refusal.is_none().then(|| shared.registry.admit(peer.clone(), local, context.clock.mono(), context.maxclients)).flatten();
    let refusal = refusal.unwrap_or("-ERR max number of clients reached\r\n");
    let left = match visitor {
        Visitor::Tcp(stream) => attend(stream, admission, refusal, &shared, cancel).await,
        Visitor::Unix(stream) => attend(stream, admission, refusal, &shared, cancel).await,
        // Strangers who are turned away are not worth a handshake.
        Visitor::Tls(_, _) if admission.is_none() => Ok(()),
        Visitor::Tls(stream, tls) => {
            let handshake = tokio::select! {
                () = cancel.cancelled() => return,
                done = timeout(Duration::from_millis(bounds::HANDSHAKE_MS), tls.accept(stream)) => done,
            };
            match handshake {
                Ok(Ok(stream)) => attend(stream, admission, refusal, &shared, cancel).await,
                Ok(Err(error)) => return info!("client {peer} is turned away in the TLS handshake: {error}"),
                Err(_) => return info!("client {peer} is turned away: no TLS handshake within {} ms", bounds::HANDSHAKE_MS),
            }
        }
    };
    if let Err(error) = left {
        debug!("a client of the SENTINEL port left before its session began: {error}");
    }
}

/// Why a client may not even say its password.
fn refusal(peer: &Endpoint, context: &Context) -> Option<&'static str> {
    context.access.is_protected_from(peer).then_some(
        "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. \
         Connections are only accepted from the host that this sentinel runs on. Set requirepass (or a user's password) in its \
         configuration file, or protected-mode no, and start it again.\r\n",
    )
}

async fn attend<S>(
    mut stream: S,
    admission: Option<Admission>,
    refusal: &'static str,
    shared: &Arc<Shared>,
    cancel: CancellationToken,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let Some(admission) = admission else {
        // The socket's buffer of a new connection takes this at once.
        return stream.write_all(refusal.as_bytes()).await;
    };
    let entry = &admission.entry;
    let ending = Session::new(stream, Arc::clone(shared), Arc::clone(entry)).run(cancel).await;
    let (peer, name) = (&entry.peer, entry.facts().name.clone());
    match ending {
        Ending::Missed(_) | Ending::Stalled => warn!("client {peer} '{name}' is disconnected: {ending}"),
        Ending::Protocol(_) => info!("client {peer} '{name}' is disconnected: {ending}"),
        Ending::Closed | Ending::Cut | Ending::Idle | Ending::Broken(_) => debug!("client {peer} '{name}' is gone: {ending}"),
    }
    Ok(())
}
