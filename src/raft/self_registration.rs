//! A sentinel presents itself: who it is, where it answers, and which keys it has.
//!
//! A member of an older release kept of a record what it knew of it, and does not learn the rest by being upgraded: for those who have the
//! whole record nothing changes any more. So each sentinel says its record once in its life whatever its own state says, and once more when
//! another member turns out to have been upgraded. Where the record is whole such an entry changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::core::Core;
use super::levels;
use super::propose::propose;
use crate::base::parameters::Announced;
use crate::base::{Addr, NodeId};
use crate::machine::{Command, SentinelRecord};

const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Before a record is proposed again that a leader of an older release did not take whole.
const OLD_LEADER_PAUSE: Duration = Duration::from_secs(15);
/// From one look at the keys of this sentinel to the next.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Keeps the record in the state true until this room stops.
pub(super) async fn run(core: Arc<Core>, record: SentinelRecord) {
    let mut states = core.states.clone();
    let mut repeat = Repeat::default();
    let mut told_of_twin = false;
    loop {
        // Only members present themselves: one that was removed must not come back by its own word.
        let member = core.standing().members.contains_key(&core.me) && !core.leaving.load(Ordering::Relaxed);
        let (record, known) = {
            let state = states.borrow_and_update();
            // The keys are those of now: the secret file may have changed.
            let key_ids = Some(core.config.sealer.key_ids());
            let level = Some(levels::own());
            let record = SentinelRecord { key_ids, level, ..as_set(&record, &state.parameters.of(core.me)) };
            repeat.look(core.me, &state.sentinels);
            if let Some(twin) = twin(core.me, &record, &state.sentinels).filter(|_| !std::mem::replace(&mut told_of_twin, true)) {
                tracing::warn!(
                    "sentinel {twin} has the same id as this one, {}: clients and tools take the two for one. The files of both said 'sentinel myid' \
                     before their first start; to give one an id of its own, replace that member ('raft-sentinel check' with all files shows such lines)",
                    record.sentinel_id
                );
            }
            let known = !repeat.due && state.sentinels.get(&core.me) == Some(&record);
            (record, known)
        };
        let mut pause = RETRY_AFTER;
        if member && !known {
            let command = Command::SentinelJoined { id: core.me, record: record.clone() };
            let proposed = tokio::select! {
                () = core.stop.cancelled() => return,
                proposed = propose(&core, command) => proposed,
            };
            repeat.due &= proposed.is_err();
            match proposed {
                Ok(_) if states.borrow().sentinels.get(&core.me) == Some(&record) => continue,
                // A leader of an older release passes on what it knows of a record, and no more.
                Ok(_) => pause = OLD_LEADER_PAUSE,
                Err(problem) => tracing::debug!(%problem, "this sentinel's addresses are not in the log yet"),
            }
        }
        if known {
            tokio::select! {
                () = core.stop.cancelled() => return,
                changed = states.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        } else {
            let mut leadership = core.leadership.subscribe();
            tokio::select! {
                rested = core.rest(pause) => if !rested { return },
                // Another leader may take it whole.
                _ = leadership.changed() => {}
            }
        }
    }
}

/// Whether the record is to be said again although the own state has it.
#[derive(Debug)]
struct Repeat {
    due: bool,
    /// The others whose records, when last looked at, were of a release that does not know of keys.
    old: BTreeSet<NodeId>,
}

impl Default for Repeat {
    fn default() -> Self {
        Self { due: true, old: BTreeSet::new() }
    }
}

impl Repeat {
    fn look(&mut self, me: NodeId, sentinels: &BTreeMap<NodeId, SentinelRecord>) {
        let is_old = |id: &NodeId| sentinels.get(id).map(|record| record.key_ids.is_none());
        self.due |= self.old.iter().any(|id| is_old(id) == Some(false));
        self.old = sentinels.keys().copied().filter(|id| *id != me && is_old(id) == Some(true)).collect();
    }
}

/// Another sentinel with the same public id.
fn twin(me: NodeId, record: &SentinelRecord, sentinels: &BTreeMap<NodeId, SentinelRecord>) -> Option<NodeId> {
    sentinels.iter().find(|(id, other)| **id != me && other.sentinel_id == record.sentinel_id).map(|(id, _)| *id)
}

/// What an operator set at run time (SENTINEL CONFIG SET announce-ip) counts more than the file.
fn as_set(file: &SentinelRecord, set: &Announced) -> SentinelRecord {
    let at = |file: &Addr, port| Addr::new(set.host(file.host()), port).unwrap_or_else(|_| file.at_port(port));
    let (resp, grpc) = (at(&file.resp, set.port(file.resp.port())), at(&file.grpc, file.grpc.port()));
    SentinelRecord { resp, grpc, ..file.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Incarnation, SentinelId};

    fn record(key_ids: Option<Vec<String>>) -> SentinelRecord {
        let at = |port| Addr::new("127.0.0.1", port).expect("an address");
        let (sentinel_id, incarnation) = (SentinelId::new("1".repeat(40)).expect("an id"), Incarnation::new("i").expect("an id"));
        SentinelRecord { sentinel_id, incarnation, resp: at(1), grpc: at(2), raft: at(3), shadow: false, key_ids, level: None }
    }

    #[test]
    fn one_that_has_the_same_id_is_found() {
        let other = SentinelRecord { sentinel_id: SentinelId::new("2".repeat(40)).expect("an id"), ..record(None) };
        let twins = |records: &[(u64, SentinelRecord)]| {
            twin(NodeId(1), &record(None), &records.iter().map(|(id, record)| (NodeId(*id), record.clone())).collect())
        };
        assert_eq!(twins(&[(1, record(None)), (2, other.clone())]), None);
        assert_eq!(twins(&[(1, record(None)), (2, other), (3, record(None))]), Some(NodeId(3)));
    }

    #[test]
    fn a_record_is_said_once_in_a_life_and_once_for_each_member_that_is_upgraded() {
        let (me, other) = (NodeId(1), NodeId(2));
        let mut repeat = Repeat::default();
        assert!(repeat.due, "once whatever the state says");
        let mut said = |sentinels: &[(NodeId, Option<Vec<String>>)]| {
            repeat.look(me, &sentinels.iter().map(|(id, keys)| (*id, record(keys.clone()))).collect());
            std::mem::take(&mut repeat.due)
        };
        assert!(said(&[(me, None)]));
        assert!(!said(&[(me, Some(Vec::new())), (other, None)]), "its own record is no news to it");
        assert!(said(&[(me, Some(Vec::new())), (other, Some(Vec::new()))]), "the other was upgraded");
        assert!(!said(&[(me, Some(Vec::new())), (other, Some(vec!["key".to_owned()]))]), "other keys are not another release");
        assert!(!said(&[(me, Some(Vec::new())), (other, None)]));
        assert!(!said(&[(me, Some(Vec::new()))]), "it left");
        assert!(!said(&[(me, Some(Vec::new())), (other, Some(Vec::new()))]), "and came anew: the log tells it all");
    }
}
