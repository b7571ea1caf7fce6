//! When the voters last acknowledged this leader, counted from the moment the question was *sent*.
//!
//! openraft's own figure is published as an age that is already old when one reads it. This one never flatters: a voter that
//! answered a call sent at T had heard from us at T or later, so its lease for us ends at T + lease or later.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use super::types::{LogId, Vote};
use crate::base::{Mono, NodeId};

/// The newest acknowledgement of each voter.
#[derive(Debug)]
pub(super) struct Acks {
    newest: Mutex<BTreeMap<NodeId, (Vote, Mono)>>,
    /// The last entry that each member accepted from the leader of a vote.
    accepted: Mutex<BTreeMap<NodeId, (Vote, LogId)>>,
    changed: watch::Sender<()>,
}

impl Default for Acks {
    fn default() -> Self {
        Self { newest: Mutex::default(), accepted: Mutex::default(), changed: watch::Sender::new(()) }
    }
}

impl Acks {
    /// `voter` accepted a call of the leader `vote`, sent at `sent`.
    pub(super) fn note(&self, voter: NodeId, vote: Vote, sent: Mono) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let known = newest.entry(voter).or_insert((vote, sent));
        if vote > known.0 || (vote == known.0 && sent > known.1) {
            *known = (vote, sent);
        }
        drop(newest);
        self.changed.send_replace(());
    }

    /// `member` accepted the log of the leader `vote` up to `last`.
    pub(super) fn note_accepted(&self, member: NodeId, vote: Vote, last: LogId) {
        let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        let known = accepted.entry(member).or_insert((vote, last));
        if vote > known.0 || (vote == known.0 && last > known.1) {
            *known = (vote, last);
        }
    }

    /// Up to where `member` accepted the log of the leader `vote`. It keeps that as long as it follows this leader.
    pub(super) fn accepted(&self, member: NodeId, vote: &Vote) -> Option<LogId> {
        let accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        accepted.get(&member).filter(|(of, _)| of == vote).map(|(_, last)| *last)
    }

    /// It is no member any more: if it comes back, then with nothing.
    pub(super) fn forget(&self, member: NodeId) {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).remove(&member);
    }

    /// Wakes whenever a voter answered.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Sorts voters by who acknowledged `vote` last; those who never did come last.
    pub(super) fn sort_by_freshness(&self, vote: &Vote, voters: &mut [NodeId]) {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        voters.sort_by_key(|id| Reverse(newest.get(id).filter(|(of, _)| of == vote).map(|(_, sent)| *sent)));
    }

    /// The latest moment by which a quorum had been asked that then acknowledged `vote`.
    pub(super) fn quorum(&self, vote: &Vote, me: NodeId, configs: &[BTreeSet<NodeId>], now: Mono) -> Option<Mono> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        quorum_at(configs, |id| {
            if id == me {
                return Some(now);
            }
            newest.get(&id).filter(|(of, _)| of == vote).map(|(_, sent)| *sent)
        })
    }
}

/// The latest moment that a majority of every set of voters has reached.
fn quorum_at(configs: &[BTreeSet<NodeId>], reached: impl Fn(NodeId) -> Option<Mono>) -> Option<Mono> {
    let of_set = |voters: &BTreeSet<NodeId>| {
        let mut moments: Vec<Mono> = voters.iter().filter_map(|id| reached(*id)).collect();
        moments.sort_unstable_by(|a, b| b.cmp(a));
        moments.get(voters.len() / 2).copied()
    };
    let each: Option<Vec<Mono>> = configs.iter().map(of_set).collect();
    each.and_then(|each| each.into_iter().min())
}

/// Whether these voters are a majority of every set.
pub(super) fn is_quorum(configs: &[BTreeSet<NodeId>], granted: &BTreeSet<NodeId>) -> bool {
    !configs.is_empty() && configs.iter().all(|voters| voters.intersection(granted).count() > voters.len() / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ids: &[u64]) -> BTreeSet<NodeId> {
        ids.iter().copied().map(NodeId).collect()
    }

    #[test]
    fn the_quorum_is_as_old_as_its_oldest_needed_member() {
        let acks = Acks::default();
        let vote = Vote::new_committed(3, NodeId(1));
        let configs = [set(&[1, 2, 3, 4, 5])];
        acks.note(NodeId(2), vote, Mono::from_ms(10));
        assert_eq!(acks.quorum(&vote, NodeId(1), &configs, Mono::from_ms(50)), None, "two of five are no quorum");
        acks.note(NodeId(3), vote, Mono::from_ms(20));
        acks.note(NodeId(3), vote, Mono::from_ms(5));
        assert_eq!(acks.quorum(&vote, NodeId(1), &configs, Mono::from_ms(50)), Some(Mono::from_ms(10)));
    }

    #[test]
    fn acknowledgements_of_another_term_do_not_count() {
        let acks = Acks::default();
        acks.note(NodeId(2), Vote::new_committed(3, NodeId(1)), Mono::from_ms(10));
        let now = Mono::from_ms(20);
        assert_eq!(acks.quorum(&Vote::new_committed(4, NodeId(1)), NodeId(1), &[set(&[1, 2, 3])], now), None);
    }

    #[test]
    fn what_was_accepted_counts_for_its_leader_only() {
        let entry = |index| LogId::new(openraft::CommittedLeaderId::new(3, NodeId(1)), index);
        let (acks, vote, later) = (Acks::default(), Vote::new_committed(3, NodeId(1)), Vote::new_committed(4, NodeId(2)));
        acks.note_accepted(NodeId(2), vote, entry(7));
        acks.note_accepted(NodeId(2), vote, entry(5));
        assert_eq!(acks.accepted(NodeId(2), &vote), Some(entry(7)));
        assert_eq!((acks.accepted(NodeId(2), &later), acks.accepted(NodeId(3), &vote)), (None, None));
        acks.forget(NodeId(2));
        assert_eq!(acks.accepted(NodeId(2), &vote), None);
    }

    #[test]
    fn the_freshest_come_first_and_the_silent_last() {
        let acks = Acks::default();
        let vote = Vote::new_committed(3, NodeId(1));
        acks.note(NodeId(3), vote, Mono::from_ms(20));
        acks.note(NodeId(4), vote, Mono::from_ms(30));
        acks.note(NodeId(5), Vote::new_committed(2, NodeId(1)), Mono::from_ms(40));
        let mut voters = [NodeId(2), NodeId(3), NodeId(4), NodeId(5)];
        acks.sort_by_freshness(&vote, &mut voters);
        assert_eq!(voters, [NodeId(4), NodeId(3), NodeId(2), NodeId(5)]);
    }

    #[test]
    fn while_voters_change_both_sets_must_agree() {
        let joint = [set(&[1, 2, 3]), set(&[3, 4, 5])];
        let reached = |ids: BTreeSet<NodeId>| move |id: NodeId| ids.contains(&id).then_some(Mono::from_ms(id.0));
        assert_eq!(quorum_at(&joint, reached(set(&[1, 2, 3]))), None);
        assert_eq!(quorum_at(&joint, reached(set(&[1, 3, 4]))), Some(Mono::from_ms(1)));
        assert!(is_quorum(&joint, &set(&[1, 3, 4])));
        assert!(!is_quorum(&joint, &set(&[1, 2, 3])));
        assert!(!is_quorum(&[], &set(&[1])), "nobody is no quorum of nobody");
    }

    #[test]
    fn a_lone_voter_is_its_own_quorum() {
        let acks = Acks::default();
        let now = Mono::from_ms(7);
        assert_eq!(acks.quorum(&Vote::new_committed(1, NodeId(1)), NodeId(1), &[set(&[1])], now), Some(now));
    }
}
