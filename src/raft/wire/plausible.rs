//! Terms and places that no member of this group can name, found out before openraft takes them for true.
//!
//! openraft trusts its peers: it adds one to a term, makes a vote durable, cuts its log where it is told to, and stops the process where its
//! arithmetic ends. One wrong number would be kept on the disk, and end the process at each start. So numbers are measured
//! against those that this sentinel holds: generously, but never near the end of their range.

use openraft::raft::AppendEntriesRequest;

use super::Malformed;
use crate::base::{NodeId, limits};
use crate::raft::types::{LogId, SnapshotMeta, TypeConfig, Vote};

/// Where this sentinel stands.
pub(in crate::raft) struct Standpoint<L> {
    /// Its number.
    pub(in crate::raft) me: NodeId,
    /// Its term.
    pub(in crate::raft) term: u64,
    /// The end of its log.
    pub(in crate::raft) last: Option<LogId>,
    /// Its commit point.
    pub(in crate::raft) committed: Option<LogId>,
    /// The entry at an index, if its log holds it.
    pub(in crate::raft) at: L,
}

impl<L: Fn(u64) -> Option<LogId>> Standpoint<L> {
    /// A vote of somebody else.
    pub(in crate::raft) fn check_vote(&self, vote: &Vote) -> Result<(), Malformed> {
        if vote.leader_id.node_id == self.me {
            return Err(Malformed(format!("{vote} is a vote for this sentinel, by somebody else")));
        }
        check_term(vote.leader_id.term, self.term)
    }

    /// The end of a candidate's log.
    pub(in crate::raft) fn check_candidate(&self, vote: &Vote, last_log: Option<LogId>) -> Result<(), Malformed> {
        self.check_vote(vote)?;
        last_log.map_or(Ok(()), |last| self.check_place(last, vote))
    }

    fn check_place(&self, place: LogId, vote: &Vote) -> Result<(), Malformed> {
        if place.leader_id.term > vote.leader_id.term {
            return Err(Malformed(format!("entry {place} is of a later term than {vote}")));
        }
        let reach = self.last.map_or(0, |last| last.index).saturating_add(limits::INDEX_JUMP).min(limits::INDEX_LIMIT);
        if place.index > reach {
            return Err(Malformed(format!("entry {place} is beyond what can be: this log ends at {:?}", self.last.map(|last| last.index))));
        }
        Ok(())
    }

    /// What is committed here is the truth: an entry in its place is the same, or its sender is none of us.
    fn check_against_committed(&self, place: LogId) -> Result<(), Malformed> {
        let Some(committed) = self.committed.filter(|committed| place.index <= committed.index) else { return Ok(()) };
        let same = (self.at)(place.index).map_or(place <= committed, |ours| ours == place);
        if same { Ok(()) } else { Err(Malformed(format!("entry {place} contradicts what was committed here, up to {committed}"))) }
    }

    /// The first of these places in which another entry is committed here.
    pub(in crate::raft) fn contradicted(&self, mut places: impl Iterator<Item = LogId>) -> Option<LogId> {
        let committed = self.committed?;
        places.find(|place| place.index <= committed.index && (self.at)(place.index).is_some_and(|ours| ours != *place))
    }

    /// Entries of a leader. The commit point is brought into the reach of what is sent: openraft would commit what it does not have.
    pub(in crate::raft) fn check_append(
        &self,
        mut request: AppendEntriesRequest<TypeConfig>,
    ) -> Result<AppendEntriesRequest<TypeConfig>, Malformed> {
        self.check_vote(&request.vote)?;
        let places = || request.prev_log_id.into_iter().chain(request.entries.iter().map(|entry| entry.log_id));
        for place in places() {
            self.check_place(place, &request.vote)?;
            self.check_against_committed(place)?;
        }
        let last = places().last();
        request.leader_commit = match (request.leader_commit, last) {
            (Some(commit), Some(last)) if commit.index >= last.index => Some(last),
            (Some(commit), Some(_)) => {
                let sent = request.entries.iter().map(|entry| entry.log_id).find(|place| place.index == commit.index);
                sent.or_else(|| (self.at)(commit.index)).filter(|known| *known == commit)
            }
            (None, _) | (_, None) => None,
        };
        Ok(request)
    }

    /// The description of a snapshot.
    pub(in crate::raft) fn check_snapshot(&self, vote: &Vote, meta: &SnapshotMeta) -> Result<(), Malformed> {
        self.check_vote(vote)?;
        let last = meta.last_log_id.ok_or_else(|| Malformed("a snapshot of nothing".to_owned()))?;
        self.check_place(last, vote)?;
        self.check_against_committed(last)?;
        match meta.last_membership.log_id() {
            Some(place) if *place <= last && place.index <= last.index => Ok(()),
            place => Err(Malformed(format!("a snapshot up to {last} with a membership of {place:?}"))),
        }
    }
}

fn check_term(term: u64, ours: u64) -> Result<(), Malformed> {
    if term <= ours.saturating_add(limits::TERM_JUMP).min(limits::TERM_LIMIT) {
        return Ok(());
    }
    Err(Malformed(format!("term {term} is beyond what can be: this sentinel is in term {ours}")))
}

/// The vote in an answer to one that we sent with `asked`.
pub(in crate::raft) fn check_answered_vote(vote: &Vote, asked: &Vote) -> Result<(), Malformed> {
    check_term(vote.leader_id.term, asked.leader_id.term)?;
    if vote > asked && vote.leader_id.node_id == asked.leader_id.node_id {
        return Err(Malformed(format!("{vote} would be ours, and is newer than {asked}")));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails may panic")]
mod tests {
    use openraft::{CommittedLeaderId, Entry, EntryPayload};

    use super::*;
    use crate::raft::types::Membership;

    fn id(term: u64, index: u64) -> LogId {
        LogId::new(CommittedLeaderId::new(term, NodeId(1)), index)
    }

    fn vote(term: u64) -> Vote {
        Vote::new_committed(term, NodeId(1))
    }

    /// Sentinel 2 in term 5, with entries 0 to 20 of term 4, committed up to 10; the first three are purged.
    fn standpoint() -> Standpoint<impl Fn(u64) -> Option<LogId>> {
        let at = |index| (3..=20).contains(&index).then(|| id(4, index));
        Standpoint { me: NodeId(2), term: 5, last: Some(id(4, 20)), committed: Some(id(4, 10)), at }
    }

    fn append(term: u64, prev: Option<LogId>, entries: &[LogId], commit: Option<LogId>) -> Result<Option<LogId>, Malformed> {
        let entries = entries.iter().map(|log_id| Entry { log_id: *log_id, payload: EntryPayload::Blank }).collect();
        let request = AppendEntriesRequest { vote: vote(term), prev_log_id: prev, entries, leader_commit: commit };
        standpoint().check_append(request).map(|request| request.leader_commit)
    }

    #[test]
    fn terms_may_jump_by_years_and_no_further() {
        let here = standpoint();
        for term in [0, 5, 6, 5 + limits::TERM_JUMP] {
            assert_eq!(here.check_vote(&vote(term)), Ok(()), "{term}");
        }
        for term in [6 + limits::TERM_JUMP, limits::TERM_LIMIT, u64::MAX - 1, u64::MAX] {
            assert!(here.check_vote(&vote(term)).is_err(), "{term}");
            assert!(append(term, None, &[], None).is_err());
            assert!(check_answered_vote(&vote(term), &Vote::new(5, NodeId(2))).is_err());
        }
        let old = Standpoint { term: limits::TERM_LIMIT, ..standpoint() };
        assert!(old.check_vote(&vote(limits::TERM_LIMIT + 1)).is_err());
        assert!(here.check_vote(&Vote::new_committed(6, NodeId(2))).is_err(), "nobody else says that we lead");
        assert!(check_answered_vote(&Vote::new_committed(6, NodeId(2)), &Vote::new(5, NodeId(2))).is_err());
        assert!(check_answered_vote(&Vote::new(5, NodeId(2)), &Vote::new(5, NodeId(2))).is_ok());
    }

    #[test]
    fn places_beyond_reach_and_of_the_future_are_refused() {
        assert!(append(6, Some(id(4, 20)), &[id(6, 21)], None).is_ok());
        assert!(append(6, Some(id(4, 20 + limits::INDEX_JUMP)), &[], None).is_ok(), "openraft answers that it does not have it");
        assert!(append(6, Some(id(4, 21 + limits::INDEX_JUMP)), &[], None).is_err());
        assert!(append(6, Some(id(4, u64::MAX)), &[], None).is_err());
        assert!(append(6, Some(id(7, 20)), &[], None).is_err());
        let here = standpoint();
        assert!(here.check_candidate(&Vote::new(6, NodeId(1)), Some(id(4, 20))).is_ok());
        assert!(here.check_candidate(&Vote::new(6, NodeId(1)), Some(id(4, u64::MAX))).is_err());
        assert!(here.check_candidate(&Vote::new(6, NodeId(1)), Some(id(7, 20))).is_err());
    }

    #[test]
    fn nothing_that_was_committed_is_written_over() {
        assert!(append(6, Some(id(4, 10)), &[id(6, 11)], None).is_ok(), "behind the commit point anything may change");
        assert!(append(6, Some(id(4, 9)), &[id(6, 10)], None).is_err());
        assert!(append(6, Some(id(3, 9)), &[], None).is_err());
        assert!(append(6, Some(id(4, 1)), &[], None).is_ok(), "purged, and possible");
        assert!(append(6, Some(id(5, 1)), &[], None).is_err(), "purged, and not possible");
    }

    #[test]
    fn what_contradicts_a_committed_entry_is_found() {
        let here = standpoint();
        let found = |places: &[LogId]| here.contradicted(places.iter().copied());
        assert_eq!(found(&[id(4, 9), id(6, 10), id(6, 11)]), Some(id(6, 10)));
        assert_eq!(found(&[id(4, 9), id(4, 10), id(6, 11)]), None, "behind the commit point anything may change");
        assert_eq!(found(&[id(6, 1)]), None, "purged: nothing to compare with");
    }

    #[test]
    fn the_commit_point_is_within_what_is_known_to_match() {
        let last = Some(id(4, 20));
        assert_eq!(append(6, last, &[id(6, 21)], Some(id(6, 21))), Ok(Some(id(6, 21))));
        assert_eq!(append(6, last, &[id(6, 21)], Some(id(4, 15))), Ok(Some(id(4, 15))));
        assert_eq!(append(6, last, &[], Some(id(6, 30))), Ok(last), "no further than what was sent");
        assert_eq!(append(6, last, &[id(6, 21)], Some(id(1, u64::MAX))), Ok(Some(id(6, 21))), "an old term with a far index");
        assert_eq!(append(6, last, &[], Some(id(u64::MAX, u64::MAX))), Ok(last));
        assert_eq!(append(6, last, &[], Some(id(3, 15))), Ok(None), "not what this log holds there");
        assert_eq!(append(6, None, &[], Some(id(4, 15))), Ok(None));
    }

    #[test]
    fn snapshots_go_on_from_what_was_committed() {
        let here = standpoint();
        let snapshot = |last: Option<LogId>, membership: Option<LogId>| {
            let meta = SnapshotMeta {
                last_log_id: last,
                last_membership: Membership::new(membership, openraft::Membership::default()),
                snapshot_id: String::new(),
            };
            here.check_snapshot(&vote(6), &meta)
        };
        assert!(snapshot(Some(id(5, 500)), Some(id(4, 0))).is_ok());
        assert!(snapshot(Some(id(4, 5)), Some(id(4, 0))).is_ok(), "an old one does no harm");
        assert!(snapshot(None, None).is_err());
        assert!(snapshot(Some(id(5, 5)), Some(id(4, 0))).is_err(), "a later term in a place that is committed");
        assert!(snapshot(Some(id(5, 500)), None).is_err());
        assert!(snapshot(Some(id(5, 500)), Some(id(5, 501))).is_err());
        assert!(snapshot(Some(id(5, 500)), Some(id(4, 501))).is_err());
        assert!(snapshot(Some(id(5, u64::MAX)), Some(id(4, 0))).is_err());
    }
}
