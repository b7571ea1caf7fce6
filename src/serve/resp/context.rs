//! What this room is given by `app`.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::live::Live;
use crate::admission::{Port, Precedence};
use crate::base::paces::Paces;
use crate::base::{CallRules, Mono, RunId};
use crate::board::Board;
use crate::clock::Clock;
use crate::events::Hub;
use crate::hooks::Hooks;
use crate::serve::ReplicatedState;
use crate::serve::users::{Access, Acl};
use crate::simulate::Simulation;

/// The version of Redis whose Sentinel is spoken here. Clients choose their commands by it.
pub const COMPATIBLE_VERSION: &str = "7.2.4";

/// What this process can say of itself.
#[derive(Clone, Debug)]
pub struct LocalFacts {
    /// The port of the SENTINEL protocol (`tcp_port`).
    pub port: u16,
    /// `sentinel announce-ip`, where it is set.
    pub announce_ip: Option<String>,
    /// `sentinel announce-port`; 0 is automatic.
    pub announce_port: u16,
    /// The configuration file's absolute path.
    pub config_file: String,
    /// The program's absolute path.
    pub executable: String,
    /// This process (not the sentinel, which keeps its id over restarts): 40 random hex characters.
    pub run_id: RunId,
    /// When this process started, by [`RespContext::clock`].
    pub start: Mono,
}

/// How clients are treated.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientPolicy {
    /// `timeout`: a client that says nothing for so many seconds is disconnected, unless it subscribed; 0 is never.
    pub timeout_s: u32,
    /// `tcp-keepalive` in seconds; 0 is off.
    pub keepalive_s: u32,
}

/// Everything that answers are made from.
pub struct RespContext {
    /// What the cluster agrees on.
    pub agreement: Arc<dyn ReplicatedState>,
    /// What this sentinel sees.
    pub board: Board,
    /// Where subscribers hear events.
    pub hub: Hub,
    /// The scripts that run and wait here.
    pub hooks: Hooks,
    /// This process's clocks.
    pub clock: Clock,
    /// What this process can say of itself.
    pub me: LocalFacts,
    /// Who may come in, and what they may do.
    pub access: Arc<Access>,
    /// How clients are treated.
    pub manners: ClientPolicy,
    /// The places of the port: `maxclients`, and how they are shared.
    pub port: Port,
    /// The threads that come before clients.
    pub precedence: Precedence,
    /// `sentinel stale-answers yes`: without a quorum, answer from the local state instead of not at all.
    pub stale_answers: bool,
    /// `sentinel resolve-hostnames`, as configured: whether SENTINEL MONITOR takes names.
    pub resolve_hostnames: bool,
    /// `sentinel announce-hostnames`, as configured.
    pub announce_hostnames: bool,
    /// `sentinel deny-scripts-reconfig`: whether SENTINEL SET may not name what this sentinel runs or calls.
    pub deny_scripts_reconfig: bool,
    /// `sentinel deny-rename-reconfig`: whether SENTINEL SET may not rename commands.
    pub deny_rename_reconfig: bool,
    /// What this sentinel runs and calls.
    pub call_rules: Arc<CallRules>,
    /// `dir`: relative paths of scripts begin here.
    pub dir: PathBuf,
    /// What an operator may change of this process while it runs.
    pub live: Live,
    /// How often data nodes are asked.
    pub paces: Paces,
    /// Where this process is to fail in a drill.
    pub simulation: Simulation,
    /// Cancelled when a client says SHUTDOWN.
    pub stop: CancellationToken,
}

impl RespContext {
    /// The users.
    pub(super) fn acl(&self) -> &Arc<Acl> {
        self.access.acl()
    }
}

impl fmt::Debug for RespContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("me", &self.me).field("port", &self.port).finish_non_exhaustive()
    }
}
