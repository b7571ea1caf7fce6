//! One client as the handlers see it: what it may do, what it subscribed to, and what it can ask the cluster.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{Semaphore, broadcast};

use super::bounds;
use super::context::RespContext;
use super::registry::{ClientEntry, Registry};
use super::reply::Reply;
use super::writer::Protocol;
use crate::admission::{Place, Refused, Source};
use crate::base::GroupName;
use crate::base::told::{Told, left_out};
use crate::conf::NoQuorumReply;
use crate::events::FeedItem;
use crate::machine::{Asker, Command, Outcome, State};
use crate::raft::ProposeError;
use crate::serve::Endpoint;
use crate::serve::audit;
use crate::serve::glob;
use crate::serve::hold::{self, Asked};
use crate::serve::removal::{Removal, Unremoved};
use crate::serve::users::{DEFAULT, Denial, Occasion, Port};

/// What all sessions share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// What answers are made from.
    pub(crate) context: Arc<RespContext>,
    /// Who is connected.
    pub(crate) registry: Arc<Registry>,
    /// Places for records that wait for a quorum.
    pub(crate) records: Arc<Semaphore>,
    /// Unfinished requests and unsent replies of all, in bytes.
    pub(crate) held: AtomicUsize,
    /// What was logged of clients lately, by source and kind.
    told: Mutex<Told<(Source, &'static str)>>,
}

/// A misbehaving client is told at most this often, for each source and kind.
const TELL_EVERY_MS: u64 = 60_000;

impl Shared {
    /// For all sessions of one port.
    pub(crate) fn new(context: Arc<RespContext>) -> Self {
        Self {
            context,
            registry: Arc::default(),
            held: AtomicUsize::new(0),
            told: Mutex::new(Told::new(TELL_EVERY_MS)),
            records: Arc::new(Semaphore::new(bounds::RECORDS)),
        }
    }

    /// A place for a client, or what it is told instead.
    pub(super) fn enter(&self, peer: &Endpoint) -> Result<Place, &'static str> {
        self.context.port.enter(peer.source()).map_err(|refused| {
            self.registry.rejected.fetch_add(1, Ordering::Relaxed);
            self.tell(peer, "refused", || format!("is turned away: {}", refused.why()));
            match refused {
                // Stock's words; descriptors bound the number of clients there as well.
                Refused::Port | Refused::Descriptors => "-ERR max number of clients reached\r\n",
                Refused::Source => "-ERR max number of clients from one address reached (sentinel clients-per-address)\r\n",
            }
        })
    }

    /// Logs what became of a client that misbehaved, once a while for each source and kind: strangers must not fill the log.
    pub(super) fn tell(&self, peer: &Endpoint, kind: &'static str, what: impl FnOnce() -> String) {
        let now = self.context.clock.mono();
        let due = self.told.lock().unwrap_or_else(PoisonError::into_inner).due((peer.source(), kind), now);
        if let Some(count) = due {
            tracing::info!("client {peer} {}{}", what(), left_out(count));
        }
    }
}

/// What a client hears.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    /// By name.
    pub(crate) channels: BTreeSet<Bytes>,
    /// By pattern.
    pub(crate) patterns: BTreeSet<Bytes>,
    /// Open while there is anything to hear.
    pub(crate) news: Option<broadcast::Receiver<Arc<FeedItem>>>,
}

impl Subscriptions {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }

    /// The messages that an event makes for this client: one for its channel, one for each pattern that fits.
    pub(crate) fn messages(&self, channel: &'static str, payload: &str) -> Vec<Reply> {
        let (name, text) = (Reply::text(channel), Reply::bulk(payload));
        let mut messages = Vec::new();
        if self.channels.contains(channel.as_bytes()) {
            messages.push(Reply::Push(vec![Reply::text("message"), name.clone(), text.clone()]));
        }
        for pattern in self.patterns.iter().filter(|pattern| glob::matches(pattern, channel.as_bytes())) {
            messages.push(Reply::Push(vec![Reply::text("pmessage"), Reply::Bulk(pattern.clone()), name.clone(), text.clone()]));
        }
        messages
    }
}

/// Whether a client wants to be answered (CLIENT REPLY).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replies {
    /// Always.
    On,
    /// Not until it says so.
    Off,
    /// Not after this request.
    SkipNext,
    /// Not this time.
    Skip,
}

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    /// What all sessions share.
    pub(crate) shared: Arc<Shared>,
    /// What is told of it.
    pub(crate) entry: Arc<ClientEntry>,
    /// The version it speaks.
    pub(crate) protocol: Protocol,
    /// Whom it is taken for.
    pub(crate) user: String,
    /// Whether it said a password, or came when none was needed.
    pub(crate) authenticated: bool,
    /// What it hears.
    pub(crate) subscriptions: Subscriptions,
    /// Whether it wants to be answered.
    pub(crate) replies: Replies,
    /// CLIENT TRACKING on.
    pub(crate) tracking: bool,
    /// Whether to close once the reply is out.
    pub(crate) closing: bool,
    /// Whether a person types the requests: redis-cli asks for COMMAND DOCS then, to complete what is typed, and no client library does.
    pub(crate) by_hand: bool,
    confirmed: Option<Arc<State>>,
}

impl Client {
    /// A client that has just come.
    pub(crate) fn new(shared: Arc<Shared>, entry: Arc<ClientEntry>) -> Self {
        let authenticated = shared.context.acl().open();
        let (protocol, user) = (Protocol::default(), DEFAULT.to_owned());
        Self {
            shared,
            entry,
            protocol,
            user,
            authenticated,
            subscriptions: Subscriptions::default(),
            replies: Replies::On,
            tracking: false,
            closing: false,
            by_hand: false,
            confirmed: None,
        }
    }

    /// Whether it has to say a password first.
    pub(crate) fn is_stranger(&self) -> bool {
        !self.authenticated && !self.context().acl().open()
    }

    /// It is this user from now on.
    pub(crate) fn become_user(&mut self, user: &str) {
        user.clone_into(&mut self.user);
        user.clone_into(&mut self.entry.facts().user);
        self.authenticated = true;
    }

    /// Puts it into ACL LOG that something was denied to somebody, here.
    pub(crate) fn note_denial(&self, what: Denial, user: &[u8]) {
        let clock = self.context().clock;
        let (now, client) = (clock.mono(), self.entry.line(clock.mono()));
        self.context().acl().log().note(what, Occasion { user, client, now, wall: clock.wall() });
    }

    /// What answers are made from.
    pub(crate) fn context(&self) -> &RespContext {
        &self.shared.context
    }

    /// Whether it hears anything.
    pub(crate) fn subscribed(&self) -> bool {
        self.subscriptions.count() > 0
    }

    /// Whether the request that was just served is to be answered; to be called once for each.
    pub(crate) fn wants_reply(&mut self) -> bool {
        let wanted = self.replies == Replies::On;
        self.replies = match self.replies {
            Replies::SkipNext => Replies::Skip,
            Replies::Skip | Replies::On => Replies::On,
            Replies::Off => Replies::Off,
        };
        wanted
    }

    /// To be called when more bytes have come: what was confirmed before is too old for requests that come after.
    pub(crate) fn note_arrival(&mut self) {
        self.confirmed = None;
    }

    /// The state confirmed by a quorum, or why there is none; `stale-answers` does not matter.
    ///
    /// All requests of one pipeline have arrived before the first of them is answered, so they share one round:
    /// the state that was confirmed for the first is new enough for the others, until this client changes it.
    pub(crate) async fn confirmed(&mut self) -> Result<Arc<State>, Reply> {
        if let Some(state) = &self.confirmed {
            return Ok(Arc::clone(state));
        }
        let state = self.shared.context.agreement.linearizable().await.map_err(|error| no_quorum(&error))?;
        self.confirmed = Some(Arc::clone(&state));
        Ok(state)
    }

    /// The state to answer from: confirmed, or with `stale-answers` the local one where there is no quorum. Without either, the reply is
    /// that of `no-quorum-reply`; `nil` is the null or empty one for this question.
    ///
    /// It waits, for a bounded time, while a planned change of a group that is asked for is about to make the answer worthless.
    pub(crate) async fn answerable(&mut self, nil: Option<Reply>, asked: &Asked) -> Result<Arc<State>, Reply> {
        match self.confirmed().await {
            Ok(state) => {
                let state = hold::until_announced(&*self.shared.context.agreement, state, asked).await;
                self.confirmed = Some(Arc::clone(&state));
                Ok(state)
            }
            Err(_) if self.context().stale_answers => Ok(self.context().agreement.state()),
            Err(error) => Err(match (self.no_quorum_reply(), nil) {
                (NoQuorumReply::Nil, Some(nil)) => nil,
                (NoQuorumReply::Nil, None) | (NoQuorumReply::Error, _) => error,
                (NoQuorumReply::Close, _) => {
                    self.closing = true;
                    Reply::NOTHING
                }
            }),
        }
    }

    /// As configured, but for two clients that can be told apart where that is nil. A null reply would be final for predis, which asks the
    /// next sentinel once the connection is closed (`SentinelReplication::querySentinelForMaster`). It would tell a person at redis-cli that
    /// the name is not known.
    fn no_quorum_reply(&self) -> NoQuorumReply {
        match self.context().live.facts().no_quorum_reply {
            NoQuorumReply::Nil if self.by_hand => NoQuorumReply::Error,
            NoQuorumReply::Nil if self.entry.facts().lib_name.to_ascii_lowercase().starts_with("predis") => NoQuorumReply::Close,
            configured => configured,
        }
    }

    /// Puts a command into the log and waits for what came of it.
    pub(crate) async fn propose(&mut self, command: Command) -> Result<Outcome, Reply> {
        self.confirmed = None;
        let command = command.asked_by(self.asker());
        let committed = self.context().agreement.propose(command).await.map_err(|error| not_proposed(&error))?;
        Ok(committed.outcome)
    }

    /// Removes a group, unless something of ours would be left behind on its servers; `force` removes it all the same.
    pub(crate) async fn remove(&mut self, group: GroupName, force: bool) -> Result<Outcome, Reply> {
        self.confirmed = None;
        let asker = Some(self.asker());
        let context = self.context();
        let (agreement, board, clock) = (Arc::clone(&context.agreement), context.board.clone(), context.clock);
        match (Removal { agreement, board, clock, group, asker, force }).run().await {
            Ok(committed) => Ok(committed.outcome),
            Err(Unremoved::Read(error)) => Err(no_quorum(&error)),
            Err(Unremoved::Propose(error)) => Err(not_proposed(&error)),
            Err(stays @ Unremoved::Stays(_)) => Err(Reply::error(format!("ERR refused: {stays}"))),
        }
    }

    /// Who asks, for the record.
    fn asker(&self) -> Asker {
        Asker::new(&self.user, &self.entry.peer.to_string(), Port::Sentinel.as_str(), self.context().agreement.id())
    }

    /// Has it recorded that this client changed something of this sentinel alone. Not waited for: such changes work without a quorum, too.
    pub(crate) fn record(&self, words: &str) {
        let Ok(place) = Arc::clone(&self.shared.records).try_acquire_owned() else {
            return tracing::warn!(
                "not recorded, since too much waits to be: client {} '{}': {}",
                self.entry.peer,
                self.user,
                words.escape_debug()
            );
        };
        let asker = self.asker().saying(words);
        let (agreement, at) = (Arc::clone(&self.context().agreement), self.context().clock.wall());
        tokio::spawn(async move {
            if let Err(error) = audit::record(&*agreement, asker.clone(), at).await {
                tracing::warn!("a change by '{}' from {} could not be recorded: {error}", asker.user(), asker.from());
            }
            drop(place);
        });
    }
}

/// Another sentinel would say the same of a change that cannot be an entry.
fn not_proposed(error: &ProposeError) -> Reply {
    match error {
        ProposeError::NotUnderstood(_) | ProposeError::TooLarge { .. } | ProposeError::Unreadable(_) => {
            Reply::error(format!("ERR {error}"))
        }
        ProposeError::NoLeader(_) | ProposeError::Unknown { .. } | ProposeError::Stopped(_) => no_quorum(error),
    }
}

fn no_quorum(error: &dyn std::error::Error) -> Reply {
    Reply::error(format!("NOQUORUM {error}"))
}
