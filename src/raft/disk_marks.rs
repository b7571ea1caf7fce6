//! How far the disks of the other members were, so that one that went back in time is found out.
//!
//! A member whose directory was restored from a copy, or whose machine was rolled back, has forgotten entries that it acknowledged and votes that
//! it gave, and looks like itself: number and incarnation fit. But its log file counts its commits, and what a member answers is durable before it
//! answers. So every call and every answer tells how many commits the process found when it started and how many there are; the others remember the highest figure
//! of each member, and refuse a process that found fewer. Only answers are remembered: a call may come from somebody who poses as the member.
//!
//! The leader knows the figure of each acknowledgement that it counted; others that of the last sign of life, up to a second old. A copy
//! that is younger than all that the living members remember is not found out.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::peer_identity::Refused;
use crate::base::{Incarnation, NodeId, limits};
use crate::proto::peer;
use crate::store::{LogStore, PeerMark, PeerMarks};

/// Earlier processes of one member whose last words may still arrive.
const EARLIER: usize = 8;

/// What this process has on its disk, and what the other members told of theirs.
pub(super) struct DiskMarks {
    process: u64,
    log: LogStore,
    file: PeerMarks,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    members: BTreeMap<NodeId, Remembered>,
    /// Whether the file lacks something.
    changed: bool,
}

struct Remembered {
    mark: PeerMark,
    earlier: VecDeque<u64>,
    /// The last process that was heard found fewer commits than there had been.
    went_back: bool,
}

impl DiskMarks {
    /// Of this process. Blocks on the disk.
    pub(super) fn load(log: LogStore, file: PeerMarks) -> Self {
        let remembered = |mark| Remembered { mark, earlier: VecDeque::new(), went_back: false };
        let members = file.load().into_iter().map(|(id, mark)| (id, remembered(mark))).collect();
        let process = rand::random::<u64>().max(1);
        Self { process, log, file, known: Mutex::new(Known { members, changed: false }) }
    }

    /// For a call or an answer.
    pub(super) fn own(&self) -> peer::DiskMark {
        peer::DiskMark { process: self.process, found: self.log.commits_found(), commits: self.log.commits() }
    }

    /// A call by `id`.
    pub(super) fn check_call(&self, id: NodeId, life: &str, told: Option<peer::DiskMark>) -> Result<(), Refused> {
        let Some(told) = told else { return Ok(()) };
        self.known().check(id, life, &told)
    }

    /// An answer by `id`, which is remembered.
    pub(super) fn check_answer(&self, id: NodeId, life: &str, told: Option<peer::DiskMark>) -> Result<(), Refused> {
        let Some(told) = told else { return Ok(()) };
        let mut known = self.known();
        known.check(id, life, &told)?;
        known.remember(id, life, &told);
        Ok(())
    }

    /// Whether it was last heard with an older disk than it had.
    pub(super) fn went_back(&self, id: NodeId) -> bool {
        self.known().members.get(&id).is_some_and(|known| known.went_back)
    }

    /// It is no member any more.
    pub(super) fn forget(&self, id: NodeId) {
        let mut known = self.known();
        known.changed |= known.members.remove(&id).is_some();
    }

    /// Keeps what was remembered since the last time. Blocks on the disk, without a sync.
    pub(super) fn keep(&self) {
        let marks: BTreeMap<NodeId, PeerMark> = {
            let mut known = self.known();
            if !std::mem::take(&mut known.changed) {
                return;
            }
            known.members.iter().map(|(id, known)| (*id, known.mark.clone())).collect()
        };
        if let Err(problem) = self.file.save(&marks) {
            tracing::warn!(%problem, "a restart would forget what the other sentinels had on their disks");
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn check(&mut self, id: NodeId, life: &str, told: &peer::DiskMark) -> Result<(), Refused> {
        let Some(known) = self.members.get_mut(&id).filter(|known| known.mark.incarnation.as_str() == life) else { return Ok(()) };
        if known.mark.process == told.process {
            known.went_back = false;
            return Ok(());
        }
        if known.earlier.contains(&told.process) {
            return Err(Refused(format!(
                "this was said by an earlier process of sentinel {id}, and another one works on its data directory by now: if both run, stop one"
            )));
        }
        known.went_back = told.found < known.mark.commits;
        if known.went_back { Err(Refused(went_back(id, told.found, known.mark.commits))) } else { Ok(()) }
    }

    fn remember(&mut self, id: NodeId, life: &str, told: &peer::DiskMark) {
        let commits = told.commits.max(told.found).min(limits::INDEX_LIMIT);
        let known = self.members.get_mut(&id).filter(|known| known.mark.incarnation.as_str() == life);
        let Some(known) = known else {
            if let Ok(incarnation) = Incarnation::new(life.to_owned())
                && (self.members.len() < limits::MEMBERS || self.members.contains_key(&id))
            {
                let mark = PeerMark { incarnation, commits, process: told.process };
                self.members.insert(id, Remembered { mark, earlier: VecDeque::new(), went_back: false });
                self.changed = true;
            }
            return;
        };
        if known.mark.process != told.process {
            known.earlier.push_back(std::mem::replace(&mut known.mark.process, told.process));
            self.changed = true;
            if known.earlier.len() > EARLIER {
                known.earlier.pop_front();
            }
        }
        if commits > known.mark.commits {
            known.mark.commits = commits;
            self.changed = true;
        }
    }
}

fn went_back(id: NodeId, found: u64, known: u64) -> String {
    format!(
        "the data directory of sentinel {id} went back in time: it has told of {known} commits of its log and started with {found} (a restored copy, or a \
         machine that was rolled back). It has forgotten what it acknowledged and voted since, so it must not take part. Give it back the directory that it \
         had; or replace it: 'raft-sentinel members replace {id} NEW HOST:PORT' at the sentinel that leads, with an empty 'dir' and \
         'raft node-id NEW' for the new one. With no quorum left: 'raft-sentinel members recover' at the one with the newest log"
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails may panic")]
mod tests {
    use super::*;

    const ID: NodeId = NodeId(2);

    fn told(process: u64, found: u64, commits: u64) -> peer::DiskMark {
        peer::DiskMark { process, found, commits }
    }

    fn answer(known: &mut Known, mark: &peer::DiskMark) -> Result<(), Refused> {
        known.check(ID, "a", mark)?;
        known.remember(ID, "a", mark);
        Ok(())
    }

    #[test]
    fn a_process_that_found_fewer_commits_than_were_told_is_refused_for_good() {
        let mut known = Known::default();
        answer(&mut known, &told(1, 0, 10)).unwrap();
        answer(&mut known, &told(1, 0, 12)).unwrap();
        answer(&mut known, &told(1, 0, 11)).unwrap();
        let refused = answer(&mut known, &told(2, 11, 11)).unwrap_err().0;
        assert!(refused.contains("told of 12 commits") && refused.contains("started with 11"), "{refused}");
        assert!(answer(&mut known, &told(2, 11, 40)).is_err(), "what it writes now makes nothing good");
        assert!(known.members[&ID].went_back);
        answer(&mut known, &told(3, 12, 12)).unwrap();
        assert!(!known.members[&ID].went_back, "it has its directory back");
    }

    #[test]
    fn the_last_words_of_an_earlier_process_are_no_step_back() {
        let mut known = Known::default();
        answer(&mut known, &told(1, 0, 10)).unwrap();
        answer(&mut known, &told(2, 10, 20)).unwrap();
        let late = known.check(ID, "a", &told(1, 0, 9)).unwrap_err().0;
        assert!(late.contains("earlier process"), "{late}");
        assert!(!known.members[&ID].went_back);
        answer(&mut known, &told(2, 10, 21)).unwrap();
    }

    #[test]
    fn a_call_is_checked_and_not_remembered() {
        let mut known = Known::default();
        known.check(ID, "a", &told(7, u64::MAX, u64::MAX)).unwrap();
        answer(&mut known, &told(1, 0, 10)).unwrap();
        known.check(ID, "a", &told(7, u64::MAX, u64::MAX)).unwrap();
        answer(&mut known, &told(2, 10, 10)).unwrap();
        assert!(known.check(ID, "a", &told(3, 5, 90)).is_err());
    }

    #[test]
    fn another_life_begins_anew() {
        let mut known = Known::default();
        answer(&mut known, &told(1, 0, 10)).unwrap();
        known.check(ID, "b", &told(2, 0, 1)).unwrap();
        known.remember(ID, "b", &told(2, 0, 1));
        assert_eq!((known.members[&ID].mark.commits, known.members[&ID].mark.incarnation.as_str()), (1, "b"));
    }
}
