//! Who is who: checked on every call, on both sides, in both directions.
//!
//! Three things must fit: the cluster, the number, and the *incarnation*, the life of a data directory. A sentinel that lost
//! its disk forgot what it voted for and what it acknowledged; if it voted again under its old number, two leaders or a lost entry could
//! follow. So each sentinel pins the incarnation it first sees of every member, durably, before it answers or believes anything. A disk that
//! forgot only what is newest is `disk_marks`'s matter.

use std::sync::Arc;

use tokio::sync::watch;
use tonic::Status;
use tonic::metadata::MetadataValue;

use super::disk_marks::DiskMarks;
use super::peers::{PeerTable, Way};
use crate::base::{Incarnation, NodeId, said};
use crate::machine::State;
use crate::proto::peer::{DiskMark, Envelope, Responder};
use crate::store::{Identity, PinError};

/// The trailer of a refusal by a sentinel that knows another life of the caller's data directory.
const ANOTHER_LIFE: &str = "raft-sentinel-another-life";

/// Whether the sentinel that refuses knows another life of the caller's data directory.
pub(super) fn knows_another_life(refusal: &Status) -> bool {
    refusal.metadata().contains_key(ANOTHER_LIFE)
}

/// This sentinel's papers, and its view of those of others. Cheap to clone.
#[derive(Clone)]
pub(super) struct Passport {
    identity: Arc<Identity>,
    states: watch::Receiver<Arc<State>>,
    peers: Arc<PeerTable>,
    disks: Arc<DiskMarks>,
}

/// Somebody is not who it should be; the text says who and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refused(pub String);

/// What a sentinel says of itself.
struct Claim {
    cluster: String,
    id: NodeId,
    incarnation: String,
    disk: Option<DiskMark>,
}

impl Passport {
    /// The papers of `identity`.
    pub(super) const fn new(
        identity: Arc<Identity>,
        states: watch::Receiver<Arc<State>>,
        peers: Arc<PeerTable>,
        disks: Arc<DiskMarks>,
    ) -> Self {
        Self { identity, states, peers, disks }
    }

    /// For a call to `to`.
    pub(super) fn envelope(&self, to: NodeId) -> Envelope {
        let known = self.identity.peers().get(&to).map(|incarnation| incarnation.as_str().to_owned());
        Envelope {
            cluster_id: self.identity.cluster_id().as_str().to_owned(),
            from: self.identity.node_id().0,
            from_incarnation: self.identity.incarnation().as_str().to_owned(),
            to: to.0,
            to_incarnation: known.or_else(|| self.recorded(to)).unwrap_or_default(),
            from_disk: Some(self.disks.own()),
        }
    }

    /// For an answer.
    pub(super) fn responder(&self) -> Responder {
        Responder {
            cluster_id: self.identity.cluster_id().as_str().to_owned(),
            id: self.identity.node_id().0,
            incarnation: self.identity.incarnation().as_str().to_owned(),
            disk: Some(self.disks.own()),
        }
    }

    /// Lets a caller in, or says why not.
    ///
    /// `source` is where the call comes from, for the log.
    pub(super) async fn admit(&self, envelope: Option<Envelope>, source: &str) -> Result<NodeId, Status> {
        let envelope = envelope.ok_or_else(|| Status::invalid_argument("malformed message from a peer: the envelope is missing"))?;
        let from = NodeId(envelope.from);
        let another_life = envelope.cluster_id == self.identity.cluster_id().as_str()
            && self.known(from).is_some_and(|known| !envelope.from_incarnation.is_empty() && known != envelope.from_incarnation);
        match self.check_envelope(envelope, source).await {
            Ok(()) => {
                self.peers.note_heard(from, Way::In);
                Ok(from)
            }
            Err(Refused(reason)) => {
                let mut status = Status::failed_precondition(reason);
                if another_life {
                    status.metadata_mut().insert(ANOTHER_LIFE, MetadataValue::from_static("known"));
                }
                Err(status)
            }
        }
    }

    async fn check_envelope(&self, envelope: Envelope, source: &str) -> Result<(), Refused> {
        let me = self.identity.node_id();
        let own = self.identity.incarnation();
        let from = NodeId(envelope.from);
        let claim = Claim { cluster: envelope.cluster_id, id: from, incarnation: envelope.from_incarnation, disk: envelope.from_disk };
        if let Err(refused) = self.check_cluster(&claim) {
            self.peers.note_stranger(&format!("{source}, sentinel {from}"), &refused.0);
            return Err(refused);
        }
        if NodeId(envelope.to) != me || from == me {
            let refused = Refused(format!(
                "sentinel {from} called sentinel {} but reached sentinel {me}: check the 'raft peer' and 'raft node-id' lines of both",
                envelope.to
            ));
            self.peers.note_stranger(&format!("{source}, sentinel {from}"), &refused.0);
            return Err(refused);
        }
        if !envelope.to_incarnation.is_empty() && envelope.to_incarnation != own.as_str() {
            let reason = lost_disk(me, &envelope.to_incarnation, own.as_str());
            self.peers.note_refused(from, Way::In, &format!("sentinel {from} refuses this one: {reason}"));
            self.peers.note_survivor(from);
            return Err(Refused(reason));
        }
        let checked = match self.check_life(&claim).await {
            Ok(()) => self.disks.check_call(from, &claim.incarnation, claim.disk),
            refused => refused,
        };
        checked.inspect_err(|refused| self.peers.note_refused(from, Way::In, &refused.0))
    }

    /// Believes an answer, or says why not.
    pub(super) async fn recognize(&self, peer: NodeId, responder: Option<Responder>) -> Result<(), Refused> {
        let checked = self.check_responder(peer, responder).await;
        match &checked {
            Ok(()) => self.peers.note_heard(peer, Way::Out),
            Err(refused) => self.peers.note_refused(peer, Way::Out, &refused.0),
        }
        checked
    }

    async fn check_responder(&self, peer: NodeId, responder: Option<Responder>) -> Result<(), Refused> {
        let responder = responder.ok_or_else(|| Refused(format!("sentinel {peer} answers without saying who it is")))?;
        let (id, incarnation) = (NodeId(responder.id), responder.incarnation);
        let claim = Claim { cluster: responder.cluster_id, id, incarnation, disk: responder.disk };
        self.check_cluster(&claim)?;
        if claim.id != peer {
            return Err(Refused(format!(
                "sentinel {} answers where sentinel {peer} should: check the 'raft peer' and 'raft node-id' lines of both",
                claim.id
            )));
        }
        self.check_life(&claim).await?;
        self.disks.check_answer(peer, &claim.incarnation, claim.disk)
    }

    fn check_cluster(&self, claim: &Claim) -> Result<(), Refused> {
        let ours = self.identity.cluster_id().as_str();
        if claim.cluster == ours {
            return Ok(());
        }
        Err(Refused(format!(
            "sentinel {} belongs to cluster {}, sentinel {} to cluster {ours}: they must have the same 'raft peer' lines from the start",
            claim.id,
            shown(&claim.cluster),
            self.identity.node_id()
        )))
    }

    /// Checks the incarnation against what is pinned and what the log says; pins that of a member seen for the first time.
    async fn check_life(&self, claim: &Claim) -> Result<(), Refused> {
        if claim.incarnation.is_empty() {
            return Err(Refused(format!("sentinel {} does not say which life of its data directory it is in", claim.id)));
        }
        let pinned = self.identity.peers().get(&claim.id).map(|life| life.as_str().to_owned());
        for known in [pinned.clone(), self.recorded(claim.id)].into_iter().flatten() {
            if known != claim.incarnation {
                return Err(Refused(lost_disk(claim.id, &known, &claim.incarnation)));
            }
        }
        // Only members are pinned: a sentinel that was removed and still calls must not leave a mark that outlives its removal.
        if pinned.is_some() || !self.peers.knows(claim.id) {
            return Ok(());
        }
        let incarnation = Incarnation::new(claim.incarnation.clone()).map_err(|problem| Refused(format!("the incarnation {problem}")))?;
        let (identity, id) = (self.identity.clone(), claim.id);
        let pinned = tokio::task::spawn_blocking(move || identity.pin(id, &incarnation)).await;
        match pinned {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(PinError::Mismatch { pinned, .. })) => Err(Refused(lost_disk(claim.id, pinned.as_str(), &claim.incarnation))),
            Ok(Err(PinError::Store(problem))) => {
                Err(Refused(format!("sentinel {} cannot record who sentinel {} is: {problem}", self.identity.node_id(), claim.id)))
            }
            Err(_) => Err(Refused(format!("sentinel {} is stopping", self.identity.node_id()))),
        }
    }

    /// Whether a sentinel was last heard with an older disk than it had.
    pub(super) fn went_back(&self, id: NodeId) -> bool {
        self.disks.went_back(id)
    }

    /// The life of a sentinel's data directory, if it is known.
    pub(super) fn known(&self, id: NodeId) -> Option<String> {
        if id == self.identity.node_id() {
            return Some(self.identity.incarnation().as_str().to_owned());
        }
        self.identity.peers().get(&id).map(|life| life.as_str().to_owned()).or_else(|| self.recorded(id))
    }

    /// What the log says of a sentinel's life.
    fn recorded(&self, id: NodeId) -> Option<String> {
        self.states.borrow().sentinels.get(&id).map(|record| record.incarnation.as_str().to_owned())
    }
}

/// An id as it is, or as a quotation if it is none.
fn shown(id: &str) -> String {
    let plain = (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    if plain { id.to_owned() } else { said(id) }
}

fn lost_disk(id: NodeId, known: &str, presented: &str) -> String {
    let (known, presented) = (shown(known), shown(presented));
    format!(
        "sentinel {id} presents incarnation {presented}, but {known} is known: its data directory was lost or swapped, so it must not \
         vote; remove member {id}, and let the node join as a new member with a new node id"
    )
}
