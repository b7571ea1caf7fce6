//! The port where peers call.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, lookup_host};
use tonic::transport::Server;

use super::config::RaftConfig;
use super::core::Core;
use super::error::StartError;
use super::service::Service;
use crate::admission::{Port, Shares};
use crate::base::{Addr, limits};
use crate::proto::peer::peer_server::PeerServer;
use crate::transport::{self, Intake, Opening, Terms};

/// Calls of one peer at a time. A peer needs one for replication and a few for pings, reads and forwarded proposals.
const CALLS_PER_CONNECTION: u32 = 256;

/// How often the names of members are looked up.
const LOOK_UP_EVERY: Duration = Duration::from_secs(5);

/// Opens the port, so that a mistake in it is known before anything else starts.
///
/// Where peers need not prove themselves, only this host may reach it.
pub(super) async fn listen(config: &RaftConfig) -> Result<TcpListener, StartError> {
    let addr = &config.listen;
    let failed = |problem: String| StartError::Listen { addr: addr.clone(), problem };
    let resolved: Vec<SocketAddr> = lookup_host(addr.authority()).await.map_err(|problem| failed(problem.to_string()))?.collect();
    let exposed = resolved.iter().any(|target| !target.ip().to_canonical().is_loopback());
    if exposed && !config.asks_for_proof() && !config.insecure {
        return Err(StartError::Exposed { addr: addr.clone() });
    }
    TcpListener::bind(resolved.as_slice()).await.map_err(|problem| failed(problem.to_string()))
}

/// Answers peers until this room stops.
pub(super) async fn serve(core: Arc<Core>, listener: TcpListener) {
    let service = PeerServer::new(Service { core: core.clone() })
        .max_decoding_message_size(limits::PEER_MESSAGE_BYTES)
        .max_encoding_message_size(limits::PEER_MESSAGE_BYTES);
    let port = Port::for_peers("the port for peers", Shares::for_peers());
    core.tasks.spawn(know_members(core.clone(), port.clone()));
    let incoming = transport::incoming(
        listener,
        Intake {
            port,
            tls: core.config.tls.as_ref().map(|tls| tls.accept.clone()),
            opening: if core.config.proof.is_some() { Opening::PROOF } else { Opening::HTTP2 },
            strangers: core.config.strangers.clone(),
            clock: core.clock,
        },
    );
    let terms = Terms { proof: core.config.proof.clone(), certified: core.config.tls.is_some() };
    let incoming = transport::proving(incoming, terms, core.clock);
    let server = Server::builder()
        .max_concurrent_streams(CALLS_PER_CONNECTION)
        .http2_keepalive_interval(Some(Duration::from_secs(1)))
        .http2_keepalive_timeout(Some(Duration::from_secs(2)))
        .add_service(service)
        .serve_with_incoming_shutdown(incoming, core.stop.cancelled());
    // Peers keep their connections for good, and each is a task of its own that outlives the server's future: without a farewell a
    // peer would go on talking to a sentinel that has stopped, and never find the one that was started in its place.
    if let Err(problem) = server.await {
        tracing::error!(%problem, "the port for peers failed; this sentinel hears no peer any more");
    }
}

/// Keeps places for the addresses of the members and of the peers in the configuration, so that no number of strangers keeps a
/// sentinel out that was restarted.
async fn know_members(core: Arc<Core>, port: Port) {
    let mut ticks = tokio::time::interval(LOOK_UP_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut known: BTreeMap<Addr, Vec<IpAddr>> = BTreeMap::new();
    loop {
        tokio::select! {
            () = core.stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let members = core.standing().members;
        let wanted: BTreeSet<&Addr> = core.config.peers.values().chain(members.values()).collect();
        known.retain(|addr, _| wanted.contains(addr));
        for addr in wanted {
            // A name that is not known now keeps the addresses that it stood for.
            if let Some(Ok(found)) = core.stop.run_until_cancelled(lookup_host(addr.authority())).await {
                known.insert(addr.clone(), found.map(|target| target.ip()).collect());
            }
        }
        port.know(&known.values().flatten().copied().collect::<Vec<_>>());
    }
}
