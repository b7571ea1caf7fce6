//! Calling a peer: envelope on, deadline, and a look at who answered before the answer is believed.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use super::peer_identity::{self, Passport, Refused};
use super::peers::{PeerTable, Way};
use crate::base::{Addr, NodeId, limits, said_plainly};
use crate::proto::peer::{self, peer_client::PeerClient};
use crate::{tls, transport};

/// Why a call has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum CallError {
    /// It certainly did not take effect: no connection, or the peer turned it away.
    #[error("sentinel {peer} is unreachable: {problem}")]
    NotSent {
        /// Who was called.
        peer: NodeId,
        /// Why.
        problem: String,
    },
    /// One side does not accept the other's identity; it did not take effect.
    #[error("sentinel {peer}: {reason}")]
    Refused {
        /// Who was called.
        peer: NodeId,
        /// Why.
        reason: String,
    },
    /// It may have taken effect.
    #[error("sentinel {peer} did not answer: {problem}")]
    NoAnswer {
        /// Who was called.
        peer: NodeId,
        /// What happened instead.
        problem: String,
    },
}

/// An answer says who gave it.
pub(super) trait Answer {
    /// Who gave it.
    fn responder(&mut self) -> Option<peer::Responder>;
}

macro_rules! answers {
    ($($reply:ident),*) => {$(
        impl Answer for peer::$reply {
            fn responder(&mut self) -> Option<peer::Responder> {
                self.responder.take()
            }
        }
    )*};
}
answers!(
    AppendReply,
    VoteReply,
    PreVoteReply,
    SnapshotReply,
    ProposeReply,
    ReadIndexReply,
    PingReply,
    VouchReply,
    SurveyReply,
    TakeLeadReply
);

/// A client of the peer service.
pub(super) type Client = PeerClient<Channel>;

/// Calls peers. Cheap to clone.
#[derive(Clone)]
pub(super) struct Calls {
    passport: Passport,
    peers: Arc<PeerTable>,
}

impl Calls {
    /// Calls in the name of `passport`.
    pub(super) const fn new(passport: Passport, peers: Arc<PeerTable>) -> Self {
        Self { passport, peers }
    }

    /// Makes one call and checks who answered.
    pub(super) async fn call<R, F>(
        &self,
        to: NodeId,
        within: Duration,
        ask: impl FnOnce(Client, peer::Envelope) -> F,
    ) -> Result<R, CallError>
    where
        R: Answer,
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let channel = self.peers.channel(to).ok_or_else(|| unaddressed(to))?;
        self.call_through(channel, to, within, ask).await
    }

    /// The same for one that may be no member, at the address in the file.
    pub(super) async fn call_at<R, F>(
        &self,
        to: NodeId,
        addr: &Addr,
        within: Duration,
        ask: impl FnOnce(Client, peer::Envelope) -> F,
    ) -> Result<R, CallError>
    where
        R: Answer,
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let channel = self.peers.channel_at(addr).ok_or_else(|| unaddressed(to))?;
        self.call_through(channel, to, within, ask).await
    }

    async fn call_through<R, F>(
        &self,
        channel: Channel,
        to: NodeId,
        within: Duration,
        ask: impl FnOnce(Client, peer::Envelope) -> F,
    ) -> Result<R, CallError>
    where
        R: Answer,
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let client = PeerClient::new(channel)
            .max_decoding_message_size(limits::PEER_MESSAGE_BYTES)
            .max_encoding_message_size(limits::PEER_MESSAGE_BYTES);
        let answer = tokio::time::timeout(within, ask(client, self.passport.envelope(to))).await;
        let mut reply = match answer {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) => return Err(self.failure(to, &status)),
            Err(_) => return Err(CallError::NoAnswer { peer: to, problem: format!("nothing within {} ms", within.as_millis()) }),
        };
        let responder = reply.responder();
        self.passport.recognize(to, responder).await.map_err(|Refused(reason)| CallError::Refused { peer: to, reason })?;
        Ok(reply)
    }

    fn failure(&self, peer: NodeId, status: &Status) -> CallError {
        if status.code() == Code::FailedPrecondition {
            let reason = format!("refused by sentinel {peer}: {}", said_plainly(status.message()));
            self.peers.note_refused(peer, Way::Out, &reason);
            if peer_identity::knows_another_life(status) {
                self.peers.note_survivor(peer);
            }
            return CallError::Refused { peer, reason: said_plainly(status.message()) };
        }
        if status.code() == Code::InvalidArgument {
            // It was looked at before anything was done. The same call would be refused again, so nobody repeats it at once.
            let reason = said_plainly(status.message());
            self.peers.note_refused(peer, Way::Out, &format!("sentinel {peer} does not take what this one says: {reason}"));
            return CallError::Refused { peer, reason };
        }
        if let Some(why) = tls::cause(status) {
            self.peers.note_refused(peer, Way::Out, &format!("no TLS connection to sentinel {peer} (raft tls): {why}"));
        }
        if let Some(why) = transport::denied(status) {
            self.peers.note_refused(peer, Way::Out, &format!("no connection to sentinel {peer}: {why}"));
        }
        if never_connected(status) {
            return CallError::NotSent { peer, problem: innermost(status) };
        }
        CallError::NoAnswer { peer, problem: format!("{}: {}", status.code(), innermost(status)) }
    }

    /// A sign of life, and the entry at `entry_at`, if that is asked for.
    pub(super) async fn ping(&self, to: NodeId, within: Duration, entry_at: Option<u64>) -> Result<peer::PingReply, CallError> {
        self.call(
            to,
            within,
            |mut client, envelope| async move { client.ping(peer::PingRequest { envelope: Some(envelope), entry_at }).await },
        )
        .await
    }

    /// Whether the peer was last heard with an older disk than it had.
    pub(super) fn went_back(&self, peer: NodeId) -> bool {
        self.passport.went_back(peer)
    }

    /// What the peer says is refused, for this reason.
    pub(super) fn note_refused(&self, peer: NodeId, reason: &str) {
        self.peers.note_refused(peer, Way::Out, reason);
    }
}

fn unaddressed(peer: NodeId) -> CallError {
    CallError::NotSent { peer, problem: "no address is known".to_owned() }
}

fn never_connected(status: &Status) -> bool {
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        source = error.source();
    }
    false
}

/// The last cause in the chain says most ("connection refused").
fn innermost(status: &Status) -> String {
    let mut text = said_plainly(status.message());
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        text = error.to_string();
        source = error.source();
    }
    text
}
