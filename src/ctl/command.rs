//! What may be typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::base::Addr;

/// Whom to ask, and how to answer.
#[derive(Args, Clone, Debug)]
pub struct Target {
    /// gRPC addresses of sentinels, tried in this order
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', default_value = "127.0.0.1:28379", env = "RAFT_SENTINEL_ADDR")]
    pub addr: Vec<Addr>,
    /// The configuration of the sentinel on this host: it is asked where the file has it listen, whatever --addr says
    #[arg(short = 'c', long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
    /// How to reach them.
    #[command(flatten)]
    pub tls: TlsTarget,
    /// As whom.
    #[command(flatten)]
    pub login: Login,
}

const PASSWORD_HELP: &str = "\
A password never stands on the command line, where every user of the host sees it: it is the first line of --password-file, or the value of
RAFT_SENTINEL_PASSWORD.";

/// A user of the sentinels (`requirepass`, `user` lines, `aclfile`).
#[derive(Args, Clone, Debug, Default)]
pub struct Login {
    /// The user to ask as; 'default' if there is a password and no user
    #[arg(long, value_name = "NAME", env = "RAFT_SENTINEL_USER")]
    pub user: Option<String>,
    /// The file with the user's password in its first line; RAFT_SENTINEL_PASSWORD may hold the password itself
    #[arg(long, value_name = "FILE", env = "RAFT_SENTINEL_PASSWORD_FILE", long_help = PASSWORD_HELP)]
    pub password_file: Option<PathBuf>,
}

/// TLS towards the sentinels (`grpc tls yes`), in the words of redis-cli.
#[derive(Args, Clone, Debug)]
pub struct TlsTarget {
    /// Ask over TLS
    #[arg(long, env = "RAFT_SENTINEL_TLS")]
    pub tls: bool,
    /// Certificates of the authorities that sign the sentinels' certificates
    #[arg(long, value_name = "FILE", env = "RAFT_SENTINEL_CACERT")]
    pub cacert: Option<PathBuf>,
    /// Our certificate, for sentinels that ask for one
    #[arg(long, value_name = "FILE", env = "RAFT_SENTINEL_CERT")]
    pub cert: Option<PathBuf>,
    /// The private key of --cert
    #[arg(long, value_name = "FILE", env = "RAFT_SENTINEL_KEY")]
    pub key: Option<PathBuf>,
}

const MASTER_HELP: &str = "\
Print where the master of a group is, in one line, for scripts. Nothing is printed unless it is known.

Exit codes: 0 it is known; 3 no group has that name; 4 no quorum of sentinels confirms an answer (ask again: the name says nothing about the
master); 5 no sentinel could be reached; 1 a sentinel refused to answer (a password, TLS); 2 the command line cannot be read.";

/// The line that `raft-sentinel master` prints.
#[derive(Args, Clone, Copy, Debug)]
#[group(multiple = false)]
pub struct MasterForm {
    /// Print the host alone
    #[arg(long, conflicts_with = "json")]
    pub host_only: bool,
    /// Print the port alone
    #[arg(long, conflicts_with = "json")]
    pub port_only: bool,
}

/// Questions and changes for running sentinels.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// Show how a sentinel sees the cluster: members, leader, groups and data nodes
    Status {
        /// Whom to ask.
        #[command(flatten)]
        target: Target,
    },
    /// Print where the master of a group is, for scripts
    #[command(long_about = MASTER_HELP)]
    Master {
        /// The group
        group: String,
        /// What to print.
        #[command(flatten)]
        form: MasterForm,
        /// Whom to ask.
        #[command(flatten)]
        target: Target,
        /// Take an answer that no quorum confirms
        #[arg(long)]
        stale: bool,
    },
    /// Show the master of every group
    Masters {
        /// Whom to ask.
        #[command(flatten)]
        target: Target,
        /// Take an answer that no quorum confirms
        #[arg(long)]
        stale: bool,
    },
    /// Show the replicas of a group
    Replicas {
        /// The group
        group: String,
        /// Whom to ask.
        #[command(flatten)]
        target: Target,
        /// Take an answer that no quorum confirms
        #[arg(long)]
        stale: bool,
    },
    /// Show the failovers so far with their grounds, newest first
    Decisions {
        /// Only this group
        group: Option<String>,
        /// How many at most
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=128))]
        limit: u32,
        /// Whom to ask.
        #[command(flatten)]
        target: Target,
        /// Take an answer that no quorum confirms
        #[arg(long)]
        stale: bool,
    },
    /// Show which changes were asked for, and by whom, newest first
    History {
        /// Only this group
        #[arg(long, value_name = "NAME")]
        group: Option<String>,
        /// How many at most; the newest 256 are remembered
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Whom to ask.
        #[command(flatten)]
        target: Target,
        /// Take an answer that no quorum confirms
        #[arg(long)]
        stale: bool,
    },
    /// Show or change the members of the Raft group
    Members {
        /// What to do with them.
        #[command(subcommand)]
        command: Members,
    },
    /// Replace the master of a group although it is up, or force a failover that is blocked; does not wait for it
    Failover {
        /// The group
        group: String,
        /// How it is to be done.
        #[command(flatten)]
        how: How,
        /// Whom to ask.
        #[command(flatten)]
        target: Target,
    },
    /// Change the master of a group as planned: no write is lost, or nothing changes. Waits for what comes of it
    Switchover {
        /// The group
        group: String,
        /// The replica to promote; without it, the best one
        #[arg(long, value_name = "HOST:PORT")]
        to: Option<Addr>,
        /// For how many seconds to wait
        #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=60))]
        wait: u32,
        /// Whom to ask.
        #[command(flatten)]
        target: Target,
    },
    /// Change settings of a group on all sentinels: all that are given, or none
    Set {
        /// The group
        group: String,
        /// The settings.
        #[command(flatten)]
        settings: Settings,
        /// Whom to ask.
        #[command(flatten)]
        target: Target,
    },
    /// Show what groups in shadow would have done, beside what stock sentinels did
    ShadowReport {
        /// Only this group
        group: Option<String>,
        /// Whom to ask.
        #[command(flatten)]
        target: Target,
        /// Take an answer that no quorum confirms
        #[arg(long)]
        stale: bool,
    },
    /// Carry out from now on what is decided about a group that was in shadow
    TakeOver {
        /// The group
        group: String,
        /// Also while sentinels that are not of this cluster watch it; both may then promote a master
        #[arg(long)]
        despite_stock: bool,
        /// Whom to ask.
        #[command(flatten)]
        target: Target,
    },
    /// Put a group into shadow: watch it, and carry nothing out any more
    StandDown {
        /// The group
        group: String,
        /// Whom to ask.
        #[command(flatten)]
        target: Target,
    },
    /// Seal the secrets of all groups with the first secret of the asked sentinel's file, once all members have that secret.
    ///
    /// The leader does the same by itself; this waits for it, and says what is in the way. Afterwards the old secret may be removed
    SealSecrets {
        /// Whom to ask.
        #[command(flatten)]
        target: Target,
    },
    /// Print every change of a master until interrupted
    Watch {
        /// Only this group
        group: Option<String>,
        /// Begin with the changes after this revision
        #[arg(long, value_name = "REVISION")]
        after: Option<u64>,
        /// Whom to ask.
        #[command(flatten)]
        target: Target,
    },
}

/// How a failover is to be done.
#[derive(Args, Clone, Debug, Default)]
pub struct How {
    /// Lose no write or change nothing, whatever the policy
    #[arg(long, conflicts_with = "force")]
    pub coordinated: bool,
    /// Promote what is there, whatever it may cost; also where a failover is blocked
    #[arg(long, requires = "accept_loss", conflicts_with = "to")]
    pub force: bool,
    /// With --force: accept that confirmed writes may be lost, and that the old master may take writes beside the new one
    #[arg(long, requires = "force")]
    pub accept_loss: bool,
    /// The replica to promote (this makes it a coordinated one)
    #[arg(long, value_name = "HOST:PORT")]
    pub to: Option<Addr>,
}

/// Settings of a group, by the names of sentinel.conf. Passwords are not among them: they would be seen in the list of processes.
#[derive(Args, Clone, Debug, Default)]
#[group(required = true, multiple = true)]
pub struct Settings {
    /// Sentinels that must see the master down
    #[arg(long, value_name = "N")]
    pub quorum: Option<u32>,
    /// Without a valid reply for this long a data node is down
    #[arg(long, value_name = "MS")]
    pub down_after_milliseconds: Option<u64>,
    /// A shorter limit that applies only while the port refuses connections; 0 is off
    #[arg(long, value_name = "MS")]
    pub crash_down_after_milliseconds: Option<u64>,
    /// Bounds each waiting step of a failover
    #[arg(long, value_name = "MS")]
    pub failover_timeout: Option<u64>,
    /// Replicas that may synchronise with a new master at the same time
    #[arg(long, value_name = "N")]
    pub parallel_syncs: Option<u32>,
    /// How long LOADING is tolerated after a restart of the master; 0 is for ever
    #[arg(long, value_name = "MS")]
    pub master_reboot_down_after_period: Option<u64>,
    /// What a promotion has to wait for: auto, strict or available
    #[arg(long, value_name = "POLICY")]
    pub promotion_policy: Option<String>,
    /// For how long after its last acknowledgement a replica counts for its master (min-replicas-max-lag), 1 to 3600
    #[arg(long, value_name = "SECONDS")]
    pub fence_max_lag: Option<u32>,
    /// A replica that has been gone for this long is forgotten, once the others hold all that it may have confirmed; 0 is ten minutes
    #[arg(long, value_name = "MS")]
    pub replica_forget_after: Option<u64>,
    /// Whether only replicas that operators named count and are promoted
    #[arg(long, value_name = "BOOL")]
    pub replicas_fixed: Option<bool>,
    /// How many replicas may be recorded, 1 to 64
    #[arg(long, value_name = "N")]
    pub max_replicas: Option<u32>,
}

const RECOVER_HELP: &str = "\
Go on with the sentinel at --addr alone, when the quorum is gone for good: disks that were lost, or that went back in time.

It becomes a group of one with all that it knows, and starts anew. Sentinels of the old group that are there with an empty data directory are then added
again and get their votes back; what to do with the others is said. What only those that are gone had acknowledged is lost: if several are left, ask the one whose
log is longest (raft-sentinel status). It is refused while a quorum answers.";

/// What can be done with the members.
#[derive(Subcommand, Clone, Debug)]
pub enum Members {
    /// Show them
    List {
        /// Whom to ask.
        #[command(flatten)]
        target: Target,
    },
    /// Add a sentinel that receives the log but does not vote, and wait until it has caught up
    Add {
        /// Its Raft id, never used before
        id: u64,
        /// Where its peers reach it (raft listen)
        raft_addr: Addr,
        /// Whom to ask.
        #[command(flatten)]
        target: Target,
    },
    /// Give a sentinel that was added a vote
    Promote {
        /// Its Raft id
        id: u64,
        /// Also if no majority of the voters after that answers: nothing can be decided until enough of them do
        #[arg(long)]
        force: bool,
        /// Whom to ask.
        #[command(flatten)]
        target: Target,
    },
    /// Go on with this sentinel alone, when the quorum is gone for good, and take in again those that are there with empty disks
    #[command(long_about = RECOVER_HELP)]
    Recover {
        /// No other member will run again with the data directory that it had
        #[arg(long, required = true)]
        others_are_gone: bool,
        /// Whom to ask: exactly the one that goes on.
        #[command(flatten)]
        target: Target,
    },
    /// Let this sentinel lead the others (before maintenance of the one that does)
    Lead {
        /// Its Raft id
        id: u64,
        /// Whom to ask.
        #[command(flatten)]
        target: Target,
    },
    /// Remove a sentinel for good
    Remove {
        /// Its Raft id
        id: u64,
        /// Also if no majority of the voters that remain answers: nothing can be decided until enough of them do
        #[arg(long)]
        force: bool,
        /// Whom to ask.
        #[command(flatten)]
        target: Target,
    },
    /// Tell all where a sentinel listens now that has moved with its data directory
    Move {
        /// Its Raft id
        id: u64,
        /// Where its peers reach it now (raft listen)
        raft_addr: Addr,
        /// Also if the others alone are no majority that answers
        #[arg(long)]
        force: bool,
        /// Whom to ask.
        #[command(flatten)]
        target: Target,
    },
    /// Put a new sentinel in the place of an old one, dead or alive
    Replace {
        /// The Raft id of the old one
        old: u64,
        /// The Raft id of the new one, never used before
        new: u64,
        /// Where the new one's peers reach it (raft listen); may be the address of the old one, which must have been stopped
        raft_addr: Addr,
        /// Also if no majority of the voters answers after one of the steps: nothing can be decided until enough of them do
        #[arg(long)]
        force: bool,
        /// Whom to ask.
        #[command(flatten)]
        target: Target,
    },
}
