//! The gRPC services: `raftsentinel.v1.Sentinel` for clients, `raftsentinel.admin.v1.Admin` for operators, and the
//! standard health and reflection services beside them.
//!
//! Here requests are checked, answered from the agreed [`State`](crate::machine::State) (linearizable unless the client
//! says otherwise) and this sentinel's [`Board`], and turned into proposals. Nothing is decided here, and nothing
//! is known of Redis. Started by `app`.
//!
//! In reading order: `rights` and `guard` (who may make which call), `sentinel` (the clients' service), `watch` (its one
//! stream), `admin`, `failover` and `membership` (the operators'), `convert` (their messages from our words), `refuse` (our errors as their
//! codes), `health` (whether linearizable answers can be expected), `intake` (requests that never end).

mod admin;
mod convert;
mod failover;
mod guard;
mod health;
mod intake;
mod membership;
mod refuse;
mod rights;
mod sentinel;
mod watch;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;

use crate::admission::{Port, Precedence};
use crate::base::limits;
use crate::board::Board;
use crate::clock::Clock;
use crate::proto::admin::admin_server::{AdminServer, SERVICE_NAME as ADMIN};
use crate::proto::sentinel::sentinel_server::{SERVICE_NAME as SENTINEL, SentinelServer};
use crate::serve::ClusterAdmin;
use crate::serve::users::Access;
use crate::tls::ServerTls;
use crate::transport::{self, Incoming, Intake, Opening};

/// Requests and watches at the same time on one connection.
const STREAMS_PER_CONNECTION: u32 = 128;
/// Bytes of a request, and of all requests of one connection, that may wait to be read.
const STREAM_WINDOW_BYTES: u32 = limits::CLIENT_MESSAGE_BYTES as u32;
/// See [`STREAM_WINDOW_BYTES`].
const CONNECTION_WINDOW_BYTES: u32 = 4 * STREAM_WINDOW_BYTES;
/// Bytes of all header fields of one request.
const HEADER_BYTES: u32 = 8 * 1024;
/// An idle connection is asked for a sign of life this often.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(20);
/// A connection without a sign of life for this long is closed, and its watches with it.
const KEEPALIVE_LIMIT: Duration = Duration::from_secs(10);
/// Calls that are still running this long after the request to stop are cut off.
const DRAIN_LIMIT: Duration = Duration::from_secs(3);

/// What the services answer from. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// The Raft group.
    pub agreement: Arc<dyn ClusterAdmin>,
    /// What this sentinel sees.
    pub board: Board,
    /// This process's clocks.
    pub clock: Clock,
    /// Who may ask, and change.
    pub access: Arc<Access>,
    /// How often a watch says how it stands.
    pub progress_every: Duration,
    /// `sentinel deny-rename-reconfig`: whether commands may not be renamed.
    pub deny_renames: bool,
    /// The threads that come before clients.
    pub precedence: Precedence,
}

impl Context {
    /// A context with the documented interval of progress messages.
    pub fn new(agreement: Arc<dyn ClusterAdmin>, board: Board, clock: Clock, access: Arc<Access>) -> Self {
        Self {
            agreement,
            board,
            clock,
            access,
            progress_every: Duration::from_secs(5),
            deny_renames: true,
            precedence: Precedence::default(),
        }
    }
}

/// Why the services ended although nobody asked them to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The services could not be put together.
    #[error("the gRPC reflection service cannot be built from the compiled descriptors: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// A listener failed.
    #[error("the gRPC listener on {at} failed: {source}")]
    Transport {
        /// Where it listened.
        at: String,
        /// What happened.
        source: tonic::transport::Error,
    },
}

/// The way in.
#[derive(Clone, Debug)]
pub struct Entrance {
    /// The places of the port.
    pub port: Port,
    /// Speaks TLS with everybody; none is clear text.
    pub tls: Option<ServerTls>,
}

/// Serves on all listeners until `cancel`; then ends all watches, lets running calls finish, and returns.
///
/// # Errors
/// [`ServeError`] when a listener fails; the others are stopped then.
pub async fn serve(listeners: Vec<TcpListener>, entrance: Entrance, ctx: Context, cancel: CancellationToken) -> Result<(), ServeError> {
    // Dropping the guard stops whatever was started here, on every way out.
    let cancel = cancel.child_token();
    let _stop_all = cancel.clone().drop_guard();
    let clock = ctx.clock;
    let routes = routes(ctx, &cancel)?;
    let mut servers = JoinSet::new();
    for listener in listeners {
        let at = listener.local_addr().map_or_else(|_| "an unknown address".to_owned(), |addr| addr.to_string());
        let Entrance { port, tls } = entrance.clone();
        let incoming = transport::incoming(listener, Intake { port, tls, opening: Opening::HTTP2, strangers: None, clock });
        servers.spawn(serve_one(at, incoming, routes.clone(), cancel.clone()));
    }
    while let Some(ended) = servers.join_next().await {
        match ended {
            Ok(result) => result?,
            Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
            Err(_cancelled) => {}
        }
    }
    Ok(())
}

async fn serve_one(
    at: String,
    incoming: impl Stream<Item = io::Result<Incoming>>,
    routes: Routes,
    cancel: CancellationToken,
) -> Result<(), ServeError> {
    let server = Server::builder()
        .max_concurrent_streams(STREAMS_PER_CONNECTION)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_max_header_list_size(HEADER_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE_EVERY))
        .http2_keepalive_timeout(Some(KEEPALIVE_LIMIT))
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, cancel.clone().cancelled_owned());
    let drained = async {
        cancel.cancelled().await;
        tokio::time::sleep(DRAIN_LIMIT).await;
    };
    tokio::select! {
        ended = server => ended.map_err(|source| ServeError::Transport { at, source }),
        () = drained => Ok(()),
    }
}

fn routes(ctx: Context, cancel: &CancellationToken) -> Result<Routes, ServeError> {
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(crate::proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // What sentinels say to each other is served elsewhere, so it is not listed here.
            .with_service_name(SENTINEL)
            .with_service_name(ADMIN)
            .with_service_name("grpc.health.v1.Health")
    };
    let health = health::follow(ctx.agreement.leadership(), cancel.clone());
    let sentinel = SentinelServer::new(sentinel::Service { ctx: ctx.clone(), cancel: cancel.clone() });
    let (access, precedence) = (Arc::clone(&ctx.access), ctx.precedence.clone());
    let admin = AdminServer::new(admin::Service { ctx });
    let mut routes = Routes::builder();
    routes
        .add_service(sentinel.max_decoding_message_size(limits::CLIENT_MESSAGE_BYTES))
        .add_service(admin.max_decoding_message_size(limits::CLIENT_MESSAGE_BYTES))
        .add_service(health)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    // The guard first: a caller who may not make a call takes no place.
    Ok(guard::guarded(intake::bounded(routes.routes()), access, precedence))
}
