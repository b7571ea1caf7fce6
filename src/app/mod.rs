//! The only place that knows every room: wires them, starts them, and drains them.
//!
//! Order of the start: listeners first (a port in use ends the start before anything else happens), then the log, then those
//! who watch and those who answer. The SENTINEL port is open from the first moment, with or without a quorum. Called by `main`.

mod encryption;
mod listen;
mod manager;
mod online;
mod places;
mod signals;
pub mod telemetry;
mod threads;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::agent;
use crate::base::paces::Paces;
use crate::base::{Addr, Credentials, RunId, limits};
use crate::board::Board;
use crate::clock::Clock;
use crate::conf::Config;
use crate::events::{self, Hub};
use crate::hooks::{self, Hooks, OwnFile, SenderIdentity};
use crate::machine::{Group, SentinelRecord};
use crate::raft::{Raft, RaftConfig, StartError};
use crate::renewal::keep_fresh;
use crate::secret::SecretError;
use crate::serve::names::Names;
use crate::serve::resp::live::{Live, RuntimeConfig};
use crate::serve::{grpc, http, resp, users};
use crate::simulate::Simulation;
use crate::tls::TlsError;
use crate::transport::Proof;
use encryption::Encryption;
pub use encryption::check_named_files;
use manager::{Manager, PidFile};
pub use online::ask_servers;
use places::Places;
use signals::Signals;
pub use threads::Threads;
use threads::{Handles, on};

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
    /// The users cannot be as configured.
    #[error(transparent)]
    Users(#[from] users::AclError),
    /// A socket in the file system cannot be listened on.
    #[error("cannot listen on {path} (unixsocket): {source}")]
    UnixSocket {
        /// The path.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The certificates for `tls-port` cannot be used.
    #[error("tls-port: {0}")]
    TlsPort(TlsError),
    /// The certificates for `tls-replication` cannot be used.
    #[error("tls-replication: {0}")]
    TlsReplication(TlsError),
    /// The certificates for `raft tls` cannot be used.
    #[error("raft tls: {0}")]
    RaftTls(TlsError),
    /// The certificates for `grpc tls` cannot be used.
    #[error("grpc tls: {0}")]
    GrpcTls(TlsError),
    /// The secret cannot be used.
    #[error("raft secret-file: {0}")]
    Secret(SecretError),
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

/// How a sentinel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NodeEnded {
    /// For good.
    Stopped,
    /// To be started anew: it goes on alone.
    Anew,
}

/// Runs a sentinel until SIGTERM, SIGINT or a client's SHUTDOWN, or until it has to be run anew.
async fn run(config: Config, threads: Handles) -> Result<NodeEnded, AppError> {
    let clock = Clock::default();
    for note in &config.notes {
        tracing::warn!("{note}");
    }
    let mut signals = Signals::new().map_err(AppError::Signals)?;
    let acl = Arc::new(users::Acl::new(&config.resp.acl, config.resp.requirepass.as_ref())?);
    let access = Arc::new(users::Access::new(acl, config.resp.protected_mode, config.grpc_access, clock));
    let encryption = Encryption::load(&config)?;
    if let Err(error) = encryption.rehearse(&config) {
        // Not the end: the files of the others, or this host's clock, may be what is wrong.
        tracing::error!("{error}");
    }
    let places = Places::new(&config);
    // A listener belongs to the threads that open it, and so do the connections that it takes.
    let (resp, tls) = (config.resp.clone(), encryption.server.clone());
    let doors = on(&threads.clients, async move { listen::doors(&resp, tls.as_ref()).await }).await?;
    let (on_grpc, on_http) = (config.grpc_listen.clone(), config.http_listen.clone());
    let grpc_listeners = on(&threads.clients, async move { listen::bind("gRPC", &on_grpc).await }).await?;
    let http_listeners = on(&threads.clients, async move { listen::bind_addr("HTTP", on_http.as_ref()).await }).await?;
    // Not created: a mistyped or unmounted directory must not begin a new life of this sentinel.
    std::fs::metadata(&config.dir).map_err(|source| AppError::Dir { dir: config.dir.display().to_string(), source })?;
    let raft = on(&threads.consensus, Raft::start(raft_config(&config, &encryption, &threads), clock)).await?;
    tracing::info!(node = %raft.id(), sentinel_id = %raft.sentinel_id(), port = config.resp.port, "this sentinel is up");

    let cancel = CancellationToken::new();
    let manager = Arc::new(Manager::find(config.supervised));
    let _pid_file = PidFile::write(config.pidfile.as_deref());
    let hub = Hub::default();
    let rules = Arc::new(config.call_rules());
    let own = OwnFile { rules, sealer: encryption.sealer() };
    let hooks = Hooks::new(hooks::Limits::default(), own, clock, absolute(&config.dir), hub.clone());
    let (board, tasks) = (Board::default(), TaskTracker::new());
    let simulation = Simulation::default();
    let house =
        Node { config, clock, raft, board, simulation, access, encryption, hub, hooks, cancel: cancel.clone(), tasks, threads, places };
    let (failed, mut failures) = tokio::sync::mpsc::channel(4);
    house.keep_up(&manager);
    house.open(doors, grpc_listeners, http_listeners, failed);
    manager.ready();

    let renewables = house.encryption.renewables();
    let ended = tokio::select! {
        name = signals.end(&renewables) => { tracing::info!("{name}: stopping"); Ok(NodeEnded::Stopped) }
        () = cancel.cancelled() => { tracing::info!("a client asked for the stop"); Ok(NodeEnded::Stopped) }
        () = house.raft.anew() => { tracing::warn!("starting anew, alone"); Ok(NodeEnded::Anew) }
        Some(why) = failures.recv() => Err(AppError::PartFailed(why)),
        why = house.raft.failed() => Err(AppError::PartFailed(why)),
    };
    if !matches!(ended, Ok(NodeEnded::Anew)) {
        manager.stopping();
    }
    house.close().await;
    ended
}

/// The running parts.
struct Node {
    config: Config,
    clock: Clock,
    raft: Raft,
    board: Board,
    simulation: Simulation,
    access: Arc<users::Access>,
    encryption: Encryption,
    hub: Hub,
    hooks: Hooks,
    cancel: CancellationToken,
    tasks: TaskTracker,
    threads: Handles,
    places: Places,
}

impl Node {
    /// Starts what only looks after the others.
    fn keep_up(&self, manager: &Arc<Manager>) {
        self.tasks.spawn(keep_fresh(self.encryption.renewables(), self.cancel.clone()));
        let (manager, raft, cancel) = (Arc::clone(manager), self.raft.clone(), self.cancel.clone());
        self.tasks.spawn(async move { manager.stay_alive(&raft, cancel).await });
        self.tasks.spawn(self.places.clone().keep(self.raft.clone(), self.cancel.clone()));
    }

    fn open(&self, resp: Vec<resp::Listener>, grpc: Vec<TcpListener>, http: Vec<TcpListener>, failed: tokio::sync::mpsc::Sender<String>) {
        // Those who listen come before those who have something to say.
        let clients = &self.threads.clients;
        // Not on the threads for clients: a script would inherit how nice they are.
        self.tasks.spawn(self.hooks.clone().run(self.hook_sources(), self.cancel.clone()));
        self.tasks.spawn(self.event_sources().run(self.hub.clone(), self.cancel.clone()));

        let (credentials, stock_credentials) = watch::channel(self.config.sentinel.credentials.clone());
        let paces = Paces::default();
        let parts = agent::Parts {
            paces: paces.clone(),
            raft: self.raft.clone(),
            board: self.board.clone(),
            clock: self.clock,
            simulation: self.simulation.clone(),
            client_name: format!("sentinel-{}", &self.raft.sentinel_id().as_str()[..8]),
            announce_ip: self.config.sentinel.announce_ip.clone(),
            announce_port: self.announced_port(),
            tls: self.encryption.client.clone(),
            shadow: self.config.sentinel.shadow,
            stock_credentials,
            foreign: Arc::new(self.config.sentinel.foreign.clone()),
            sealer: self.encryption.sealer(),
        };
        let (heard, inbox) = mpsc::channel(limits::HELLOS_WAITING);
        let hellos = agent::Hellos { heard, inbox };
        self.tasks.spawn(agent::run(parts, self.config.groups.clone(), hellos, self.cancel.clone()));
        self.tasks.spawn_on(resp::serve(resp, Arc::new(self.resp_context(credentials, paces)), self.cancel.clone()), clients);

        let ctx = grpc::Context {
            deny_renames: self.config.sentinel.deny_rename_reconfig,
            precedence: self.threads.precedence(self.clock),
            ..grpc::Context::new(Arc::new(self.raft.clone()), self.board.clone(), self.clock, Arc::clone(&self.access))
        };
        let hooks = self.hooks.clone();
        let (cancel, failed_grpc, ctx_grpc) = (self.cancel.clone(), failed.clone(), ctx.clone());
        let entrance = grpc::Entrance { port: self.places.grpc.clone(), tls: self.encryption.grpc.clone() };
        let serving = async move {
            if let Err(error) = grpc::serve(grpc, entrance, ctx_grpc, cancel).await {
                let _ = failed_grpc.send(error.to_string()).await;
            }
        };
        self.tasks.spawn_on(serving, clients);
        let (cancel, entrance) = (self.cancel.clone(), self.places.http_entrance());
        let serving = async move {
            if let Err(error) = http::serve(http, entrance, ctx, hooks, cancel).await {
                let _ = failed.send(format!("the HTTP service: {error}")).await;
            }
        };
        self.tasks.spawn_on(serving, clients);
        self.tasks.close();
        let _on_consensus = self.threads.consensus.enter();
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
        self.config.sentinel.announce_port.unwrap_or_else(|| listening_port(&self.config))
    }

    /// How the other sentinels and clients find this one.
    fn record(&self) -> SentinelRecord {
        let config = &self.config;
        let announced = |port| {
            let named = config.sentinel.announce_ip.clone().and_then(|host| Addr::new(host, port).ok());
            named.unwrap_or_else(|| config.raft.advertise.at_port(port))
        };
        let grpc_port = config.grpc_listen.first().map_or(0, |listen| listen.addr.port());
        SentinelRecord {
            sentinel_id: self.raft.sentinel_id().clone(),
            incarnation: self.raft.incarnation().clone(),
            resp: announced(self.announced_port()),
            grpc: announced(grpc_port),
            raft: config.raft.advertise.clone(),
            shadow: config.sentinel.shadow,
            // Put in as they are when it is proposed.
            key_ids: None,
            level: None,
        }
    }

    fn event_sources(&self) -> events::Sources {
        let raft = self.raft.clone();
        let (states, board, announced) = (raft.clone(), self.board.clone(), self.config.sentinel.announce_hostnames);
        let names = move |group: &Group| {
            let announced = states.state().parameters.announce_hostnames.unwrap_or(announced);
            board.group(&group.name).map(|view| Names { view: &view, announced }.differing(group)).unwrap_or_default()
        };
        events::Sources {
            facts: raft.events(),
            sights: self.board.notices(),
            me: raft.id(),
            state: Box::new(move || raft.state()),
            names: Box::new(names),
        }
    }

    fn hook_sources(&self) -> hooks::Sources {
        let (raft, status) = (self.raft.clone(), self.raft.status());
        hooks::Sources {
            news: self.hub.listen(),
            clock: self.clock,
            teller: SenderIdentity { cluster: status.cluster, node: raft.id(), sentinel: raft.sentinel_id().clone() },
            history_until: (status.last_log.0 == 0).then(|| self.clock.wall()),
            state: Box::new(move || raft.state()),
        }
    }

    fn resp_context(&self, credentials: watch::Sender<Credentials>, paces: Paces) -> resp::RespContext {
        let (config, sentinel) = (&self.config, &self.config.sentinel);
        let shown = |path: PathBuf| absolute(&path).display().to_string();
        resp::RespContext {
            agreement: Arc::new(self.raft.clone()),
            board: self.board.clone(),
            hub: self.hub.clone(),
            hooks: self.hooks.clone(),
            clock: self.clock,
            me: resp::LocalFacts {
                port: if config.resp.port == 0 { config.resp.tls_port } else { config.resp.port },
                announce_ip: sentinel.announce_ip.clone(),
                announce_port: sentinel.announce_port.unwrap_or(0),
                config_file: config.sources.first().cloned().map(shown).unwrap_or_default(),
                executable: std::env::current_exe().map(shown).unwrap_or_default(),
                run_id: random_run_id(),
                start: self.clock.mono(),
            },
            access: Arc::clone(&self.access),
            manners: resp::ClientPolicy { timeout_s: config.resp.timeout_s, keepalive_s: config.resp.tcp_keepalive_s },
            port: self.places.resp.clone(),
            precedence: self.threads.precedence(self.clock),
            stale_answers: sentinel.stale_answers,
            resolve_hostnames: sentinel.resolve_hostnames,
            announce_hostnames: sentinel.announce_hostnames,
            deny_scripts_reconfig: sentinel.deny_scripts_reconfig,
            deny_rename_reconfig: sentinel.deny_rename_reconfig,
            call_rules: Arc::new(config.call_rules()),
            dir: absolute(&config.dir),
            live: Live::new(
                RuntimeConfig {
                    log_level: config.log.level,
                    no_quorum_reply: sentinel.no_quorum_reply,
                    default_promotion_policy: sentinel.default_promotion_policy,
                    credentials: sentinel.credentials.clone(),
                    ..RuntimeConfig::default()
                },
                telemetry::set_level,
                credentials,
            ),
            paces,
            simulation: self.simulation.clone(),
            stop: self.cancel.clone(),
        }
    }
}

/// The port that others are told of. As in stock, `tls-replication` says which one they are to use; else the one that there is.
const fn listening_port(config: &Config) -> u16 {
    let (plain, tls) = (config.resp.port, config.resp.tls_port);
    if (config.tls_replication && tls != 0) || plain == 0 { tls } else { plain }
}

fn raft_config(config: &Config, encryption: &Encryption, threads: &Handles) -> RaftConfig {
    let raft = &config.raft;
    RaftConfig {
        advertise: raft.advertise.clone(),
        cluster_id: raft.cluster_id.clone(),
        sentinel_id_seed: config.sentinel.id_seed.clone(),
        tls: encryption.raft.clone(),
        strangers: Some(threads.clients.clone()),
        sealer: encryption.sealer(),
        proof: encryption.secret.clone().map(|secret| Proof { secret, optional: raft.insecure }),
        insecure: raft.insecure,
        heartbeat_ms: raft.heartbeat_ms,
        election_timeout_min_ms: raft.election_timeout_min_ms,
        election_timeout_max_ms: raft.election_timeout_max_ms,
        ..RaftConfig::new(raft.node_id, config.dir.clone(), raft.listen.clone(), raft.peers.clone())
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn random_run_id() -> RunId {
    RunId::of_bytes(rand::random())
}
