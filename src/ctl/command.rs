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
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
    /// How to reach them.
    #[command(flatten)]
    pub tls: TlsTarget,
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

/// Questions and changes for running sentinels.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// Show how a sentinel sees the cluster: members, leader, groups and data nodes
    Status {
        /// Whom to ask.
        #[command(flatten)]
        target: Target,
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
    /// Show or change the members of the Raft group
    Members {
        /// What to do with them.
        #[command(subcommand)]
        command: Members,
    },
    /// Replace the master of a group although it is up
    Failover {
        /// The group
        group: String,
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
        /// Whom to ask.
        #[command(flatten)]
        target: Target,
    },
    /// Remove a sentinel for good
    Remove {
        /// Its Raft id
        id: u64,
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
        /// Where the new one's peers reach it (raft listen)
        raft_addr: Addr,
        /// Whom to ask.
        #[command(flatten)]
        target: Target,
    },
}
