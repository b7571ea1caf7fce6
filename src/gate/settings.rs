//! What the configuration of the server to be started says of itself: its file, what that includes, and its command line,
//! in the order and by the rules in which redis-server takes them.
//!
//! Only what bears on who this node is and where its data lie is understood; the rest is left to redis-server, and so are
//! its complaints about it. A line that cannot be read is an error here too: it might have been one of ours.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::wildcard;
use crate::conf::words;

/// Files that may be open within each other.
const DEPTH: usize = 16;
/// What redis-server answers by itself, without serving.
const ASKS: &[&str] = &["-v", "--version", "-h", "--help", "--test-memory", "--check-system"];

/// What matters here of a server's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// `port`; 0: none.
    pub(super) port: u16,
    /// `tls-port`; 0: none.
    pub(super) tls_port: u16,
    /// `bind`, without the leading `-` of addresses that may be missing.
    pub(super) bind: Vec<String>,
    /// `replica-announce-ip`.
    pub(super) announce_host: Option<String>,
    /// `replica-announce-port`; 0: none.
    pub(super) announce_port: u16,
    /// `dir`; relative to the working directory.
    pub(super) dir: PathBuf,
    /// `dbfilename`.
    pub(super) snapshot: String,
    /// `appendonly`.
    pub(super) append_only: bool,
    /// Whether `appendfsync` is `always`: what was acknowledged is in the append-only file.
    pub(super) append_synced: bool,
    /// `appendfilename`.
    pub(super) append_file: String,
    /// `appenddirname`.
    pub(super) append_dir: String,
    /// Whether a `replicaof` is in force.
    pub(super) follows: bool,
    /// `cluster-enabled`.
    pub(super) cluster: bool,
}

/// What a command line asks of redis-server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// To serve with these settings.
    Serve(Box<Settings>),
    /// To say something and end.
    Say,
}

/// Why a configuration cannot be used: where, and what.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub(super) struct BadSettings {
    place: String,
    problem: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            port: 6379,
            tls_port: 0,
            bind: Vec::new(),
            announce_host: None,
            announce_port: 0,
            dir: PathBuf::from("."),
            snapshot: "dump.rdb".to_owned(),
            append_only: false,
            append_synced: false,
            append_file: "appendonly.aof".to_owned(),
            append_dir: "appendonlydir".to_owned(),
            follows: false,
            cluster: false,
        }
    }
}

/// Reads the arguments of redis-server, and the files that they name.
///
/// # Errors
/// [`BadSettings`]: a file cannot be read, a line makes no sense, or the server is one that cannot be started as a replica.
pub(super) fn read(args: &[String]) -> Result<Wanted, BadSettings> {
    let on_line = |problem: String| BadSettings { place: "the command line of redis-server".to_owned(), problem };
    if args.first().is_some_and(|first| ASKS.contains(&first.as_str())) {
        return Ok(Wanted::Say);
    }
    let mut settings = Settings::default();
    let file = args.first().filter(|first| !first.starts_with('-'));
    if args.first().is_some_and(|first| first == "-") || args.last().is_some_and(|last| last == "-") {
        return Err(on_line(
            "a configuration on standard input can only be read once, and redis-server needs it: give it as a file".to_owned(),
        ));
    }
    if let Some(file) = file {
        read_file(&mut settings, Path::new(file), 0)?;
    }
    for words in overrides(&args[usize::from(file.is_some())..]).map_err(on_line)? {
        take(&mut settings, &words, 0).map_err(|problem| problem.at(|| "the command line of redis-server".to_owned()))?;
    }
    if settings.cluster {
        return Err(on_line("cluster-enabled is yes: a cluster chooses its masters itself, the gate is for sentinels' groups".to_owned()));
    }
    Ok(Wanted::Serve(Box::new(settings)))
}

/// The directives of the command line, as Redis 7 parts them: a word that begins with `--` begins one, but for the word right
/// after a directive's own, which is its value.
fn overrides(args: &[String]) -> Result<Vec<Vec<String>>, String> {
    let mut lines: Vec<Vec<String>> = Vec::new();
    let mut wants_value = false;
    for (at, word) in args.iter().enumerate() {
        let name = if wants_value { None } else { word.strip_prefix("--") };
        match (name, lines.last_mut()) {
            (Some(directive), _) => {
                let line = split(directive.as_bytes())?;
                // `--save --port 1` and `--sentinel --port 1` are taken for what they mean.
                let alone = matches!(word.as_str(), "--save" | "--sentinel") && args.get(at + 1).is_none_or(|next| next.starts_with("--"));
                wants_value = line.len() == 1 && !alone;
                lines.push(line);
            }
            (None, Some(line)) => {
                line.push(word.clone());
                wants_value = false;
            }
            (None, None) => return Err(format!("'{word}' is neither a configuration file nor an option")),
        }
    }
    Ok(lines)
}

/// A problem that either knows its place (a file that was included) or is about the line that is being read.
enum Problem {
    Here(String),
    There(BadSettings),
}

impl Problem {
    fn at(self, place: impl FnOnce() -> String) -> BadSettings {
        match self {
            Self::Here(problem) => BadSettings { place: place(), problem },
            Self::There(bad) => bad,
        }
    }
}

impl From<String> for Problem {
    fn from(problem: String) -> Self {
        Self::Here(problem)
    }
}

fn read_file(settings: &mut Settings, file: &Path, depth: usize) -> Result<(), BadSettings> {
    let failed = |problem: String| BadSettings { place: file.display().to_string(), problem };
    if depth > DEPTH {
        return Err(failed(format!("files include each other more than {DEPTH} deep")));
    }
    let bytes = fs::read(file).map_err(|error| failed(format!("cannot read the configuration: {error}")))?;
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let taken = line_words(line).map_err(Problem::from).and_then(|words| take(settings, &words, depth));
        taken.map_err(|problem| problem.at(|| format!("{}, line {number}", file.display())))?;
    }
    Ok(())
}

fn line_words(line: &[u8]) -> Result<Vec<String>, String> {
    let line = line.trim_ascii();
    if line.starts_with(b"#") { Ok(Vec::new()) } else { split(line) }
}

/// The words of a line. What is not UTF-8 is no word that matters here.
fn split(line: &[u8]) -> Result<Vec<String>, String> {
    let words = words::split(line).map_err(|unbalanced| unbalanced.to_string())?;
    Ok(words.into_iter().map(|word| String::from_utf8_lossy(&word).into_owned()).collect())
}

fn take(settings: &mut Settings, words: &[String], depth: usize) -> Result<(), Problem> {
    let Some((name, values)) = words.split_first() else { return Ok(()) };
    let value = || values.first().map(String::as_str).ok_or_else(|| format!("{name} without a value"));
    match name.to_ascii_lowercase().as_str() {
        "include" => return include(settings, value()?, depth),
        "port" => settings.port = number(name, value()?)?,
        "tls-port" => settings.tls_port = number(name, value()?)?,
        "bind" => settings.bind = values.iter().map(|host| host.strip_prefix('-').unwrap_or(host).to_owned()).collect(),
        "replica-announce-ip" | "slave-announce-ip" => settings.announce_host = Some(value()?.to_owned()).filter(|host| !host.is_empty()),
        "replica-announce-port" | "slave-announce-port" => settings.announce_port = number(name, value()?)?,
        // Redis changes its directory as it reads the line: what is relative after it starts there.
        "dir" => settings.dir.push(value()?),
        "dbfilename" => value()?.clone_into(&mut settings.snapshot),
        "appendonly" => settings.append_only = switch(name, value()?)?,
        "appendfsync" => settings.append_synced = value()?.eq_ignore_ascii_case("always"),
        "appendfilename" => value()?.clone_into(&mut settings.append_file),
        "appenddirname" => value()?.clone_into(&mut settings.append_dir),
        "cluster-enabled" => settings.cluster = switch(name, value()?)?,
        "replicaof" | "slaveof" => {
            let port = values.get(1).map(String::as_str).unwrap_or_default();
            settings.follows = !(value()?.eq_ignore_ascii_case("no") && port.eq_ignore_ascii_case("one"));
        }
        "sentinel" => return Err("this is the configuration of a sentinel, not of a Redis server".to_owned().into()),
        _ => {}
    }
    Ok(())
}

fn include(settings: &mut Settings, path: &str, depth: usize) -> Result<(), Problem> {
    let path = settings.dir.join(path);
    let files = if wildcard::has_one(&path) { wildcard::expand(&path) } else { vec![path] };
    files.iter().try_for_each(|file| read_file(settings, file, depth + 1)).map_err(Problem::There)
}

fn number(name: &str, value: &str) -> Result<u16, String> {
    value.parse().map_err(|_| format!("{name} must be a number from 0 to 65535, not '{value}'"))
}

fn switch(name: &str, value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(format!("{name} must be yes or no, not '{value}'")),
    }
}

impl Settings {
    /// The ports under which this node may be known.
    pub(super) fn ports(&self) -> Vec<u16> {
        let mut ports: Vec<u16> = [self.announce_port, self.port, self.tls_port].into_iter().filter(|port| *port != 0).collect();
        ports.dedup();
        ports
    }

    /// The addresses to which it restricts itself; none if it listens on all that the host has.
    pub(super) fn only_on(&self) -> Option<&[String]> {
        let all = |host: &String| matches!(host.as_str(), "*" | "::*" | "0.0.0.0" | "::");
        (!self.bind.is_empty() && !self.bind.iter().any(all)).then_some(self.bind.as_slice())
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports: Vec<String> = self.ports().iter().map(ToString::to_string).collect();
        write!(f, "port {}", ports.join(" or "))?;
        if let Some(hosts) = self.only_on() {
            write!(f, ", bound to {}", hosts.join(", "))?;
        }
        self.announce_host.iter().try_for_each(|host| write!(f, ", announced as {host}"))
    }
}

#[cfg(test)]
#[path = "settings_test.rs"]
mod tests;
