//! What a configuration says once it has been read: plain data, grouped by the room that needs it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::choices::{LogLevel, NoQuorumReply};
use super::place::Note;
use super::users::UserLine;
use crate::base::places::Place as NetworkPlace;
use crate::base::settings::PromotionPolicy;
use crate::base::{
    Addr, CallRules, ClusterId, Credentials, Epoch, ForeignPlaces, GroupSeed, NodeId, ScriptKind, Secret, SentinelId, StoredWebhook,
    TlsSettings, limits,
};

/// Everything that one sentinel is told. `Debug` shows no password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The files that were read, the main one first.
    pub sources: Vec<PathBuf>,
    /// Where this sentinel keeps its log; relative paths in the configuration start here.
    pub dir: PathBuf,
    /// What is logged, and where to.
    pub log: LogSettings,
    /// How the start is reported to a service manager.
    pub supervised: Supervised,
    /// `pidfile`.
    pub pidfile: Option<PathBuf>,
    /// Certificates, and how they are used.
    pub tls: TlsSettings,
    /// `tls-replication`: whether the data nodes are reached over TLS.
    pub tls_replication: bool,
    /// The port of the SENTINEL protocol.
    pub resp: RespSettings,
    /// How this sentinel presents itself and answers.
    pub sentinel: SentinelSettings,
    /// The Raft group.
    pub raft: RaftSettings,
    /// How many connections there may be.
    pub connections: PortConnections,
    /// Where gRPC clients ask; empty when that is turned off.
    pub grpc_listen: Vec<Listen>,
    /// `grpc tls`: whether they do so over TLS.
    pub grpc_tls: bool,
    /// What gRPC callers without a password may do.
    pub grpc_access: GrpcAccess,
    /// `grpc tls-ca-cert-file`: who signs the certificates of gRPC clients; none is whoever signs the others.
    pub grpc_ca_file: Option<PathBuf>,
    /// Where metrics and health are served; none is off.
    pub http_listen: Option<Addr>,
    /// Groups that the log may not know yet.
    pub groups: Vec<GroupSeed>,
    /// What an operator should know.
    pub notes: Vec<Note>,
}

/// How many connections there may be at one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// At the same time.
    pub most: usize,
    /// Of them, from one address; none is a quarter. This host is not counted as one address.
    pub per_address: Option<usize>,
}

/// The same for all ports for clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortConnections {
    /// `maxclients` and `sentinel clients-per-address`.
    pub resp: Connections,
    /// `grpc connections` and `grpc connections-per-address`.
    pub grpc: Connections,
    /// `http connections` and `http connections-per-address`.
    pub http: Connections,
}

impl Default for PortConnections {
    fn default() -> Self {
        let most = |most| Connections { most, per_address: None };
        Self { resp: most(limits::CLIENTS), grpc: most(limits::GRPC_CONNECTIONS), http: most(limits::HTTP_CONNECTIONS) }
    }
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The address; `0.0.0.0` and `::` are every one of their family.
    pub addr: Addr,
    /// Whether to go on where this host has no such address (`-` before it in `bind`).
    pub optional: bool,
}

/// The rules for gRPC callers who give no password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GrpcAccess {
    /// `grpc tls-auth-user`: which name in a certificate is that of a user.
    pub certificate_user: CertificateUser,
    /// `grpc admin-without-password`: whether other hosts may change the cluster without a password.
    pub admin_without_password: bool,
    /// `grpc admin-with-any-certificate`: whether every certificate of the authority may change the cluster.
    pub admin_with_any_certificate: bool,
}

/// `grpc tls-auth-user`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CertificateUser {
    /// None is.
    #[default]
    No,
    /// The common name.
    Cn,
    /// An alternative name: of a host, a mailbox, or a URI.
    San,
}

/// One address of `bind`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// The host; `0.0.0.0` and `::` are every one of their family.
    pub host: String,
    /// Whether to go on where this host has no such address (`-` before it).
    pub optional: bool,
}

/// The port of the SENTINEL protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RespSettings {
    /// `port`; 0 turns the SENTINEL protocol off.
    pub port: u16,
    /// `tls-port`: the same over TLS; 0 is none.
    pub tls_port: u16,
    /// `bind`.
    pub bind: Vec<Bind>,
    /// `unixsocket` and `unixsocketperm`.
    pub unix: Option<UnixSocket>,
    /// Users and what they may do.
    pub acl: AclSettings,
    /// `requirepass`.
    pub requirepass: Option<Secret>,
    /// `protected-mode`: without a password, only this host may connect.
    pub protected_mode: bool,
    /// `maxclients`.
    pub maxclients: usize,
    /// `timeout`: an idle client is disconnected after this many seconds; 0 is never.
    pub timeout_s: u32,
    /// `tcp-backlog`.
    pub tcp_backlog: u32,
    /// `tcp-keepalive` in seconds; 0 is off.
    pub tcp_keepalive_s: u32,
}

impl RespSettings {
    /// Whether user default needs a password, as far as the configuration itself says it: with `aclfile` the file does.
    pub fn asks_for_password(&self) -> bool {
        let default = self.acl.users.iter().find(|line| line.name == "default");
        let closed = |rules: &[Secret]| {
            rules.iter().any(|rule| rule.expose().starts_with(['>', '#']) || ["off", "resetpass"].contains(&rule.expose()))
        };
        self.requirepass.is_some() || self.acl.file.is_some() || default.is_some_and(|line| closed(&line.rules))
    }

    /// Where to listen; nowhere when the port is 0.
    pub fn listen(&self) -> Vec<Listen> {
        if self.port == 0 { Vec::new() } else { self.listen_at(self.port) }
    }

    /// Where to listen for TLS; nowhere when `tls-port` is 0.
    pub fn tls_listen(&self) -> Vec<Listen> {
        if self.tls_port == 0 { Vec::new() } else { self.listen_at(self.tls_port) }
    }

    pub(super) fn listen_at(&self, port: u16) -> Vec<Listen> {
        // The host was checked when it was read.
        let listen = |bind: &Bind| Some(Listen { addr: Addr::new(bind.host.clone(), port).ok()?, optional: bind.optional });
        self.bind.iter().filter_map(listen).collect()
    }
}

impl Default for RespSettings {
    fn default() -> Self {
        let bind = |host: &str, optional| Bind { host: host.to_owned(), optional };
        Self {
            port: 26379,
            tls_port: 0,
            unix: None,
            acl: AclSettings::default(),
            bind: vec![bind("0.0.0.0", false), bind("::", true)],
            requirepass: None,
            protected_mode: false,
            maxclients: limits::CLIENTS,
            timeout_s: 0,
            tcp_backlog: 511,
            tcp_keepalive_s: 300,
        }
    }
}

/// A socket in the file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixSocket {
    /// Where.
    pub path: PathBuf,
    /// Its permissions; none leaves them to the umask.
    pub mode: Option<u32>,
}

/// Users of the SENTINEL port. `Debug` shows no password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclSettings {
    /// `user` lines.
    pub users: Vec<UserLine>,
    /// `aclfile`.
    pub file: Option<PathBuf>,
    /// `acllog-max-len`.
    pub log_entries: usize,
    /// `acl-pubsub-default allchannels`: whether a new user may subscribe to everything.
    pub all_channels_by_default: bool,
}

impl Default for AclSettings {
    fn default() -> Self {
        Self { users: Vec::new(), file: None, log_entries: 128, all_channels_by_default: false }
    }
}

/// What is logged, and where to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSettings {
    /// `logfile`; none is standard output.
    pub file: Option<PathBuf>,
    /// `loglevel`.
    pub level: LogLevel,
}

/// `supervised`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Supervised {
    /// Report to nobody.
    #[default]
    No,
    /// Report to systemd where `NOTIFY_SOCKET` is set (`auto`).
    Auto,
    /// Report to systemd.
    Systemd,
}

/// How this sentinel presents itself and answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentinelSettings {
    /// `sentinel announce-ip`.
    pub announce_ip: Option<String>,
    /// `sentinel announce-port`.
    pub announce_port: Option<u16>,
    /// `sentinel resolve-hostnames`: whether a data node may be named instead of numbered.
    pub resolve_hostnames: bool,
    /// `sentinel default-promotion-policy`: of masters that are named without one.
    pub default_promotion_policy: PromotionPolicy,
    /// `sentinel announce-hostnames`.
    pub announce_hostnames: bool,
    /// `sentinel deny-scripts-reconfig`: whether SENTINEL SET may not name scripts.
    pub deny_scripts_reconfig: bool,
    /// `sentinel deny-rename-reconfig`: whether commands may not be renamed while the sentinels run.
    pub deny_rename_reconfig: bool,
    /// `sentinel webhook-allow`: where webhooks may lead.
    pub webhook_places: Option<Vec<NetworkPlace>>,
    /// `sentinel stale-answers`: whether to answer from what is known here when no quorum confirms it.
    pub stale_answers: bool,
    /// `sentinel no-quorum-reply`: the answer to clients where no quorum confirms one.
    pub no_quorum_reply: NoQuorumReply,
    /// `sentinel shadow`: groups begin in shadow, beside the sentinels that lead them, and nothing is carried out.
    pub shadow: bool,
    /// `sentinel sentinel-user` and `sentinel sentinel-pass`: how to get in where stock sentinels listen.
    pub credentials: Credentials,
    /// `sentinel foreign-sentinels` and `known-sentinel`: where sentinels of others may be.
    pub foreign: ForeignPlaces,
    /// `sentinel myid`: the id to start with where the data directory has none.
    pub id_seed: Option<SentinelId>,
    /// `sentinel current-epoch`, or the largest `config-epoch` where that is larger.
    pub current_epoch_seed: Epoch,
}

impl Config {
    /// What the file lets this sentinel run and call.
    pub fn call_rules(&self) -> CallRules {
        let named = |kind, path: &Option<String>| path.clone().map(|path| (kind, path));
        let settings = || self.groups.iter().map(|group| &group.settings);
        let notify = settings().filter_map(|group| named(ScriptKind::Notification, &group.notification_script));
        let reconfig = settings().filter_map(|group| named(ScriptKind::ClientReconfig, &group.client_reconfig_script));
        CallRules {
            own_only: self.sentinel.deny_scripts_reconfig,
            scripts: notify.chain(reconfig).collect(),
            webhooks: settings()
                .filter_map(|group| match &group.notification_webhook {
                    Some(StoredWebhook::Clear(url)) => Some(url.clone()),
                    // A file holds no sealed text.
                    Some(StoredWebhook::Sealed { .. }) | None => None,
                })
                .collect(),
            webhook_places: self.sentinel.webhook_places.clone(),
        }
    }
}

impl Default for SentinelSettings {
    fn default() -> Self {
        Self {
            announce_ip: None,
            announce_port: None,
            resolve_hostnames: false,
            default_promotion_policy: PromotionPolicy::default(),
            announce_hostnames: false,
            deny_scripts_reconfig: true,
            deny_rename_reconfig: true,
            webhook_places: None,
            stale_answers: false,
            no_quorum_reply: NoQuorumReply::default(),
            shadow: false,
            credentials: Credentials::default(),
            foreign: ForeignPlaces::default(),
            id_seed: None,
            current_epoch_seed: Epoch(0),
        }
    }
}

/// The Raft group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaftSettings {
    /// `raft node-id`.
    pub node_id: NodeId,
    /// `raft listen`: where this sentinel listens for its peers.
    pub listen: Addr,
    /// `raft advertise`: where its peers reach it.
    pub advertise: Addr,
    /// `raft peer`: the initial members, this one included unless it joins a group that runs already.
    pub peers: BTreeMap<NodeId, Addr>,
    /// `raft cluster-id`; none lets the group choose one when it forms.
    pub cluster_id: Option<ClusterId>,
    /// `raft secret-file`: the secret with which sentinels prove themselves to each other.
    pub secret_file: Option<PathBuf>,
    /// `raft insecure`: whether peers may do without a proof.
    pub insecure: bool,
    /// `raft tls`: whether sentinels talk to each other over TLS, each with a certificate.
    pub tls: bool,
    /// `raft tls-allowed-names`: names of which a peer's certificate must bear one; none is any made for both ends.
    pub tls_allowed_names: Vec<String>,
    /// `raft tls-ca-cert-file`: who signs the certificates of sentinels, if not the authority of the others.
    pub tls_ca_file: Option<PathBuf>,
    /// `raft heartbeat-ms`.
    pub heartbeat_ms: u64,
    /// `raft election-timeout-ms`, the shorter one.
    pub election_timeout_min_ms: u64,
    /// `raft election-timeout-ms`, the longer one.
    pub election_timeout_max_ms: u64,
}

impl RaftSettings {
    /// Whether this sentinel waits until it is added to a group that runs already: its number is not among the peers.
    pub fn joins(&self) -> bool {
        !self.peers.contains_key(&self.node_id)
    }
}

impl Config {
    /// A path of the configuration: as it is, or below `dir`.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.dir.join(path)
    }
}
