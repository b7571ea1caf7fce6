//! Listens on the SENTINEL port and starts a session for each client.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::bounds;
use super::client::Shared;
use super::context::RespContext;
use super::door::{Accepted, Listener, Stream};
use super::registry::Admission;
use super::session::{Session, SessionEnd};
use crate::admission::Pause;
use crate::serve::Endpoint;

/// Serves the SENTINEL protocol at all `doors` until `cancel` is cancelled and the sessions are over.
///
/// Clients are answered at once, with or without a quorum; what needs one is answered with an error.
pub async fn serve(doors: Vec<Listener>, context: Arc<RespContext>, cancel: CancellationToken) {
    let shared = Arc::new(Shared::new(context));
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

async fn accept(door: Listener, shared: Arc<Shared>, cancel: CancellationToken, tasks: TaskTracker) {
    let mut pause = Pause::new("the SENTINEL port", shared.context.clock);
    loop {
        let arrived = tokio::select! {
            () = cancel.cancelled() => return,
            arrived = door.open(shared.context.manners.keepalive_s) => arrived,
        };
        match arrived {
            Ok(arrival) => {
                pause.over();
                tasks.spawn(welcome(arrival, Arc::clone(&shared), cancel.clone()));
            }
            Err(error) => {
                if let Some(pause) = pause.after(&error) {
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
}

async fn welcome(arrival: Accepted, shared: Arc<Shared>, cancel: CancellationToken) {
    let Accepted { visitor, peer, local } = arrival;
    let context = &shared.context;
    // What waits for its handshake counts as well: it must not cost more than a client does.
    let (admission, refusal) = match refusal(&peer, context).map_or_else(|| shared.enter(&peer), Err) {
        Ok(place) => (Some(shared.registry.admit(peer.clone(), local, context.clock.mono(), place)), ""),
        Err(refusal) => (None, refusal),
    };
    let left = match visitor {
        Stream::Tcp(stream) => attend(stream, admission, refusal, &shared, cancel).await,
        Stream::Unix(stream) => attend(stream, admission, refusal, &shared, cancel).await,
        // Strangers who are turned away are not worth a handshake.
        Stream::Tls(_, _) if admission.is_none() => Ok(()),
        Stream::Tls(stream, tls) => {
            let out = admission.as_ref().map(|admission| admission.entry.kill.clone()).unwrap_or_default();
            let handshake = tokio::select! {
                () = cancel.cancelled() => return,
                () = out.cancelled() => return,
                done = timeout(Duration::from_millis(bounds::HANDSHAKE_MS), tls.accept(stream)) => done,
            };
            match handshake {
                Ok(Ok(stream)) => attend(stream, admission, refusal, &shared, cancel).await,
                Ok(Err(error)) => return shared.tell(&peer, "tls", || format!("is turned away in the TLS handshake: {error}")),
                Err(_) => {
                    return shared.tell(&peer, "late", || format!("is turned away: no TLS handshake within {} ms", bounds::HANDSHAKE_MS));
                }
            }
        }
    };
    if let Err(error) = left {
        debug!("a client of the SENTINEL port left before its session began: {error}");
    }
}

/// Why a client may not even say its password.
fn refusal(peer: &Endpoint, context: &RespContext) -> Option<&'static str> {
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
        SessionEnd::Missed(_) | SessionEnd::Stalled => warn!("client {peer} '{name}' is disconnected: {ending}"),
        SessionEnd::Protocol(_) => shared.tell(peer, "protocol", || format!("is disconnected: {ending}")),
        SessionEnd::Crowded => shared.tell(peer, "crowded", || format!("is disconnected: {ending}")),
        SessionEnd::Closed | SessionEnd::Cut | SessionEnd::Idle | SessionEnd::Broken(_) => {
            debug!("client {peer} '{name}' is gone: {ending}")
        }
    }
    Ok(())
}
