//! What the parts of this room share: consensus itself, the peers, the clock, and how it all looks right now.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use openraft::{RaftMetrics, ServerState};
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::acks::Acks;
use super::calls::Calls;
use super::config::{RaftConfig, Spans};
use super::disk_marks::DiskMarks;
use super::diverged::Suspicion;
use super::handover::Handing;
use super::intake::Intakes;
use super::leader_contact::Ear;
use super::network::Network;
use super::peer_identity::Passport;
use super::peers::PeerTable;
use super::read::ReadIndex;
use super::recover::Anew;
use super::sealing::LastTold;
use super::status::Leadership;
use super::survey::Survey;
use super::types::{LogId, TypeConfig, Vote};
use super::vouch::Vouched;
use super::wire::Standpoint;
use crate::base::{Addr, LogIndex, Mono, NodeId};
use crate::clock::Clock;
use crate::machine::{LoggedEvent, State};
use crate::store::{Digests, Identity, LogStore};

/// Shared by the tasks of this room and by every clone of [`super::Raft`].
pub(super) struct Core {
    pub me: NodeId,
    pub config: RaftConfig,
    pub spans: Spans,
    pub clock: Clock,
    pub consensus: openraft::Raft<TypeConfig>,
    pub identity: Arc<Identity>,
    pub passport: Passport,
    pub peers: Arc<PeerTable>,
    pub calls: Calls,
    pub network: Network,
    pub acks: Arc<Acks>,
    pub disks: Arc<DiskMarks>,
    pub digests: Arc<Digests>,
    /// Whether this sentinel's log is another one than that of the others.
    pub suspicion: Suspicion,
    /// Whether this room has ended to be started anew.
    pub anew: Anew,
    pub ear: Ear,
    pub states: watch::Receiver<Arc<State>>,
    pub events: broadcast::Sender<Arc<LoggedEvent>>,
    pub leadership: watch::Sender<Leadership>,
    /// Since when no leader with a quorum is known, in microseconds; `u64::MAX` while one is.
    pub leaderless_since: AtomicU64,
    pub reads: ReadIndex,
    pub log: LogStore,
    pub vouched: Vouched,
    pub intakes: Intakes,
    /// Leadership on its way to another, or to this sentinel.
    pub handing: Arc<Handing>,
    /// To who answers what others ask about servers.
    pub surveys: mpsc::Sender<Survey>,
    /// Held while a leader's call is checked and taken.
    pub order: tokio::sync::Mutex<()>,
    pub stop: CancellationToken,
    pub tasks: TaskTracker,
    /// When this room started.
    pub began: Mono,
    /// This leader removes itself, so it does not present itself again.
    pub leaving: AtomicBool,
    /// Which members were last told of for their lack of the key.
    pub lack_told: LastTold,
}

/// How consensus looks right now.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    /// openraft's own opinion: this node leads. Not to be trusted without a fresh acknowledgement.
    pub leads: bool,
    /// The current vote.
    pub vote: Vote,
    /// Whom openraft takes for the leader.
    pub leader: Option<NodeId>,
    /// The sets of voters (two while they change).
    pub voters: Vec<BTreeSet<NodeId>>,
    /// All members.
    pub members: BTreeMap<NodeId, Addr>,
}

impl Standing {
    /// All voters of all sets.
    pub(super) fn all_voters(&self) -> BTreeSet<NodeId> {
        self.voters.iter().flatten().copied().collect()
    }
}

impl Core {
    /// How consensus looks right now.
    pub(super) fn standing(&self) -> Standing {
        let metrics = self.consensus.server_metrics();
        let metrics = metrics.borrow();
        let membership = metrics.membership_config.membership();
        let addr = |addr: &str| Addr::from(addr.to_owned());
        Standing {
            leads: metrics.state == ServerState::Leader,
            vote: metrics.vote,
            leader: metrics.current_leader,
            voters: membership.get_joint_config().clone(),
            members: membership.nodes().map(|(id, node)| (*id, addr(&node.addr))).collect(),
        }
    }

    /// Whether openraft takes this node for the leader, without the rest of [`Core::standing`]: asked for in every round of reads.
    pub(super) fn leads(&self) -> bool {
        self.consensus.server_metrics().borrow().state == ServerState::Leader
    }

    /// Whether the group has formed, as far as this sentinel knows.
    pub(super) fn has_members(&self) -> bool {
        self.consensus.server_metrics().borrow().membership_config.nodes().next().is_some()
    }

    /// Whether it is a member, without the rest of [`Core::standing`]: asked for on every call of a peer.
    pub(super) fn is_member(&self, id: NodeId) -> bool {
        self.consensus.server_metrics().borrow().membership_config.membership().get_node(&id).is_some()
    }

    /// The place of the list of members.
    pub(super) fn membership_index(&self) -> Option<LogIndex> {
        self.consensus.server_metrics().borrow().membership_config.log_id().map(|place| LogIndex(place.index))
    }

    /// What a peer's terms and places are measured against.
    pub(super) fn standpoint(&self) -> Standpoint<impl Fn(u64) -> Option<LogId>> {
        let (last, committed) = self.log.ends();
        Standpoint { me: self.me, term: self.vote().leader_id.term, last, committed, at: |index| self.log.log_id_at(index) }
    }

    /// The current vote, without the rest of [`Core::standing`]: asked for on every call of a leader.
    pub(super) fn vote(&self) -> Vote {
        self.consensus.server_metrics().borrow().vote
    }

    /// Why consensus does not work any more; none while it does.
    pub(super) fn failure(&self) -> Option<String> {
        self.consensus.metrics().borrow().running_state.as_ref().err().map(ToString::to_string)
    }

    /// openraft's figures.
    pub(super) fn metrics(&self) -> RaftMetrics<NodeId, openraft::BasicNode> {
        self.consensus.metrics().borrow().clone()
    }

    /// When a quorum last acknowledged that this node leads; none if it does not, or none did yet.
    pub(super) fn quorum_ack(&self) -> Option<Mono> {
        let standing = self.standing();
        let leads = standing.leads && standing.vote.committed;
        leads.then(|| self.acks.quorum(&standing.vote, self.me, &standing.voters, self.clock.mono())).flatten()
    }

    /// Whether this node has applied an entry of the term that it leads.
    ///
    /// Before that its state may lack what its predecessors had committed, so that nothing may be concluded from it.
    pub(super) fn has_caught_up(&self, vote: &Vote) -> bool {
        is_of_term(vote, self.consensus.data_metrics().borrow().last_applied)
    }

    /// The state, if this node has applied the entry already.
    pub(super) fn applied_already(&self, index: LogIndex) -> Option<Arc<State>> {
        let state = self.states.borrow();
        (state.applied >= index).then(|| Arc::clone(&state))
    }

    /// For how long no leader with a quorum has been known, where that is longer than the others need to elect one: reads and proposals
    /// that wait now wait in vain.
    ///
    /// A follower gives a leader up two leases after its last call, a leader itself one lease after its last acknowledgement, so this
    /// begins three or four leases (0.9 to 1.2 s) after the last contact with a quorum.
    pub(super) fn lost_ms(&self) -> Option<u64> {
        let lost_us = self.clock.mono().0.checked_sub(self.leaderless_since.load(Ordering::Relaxed))?;
        Some(lost_us / 1000).filter(|lost_ms| *lost_ms >= 2 * self.spans.lease_ms)
    }

    /// Waits until this node has applied the entry, and returns the state then.
    pub(super) async fn applied(&self, index: LogIndex) -> Result<Arc<State>, Stopped> {
        let mut states = self.states.clone();
        let state = states.wait_for(|state| state.applied >= index).await.map_err(|_| Stopped)?;
        Ok(Arc::clone(&state))
    }

    /// Sleeps, but not past the end of this room. Returns whether to go on.
    pub(super) async fn rest(&self, span: Duration) -> bool {
        tokio::select! {
            () = self.stop.cancelled() => false,
            () = tokio::time::sleep(span) => true,
        }
    }
}

/// Whether an entry was written by the leader of this vote. It is the last one that was applied, or committed: then all of its predecessors' are too.
pub(super) fn is_of_term(vote: &Vote, entry: Option<LogId>) -> bool {
    entry.is_some_and(|entry| entry.leader_id == vote.leader_id)
}

/// This sentinel is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this sentinel is stopping")]
pub(super) struct Stopped;

#[cfg(test)]
mod tests {
    use openraft::CommittedLeaderId;

    use super::*;

    #[test]
    fn a_new_leader_knows_nothing_before_an_entry_of_its_own_term() {
        let entry = |term, leader| Some(LogId::new(CommittedLeaderId::new(term, NodeId(leader)), 7));
        let vote = Vote::new_committed(3, NodeId(1));
        assert!(!is_of_term(&vote, None));
        assert!(!is_of_term(&vote, entry(2, 1)), "an entry of an earlier term");
        assert!(is_of_term(&vote, entry(3, 1)));
    }
}
