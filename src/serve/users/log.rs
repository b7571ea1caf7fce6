//! ACL LOG: what was denied, newest first.

use std::collections::VecDeque;

use crate::base::{Mono, WallTime};

/// The same denial within this time is counted, not listed again.
const SAME_WITHIN_MS: u64 = 60_000;
/// Bytes of a name that are kept.
const NAME_BYTES: usize = 128;

/// Why something was denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Auth,
    Command,
    Channel,
}

impl Reason {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Command => "command",
            Self::Channel => "channel",
        }
    }
}

/// What was denied, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denial {
    pub(crate) reason: Reason,
    pub(crate) object: String,
}

impl Denial {
    pub(super) fn command(name: &str) -> Self {
        Self { reason: Reason::Command, object: name.to_owned() }
    }

    pub(super) fn channel(name: &[u8]) -> Self {
        Self { reason: Reason::Channel, object: text(name) }
    }

    /// Wrong credentials; `command` is what they were given to.
    pub(crate) fn auth(command: &[u8]) -> Self {
        Self { reason: Reason::Auth, object: text(command) }
    }
}

/// A client's text, cut: a log must not keep what a stranger sends.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(NAME_BYTES)]).into_owned()
}

/// One denial, perhaps many times.
#[derive(Clone, Debug)]
pub(crate) struct LogEntry {
    pub(crate) id: u64,
    pub(crate) count: u64,
    pub(crate) what: Denial,
    pub(crate) user: String,
    pub(crate) client: String,
    pub(crate) first: WallTime,
    pub(crate) latest: WallTime,
    pub(crate) heard: Mono,
}

/// When and by whom.
pub(crate) struct Occasion<'a> {
    pub(crate) user: &'a [u8],
    pub(crate) client: String,
    pub(crate) now: Mono,
    pub(crate) wall: WallTime,
}

/// The list.
#[derive(Debug)]
pub(crate) struct AclLog {
    entries: VecDeque<LogEntry>,
    limit: usize,
    next_id: u64,
}

impl AclLog {
    pub(super) const fn new(limit: usize) -> Self {
        Self { entries: VecDeque::new(), limit, next_id: 0 }
    }

    /// Notes a denial.
    pub(crate) fn note(&mut self, what: Denial, occasion: Occasion<'_>) {
        let user = text(occasion.user);
        let same = |entry: &LogEntry| entry.what == what && entry.user == user && occasion.now.ms_since(entry.heard) <= SAME_WITHIN_MS;
        let entry = match self.entries.iter().position(same).and_then(|at| self.entries.remove(at)) {
            Some(entry) => {
                LogEntry { count: entry.count + 1, client: occasion.client, latest: occasion.wall, heard: occasion.now, ..entry }
            }
            None => {
                let id = self.next_id;
                self.next_id += 1;
                let (first, latest) = (occasion.wall, occasion.wall);
                LogEntry { id, count: 1, what, user, client: occasion.client, first, latest, heard: occasion.now }
            }
        };
        self.entries.push_front(entry);
        self.entries.truncate(self.limit);
    }

    /// Newest first.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &LogEntry> {
        self.entries.iter()
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}
