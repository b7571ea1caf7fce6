//! Nothing is proposed that a member would not understand: its release is older, and it tells so in its record.

use std::collections::BTreeMap;

use super::core::Core;
use crate::base::NodeId;
use crate::failpoint;
use crate::machine::level::LEVEL;
use crate::machine::{Command, SentinelRecord};

/// The level of this sentinel.
pub(super) fn own() -> u32 {
    failpoint::level(LEVEL)
}

/// The level that a command needs.
pub(super) fn of(command: &Command) -> u32 {
    failpoint::level_of(command.name(), command.level())
}

/// Refuses a command that some member does not understand; the error names those.
pub(super) fn check(core: &Core, command: &Command) -> Result<(), String> {
    let needed = of(command);
    // What every release understands is proposed without a look at the members.
    if needed <= 1 {
        return Ok(());
    }
    let state = core.states.borrow().clone();
    let behind = behind(core.standing().members.keys().copied(), &state.sentinels, needed);
    if behind.is_empty() {
        return Ok(());
    }
    Err(format!(
        "it needs every sentinel to understand level {needed}, and {} understand less: install the newer release there too, or wait until they have \
         presented themselves; nothing was changed",
        behind.iter().map(|(id, level)| format!("sentinel {id} (level {level})")).collect::<Vec<_>>().join(", ")
    ))
}

/// The members that do not understand a level. One that has not presented itself, or tells no level, is of an old release as far as anybody knows.
fn behind(members: impl Iterator<Item = NodeId>, records: &BTreeMap<NodeId, SentinelRecord>, needed: u32) -> Vec<(NodeId, u32)> {
    let level = |id: NodeId| records.get(&id).and_then(|record| record.level).unwrap_or(1);
    members.map(|id| (id, level(id))).filter(|(_, level)| *level < needed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Addr, Incarnation, SentinelId};

    fn record(level: Option<u32>) -> SentinelRecord {
        let at = |port| Addr::new("127.0.0.1", port).expect("an address");
        let (sentinel_id, incarnation) = (SentinelId::new("1".repeat(40)).expect("an id"), Incarnation::new("i").expect("an id"));
        SentinelRecord { sentinel_id, incarnation, resp: at(1), grpc: at(2), raft: at(3), shadow: false, key_ids: None, level }
    }

    #[test]
    fn who_tells_no_level_or_has_no_record_is_behind() {
        let records = BTreeMap::from([(NodeId(1), record(Some(2))), (NodeId(2), record(None)), (NodeId(4), record(Some(1)))]);
        let members = || (1..=3).map(NodeId);
        assert_eq!(behind(members(), &records, 2), [(NodeId(2), 1), (NodeId(3), 1)], "who is no member does not matter");
        assert_eq!(behind(members(), &records, 1), []);
    }
}
