//! What this sentinel saw of one data node. Emitted by `probe`, believed or not by `judge`.

use super::{Addr, FenceSight, Mono, Refusals, ReplId, RunId};

/// One thing seen of one data node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeObservation {
    /// The data node.
    pub addr: Addr,
    /// When it was seen, by this process's monotonic clock.
    pub at: Mono,
    /// What was seen.
    pub what: Observed,
}

/// What can be seen of a data node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observed {
    /// The command link is up (the server's first answer is not in yet).
    Linked,
    /// The IP address at the other end of that link, where the node is known by name.
    Reached(String),
    /// The command link is down or could not be made.
    Unlinked(LinkLoss),
    /// A PING was sent and is awaited.
    Pinged,
    /// A PING was answered with something that proves the server serves: PONG, LOADING or MASTERDOWN.
    Valid(ValidReply),
    /// A PING was answered with something else.
    Invalid(InvalidReply),
    /// An INFO was answered.
    Report(Box<NodeReport>),
    /// An INFO was answered with something that is not one; the text says what.
    BadReport(String),
    /// CONFIG GET was answered: what the server holds of the fence.
    Fence(FenceSight),
    /// CONFIG REWRITE was answered: the server keeps across restarts what it holds, or does not, in its own words.
    Rewritten(Result<(), String>),
    /// CLIENT KILL was answered: the server closes connections for us, or does not, in its own words.
    ClientsKilled(Result<(), String>),
    /// The orders that may have to be given were tried, without effect: what the server refuses.
    Refusals(Refusals),
}

/// Why there is no link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkLoss {
    /// The port refuses connections: no process listens there.
    Refused,
    /// An established link was closed or reset by the other side.
    Closed,
    /// No answer within the time limit.
    TimedOut,
    /// The name did not resolve.
    Unresolved(String),
    /// The server refused our credentials.
    Credentials(String),
    /// This host could not ask: nothing is known of the server.
    Local(LocalLack),
    /// Anything else, as the system words it.
    Other(String),
}

/// What this host lacks, so that it cannot ask another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalLack {
    /// Open files, of this process or of the whole host.
    Descriptors,
    /// Memory, or the system's buffers for the network.
    Memory,
    /// Ports for outgoing connections, or an address to connect from.
    Ports,
    /// A right: a firewall, a policy or a sandbox of this host does not let it connect.
    Permission,
}

impl LocalLack {
    /// A sentence for people: what is lacking, and what to do.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Descriptors => {
                "cannot judge: this sentinel has no descriptors left to ask it; raise the limit of open files (LimitNOFILE, ulimit -n)"
            }
            Self::Memory => "cannot judge: this sentinel's host has no memory left for a connection to it",
            Self::Ports => "cannot judge: this sentinel's host has no free port or no address left to connect to it from",
            Self::Permission => "cannot judge: this sentinel's host does not let it connect; look at its firewall and security policy",
        }
    }
}

/// Replies to PING that count as life (stock's rule: prefix of a status or an error).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValidReply {
    /// `PONG`.
    Pong,
    /// `LOADING`: alive, the dataset is still being read.
    Loading,
    /// `MASTERDOWN`: alive, its own master is not.
    MasterDown,
}

/// Replies to PING that do not count as life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidReply {
    /// `BUSY`: a script blocks the server.
    Busy,
    /// `NOAUTH`, `WRONGPASS` or `NOPERM`: we cannot judge this node.
    Credentials(String),
    /// Anything else (first words).
    Other(String),
}

/// The role that a data node reports of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `role:master`.
    Master,
    /// `role:slave`.
    Replica,
}

/// The parts of INFO that we use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeReport {
    /// `run_id`.
    pub run_id: RunId,
    /// `valkey_version`, or `redis_version` (empty if the server does not say).
    pub version: String,
    /// `role`, with what belongs to it.
    pub role: RoleReport,
    /// `master_replid`: its replication history.
    pub replid: ReplId,
    /// `master_replid2`: the history it continued from, valid up to `second_repl_offset`.
    pub replid2: Option<ReplId>,
    /// `second_repl_offset`, where there is one.
    pub second_offset: Option<u64>,
    /// `master_repl_offset` of a master, `slave_repl_offset` of a replica: how much of the history it holds.
    pub offset: u64,
    /// `loading:1`.
    pub loading: bool,
    /// The whole text, for SENTINEL INFO-CACHE and people.
    pub raw: String,
}

/// What only a master or only a replica reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleReport {
    /// A master and the replicas attached to it. Attached without a listening port (port 0): a witness, left out here.
    Master {
        /// `slaveN:` lines.
        replicas: Vec<AttachedReplica>,
        /// `min_slaves_good_slaves`: how many of them count for the fence; none where no fence is in force.
        good_replicas: Option<u32>,
        /// What it lists as replicas whose address is none, as it may be shown; bounded.
        misnamed: Vec<String>,
    },
    /// A replica and its link to its master.
    Replica(ReplicaReport),
}

/// One `slaveN:` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedReplica {
    /// Where it listens.
    pub addr: Addr,
    /// `state=online`.
    pub online: bool,
    /// The offset it acknowledged.
    pub offset: u64,
    /// Seconds since its last acknowledgement.
    pub lag_s: u64,
}

/// What a replica says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaReport {
    /// `master_host` and `master_port`.
    pub master: Addr,
    /// `master_link_status:up`.
    pub link_up: bool,
    /// `master_last_io_seconds_ago`; none when it says -1.
    pub last_io_s: Option<u64>,
    /// `master_link_down_since_seconds`; none when the link is up or never was.
    pub link_down_s: Option<u64>,
    /// `master_sync_in_progress:1`: a full copy is being received.
    pub syncing: bool,
    /// `slave_priority`: 0 is never promoted, lower is preferred.
    pub priority: u32,
    /// `replica_announced`.
    pub announced: bool,
    /// It gave up its place in the history for a full copy that has not come to its end: what it holds is older than the offset
    /// that it once acknowledged, or is gone.
    pub place_lost: bool,
}

impl NodeReport {
    /// The role alone.
    pub const fn role(&self) -> Role {
        match self.role {
            RoleReport::Master { .. } => Role::Master,
            RoleReport::Replica(_) => Role::Replica,
        }
    }
}
