//! Going on alone: what is left of a group whose quorum is gone for good becomes a group of one.
//!
//! Raft has no such step, because nothing that one member knows tells a quorum that is gone from one that is out of reach: only an operator can say it. Where a
//! quorum answers, it is refused; where another member answers whose log is longer, too. Then consensus ends here, a list of members with this sentinel alone is
//! put behind the log in one transaction, under a term of its own, and this room has to be started anew: a lone voter elects itself. Whatever the log held
//! becomes committed. What only the others had acknowledged is lost, and if they do come back with their disks they are a group of their own: that is the operator's word.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use openraft::{CommittedLeaderId, EntryPayload};
use tokio::sync::watch;

use super::acks::is_quorum;
use super::calls::CallError;
use super::config::PING_WITHIN;
use super::core::Core;
use super::error::MembershipError;
use super::status::{Leadership, Left};
use super::types::{Entry, LogId, Vote};
use super::{propose, wire};
use crate::base::{LogIndex, NodeId};
use crate::machine::Command;

/// Whether this room has to be started anew.
#[derive(Debug)]
pub(super) struct Anew(watch::Sender<bool>);

impl Default for Anew {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Anew {
    /// Whether it has ended to be started anew.
    pub(super) fn is_due(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is.
    pub(super) async fn due(&self) {
        let mut due = self.0.subscribe();
        if due.wait_for(|due| *due).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// How a member answers.
pub(super) enum Sign {
    /// It takes part in the group, and its log ends there.
    Alive(Option<LogId>),
    /// It is there, and its disk is not that of the member.
    Refused,
    Silent,
}

/// Makes this sentinel a group of one. `record` is put behind the list of members, for those who look at the history.
pub(super) async fn recover(core: &Core, record: Command) -> Result<Vec<Left>, MembershipError> {
    let standing = core.standing();
    let refused = |why: String| Err(MembershipError::Refused(why));
    let Some(own) = standing.members.get(&core.me).cloned() else {
        return refused(format!("sentinel {} is no member of a group, so there is nothing that it could go on with", core.me));
    };
    if standing.voters == [BTreeSet::from([core.me])] {
        return refused(format!("sentinel {} is a group of its own already", core.me));
    }
    if let Leadership::Following { leader } = *core.leadership.borrow() {
        return refused(format!("sentinel {leader} leads: the group has its quorum"));
    }
    propose::proposable(&record).map_err(|problem| MembershipError::Refused(problem.to_string()))?;
    let signs = signs_of(core, standing.members.keys().copied().filter(|id| *id != core.me)).await;
    let alive = signs.iter().filter(|(_, sign)| matches!(sign, Sign::Alive(_))).map(|(id, _)| *id);
    let alive: BTreeSet<NodeId> = alive.chain([core.me]).collect();
    if is_quorum(&standing.voters, &alive) {
        let names: Vec<String> = alive.iter().map(ToString::to_string).collect();
        return refused(format!("sentinels {} are there and are a quorum: they will agree on a leader", names.join(", ")));
    }
    let (last, _) = core.log.ends();
    let longer = signs.iter().find(|(_, sign)| matches!(sign, Sign::Alive(theirs) if *theirs > last));
    if let Some((id, _)) = longer {
        return refused(format!("sentinel {id} has more of the log than sentinel {}: recover there", core.me));
    }
    let _begun = core.order.lock().await;
    core.anew.0.send_replace(true);
    if let Err(problem) = core.consensus.shutdown().await {
        tracing::warn!(%problem, "consensus did not end cleanly");
    }
    let term = core.log.vote().map_or(0, |vote| vote.leader_id.term) + 1;
    let (last, _) = core.log.ends();
    let next = last.map_or(0, |last| last.index + 1);
    let place = |index| LogId::new(CommittedLeaderId::new(term, core.me), index);
    let alone =
        openraft::Membership::new(vec![BTreeSet::from([core.me])], BTreeMap::from([(core.me, openraft::BasicNode::new(own.to_string()))]));
    let entries = [
        Entry { log_id: place(next), payload: EntryPayload::Membership(alone) },
        Entry { log_id: place(next + 1), payload: EntryPayload::Normal(record) },
    ];
    let written = core.log.go_on_with(&Vote::new(term, core.me), &entries).await;
    written.map_err(|problem| MembershipError::Unknown(format!("the new list of members could not be written: {problem}")))?;
    let others = standing.members.iter().filter(|(id, _)| **id != core.me);
    let left: Vec<Left> = others
        .map(|(id, addr)| Left { id: *id, addr: addr.clone(), answers: !matches!(signs.get(id), Some(Sign::Silent) | None) })
        .collect();
    tracing::error!(
        "AN OPERATOR SAYS THAT THE OTHERS ARE GONE: sentinel {} goes on as a group of one, from entry {} and term {term} on, and starts anew. Left behind: {}. None of \
         them may run again with the data directory that it had",
        core.me,
        LogIndex(next),
        left.iter().map(|left| format!("sentinel {} at {}", left.id, left.addr)).collect::<Vec<_>>().join(", ")
    );
    Ok(left)
}

/// Asks these members for a sign of life, all at once.
pub(super) async fn signs_of(core: &Core, ids: impl Iterator<Item = NodeId>) -> BTreeMap<NodeId, Sign> {
    let ask = |id: NodeId| async move {
        let sign = match core.calls.ping(id, PING_WITHIN, None).await {
            Ok(reply) if reply.formed => Sign::Alive(reply.last_log.map(wire::log_id_from_wire)),
            Ok(_) | Err(CallError::Refused { .. }) => Sign::Refused,
            Err(CallError::NotSent { .. } | CallError::NoAnswer { .. }) => Sign::Silent,
        };
        (id, sign)
    };
    ids.map(ask).collect::<FuturesUnordered<_>>().collect().await
}
