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

    /// The same event with other addresses for these nodes: where host and port stand beside each other, or as one word.
    pub(super) fn telling(mut self, names: &[(Addr, Addr)]) -> Self {
        for (recorded, told) in names {
            self.payload = renamed(&self.payload, recorded, told);
            for addr in self.switch.iter_mut().flat_map(|switch| [&mut switch.from, &mut switch.to]) {
                if addr == recorded {
                    addr.clone_from(told);
                }
            }
        }
        self
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

fn renamed(payload: &str, recorded: &Addr, told: &Addr) -> String {
    let (joined, port) = (recorded.to_string(), recorded.port().to_string());
    let words: Vec<&str> = payload.split(' ').collect();
    let word = |at: usize| match (words[at], words.get(at + 1)) {
        (host, Some(next)) if host == recorded.host() && **next == *port => told.host().to_owned(),
        (word, _) if word == joined => told.to_string(),
        (word, _) => word.to_owned(),
    };
    (0..words.len()).map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_told_by_other_addresses_and_nothing_else_is_changed() {
        let addr = |text: &str| text.parse::<Addr>().expect("an address");
        let names = [(addr("redis:6379"), addr("10.0.0.1:6379")), (addr("b:6380"), addr("[fd00::2]:6380"))];
        let told = |payload: &str| Wording::notice("+x", payload).telling(&names).payload;
        assert_eq!(told("master redis redis 6379"), "master redis 10.0.0.1 6379", "a group may have the name of a host");
        assert_eq!(told("slave b:6380 b 6380 @ redis redis 6379"), "slave [fd00::2]:6380 fd00::2 6380 @ redis 10.0.0.1 6379");
        assert_eq!(told("redis redis 6379 b 6380 #redis 6378"), "redis 10.0.0.1 6379 fd00::2 6380 #redis 6378");
        let switch = Switch { epoch: crate::base::Epoch(1), from: addr("redis:6379"), to: addr("c:1") };
        let switch = Wording::notice("+x", "").that_switches(switch).telling(&names).switch.expect("it is one");
        assert_eq!((switch.from, switch.to), (addr("10.0.0.1:6379"), addr("c:1")));
    }
}
