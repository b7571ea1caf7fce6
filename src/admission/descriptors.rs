//! The descriptors of this process: how many there are, and how many of them are kept from clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Kept for what this process opens for itself: the log, its snapshots, files, pipes of scripts, timers, webhooks.
const OWN: usize = 64;
/// Kept for each data node: the links of a probe, and one more for an act that has to make its own.
const PER_NODE: usize = 5;
/// Kept for each other sentinel: connections in both directions, old ones that are being replaced included.
const PER_PEER: usize = 8;
/// Kept for strangers at the port for peers, who are no clients.
const AT_PEER_PORT: usize = 128;
/// Kept for an operator on this host, when clients have taken all that they may.
const FOR_OPERATOR: usize = 16;
/// Kept for connections that are accepted only to be told that there is no place.
const IN_PASSING: usize = 16;

/// What needs descriptors beside clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// Data nodes that are looked at.
    pub nodes: usize,
    /// Other sentinels.
    pub peers: usize,
}

impl Need {
    /// The descriptors that no client may take.
    pub const fn reserve(self) -> usize {
        OWN + PER_NODE * self.nodes + PER_PEER * self.peers + AT_PEER_PORT + FOR_OPERATOR + IN_PASSING
    }
}

/// The descriptors of this process, shared by all ports for clients. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Descriptors(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: usize,
    reserve: AtomicUsize,
    clients: AtomicUsize,
}

impl Descriptors {
    /// Raises the limit of this process as far as the system allows, as Redis does, and keeps what `need` says from clients.
    pub fn raise(need: Need) -> Self {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        // None is "no limit".
        let before = current.unwrap_or(u64::MAX);
        if maximum != current
            && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        {
            tracing::warn!("the limit of open files stays at {before}: {error}");
        }
        let now = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let limit = usize::try_from(now).unwrap_or(usize::MAX);
        tracing::debug!("the limit of open files is {limit}, was {before}; {} are kept from clients", need.reserve());
        Self::with_limit(limit, need)
    }

    /// With a limit that is known.
    pub fn with_limit(limit: usize, need: Need) -> Self {
        Self(Arc::new(Inner { limit, reserve: AtomicUsize::new(need.reserve()), clients: AtomicUsize::new(0) }))
    }

    /// The limit of this process.
    pub fn limit(&self) -> usize {
        self.0.limit
    }

    /// What is kept from clients.
    pub fn reserve(&self) -> usize {
        self.0.reserve.load(Ordering::Relaxed)
    }

    /// How many connections of clients there may be at all ports together.
    pub fn for_clients(&self) -> usize {
        self.0.limit.saturating_sub(self.reserve())
    }

    /// How many there are.
    pub fn clients(&self) -> usize {
        self.0.clients.load(Ordering::Relaxed)
    }

    /// There is more, or less, to keep from clients. Nobody is cut off for it.
    pub fn keep_for(&self, need: Need) {
        self.0.reserve.store(need.reserve(), Ordering::Relaxed);
    }

    /// Takes one for a client, if there is one; somebody on this host may take of what is kept for an operator, and somebody for whom
    /// another one `leaves` of what is kept for connections in passing.
    pub(super) fn take(&self, here: bool, leaves: bool) -> Option<ClientDescriptor> {
        let most = self.for_clients() + if here { FOR_OPERATOR } else { 0 } + if leaves { IN_PASSING / 2 } else { 0 };
        let taken = self.0.clients.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |clients| (clients < most).then_some(clients + 1));
        taken.ok().map(|_| ClientDescriptor(self.clone()))
    }
}

/// One descriptor that a client uses; given back when dropped.
#[derive(Debug)]
pub(super) struct ClientDescriptor(Descriptors);

impl Drop for ClientDescriptor {
    fn drop(&mut self) {
        self.0.0.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_leave_what_probes_peers_and_an_operator_need() {
        let need = Need { nodes: 3, peers: 2 };
        let descriptors = Descriptors::with_limit(need.reserve() + 2, need);
        let taken: Vec<_> = (0..2).map(|_| descriptors.take(false, false).expect("there is one")).collect();
        assert!(descriptors.take(false, false).is_none());
        let operator = descriptors.take(true, false).expect("one is kept for somebody on this host");
        drop((taken, operator));
        assert_eq!(descriptors.clients(), 0);
        descriptors.keep_for(Need { nodes: 1000, ..need });
        assert!(descriptors.take(false, false).is_none(), "more data nodes need more");
    }
}
