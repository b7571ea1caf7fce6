//! INFO, read. Pure: a text in, a [`NodeReport`] or the name of the field that is wrong out.

use std::collections::HashMap;
use std::str::FromStr;

use crate::base::addr::shown;
use crate::base::observation::{AttachedReplica, NodeReport, ReplicaReport, RoleReport};
use crate::base::{Addr, ReplId, RunId, limits};

use super::wire::{Reply, excerpt};

/// Why a text is not an INFO that we can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadInfo {
    /// A field that we need is not there.
    #[error("INFO has no {field} (Redis 4 or newer is needed)")]
    Missing {
        /// Its name.
        field: String,
    },
    /// A field has a value that it cannot have.
    #[error("INFO has {field}:{value}, which is not {expected}")]
    Bad {
        /// Its name.
        field: String,
        /// The beginning of its value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Far more than any server has to say.
    #[error("INFO has {bytes} bytes, {limit} are accepted", limit = limits::INFO_BYTES)]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
}

/// Reads INFO.
///
/// Unknown fields are ignored, and so is what surrounds them: the order, comments, and line ends of either kind.
///
/// # Errors
/// [`BadInfo`] with the field's name.
pub fn parse(text: &str) -> Result<NodeReport, BadInfo> {
    if text.len() > limits::INFO_BYTES {
        return Err(BadInfo::TooLarge { bytes: text.len() });
    }
    let fields = Fields::of(text);
    let (role, offset) = match fields.get("role")? {
        "master" => {
            let (replicas, misnamed) = attached(text);
            (RoleReport::Master { replicas, good_replicas: fields.good_replicas()?, misnamed }, fields.held("master_repl_offset")?)
        }
        "slave" => (RoleReport::Replica(fields.replica()?), fields.held("slave_repl_offset")?),
        other => return Err(bad("role", other, "master or slave")),
    };
    Ok(NodeReport {
        run_id: RunId::new(fields.hex("run_id")?).map_err(|_| bad("run_id", "", ID))?,
        // Valkey tells, beside its own, the version of Redis that it is compatible with.
        version: fields.find("valkey_version").or_else(|| fields.find("redis_version")).unwrap_or_default().to_owned(),
        role,
        replid: fields.history()?,
        replid2: fields.older_history()?,
        second_offset: fields.natural("second_repl_offset")?,
        offset,
        loading: fields.find("loading") == Some("1"),
        raw: kept(text).to_owned(),
    })
}

/// The process that a reply to `INFO server` names.
pub(super) fn process(reply: &Reply) -> Option<RunId> {
    let Reply::Bulk(text) = reply else { return None };
    RunId::new(Fields::of(text).hex("run_id").ok()?).ok()
}

/// What is kept of a text for people: its beginning.
fn kept(text: &str) -> &str {
    let end = (0..=limits::INFO_KEPT_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

fn bad(field: &str, value: &str, expected: &'static str) -> BadInfo {
    BadInfo::Bad { field: field.to_owned(), value: excerpt(value), expected }
}

/// The priority of a replica that tells none: the one that Redis begins with.
const DEFAULT_PRIORITY: u32 = 100;

const ID: &str = "an id of 40 hex digits";

/// Fields that a server writes behind the lines of its replicas.
const BEHIND_REPLICAS: [&str; 4] = ["master_replid", "master_replid2", "master_repl_offset", "second_repl_offset"];

/// The fields by name. Of a repeated one the first counts: the server's own sections come before those of its modules.
///
/// Whoever may open a replication link can put lines of any content among those of the replicas (`REPLCONF ip-address` is
/// printed as it is). So of what comes before them the first counts, and of what comes behind them the last.
struct Fields<'a>(HashMap<&'a str, &'a str>);

impl<'a> Fields<'a> {
    fn of(text: &'a str) -> Self {
        let mut fields = HashMap::new();
        for (name, value) in text.lines().filter_map(|line| line.split_once(':')) {
            if BEHIND_REPLICAS.contains(&name) {
                fields.insert(name, value);
            } else {
                fields.entry(name).or_insert(value);
            }
        }
        Self(fields)
    }

    fn find(&self, field: &str) -> Option<&'a str> {
        self.0.get(field).copied()
    }

    fn get(&self, field: &str) -> Result<&'a str, BadInfo> {
        self.find(field).ok_or_else(|| BadInfo::Missing { field: field.to_owned() })
    }

    /// An identifier of 40 hex digits.
    fn hex(&self, field: &str) -> Result<&'a str, BadInfo> {
        let value = self.get(field)?;
        let fits = value.len() == 40 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
        if fits { Ok(value) } else { Err(bad(field, value, ID)) }
    }

    fn number(&self, field: &str) -> Result<Option<i64>, BadInfo> {
        self.find(field).map(|value| parsed(field, value, "a whole number")).transpose()
    }

    /// A number for which a negative one stands for "none".
    fn natural(&self, field: &str) -> Result<Option<u64>, BadInfo> {
        Ok(self.number(field)?.and_then(|number| u64::try_from(number).ok()))
    }

    /// How much of the history is held. A server that does not know says -1, and nothing may be built on that: 0.
    fn held(&self, field: &str) -> Result<u64, BadInfo> {
        self.get(field)?;
        Ok(self.natural(field)?.unwrap_or(0))
    }

    fn good_replicas(&self) -> Result<Option<u32>, BadInfo> {
        Ok(self.natural("min_slaves_good_slaves")?.map(|count| u32::try_from(count).unwrap_or(u32::MAX)))
    }

    /// Whether a replica holds less than it once acknowledged. The two offsets are equal but for one that has thrown its place
    /// away for a full copy: then the first one begins anew, and the second stays until the copy is complete.
    fn place_lost(&self) -> Result<bool, BadInfo> {
        Ok(self.natural("slave_repl_offset")? < self.natural("master_repl_offset")?)
    }

    /// `master_replid`, which Redis before 4.0 and its like do not have.
    fn history(&self) -> Result<ReplId, BadInfo> {
        if self.find("master_replid").is_none() {
            return Ok(ReplId::unknown());
        }
        ReplId::new(self.hex("master_replid")?).map_err(|_| bad("master_replid", "", ID))
    }

    /// `master_replid2`, which is all zeros where there is none.
    fn older_history(&self) -> Result<Option<ReplId>, BadInfo> {
        if self.find("master_replid2").is_none_or(|value| !value.is_empty() && value.bytes().all(|byte| byte == b'0')) {
            return Ok(None);
        }
        self.hex("master_replid2").map(|id| ReplId::new(id).ok())
    }

    fn replica(&self) -> Result<ReplicaReport, BadInfo> {
        let host = self.get("master_host")?;
        if host.is_empty() {
            return Err(bad("master_host", host, "a host"));
        }
        let port = parsed("master_port", self.get("master_port")?, "a port")?;
        let link = self.get("master_link_status")?;
        Ok(ReplicaReport {
            // One that follows what is no address is to be pointed at its master, not to be taken for unreadable.
            master: Addr::new(host, port).unwrap_or_else(|_| Addr::opaque(host, port)),
            link_up: link == "up",
            last_io_s: self.natural("master_last_io_seconds_ago")?,
            link_down_s: self.natural("master_link_down_since_seconds")?,
            syncing: self.find("master_sync_in_progress") == Some("1"),
            // Some servers that speak this protocol tell none.
            priority: self
                .find("slave_priority")
                .map_or(Ok(DEFAULT_PRIORITY), |value| parsed("slave_priority", value, "a priority from 0"))?,
            // Servers before 6.2 know no hidden replicas.
            announced: self.find("replica_announced") != Some("0"),
            place_lost: self.place_lost()?,
        })
    }
}

fn parsed<T: FromStr>(field: &str, value: &str, expected: &'static str) -> Result<T, BadInfo> {
    value.parse().map_err(|_| bad(field, value, expected))
}

/// Lines of replicas that are read. Redis has as many as there are clients; nobody runs so many replicas.
const LINES: usize = 1024;
/// Replicas without an address that are told of.
const MISNAMED: usize = 8;

/// The `slaveN:` lines, without those that listen on no port (witnesses, not data nodes), and those that name no address.
///
/// What a replica announces is its own affair: it must not make what the master says of itself unreadable.
fn attached(text: &str) -> (Vec<AttachedReplica>, Vec<String>) {
    let (mut replicas, mut misnamed) = (Vec::new(), Vec::new());
    for (field, value) in text.lines().filter_map(|line| line.split_once(':')) {
        let number = field.strip_prefix("slave").filter(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()));
        if number.is_none() || replicas.len() >= LINES {
            continue;
        }
        match attached_replica(value) {
            Ok(Some(replica)) => replicas.push(replica),
            Ok(None) => {}
            Err(named) if misnamed.len() < MISNAMED => misnamed.push(named),
            Err(_) => {}
        }
    }
    (replicas, misnamed)
}

/// One of them; none if it listens on no port.
///
/// # Errors
/// What it names in the place of an address, as it may be shown.
fn attached_replica(value: &str) -> Result<Option<AttachedReplica>, String> {
    let line = AttachedLine::split(value);
    let port: Option<i64> = line.port.and_then(|port| port.parse().ok());
    if port == Some(0) {
        return Ok(None);
    }
    let (host, said) = (line.host.unwrap_or_default(), line.port.unwrap_or_default());
    let misnamed = || if (1..=65535).contains(&port.unwrap_or(0)) { shown(host) } else { shown(&format!("{host}:{said}")) };
    let port = port.and_then(|port| u16::try_from(port).ok()).ok_or_else(misnamed)?;
    let addr = Addr::new(host, port).map_err(|_| misnamed())?;
    // A clock that was set back makes a lag negative; an unknown offset is -1.
    let count =
        |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok()).and_then(|number| u64::try_from(number).ok()).unwrap_or(0);
    Ok(Some(AttachedReplica {
        addr,
        online: line.state.is_none_or(|state| state == "online"),
        offset: count(line.offset),
        lag_s: count(line.lag),
    }))
}

/// The parts of a `slaveN:` line: `ip=..,port=..,...`, or `ip,port,state` of servers before 2.8.
#[derive(Default)]
struct AttachedLine<'a> {
    host: Option<&'a str>,
    port: Option<&'a str>,
    state: Option<&'a str>,
    offset: Option<&'a str>,
    lag: Option<&'a str>,
}

impl<'a> AttachedLine<'a> {
    fn split(value: &'a str) -> Self {
        if !value.contains('=') {
            let mut parts = value.split(',');
            return Self { host: parts.next(), port: parts.next(), state: parts.next(), ..Self::default() };
        }
        let mut line = Self::default();
        for (key, part) in value.split(',').filter_map(|part| part.split_once('=')) {
            match key {
                "ip" => line.host = Some(part),
                "port" => line.port = Some(part),
                "state" => line.state = Some(part),
                "offset" => line.offset = Some(part),
                "lag" => line.lag = Some(part),
                _ => {}
            }
        }
        line
    }
}

#[cfg(test)]
#[path = "info_test.rs"]
mod tests;
