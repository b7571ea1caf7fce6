//! Which replicas can be relied on to have what they once confirmed, and which of them holds most.

use std::cmp::Reverse;

use super::candidate::{Lineage, continues, foreign, lineage};
use super::view::NodeView;
use crate::base::observation::{NodeReport, RoleReport};
use crate::base::{Addr, Mono};
use crate::machine::{Group, Ineligible, Tenure};

/// What a node was last seen to be, if that is known since `not_before`.
///
/// # Errors
/// Why it is not known.
pub(super) fn known_since(node: Option<&NodeView>, not_before: Mono) -> Result<(Mono, &NodeReport), Ineligible> {
    let node = node.ok_or(Ineligible::NoReport)?;
    if node.cannot_judge.is_some() {
        return Err(Ineligible::Credentials);
    }
    match &node.report {
        Some((at, report)) if *at >= not_before => Ok((*at, report)),
        Some(_) | None if node.down_since.is_some() => Err(Ineligible::Down),
        Some(_) | None => Err(Ineligible::NoReport),
    }
}

/// Whether a replica still has what it confirmed: the same process as when it was last seen in sync, with the recorded master's history.
///
/// A process that restarted may have lost its last writes even if its file says otherwise, and a full copy
/// that was begun has thrown away what was there before.
///
/// # Errors
/// Why it cannot be relied on.
pub(super) fn check_intact(group: &Group, addr: &Addr, report: &NodeReport) -> Result<(), Ineligible> {
    let record = group.replicas.get(addr).ok_or(Ineligible::NeverInSync)?;
    let known = record.identity.as_ref().ok_or(Ineligible::NeverInSync)?;
    if !group.is_wanted(record) {
        return Err(Ineligible::NotNamed);
    }
    if record.tenure == Tenure::Away {
        return Err(Ineligible::NotCounted);
    }
    if report.loading {
        return Err(Ineligible::Loading);
    }
    if known.run_id != report.run_id {
        return Err(Ineligible::Restarted);
    }
    if let RoleReport::Replica(replica) = &report.role {
        if replica.syncing {
            return Err(Ineligible::Syncing);
        }
        if replica.place_lost {
            return Err(Ineligible::PlaceLost);
        }
    }
    if report.replid.is_unknown() {
        return Err(Ineligible::NoHistory);
    }
    if lineage(group, report) != Lineage::Same && !continues(group, report) { Err(foreign(report)) } else { Ok(()) }
}

/// How much of the group's data a node holds; greater is more.
///
/// Offsets go on from one history to the one that continues it, but an old master may have gone further in its own: that
/// is not more than what came after it was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DataHeld {
    pub(super) history: Reverse<bool>,
    pub(super) offset: u64,
}

pub(super) fn held(group: &Group, report: &NodeReport) -> DataHeld {
    let master = &group.master;
    let older = match (&master.identity, &master.inherits) {
        (Some(seen), _) => report.replid != seen.replid && !continues(group, report),
        // Chosen, and never seen as a master: whoever goes on from its predecessor's history has been with it.
        (None, Some(inherited)) => report.replid2.as_ref() != Some(&inherited.replid),
        (None, None) => false,
    };
    DataHeld { history: Reverse(older), offset: report.offset }
}
