//! An event's name and text.

use crate::base::{Addr, GroupName, SentinelId};

/// An event, ready to be logged and published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wording {
    /// Its name, which is its channel.
    pub(crate) channel: &'static str,
    /// Its text.
    pub(crate) payload: String,
    /// Whether clients hear it; the others are for the log only.
    pub(crate) published: bool,
}

impl Wording {
    /// An event for clients and the log.
    pub(crate) fn public(channel: &'static str, payload: impl AsRef<str>) -> Self {
        Self { channel, payload: one_line(payload.as_ref()), published: true }
    }

    /// A line for the log only: stock Sentinel has no such event, and clients that match `*` need not learn a new one.
    pub(crate) fn private(channel: &'static str, payload: impl AsRef<str>) -> Self {
        Self { channel, payload: one_line(payload.as_ref()), published: false }
    }
}

/// An operator's value may hold anything; it must not look like another line of the log.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// `master <name> <ip> <port>`.
pub(crate) fn master(group: &GroupName, addr: &Addr) -> String {
    format!("master {group} {} {}", addr.host, addr.port)
}

/// `slave <ip:port> <ip> <port> @ <name> <ip> <port>`.
pub(crate) fn replica(group: &GroupName, addr: &Addr, master: &Addr) -> String {
    format!("slave {addr} {} {} @ {group} {} {}", addr.host, addr.port, master.host, master.port)
}

/// `sentinel <id> <ip> <port> @ <name> <ip> <port>`.
pub(crate) fn sentinel(id: &SentinelId, addr: &Addr, group: &GroupName, master: &Addr) -> String {
    format!("sentinel {id} {} {} @ {group} {} {}", addr.host, addr.port, master.host, master.port)
}

/// The one or the other: a node that is recorded as the master is one.
pub(crate) fn data_node(group: &GroupName, addr: &Addr, recorded: &Addr) -> String {
    if addr == recorded { master(group, addr) } else { replica(group, addr, recorded) }
}
