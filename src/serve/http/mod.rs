//! HTTP for machines that watch machines: `/metrics`, `/healthz` and `/readyz`. Off unless configured.
//!
//! Only reads, and shows no secret; the users of the SENTINEL port hold here as well (Basic). `/healthz`, and whether it is ready, everybody may know. `/healthz` says that the process works, whatever the cluster does, so that a supervisor
//! does not restart a sentinel for a lost quorum; `/readyz` says whether linearizable answers can be had here, and what has
//! been wrong with a fence for a while.
//! Started by `app`.

mod counters;
mod families;
mod guard;
mod hooked;
mod logins;
mod places;
mod scrape;
mod shadow;

use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::server::Connected;

use self::counters::Counters;
use self::guard::Visitor;
use super::grpc::Context;
use crate::admission::{Port, Precedence};
use crate::hooks::Hooks;
use crate::judge::view::Outlook;
use crate::machine;
use crate::transport::{self, Incoming, Intake, Opening};

/// The text format of `OpenMetrics`, which Prometheus reads.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// How long a header may take, from the end of the answer before it. Connections that rest between two scrapes end by it as well.
const HEADER_WITHIN: Duration = Duration::from_secs(10);
/// Bytes of a header.
const HEADER_BYTES: usize = 16 * 1024;
/// Requests that still run this long after the request to stop are cut off.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);

/// The way in.
#[derive(Clone, Debug)]
pub struct HttpEntrance {
    /// The places of the port.
    pub port: Port,
    /// All ports for clients by name, for the metrics.
    pub all: Vec<(&'static str, Port)>,
}

struct Shared {
    ports: Vec<(&'static str, Port)>,
    ctx: Context,
    hooks: Hooks,
    counters: Counters,
}

/// Serves on all listeners until `cancel`.
///
/// # Errors
/// When a part of it fails; the others are stopped then.
pub async fn serve(
    listeners: Vec<TcpListener>,
    entrance: HttpEntrance,
    ctx: Context,
    hooks: Hooks,
    cancel: CancellationToken,
) -> io::Result<()> {
    // Dropping the guard stops whatever was started here, on every way out.
    let cancel = cancel.child_token();
    let _stop_all = cancel.clone().drop_guard();
    let counters = Counters::default();
    let mut tasks = JoinSet::new();
    let clock = ctx.clock;
    let counting = counters.clone().count(ctx.agreement.events());
    let until = cancel.clone();
    tasks.spawn(async move {
        until.run_until_cancelled(counting).await;
        Ok(())
    });
    let router = router(Arc::new(Shared { ports: entrance.all, ctx, hooks, counters }));
    for listener in listeners {
        let intake = Intake { port: entrance.port.clone(), tls: None, opening: Opening::HTTP1, strangers: None, clock };
        tasks.spawn(serve_one(listener, intake, router.clone(), cancel.clone()));
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap_or_else(|failed| Err(io::Error::other(failed)))?;
    }
    Ok(())
}

async fn serve_one(listener: TcpListener, intake: Intake, router: Router, cancel: CancellationToken) -> io::Result<()> {
    let (mut arrivals, connections) = (transport::incoming(listener, intake), TaskTracker::new());
    while let Some(Some(arrived)) = cancel.run_until_cancelled(arrivals.next()).await {
        connections.spawn(attend(arrived?, router.clone(), cancel.clone()));
    }
    connections.close();
    let _ = tokio::time::timeout(DRAIN_LIMIT, connections.wait()).await;
    Ok(())
}

/// Serves one connection. A limit on the header is why this is not left to axum, which has none.
async fn attend(stream: Incoming, router: Router, cancel: CancellationToken) {
    // A connection that is gone already: of no host.
    let peer = stream.connect_info().peer.unwrap_or_else(|| SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)));
    let router = router.layer(Extension(Visitor { peer, place: stream.place() }));
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEADER_WITHIN).max_buf_size(HEADER_BYTES);
    let mut connection = pin!(server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = cancel.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection to the HTTP port ended: {error}");
    }
}

fn router(shared: Arc<Shared>) -> Router {
    let turns = from_fn_with_state(shared.ctx.precedence.clone(), in_turn);
    let routes = Router::new().route("/metrics", get(metrics)).route("/healthz", get(async || "ok\n")).route("/readyz", get(ready));
    routes.layer(turns).with_state(shared)
}

async fn in_turn(State(precedence): State<Precedence>, request: Request, next: Next) -> Response {
    precedence.pass().await;
    next.run(request).await
}

async fn metrics(State(shared): State<Arc<Shared>>, Extension(visitor): Extension<Visitor>, headers: HeaderMap) -> Response {
    if let Err(refusal) = guard::read(&shared.ctx.access, &visitor, &headers).await {
        return guard::refused(&refusal);
    }
    let mut families = scrape::families(&shared.ctx, &shared.counters.read());
    families.extend(hooked::families(&shared.hooks));
    families.extend(places::families(&shared.ports));
    families.extend(logins::families(&shared.ctx.access));
    match families::encode(families) {
        Ok(text) => ([(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("the metrics could not be written: {error}\n")).into_response(),
    }
}

/// The group that is asked about (`?group=`).
fn asked_group(uri: &Uri) -> Option<String> {
    let mut pairs = form_urlencoded::parse(uri.query()?.as_bytes());
    pairs.find(|(name, _)| name == "group").map(|(_, group)| group.into_owned())
}

/// Whether a failover of one group would come to its end now, as this sentinel sees it: for probes of whoever runs the group, not of the sentinel.
fn ready_of_group(ctx: &Context, state: &machine::State, name: &str, stranger: bool) -> Response {
    let group = match state.group(name) {
        Some(group) => group,
        // Strangers are not told which names there are.
        None if stranger => return (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response(),
        None => return (StatusCode::NOT_FOUND, "not ready: no group of that name is monitored\n").into_response(),
    };
    let readiness = ctx.board.group(&group.name).map(|view| view.readiness.clone()).unwrap_or_default();
    let status = match readiness.would {
        Outlook::Yes | Outlook::Partly => StatusCode::OK,
        Outlook::No | Outlook::Unknown | Outlook::UnderWay => StatusCode::SERVICE_UNAVAILABLE,
    };
    let word = if status == StatusCode::OK { "ready" } else { "not ready" };
    if stranger {
        return (status, format!("{word}\n")).into_response();
    }
    let next = readiness.next.as_ref().map(|next| format!("; next: {next}")).unwrap_or_default();
    let lines: String = readiness.why.iter().map(|why| format!("{why}\n")).collect();
    (status, format!("{word}: failover {}{next}\n{lines}", readiness.would.as_str())).into_response()
}

/// A line for each group whose failover has been in doubt for a while. As with a fence, that makes nobody less ready.
fn unready(ctx: &Context, state: &machine::State) -> String {
    let line = |name| ctx.board.group(name)?.readiness_alarm.as_ref().map(|why| format!("failover of {name}: {why}\n"));
    state.groups.keys().filter_map(line).collect()
}

/// A line for each group whose fence has something wrong for a while. That makes nobody less ready: a sentinel that is taken out of service
/// for it mends nothing.
fn fence_problems(ctx: &Context, state: &machine::State) -> String {
    let line = |name| ctx.board.group(name)?.fence_alarm.as_ref().map(|why| format!("fence problem of {name}: {why}\n"));
    state.groups.keys().filter_map(line).collect()
}

/// Open to all, as kubelets and load balancers have no password; the details are for those who may read the metrics.
async fn ready(State(shared): State<Arc<Shared>>, Extension(visitor): Extension<Visitor>, uri: Uri, headers: HeaderMap) -> Response {
    let stranger = guard::read(&shared.ctx.access, &visitor, &headers).await.is_err();
    let group = asked_group(&uri);
    match (shared.ctx.agreement.linearizable().await, group) {
        (Ok(state), Some(group)) => ready_of_group(&shared.ctx, &state, &group, stranger),
        (Ok(_), None) if stranger => "ready\n".into_response(),
        (Ok(state), None) => {
            let (fences, failovers) = (fence_problems(&shared.ctx, &state), unready(&shared.ctx, &state));
            format!("ready; applied up to {}\n{fences}{failovers}", state.applied).into_response()
        }
        (Err(_), _) if stranger => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response(),
        (Err(error), _) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {error}\n")).into_response(),
    }
}
