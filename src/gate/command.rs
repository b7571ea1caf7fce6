//! What may be typed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::base::Addr;
use crate::ctl::command::{Login, TlsTarget};

const EXAMPLE: &str = "\
Where redis-server was started before, the gate is started with the same command behind `--`:

    raft-sentinel gate --group mymaster --sentinel 10.0.0.1:28379,10.0.0.2:28379,10.0.0.3:28379 -- \\
        redis-server /etc/redis/redis.conf

The recorded master starts as the master if its data are in place; every other node starts with `--replicaof` the master. From
then on the process is redis-server: same process id, signals and exit code are its own.

Exit codes before that: 0 it was told to stop (SIGTERM, SIGINT), 1 the configuration cannot be used, 75 --timeout ran out,
126 and 127 the server cannot be executed or does not exist.";

/// `raft-sentinel gate`: asks the sentinels as what to start a Redis server, and becomes that server.
///
/// A master that crashed and is started again within milliseconds, perhaps with an empty disk, is still the master in the
/// eyes of its replicas, and they copy what it has. The gate asks for a linearizable answer first: the node starts as the master only
/// if it is the recorded one with its data in place, and waits while a replica has data that it lacks.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = EXAMPLE)]
pub struct Gate {
    /// The group that this Redis server belongs to
    #[arg(long, value_name = "NAME")]
    pub group: String,
    /// gRPC addresses of sentinels
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', default_value = "127.0.0.1:28379", env = "RAFT_SENTINEL_ADDR")]
    pub sentinel: Vec<Addr>,
    /// The address under which the sentinels know this server; found out from its configuration if not given
    #[arg(long = "self", visible_alias = "announce", value_name = "HOST:PORT")]
    pub own: Option<Addr>,
    /// What to do while the sentinels monitor no such group; `start` starts the server as it is configured
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub if_unknown: Otherwise,
    /// What to do on a recorded master without data while a recorded replica, which may hold them, is out of reach
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub if_replica_down: Otherwise,
    /// Give up after this time (exit code 75); for ever if not given
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u64>,
    /// How to reach the sentinels
    #[command(flatten)]
    pub tls: TlsTarget,
    /// As whom
    #[command(flatten)]
    pub login: Login,
    /// redis-server (or valkey-server) with its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub server: Vec<String>,
}

/// What to do where the answer of the sentinels does not settle it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Otherwise {
    /// Wait until it does.
    #[default]
    Wait,
    /// Start the server.
    Start,
}

impl Gate {
    /// The program to execute.
    pub(super) fn program(&self) -> PathBuf {
        self.server.first().map(PathBuf::from).unwrap_or_default()
    }

    /// Its arguments.
    pub(super) fn args(&self) -> &[String] {
        self.server.get(1..).unwrap_or_default()
    }
}
