//! Who is connected: for CLIENT LIST and KILL, and for INFO.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::writer::Protocol;
use crate::admission::Place;
use crate::base::Mono;
use crate::serve::Endpoint;
use crate::serve::users::DEFAULT;

/// What is told of one client.
#[derive(Debug)]
pub(crate) struct ClientEntry {
    /// Its number, never used again by this process.
    pub(crate) id: u64,
    /// Where it comes from.
    pub(crate) peer: Endpoint,
    /// Where it came to.
    pub(crate) local: Endpoint,
    /// When it came.
    pub(crate) since: Mono,
    /// Ends its session: somebody said CLIENT KILL, or it had to go for a newer one before it had shown that it is of use.
    pub(crate) kill: CancellationToken,
    /// Its place at the port.
    pub(crate) place: Place,
    facts: Mutex<Facts>,
}

/// What changes while a client is connected.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// CLIENT SETNAME.
    pub(crate) name: String,
    /// Whom it is taken for.
    pub(crate) user: String,
    /// CLIENT SETINFO LIB-NAME.
    pub(crate) lib_name: String,
    /// CLIENT SETINFO LIB-VER.
    pub(crate) lib_version: String,
    /// Its last command, and when that came.
    pub(crate) command: String,
    /// See `command`.
    pub(crate) last: Mono,
    /// Channels subscribed to.
    pub(crate) channels: usize,
    /// Patterns subscribed to.
    pub(crate) patterns: usize,
    /// CLIENT NO-EVICT on.
    pub(crate) no_evict: bool,
    /// The version it speaks.
    pub(crate) protocol: Protocol,
}

impl Facts {
    /// Its flags in CLIENT LIST.
    pub(crate) const fn flags(&self) -> &'static str {
        match (self.channels + self.patterns > 0, self.no_evict) {
            (false, false) => "N",
            (true, false) => "P",
            (false, true) => "e",
            (true, true) => "Pe",
        }
    }
}

impl ClientEntry {
    /// What changes, to read or write.
    pub(crate) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it hears events.
    pub(crate) fn subscribed(&self) -> bool {
        let facts = self.facts();
        facts.channels + facts.patterns > 0
    }

    /// Its line in CLIENT LIST.
    pub(crate) fn line(&self, now: Mono) -> String {
        let facts = self.facts().clone();
        let flags = facts.flags();
        let mut line = format!("id={} addr={} laddr={} name={}", self.id, self.peer, self.local, facts.name);
        let (age_s, idle_s) = (now.ms_since(self.since) / 1000, now.ms_since(facts.last) / 1000);
        let _ = write!(line, " age={age_s} idle={idle_s} flags={flags} db=0 sub={} psub={}", facts.channels, facts.patterns);
        let _ = write!(line, " multi=-1 cmd={} user={} redir=-1 resp={}", facts.command, facts.user, facts.protocol.number());
        let _ = write!(line, " lib-name={} lib-ver={}", facts.lib_name, facts.lib_version);
        line
    }
}

/// Everybody who is connected.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    entries: Mutex<BTreeMap<u64, Arc<ClientEntry>>>,
    last_id: AtomicU64,
    /// Clients let in so far.
    pub(crate) connections: AtomicU64,
    /// Clients turned away since there were too many.
    pub(crate) rejected: AtomicU64,
    /// Requests served so far.
    pub(crate) commands: AtomicU64,
}

impl Registry {
    /// Notes a client that has a place.
    pub(crate) fn admit(self: &Arc<Self>, peer: Endpoint, local: Endpoint, now: Mono, place: Place) -> Admission {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        self.connections.fetch_add(1, Ordering::Relaxed);
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let facts = Mutex::new(Facts { last: now, user: DEFAULT.to_owned(), ..Facts::default() });
        let entry = Arc::new(ClientEntry { id, peer, local, since: now, kill: place.out().clone(), place, facts });
        entries.insert(id, Arc::clone(&entry));
        Admission { registry: Arc::clone(self), entry }
    }

    /// Who is connected now, in the order they came.
    pub(crate) fn all(&self) -> Vec<Arc<ClientEntry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

/// A client's place; given up when dropped, however its session ends.
#[derive(Debug)]
pub(crate) struct Admission {
    registry: Arc<Registry>,
    /// What is told of it.
    pub(crate) entry: Arc<ClientEntry>,
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.registry.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.entry.id);
    }
}
