//! Listens on the SENTINEL port and starts a session for each client.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::bounds;
use super::client::Shared;
use super::context::Context;
use super::session::{Ending, Session};

/// Serves the SENTINEL protocol on all `listeners` until `cancel` is cancelled and the sessions are over.
///
/// Clients are answered at once, with or without a quorum; what needs one is answered with an error.
pub async fn serve(listeners: Vec<TcpListener>, context: Arc<Context>, cancel: CancellationToken) {
    let shared = Arc::new(Shared { context, registry: Arc::default() });
    let tasks = TaskTracker::new();
    for listener in listeners {
        tasks.spawn(accept(listener, Arc::clone(&shared), cancel.clone(), tasks.clone()));
    }
    tasks.close();
    cancel.cancelled().await;
    if tokio::time::timeout(Duration::from_millis(bounds::DRAIN_MS), tasks.wait()).await.is_err() {
        warn!("{} clients of the SENTINEL port are cut off: they did not end within {} ms", tasks.len(), bounds::DRAIN_MS);
        shared.registry.all().iter().for_each(|entry| entry.kill.cancel());
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, cancel: CancellationToken, tasks: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            () = cancel.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                tasks.spawn(welcome(stream, Arc::clone(&shared), cancel.clone()));
            }
            Err(error) => {
                warn!("cannot accept a client on the SENTINEL port: {error}");
                tokio::time::sleep(Duration::from_millis(bounds::ACCEPT_PAUSE_MS)).await;
            }
        }
    }
}

async fn welcome(stream: TcpStream, shared: Arc<Shared>, cancel: CancellationToken) {
    if let Err(error) = admit(stream, &shared, cancel).await {
        debug!("a client of the SENTINEL port left before its session began: {error}");
    }
}

async fn admit(mut stream: TcpStream, shared: &Arc<Shared>, cancel: CancellationToken) -> io::Result<()> {
    let (peer, local) = (stream.peer_addr()?, stream.local_addr()?);
    stream.set_nodelay(true)?;
    let context = &shared.context;
    let Some(admission) = shared.registry.admit(peer, local, context.clock.mono(), context.maxclients) else {
        // The socket's buffer of a new connection takes this at once.
        return stream.write_all(b"-ERR max number of clients reached\r\n").await;
    };
    let ending = Session::new(stream, Arc::clone(shared), Arc::clone(&admission.entry)).run(cancel).await;
    let name = admission.entry.facts().name.clone();
    match ending {
        Ending::Missed(_) | Ending::Stalled => warn!("client {peer} '{name}' is disconnected: {ending}"),
        Ending::Protocol(_) => info!("client {peer} '{name}' is disconnected: {ending}"),
        Ending::Closed | Ending::Cut | Ending::Broken(_) => debug!("client {peer} '{name}' is gone: {ending}"),
    }
    Ok(())
}
