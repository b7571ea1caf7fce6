//! The command line: what the program is asked to do. Doing it is for others.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::ToSocketAddrs as _;
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand, ValueEnum};

use super::compare::{Finding, Weight, compare};
use super::proof::{self, SecretIds};
use super::{ConfError, Config, load, load_all};

/// A replacement for Redis Sentinel whose decisions are entries of a Raft log.
///
/// Three or five raft-sentinel processes watch Redis masters and their replicas. When a master fails they agree, by Raft, on
/// its successor and promote it. Clients of Redis Sentinel work unchanged.
#[derive(Parser)]
#[command(name = "raft-sentinel", version, arg_required_else_help = true)]
#[command(
    after_help = "Start with the sentinel.conf you have, or an empty one: `raft-sentinel check FILE` says what to add. Then serve it."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can be asked to do.
#[derive(Subcommand)]
pub enum Command {
    /// Run a sentinel until it is told to stop (SIGTERM or SIGINT).
    Serve(Serve),
    /// Read configuration files and report what is wrong with them, without running anything.
    Check(Check),
    /// Make the secret that the sentinels of one cluster share (raft secret-file).
    #[command(subcommand)]
    Secret(Secret),
    /// Start a Redis server as what the sentinels have on record for it
    Gate(crate::gate::Gate),
    /// Ask or change a running cluster.
    #[command(flatten)]
    Ask(crate::ctl::Command),
}

/// `raft-sentinel secret`.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Secret {
    /// Print a fresh secret, one line, for the file that all sentinels have: (umask 077; raft-sentinel secret new > FILE)
    New,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

const SERVE_EXAMPLE: &str = "\
The smallest file, for the first of three sentinels:

    dir /var/lib/raft-sentinel
    raft node-id 1
    raft peer 1 10.0.0.1:27379
    raft peer 2 10.0.0.2:27379
    raft peer 3 10.0.0.3:27379
    raft secret-file /etc/raft-sentinel/secret
    sentinel monitor mymaster 10.0.0.11 6379 2

The secret is the same on all three: (umask 077; raft-sentinel secret new > /etc/raft-sentinel/secret), then copy it.

It answers Redis clients on port 26379 and gRPC clients on port 28379; its peers reach it on port 27379.";

/// `raft-sentinel serve`. Without `Debug`: an override may be a password.
#[derive(clap::Args)]
#[command(after_long_help = SERVE_EXAMPLE)]
pub struct Serve {
    /// The configuration, in sentinel.conf syntax. It is read and never written.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// How log lines look. To be given before any --directive.
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// Only watch, vote and decide, beside the sentinels that lead now: groups begin in shadow (`sentinel shadow yes`), and no server is
    /// changed before `raft-sentinel take-over`.
    #[arg(long)]
    pub shadow: bool,
    /// Lines to append to the file, which they win over: --port 26380 --sentinel announce-ip 10.0.0.1
    #[arg(value_name = "--DIRECTIVE VALUE", trailing_var_arg = true, allow_hyphen_values = true)]
    pub overrides: Vec<String>,
}

/// `raft-sentinel check`.
#[derive(clap::Args)]
pub struct Check {
    /// The configurations: each by itself, and those of one deployment beside each other.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Ask the data nodes as well, without changing anything: whether they are there, what they are, and what they would refuse.
    #[arg(long)]
    pub online: bool,
}

impl Serve {
    /// Reads the configuration that is to be served.
    ///
    /// # Errors
    /// [`ConfError`].
    pub fn config(&self) -> Result<Config, ConfError> {
        let shadow = ["--sentinel", "shadow", "yes"].map(ToOwned::to_owned);
        let overrides: Vec<String> = shadow.into_iter().filter(|_| self.shadow).chain(self.overrides.iter().cloned()).collect();
        load(&self.file, &overrides)
    }
}

/// What came of checking files: its `Display` is for people.
#[derive(Debug)]
pub struct Report {
    results: Vec<(PathBuf, Result<Config, Vec<ConfError>>)>,
    /// What its names stand for, where that is worth knowing.
    addresses: BTreeMap<PathBuf, Vec<String>>,
    /// What is wrong with the files that they name.
    named: BTreeMap<PathBuf, String>,
    between: Vec<Finding>,
}

impl Check {
    /// Reads the files. `further` looks at what a configuration names: it says which secrets those are, or what is wrong.
    pub fn run(&self, further: impl Fn(&Config) -> Result<Option<SecretIds>, String>) -> Report {
        let results: Vec<_> = self.files.iter().map(|file| (file.clone(), load_all(file, &[]))).collect();
        let readable: Vec<_> = results.iter().filter_map(|(file, result)| Some((file.as_path(), result.as_ref().ok()?))).collect();
        let looked: BTreeMap<_, _> = readable.iter().map(|(file, config)| ((*file).to_owned(), further(config))).collect();
        let mut between = compare(&readable);
        between.extend(proof::compare(&readable, &proof::by_file(&looked)));
        let addresses = readable.iter().map(|(file, config)| ((*file).to_owned(), names_of_many(config))).collect();
        let named = looked.into_iter().filter_map(|(file, looked)| Some((file, looked.err()?))).collect();
        Report { results, addresses, named, between }
    }
}

impl Report {
    /// The configurations that can be served.
    pub fn configs(&self) -> impl Iterator<Item = &Config> {
        self.results.iter().filter_map(|(_, result)| result.as_ref().ok())
    }

    /// Whether every file could be served, and all of them together.
    pub fn is_ok(&self) -> bool {
        self.results.iter().all(|(_, result)| result.is_ok())
            && self.named.is_empty()
            && self.between.iter().all(|finding| finding.weight == Weight::Note)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.results.iter().try_for_each(|(file, result)| match result {
            Ok(config) => {
                config.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))?;
                let addresses = self.addresses.get(file).into_iter().flatten();
                addresses.into_iter().try_for_each(|text| writeln!(f, "note: {}: {text}", file.display()))?;
                match self.named.get(file) {
                    None => show_accepted(f, file, config),
                    Some(problem) => writeln!(f, "error: {}: {problem}", file.display()),
                }
            }
            Err(errors) => errors.iter().try_for_each(|error| writeln!(f, "error: {error}")),
        })?;
        self.between.iter().try_for_each(|finding| writeln!(f, "{finding}"))
    }
}

/// The names of data nodes that stand for several addresses. One that stands for none now is the resolver's affair.
fn names_of_many(config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    for group in &config.groups {
        for addr in std::iter::once(&group.master).chain(&group.replicas).filter(|addr| !addr.is_literal()) {
            let ips: BTreeSet<_> = (addr.host(), addr.port()).to_socket_addrs().into_iter().flatten().map(|addr| addr.ip()).collect();
            if ips.len() > 1 {
                let listed: Vec<String> = ips.iter().map(ToString::to_string).collect();
                found.push(format!(
                    "'{}' of {} stands for {} ({}): a data node needs a name, or an address, that leads to it alone",
                    addr.host(),
                    group.name,
                    if ips.len() == 2 { "two addresses".to_owned() } else { format!("{} addresses", ips.len()) },
                    listed.join(", ")
                ));
            }
        }
    }
    found
}

fn show_accepted(f: &mut fmt::Formatter<'_>, file: &Path, config: &Config) -> fmt::Result {
    let names: Vec<&str> = config.groups.iter().map(|group| group.name.as_str()).collect();
    let groups = if names.is_empty() { "no master".to_owned() } else { names.join(", ") };
    let raft = &config.raft;
    let part = if raft.joins() { "waits to be added to" } else { "is one of" };
    writeln!(f, "OK: {}: node {} {part} {} raft peers, monitors {groups}", file.display(), raft.node_id, raft.peers.len())
}
