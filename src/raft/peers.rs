//! The other members: where they are, how to reach them, when they were heard, and why one refuses us or we refuse it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tonic::transport::Channel;

use super::status::{PeerHealth, StateCompared};
use crate::base::told::{Told, left_out};
use crate::base::{Addr, LogIndex, Mono, NodeId};
use crate::clock::Clock;
use crate::tls::ClientTls;
use crate::transport::{Dial, Proof};

/// A refusal is told again when it changes, and else at most this often.
const REPEAT_AFTER_MS: u64 = 60_000;
/// Lines about one member in that time, however often the reason changes.
const LINES_A_MINUTE: u32 = 6;
/// A member that left may finish what it does: a leader that removes itself brings that to its end.
const LEAVES_WITHIN_MS: u64 = 10_000;
/// How long making a connection may take. Short, because after a partition the next attempt finds the way.
const CONNECT_WITHIN: Duration = Duration::from_millis(500);
/// A connection that carries nothing for so long is tested, and replaced when the test is not answered.
const KEEPALIVE_EVERY: Duration = Duration::from_millis(500);
/// See [`KEEPALIVE_EVERY`].
const KEEPALIVE_WITHIN: Duration = Duration::from_millis(1000);

/// All that is known of the other members.
#[derive(Debug)]
pub(super) struct PeerTable {
    clock: Clock,
    dial: Dial,
    pages: Mutex<BTreeMap<NodeId, Peer>>,
    /// Members that left lately.
    left: Mutex<BTreeMap<NodeId, Mono>>,
    /// Lines about those who are in no page, by where they come from.
    strangers: Mutex<Told<String>>,
    /// A member that knows another life of this sentinel's data directory.
    survivor: Mutex<Option<NodeId>>,
}

/// Who called whom. One direction may be refused while the other works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The member called this sentinel.
    In,
    /// This sentinel called the member.
    Out,
}

#[derive(Debug)]
struct Peer {
    addr: Addr,
    channel: Option<Channel>,
    last_heard: Option<Mono>,
    /// When it last answered a call of this sentinel, at its address.
    last_answered: Option<Mono>,
    refused: Option<(Way, String)>,
    lines: Lines,
    formed: bool,
    /// Whether it was asked for a sign of life, whatever came of that.
    tried: bool,
    /// How its state compared with that of this sentinel, last.
    state: Option<StateCompared>,
}

/// The lines about one member: a reason is told when it changes, and else once in a while; but whatever it says, a few a minute.
#[derive(Debug, Default)]
struct Lines {
    since: Option<Mono>,
    count: u32,
    reason: String,
}

impl Lines {
    fn due(&mut self, reason: &str, now: Mono) -> bool {
        if self.since.is_none_or(|since| now.ms_since(since) >= REPEAT_AFTER_MS) {
            *self = Self { since: Some(now), count: 0, reason: String::new() };
        }
        if self.reason == reason || self.count >= LINES_A_MINUTE {
            return false;
        }
        self.count += 1;
        reason.clone_into(&mut self.reason);
        true
    }
}

impl PeerTable {
    /// An empty book. `tls` is spoken with those in it, and `proof` shown to them.
    pub(super) fn new(clock: Clock, tls: Option<ClientTls>, proof: Option<Proof>) -> Self {
        Self {
            clock,
            dial: Dial { tls, proof, within: CONNECT_WITHIN },
            pages: Mutex::default(),
            left: Mutex::default(),
            strangers: Mutex::new(Told::new(REPEAT_AFTER_MS)),
            survivor: Mutex::default(),
        }
    }

    /// These are the other members now. What is known of those that stay is kept; a new address means a new connection. When it was
    /// last heard stays true: who moved has not been silent.
    pub(super) fn set_members(&self, members: &BTreeMap<NodeId, Addr>) {
        let mut pages = self.pages();
        pages.retain(|id, _| members.contains_key(id));
        for (id, addr) in members {
            let page = pages.entry(*id).or_insert_with(|| self.page(addr));
            if page.addr != *addr {
                *page = Peer { last_heard: page.last_heard, ..self.page(addr) };
            }
        }
    }

    /// The connection to a member, made when it is first used.
    pub(super) fn channel(&self, id: NodeId) -> Option<Channel> {
        self.pages().get(&id).and_then(|page| page.channel.clone())
    }

    /// Whether it is a member, as far as this sentinel knows.
    pub(super) fn knows(&self, id: NodeId) -> bool {
        self.pages().contains_key(&id)
    }

    /// The other members.
    pub(super) fn ids(&self) -> Vec<NodeId> {
        self.pages().keys().copied().collect()
    }

    /// It answered, or called us, and was who it should be.
    pub(super) fn note_heard(&self, id: NodeId, way: Way) {
        if let Some(page) = self.pages().get_mut(&id) {
            page.last_heard = Some(self.clock.mono());
            if way == Way::Out {
                page.last_answered = page.last_heard;
            }
            if page.refused.take_if(|(refused, _)| *refused == way).is_some() {
                tracing::info!(peer = %id, "the sentinel is accepted again");
            }
        }
    }

    /// Whether it has a log.
    pub(super) fn note_formed(&self, id: NodeId, formed: bool) {
        if let Some(page) = self.pages().get_mut(&id) {
            page.formed = formed;
        }
    }

    /// It was asked for a sign of life, and answered or did not.
    pub(super) fn note_tried(&self, id: NodeId) {
        if let Some(page) = self.pages().get_mut(&id) {
            page.tried = true;
        }
    }

    /// Whether each was asked for a sign of life.
    pub(super) fn all_tried(&self) -> bool {
        self.pages().values().all(|page| page.tried)
    }

    /// It knows another life of this sentinel's data directory, if it is one of those in the book.
    pub(super) fn note_survivor(&self, id: NodeId) {
        if self.knows(id) {
            *self.survivor.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
        }
    }

    /// A member that knows another life of this sentinel's data directory, and so of a group that has formed.
    pub(super) fn survivor(&self) -> Option<NodeId> {
        *self.survivor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It refuses us, or we refuse it.
    pub(super) fn note_refused(&self, id: NodeId, way: Way, reason: &str) {
        let now = self.clock.mono();
        let mut pages = self.pages();
        let Some(page) = pages.get_mut(&id) else {
            drop(pages);
            return self.note_stranger(&format!("sentinel {id}"), reason);
        };
        page.refused = Some((way, reason.to_owned()));
        if page.lines.due(reason, now) {
            tracing::warn!(peer = %id, addr = %page.addr, "{reason}");
        }
    }

    /// Somebody was refused who is no member, or of another cluster; `source` is where it comes from.
    pub(super) fn note_stranger(&self, source: &str, reason: &str) {
        let due = self.strangers.lock().unwrap_or_else(PoisonError::into_inner).due(source.to_owned(), self.clock.mono());
        if let Some(count) = due {
            tracing::warn!("{reason}{}", left_out(count));
        }
    }

    /// It is a member no more.
    pub(super) fn note_left(&self, id: NodeId) {
        let now = self.clock.mono();
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.retain(|_, at| now.ms_since(*at) < LEAVES_WITHIN_MS);
        left.insert(id, now);
    }

    /// Whether it was a member a moment ago.
    pub(super) fn left_lately(&self, id: NodeId) -> bool {
        let now = self.clock.mono();
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.get(&id).is_some_and(|at| now.ms_since(*at) < LEAVES_WITHIN_MS)
    }

    /// A connection to an address, member or not.
    pub(super) fn channel_at(&self, addr: &Addr) -> Option<Channel> {
        self.lazy_channel(addr)
    }

    /// The members that were heard within so many milliseconds.
    pub(super) fn heard_within(&self, span_ms: u64) -> Vec<NodeId> {
        let now = self.clock.mono();
        let recent = |page: &Peer| page.last_heard.is_some_and(|at| now.ms_since(at) <= span_ms);
        self.pages().iter().filter(|(_, page)| recent(page)).map(|(id, _)| *id).collect()
    }

    /// Whether any of them has a log.
    pub(super) fn anyone_formed(&self) -> bool {
        self.pages().values().any(|page| page.formed)
    }

    /// How they look from here.
    pub(super) fn health(&self) -> BTreeMap<NodeId, PeerHealth> {
        let health = |page: &Peer| PeerHealth {
            addr: page.addr.clone(),
            last_heard: page.last_heard,
            last_answered: page.last_answered,
            refused: page.refused.as_ref().map(|(_, reason)| reason.clone()),
            state: page.state,
        };
        self.pages().iter().map(|(id, page)| (*id, health(page))).collect()
    }

    /// Its state at an entry was compared with that of this sentinel. Returns whether that says something new.
    pub(super) fn note_state(&self, id: NodeId, index: LogIndex, same: bool) -> bool {
        let mut pages = self.pages();
        let Some(page) = pages.get_mut(&id) else { return false };
        let compared = StateCompared { index, same };
        page.state.replace(compared) != Some(compared)
    }

    fn page(&self, addr: &Addr) -> Peer {
        let channel = self.lazy_channel(addr);
        Peer {
            addr: addr.clone(),
            channel,
            last_heard: None,
            last_answered: None,
            refused: None,
            lines: Lines::default(),
            formed: false,
            tried: false,
            state: None,
        }
    }

    /// None when the address cannot be part of a URL; a call then fails as unreachable.
    fn lazy_channel(&self, addr: &Addr) -> Option<Channel> {
        match self.dial.endpoint(addr) {
            Ok(endpoint) => {
                let endpoint = endpoint.http2_keep_alive_interval(KEEPALIVE_EVERY).keep_alive_timeout(KEEPALIVE_WITHIN);
                Some(self.dial.lazy(&endpoint.keep_alive_while_idle(true)))
            }
            Err(problem) => {
                tracing::warn!(%addr, "the address of a peer cannot be used: {problem}");
                None
            }
        }
    }

    fn pages(&self) -> MutexGuard<'_, BTreeMap<NodeId, Peer>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
