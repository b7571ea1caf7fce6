//! What must hold after every entry, whatever the entries are. Checked by stories, properties and simulations.

use super::cause::AbortReason;
use super::decision::Ending;
use super::failover::{Phase, hands_over};
use super::state::State;
use crate::base::GroupName;

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{group}: {what}")]
pub struct Violation {
    /// The group in which it does not hold.
    pub group: GroupName,
    /// What does not hold.
    pub what: String,
}

/// Checks one step from `before` to `after`.
///
/// # Errors
/// The first [`Violation`] found.
pub fn check_step(before: &State, after: &State) -> Result<(), Violation> {
    for (name, now) in &after.groups {
        let fail = |what: String| Err(Violation { group: name.clone(), what });
        if now.replicas.contains_key(&now.master.addr) {
            return fail(format!("the master {} is recorded as its own replica", now.master.addr));
        }
        if now.objectively_down() && now.failover.is_none() {
            return fail("the master is objectively down, and no failover is under way".to_owned());
        }
        if let Some(failover) = &now.failover {
            let expected = match failover.phase {
                Phase::Choosing | Phase::Detaching | Phase::Draining { .. } => now.epoch.next(),
                Phase::Promoting | Phase::Following { .. } => now.epoch,
            };
            if failover.id.epoch != expected {
                return fail(format!("failover towards epoch {} in epoch {}", failover.id.epoch, now.epoch));
            }
        }
        if now.in_shadow() && now.failover.as_ref().is_some_and(|failover| !failover.phase.is_undecided()) {
            return fail("a failover was decided in shadow".to_owned());
        }
        if let Some(fence) = &now.fence
            && fence.covered > fence.wait_replicas
        {
            return fail(format!("writes confirmed by {} replicas are said to be on {}", fence.wait_replicas, fence.covered));
        }
        let Some(then) = before.groups.get(name) else { continue };
        // P1: epochs grow by one for each promotion, and a master belongs to one epoch.
        let changed = now.master.addr != then.master.addr;
        match now.epoch.0.checked_sub(then.epoch.0) {
            Some(0) if changed => return fail(format!("epoch {} has two masters", now.epoch)),
            Some(0 | 1) => {}
            Some(_) | None => return fail(format!("epoch went from {} to {}", then.epoch, now.epoch)),
        }
        // P4, P5: what a strict decision rests on.
        let fenced = then.failover.as_ref().is_some_and(|failover| !matches!(failover.phase, Phase::Choosing)) && then.is_strict();
        // Others promise nothing: the record only follows them.
        let by_others = Some(Ending::Aborted(AbortReason::MovedByOthers));
        let moved = now.history.last().and_then(|decision| decision.ended.as_ref().map(|(_, how)| how.clone())) == by_others;
        if fenced && !moved && now.epoch != then.epoch {
            let choice = now.history.last().and_then(|decision| decision.choice.as_ref()).map(|(choice, _)| choice);
            let phase = then.failover.as_ref().map(|failover| &failover.phase);
            let handed_over = phase.zip(choice).is_some_and(|(phase, choice)| hands_over(phase, choice));
            let shown = choice.map_or(&[][..], |choice| &choice.candidates);
            let detached = shown.iter().filter(|candidate| candidate.detached && then.may_hold(&candidate.addr)).count();
            let needed = then.needed().detached as usize;
            if detached < needed && !handed_over {
                return fail(format!("a decision with {detached} detached replicas, {needed} are needed"));
            }
        }
        let lost: Vec<_> = then.data_nodes().filter(|addr| !now.data_nodes().any(|kept| kept == *addr)).collect();
        if now.epoch != then.epoch && !lost.is_empty() {
            return fail(format!("a promotion forgot {lost:?}"));
        }
    }
    if after.changes.iter().zip(after.changes.iter().skip(1)).any(|(a, b)| a.revision >= b.revision) {
        let group = after.changes[0].group.clone();
        return Err(Violation { group, what: "master changes are not in the order of the log".to_owned() });
    }
    Ok(())
}
