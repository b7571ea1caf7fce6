//! The places of all ports, and what is kept from clients.

use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::admission::{Descriptors, Need, Port, Shares};
use crate::conf::{Config, Connections};
use crate::raft::Raft;
use crate::serve::http;

/// How often it is counted what has to be kept from clients: data nodes and peers come and go.
const COUNT_EVERY: Duration = Duration::from_secs(2);
/// Replicas that each group of the file is expected to have, until it is known.
const REPLICAS_EXPECTED: usize = 2;

/// The ports for clients.
#[derive(Clone)]
pub(super) struct Places {
    pub(super) resp: Port,
    pub(super) grpc: Port,
    pub(super) http: Port,
    descriptors: Descriptors,
}

impl Places {
    /// Raises the limit of open files as Redis does, and divides what there is.
    pub(super) fn new(config: &Config) -> Self {
        let expected = Need { nodes: config.groups.len() * (1 + REPLICAS_EXPECTED), peers: config.raft.peers.len() };
        let descriptors = Descriptors::raise(expected);
        let port = |name, connections: Connections| Port::for_clients(name, shares(connections), descriptors.clone());
        let clients = Connections { most: reachable(config.resp.maxclients, &descriptors), ..config.connections.resp };
        Self {
            resp: port("the SENTINEL port", clients),
            grpc: port("the gRPC port", config.connections.grpc),
            http: port("the HTTP port", config.connections.http),
            descriptors,
        }
    }

    /// The way in to the HTTP port, which shows the numbers of all.
    pub(super) fn http_entrance(&self) -> http::HttpEntrance {
        http::HttpEntrance {
            port: self.http.clone(),
            all: vec![("sentinel", self.resp.clone()), ("grpc", self.grpc.clone()), ("http", self.http.clone())],
        }
    }

    /// Keeps from clients what the data nodes and peers of the moment need, until `cancel`.
    pub(super) async fn keep(self, raft: Raft, cancel: CancellationToken) {
        let mut ticks = tokio::time::interval(COUNT_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut short = false;
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let nodes = raft.state().groups.values().map(|group| 1 + group.replicas.len()).sum();
            self.descriptors.keep_for(Need { nodes, peers: raft.status().members.len() });
            let too_few = self.descriptors.reserve() > self.descriptors.limit();
            if too_few && !short {
                tracing::error!(
                    "{nodes} data nodes need {} open files, and the limit of this process is {}: raise it (LimitNOFILE, ulimit -n), or \
                     this sentinel cannot look at all of them",
                    self.descriptors.reserve(),
                    self.descriptors.limit(),
                );
            }
            short = too_few;
        }
    }
}

fn shares(connections: Connections) -> Shares {
    Shares::new(connections.most, connections.per_address.unwrap_or(connections.most / 4).max(1))
}

/// `maxclients`, or as many as there can be; as Redis does it.
fn reachable(wanted: usize, descriptors: &Descriptors) -> usize {
    let possible = descriptors.for_clients().max(1);
    if wanted <= possible {
        return wanted;
    }
    tracing::warn!(
        "maxclients {wanted} needs a limit of {} open files, and the system allows this process {}: maxclients is {possible}. Raise the \
         limit (LimitNOFILE, ulimit -n) for more",
        wanted + descriptors.reserve(),
        descriptors.limit(),
    );
    possible
}
