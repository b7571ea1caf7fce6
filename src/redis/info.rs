//! INFO, read. Pure: a text in, a [`NodeReport`] or the name of the field that is wrong out.

use std::collections::HashMap;
use std::str::FromStr;

use crate::base::observation::{AttachedReplica, NodeReport, ReplicaReport, RoleReport};
use crate::base::{Addr, ReplId, RunId, limits};

use super::wire::excerpt;

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
            (RoleReport::Master { replicas: attached(text)?, good_replicas: fields.good_replicas()? }, fields.held("master_repl_offset")?)
        }
        "slave" => (RoleReport::Replica(fields.replica()?), fields.held("slave_repl_offset")?),
        other => return Err(bad("role", other, "master or slave")),
    };
    Ok(NodeReport {
        run_id: RunId::new(fields.hex("run_id")?),
        version: fields.find("redis_version").unwrap_or_default().to_owned(),
        role,
        replid: ReplId::new(fields.hex("master_replid")?),
        replid2: fields.older_history()?,
        second_offset: fields.natural("second_repl_offset")?,
        offset,
        loading: fields.find("loading") == Some("1"),
        raw: text.to_owned(),
    })
}

fn bad(field: &str, value: &str, expected: &'static str) -> BadInfo {
    BadInfo::Bad { field: field.to_owned(), value: excerpt(value), expected }
}

/// The fields by name. Of a repeated one the first counts: the server's own sections come before those of its modules.
struct Fields<'a>(HashMap<&'a str, &'a str>);

impl<'a> Fields<'a> {
    fn of(text: &'a str) -> Self {
        let mut fields = HashMap::new();
        for (name, value) in text.lines().filter_map(|line| line.split_once(':')) {
            fields.entry(name).or_insert(value);
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
        if fits { Ok(value) } else { Err(bad(field, value, "an id of 40 hex digits")) }
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

    /// `master_replid2`, which is all zeros where there is none.
    fn older_history(&self) -> Result<Option<ReplId>, BadInfo> {
        if self.find("master_replid2").is_none_or(|value| !value.is_empty() && value.bytes().all(|byte| byte == b'0')) {
            return Ok(None);
        }
        self.hex("master_replid2").map(|id| Some(ReplId::new(id)))
    }

    fn replica(&self) -> Result<ReplicaReport, BadInfo> {
        let host = self.get("master_host")?;
        if host.is_empty() {
            return Err(bad("master_host", host, "a host"));
        }
        let port = parsed("master_port", self.get("master_port")?, "a port")?;
        let link = self.get("master_link_status")?;
        Ok(ReplicaReport {
            master: Addr::new(host, port),
            link_up: link == "up",
            last_io_s: self.natural("master_last_io_seconds_ago")?,
            link_down_s: self.natural("master_link_down_since_seconds")?,
            syncing: self.find("master_sync_in_progress") == Some("1"),
            priority: parsed("slave_priority", self.get("slave_priority")?, "a priority from 0")?,
            // Servers before 6.2 know no hidden replicas.
            announced: self.find("replica_announced") != Some("0"),
            place_lost: self.place_lost()?,
        })
    }
}

fn parsed<T: FromStr>(field: &str, value: &str, expected: &'static str) -> Result<T, BadInfo> {
    value.parse().map_err(|_| bad(field, value, expected))
}

/// The `slaveN:` lines, without those that listen on no port: witnesses, not data nodes.
fn attached(text: &str) -> Result<Vec<AttachedReplica>, BadInfo> {
    let mut replicas = Vec::new();
    for (field, value) in text.lines().filter_map(|line| line.split_once(':')) {
        if field.strip_prefix("slave").is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit())) {
            let replica = attached_replica(field, value)?;
            replicas.extend((replica.addr.port != 0).then_some(replica));
        }
    }
    Ok(replicas)
}

fn attached_replica(field: &str, value: &str) -> Result<AttachedReplica, BadInfo> {
    const EXPECTED: &str = "ip=<host>,port=<port>,state=<state>,offset=<n>,lag=<n>";
    let line = AttachedLine::split(value);
    let malformed = || bad(field, value, EXPECTED);
    let host = line.host.filter(|host| !host.is_empty()).ok_or_else(malformed)?;
    let port = line.port.and_then(|port| port.parse().ok()).ok_or_else(malformed)?;
    let count = |text: Option<&str>| match text.map(str::parse::<i64>) {
        None => Ok(0),
        // A clock that was set back makes a lag negative; an unknown offset is -1.
        Some(Ok(number)) => Ok(u64::try_from(number).unwrap_or(0)),
        Some(Err(_)) => Err(malformed()),
    };
    Ok(AttachedReplica {
        addr: Addr::new(host, port),
        online: line.state == Some("online"),
        offset: count(line.offset)?,
        lag_s: count(line.lag)?,
    })
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
