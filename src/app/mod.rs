//! The only place that knows every room: wires them, starts them, and drains them.
//!
//! Order of the start: listeners first (a port in use ends the start before anything else happens), then the log, then those
//! who watch and those who answer. The SENTINEL port is open from the first moment, with or without a quorum. Called by `main`.

mod listen;
pub mod telemetry;

use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::agent;
use crate::base::{Addr, Heard, RunId, limits};
use crate::board::Board;
use crate::clock::Clock;
use crate::conf::Config;
use crate::machine::SentinelRecord;
use crate::raft::{Raft, RaftConfig, StartError};
use crate::serve::resp::live::{Facts, Live};
use crate::serve::{grpc, http, resp};
use crate::simulate::Simulation;

/// How long a stop may take before it is forced.
const DRAIN: Duration = Duration::from_secs(5);

/// Why the sentinel could not start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// An address cannot be listened on.
    #[error("cannot listen on {addr} for {what}: {source}; is another sentinel running, or the address not this host's?")]
    Listen {
        /// The address.
        addr: Addr,
        /// For what.
        what: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// The data directory cannot be used.
    #[error("cannot use {dir} as the data directory ('dir'): {source}; create it, or mount what belongs there")]
    Dir {
        /// The directory.
        dir: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The log or the peer service could not be started.
    #[error(transparent)]
    Raft(#[from] StartError),
    /// The system does not let us wait for signals.
    #[error("cannot wait for SIGTERM and SIGINT: {0}")]
    Signals(std::io::Error),
    /// A part ended by itself.
    #[error("stopped because a part failed: {0}")]
    PartFailed(String),
}

/// Runs a sentinel until SIGTERM, SIGINT or a client's SHUTDOWN.
///
/// # Errors
/// [`AppError`] when it cannot start, or a part of it fails.
pub async fn run(config: Config) -> Result<(), AppError> {
    let clock = Clock::default();
    for note in &config.notes {
        tracing::warn!("{note}");
    }
    let mut signals = Signals::new().map_err(AppError::Signals)?;
    let resp_listeners = listen::bind("the SENTINEL protocol", &config.resp.listen()).await?;
    let grpc_listeners = listen::bind("gRPC", &config.grpc_listen).await?;
    let http_listeners = listen::bind_addr("HTTP", config.http_listen.as_ref()).await?;
    // Not created: a mistyped or unmounted directory must not begin a new life of this sentinel.
    std::fs::metadata(&config.dir).map_err(|source| AppError::Dir { dir: config.dir.display().to_string(), source })?;
    let raft = Raft::start(raft_config(&config), clock).await?;
    tracing::info!(node = %raft.id(), sentinel_id = %raft.sentinel_id(), port = config.resp.port, "this sentinel is up");

    let cancel = CancellationToken::new();
    let house = House {
        config,
        clock,
        raft,
        board: Board::default(),
        simulation: Simulation::default(),
        cancel: cancel.clone(),
        tasks: TaskTracker::new(),
    };
    let (failed, mut failures) = tokio::sync::mpsc::channel(4);
    house.open(resp_listeners, grpc_listeners, http_listeners, failed);

    let ended = tokio::select! {
        name = signals.next() => { tracing::info!("{name}: stopping"); Ok(()) }
        () = cancel.cancelled() => { tracing::info!("a client asked for the stop"); Ok(()) }
        Some(why) = failures.recv() => Err(AppError::PartFailed(why)),
        why = house.raft.failed() => Err(AppError::PartFailed(why)),
    };
    house.close().await;
    ended
}

/// The running parts.
struct House {
    config: Config,
    clock: Clock,
    raft: Raft,
    board: Board,
    simulation: Simulation,
    cancel: CancellationToken,
    tasks: TaskTracker,
}

impl House {
    fn open(&self, resp: Vec<TcpListener>, grpc: Vec<TcpListener>, http: Vec<TcpListener>, failed: tokio::sync::mpsc::Sender<String>) {
        let parts = agent::Parts {
            raft: self.raft.clone(),
            board: self.board.clone(),
            clock: self.clock,
            simulation: self.simulation.clone(),
            client_name: format!("sentinel-{}", &self.raft.sentinel_id().as_str()[..8]),
            announce_ip: self.config.sentinel.announce_ip.clone(),
            announce_port: self.announced_port(),
        };
        let (heard, inbox) = mpsc::channel(limits::HELLOS_WAITING);
        let hellos = agent::Hellos { heard: heard.clone(), inbox };
        self.tasks.spawn(agent::run(parts, self.config.groups.clone(), hellos, self.cancel.clone()));
        self.tasks.spawn(resp::serve(resp, Arc::new(self.resp_context(heard)), self.cancel.clone()));

        let ctx = grpc::Context::new(Arc::new(self.raft.clone()), self.board.clone(), self.clock);
        let (cancel, failed_grpc, ctx_grpc) = (self.cancel.clone(), failed.clone(), ctx.clone());
        self.tasks.spawn(async move {
            if let Err(error) = grpc::serve(grpc, ctx_grpc, cancel).await {
                let _ = failed_grpc.send(error.to_string()).await;
            }
        });
        let cancel = self.cancel.clone();
        self.tasks.spawn(async move {
            if let Err(error) = http::serve(http, ctx, cancel).await {
                let _ = failed.send(format!("the HTTP service: {error}")).await;
            }
        });
        self.tasks.close();
        self.raft.announce(self.record());
    }

    async fn close(self) {
        self.cancel.cancel();
        if tokio::time::timeout(DRAIN, self.tasks.wait()).await.is_err() {
            tracing::warn!("some parts did not end within {} s", DRAIN.as_secs());
        }
        self.raft.shutdown().await;
        tracing::info!("this sentinel is now ready to exit, bye bye");
    }

    /// The port of the SENTINEL protocol, as others are told.
    fn announced_port(&self) -> u16 {
        self.config.sentinel.announce_port.unwrap_or(self.config.resp.port)
    }

    /// How the other sentinels and clients find this one.
    fn record(&self) -> SentinelRecord {
        let config = &self.config;
        let host = config.sentinel.announce_ip.clone().unwrap_or_else(|| config.raft.advertise.host.clone());
        let grpc_port = config.grpc_listen.first().map_or(0, |listen| listen.addr.port);
        SentinelRecord {
            sentinel_id: self.raft.sentinel_id().clone(),
            incarnation: self.raft.incarnation().clone(),
            resp: Addr::new(host.clone(), self.announced_port()),
            grpc: Addr::new(host, grpc_port),
            raft: config.raft.advertise.clone(),
        }
    }

    fn resp_context(&self, heard: mpsc::Sender<Heard>) -> resp::Context {
        let (config, sentinel) = (&self.config, &self.config.sentinel);
        let absolute = |path: std::path::PathBuf| std::path::absolute(&path).unwrap_or(path).display().to_string();
        resp::Context {
            agreement: Arc::new(self.raft.clone()),
            board: self.board.clone(),
            clock: self.clock,
            me: resp::LocalFacts {
                port: config.resp.port,
                announce_ip: sentinel.announce_ip.clone(),
                announce_port: sentinel.announce_port.unwrap_or(0),
                config_file: config.sources.first().cloned().map(absolute).unwrap_or_default(),
                executable: std::env::current_exe().map(absolute).unwrap_or_default(),
                run_id: random_run_id(),
                start: self.clock.mono(),
            },
            requirepass: config.resp.requirepass.clone(),
            maxclients: config.resp.maxclients,
            stale_answers: sentinel.stale_answers,
            resolve_hostnames: sentinel.resolve_hostnames,
            announce_hostnames: sentinel.announce_hostnames,
            live: Live::new(
                Facts {
                    log_level: config.log.level,
                    sentinel_user: sentinel.user.clone(),
                    sentinel_pass: sentinel.pass.clone(),
                    ..Facts::default()
                },
                telemetry::set_level,
            ),
            simulation: self.simulation.clone(),
            heard,
            stop: self.cancel.clone(),
        }
    }
}

fn raft_config(config: &Config) -> RaftConfig {
    let raft = &config.raft;
    RaftConfig {
        advertise: raft.advertise.clone(),
        cluster_id: raft.cluster_id.clone(),
        sentinel_id_seed: config.sentinel.id_seed.clone(),
        heartbeat_ms: raft.heartbeat_ms,
        election_timeout_min_ms: raft.election_timeout_min_ms,
        election_timeout_max_ms: raft.election_timeout_max_ms,
        ..RaftConfig::new(raft.node_id, config.dir.clone(), raft.listen.clone(), raft.peers.clone())
    }
}

fn random_run_id() -> RunId {
    let mut dice = rand::thread_rng();
    RunId::new((0..40).map(|_| char::from_digit(dice.gen_range(0..16), 16).unwrap_or('0')).collect::<String>())
}

/// The signals that end a sentinel.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
