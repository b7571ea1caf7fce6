//! Stock Sentinel's names and texts.

use super::spoken::{Level, Switch};
use crate::base::{Addr, GroupName, SentinelId};

/// An event in words, before it is known where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wording {
    pub(super) channel: &'static str,
    pub(super) payload: String,
    pub(super) level: Level,
    pub(super) published: bool,
    pub(super) switch: Option<Switch>,
}

impl Wording {
    /// An event that scripts and webhooks are told of, too.
    pub(super) fn warning(channel: &'static str, payload: impl AsRef<str>) -> Self {
        Self::new(channel, payload.as_ref(), Level::Warning, true)
    }

    /// An event for clients and the log.
    pub(super) fn notice(channel: &'static str, payload: impl AsRef<str>) -> Self {
        Self::new(channel, payload.as_ref(), Level::Notice, true)
    }

    /// The same, of less weight.
    pub(super) fn verbose(channel: &'static str, payload: impl AsRef<str>) -> Self {
        Self::new(channel, payload.as_ref(), Level::Verbose, true)
    }

    /// A line for the log only: stock Sentinel has no such event, and clients that match `*` need not learn a new one.
    pub(super) fn private(channel: &'static str, payload: impl AsRef<str>) -> Self {
        Self::new(channel, payload.as_ref(), Level::Notice, false)
    }

    /// The same event, which sends clients to another master.
    pub(super) fn that_switches(self, switch: Switch) -> Self {
        Self { switch: Some(switch), ..self }
    }

    fn new(channel: &'static str, payload: &str, level: Level, published: bool) -> Self {
        Self { channel, payload: one_line(payload), level, published, switch: None }
    }
}

/// An operator's value may hold anything; it must not look like another line of the log.
pub(super) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// `master <name> <ip> <port>`.
pub(super) fn master(group: &GroupName, addr: &Addr) -> String {
    format!("master {group} {} {}", addr.host(), addr.port())
}

/// `slave <ip:port> <ip> <port> @ <name> <ip> <port>`.
pub(super) fn replica(group: &GroupName, addr: &Addr, master: &Addr) -> String {
    format!("slave {addr} {} {} @ {group} {} {}", addr.host(), addr.port(), master.host(), master.port())
}

/// The one or the other: a node that is recorded as the master is one.
pub(super) fn data_node(group: &GroupName, addr: &Addr, recorded: &Addr) -> String {
    if addr == recorded { master(group, addr) } else { replica(group, addr, recorded) }
}

/// `sentinel <id> <ip> <port> @ <name> <ip> <port>`.
pub(super) fn sentinel(id: &SentinelId, addr: &Addr, group: &GroupName, master: &Addr) -> String {
    format!("sentinel {id} {} {} @ {group} {} {}", addr.host(), addr.port(), master.host(), master.port())
}
