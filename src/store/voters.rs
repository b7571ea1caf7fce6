//! Whether a commit needs more than one voter, as far as the log tells.
//!
//! openraft counts its own log for a commit as soon as an append is acknowledged. Where the acknowledgement of another voter is needed as well,
//! that one can wait for this disk, and the log may run ahead of it. A lone voter has only its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::{EntryPayload, RaftTypeConfig};

use crate::raft::types::{Entry, Membership, TypeConfig};

type Node = <TypeConfig as RaftTypeConfig>::Node;
type NodeId = <TypeConfig as RaftTypeConfig>::NodeId;

/// The memberships in the log and the one before it, by index. Copies are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Voters(Arc<Mutex<BTreeMap<u64, bool>>>);

impl Voters {
    /// What a log says that was read from the disk.
    pub(super) fn found<'a>(snapshot: Option<&Membership>, entries: impl Iterator<Item = &'a Entry>) -> Self {
        let voters = Self::default();
        if let Some(membership) = snapshot {
            voters.note_snapshot(membership);
        }
        entries.for_each(|entry| voters.note_entry(entry));
        voters
    }

    /// An entry is appended.
    pub(super) fn note_entry(&self, entry: &Entry) {
        if let EntryPayload::Membership(membership) = &entry.payload {
            self.known().insert(entry.log_id.index, needs_others(membership));
        }
    }

    /// A snapshot is installed.
    pub(super) fn note_snapshot(&self, membership: &Membership) {
        if let Some(place) = membership.log_id() {
            self.known().insert(place.index, needs_others(membership.membership()));
        }
    }

    /// The entries from this one on are gone.
    pub(super) fn truncate(&self, since: u64) {
        self.known().split_off(&since);
    }

    /// The entries up to this one are gone, and what they said stays true.
    pub(super) fn purge(&self, upto: u64) {
        let mut known = self.known();
        if let Some(newest) = known.range(..=upto).next_back().map(|(index, _)| *index) {
            known.retain(|index, _| *index >= newest);
        }
    }

    /// Whether a commit needs another voter. Where nothing is known it may not.
    pub(super) fn need_others(&self) -> bool {
        self.known().last_key_value().is_some_and(|(_, needs)| *needs)
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<u64, bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A set of two has no majority of one; while voters change, one of the two sets is enough for that.
fn needs_others(membership: &openraft::Membership<NodeId, Node>) -> bool {
    membership.get_joint_config().iter().any(|voters| voters.len() > 1)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use openraft::{BasicNode, CommittedLeaderId, LogId};

    use super::*;

    fn entry(index: u64, configs: &[&[u64]]) -> Entry {
        let sets: Vec<BTreeSet<crate::base::NodeId>> =
            configs.iter().map(|ids| ids.iter().copied().map(crate::base::NodeId).collect()).collect();
        let nodes: BTreeMap<crate::base::NodeId, BasicNode> = sets.iter().flatten().map(|id| (*id, BasicNode::default())).collect();
        let log_id = LogId::new(CommittedLeaderId::new(1, crate::base::NodeId(1)), index);
        Entry { log_id, payload: EntryPayload::Membership(openraft::Membership::new(sets, nodes)) }
    }

    #[test]
    fn a_lone_voter_needs_nobody_and_a_change_needs_the_larger_set() {
        let voters = Voters::default();
        assert!(!voters.need_others(), "nothing is known");
        for (index, configs, needs) in
            [(0, &[&[1, 2, 3][..]][..], true), (4, &[&[1, 2], &[1]], true), (5, &[&[1]], false), (7, &[&[1], &[1, 2]], true)]
        {
            voters.note_entry(&entry(index, configs));
            assert_eq!(voters.need_others(), needs, "{configs:?}");
        }
        voters.truncate(7);
        assert!(!voters.need_others(), "the change was cut off");
        voters.purge(6);
        assert!(!voters.need_others());
        voters.truncate(5);
        assert!(!voters.need_others(), "nothing is known of what was purged");
    }
}
