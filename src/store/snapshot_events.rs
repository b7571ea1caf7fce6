//! What a snapshot jumps over: the changes that listeners must still hear of when a state arrives whole.

use crate::base::{Epoch, GroupName, WallTime};
use crate::machine::{Event, Group, LoggedEvent, State};

/// The changes from `before` to `after` that no listener may miss: groups that came or went, and masters announced to clients.
///
/// What happened in between (votes, steps of failovers, a master that came and went) is not told: it is over.
pub(super) fn changes(before: &State, after: &State) -> Vec<LoggedEvent> {
    let gone = before.groups.iter().filter(|(name, _)| !after.groups.contains_key(*name));
    let gone = gone.map(|(name, group)| (name, Event::GroupRemoved { master: group.announced.clone() }));
    let there = after.groups.iter().filter_map(|(name, group)| Some((name, change(before.groups.get(name).map(AsRef::as_ref), group)?)));
    gone.chain(there)
        .map(|(name, event)| LoggedEvent { index: after.applied, at: last_change(after, name), group: Some(name.clone()), event })
        .collect()
}

fn change(before: Option<&Group>, after: &Group) -> Option<Event> {
    match before {
        None => Some(Event::GroupAdded { master: after.announced.clone(), quorum: after.settings.quorum }),
        Some(before) if before.announced == after.announced => None,
        Some(before) => {
            Some(Event::SwitchMaster { epoch: announced_epoch(after), from: before.announced.clone(), to: after.announced.clone() })
        }
    }
}

/// The epoch of the announced master, which is not the group's while a newer one is being promoted.
fn announced_epoch(group: &Group) -> Epoch {
    if group.announced == group.master.addr {
        return group.epoch;
    }
    let announced = |choice: &crate::machine::Choice| choice.chosen == group.announced;
    let promoted = group.history.iter().rev().filter(|decision| decision.promoted.is_some());
    let decision = promoted.into_iter().find(|decision| decision.choice.as_ref().is_some_and(|(choice, _)| announced(choice)));
    decision.map_or(Epoch(group.epoch.0.saturating_sub(1)), |decision| decision.id.epoch)
}

fn last_change(state: &State, name: &GroupName) -> WallTime {
    state.changes.iter().rev().find(|change| change.group == *name).map_or(WallTime::default(), |change| change.at)
}
