//! What stands in the way of a group's removal: a fence that nobody looks after stops the writes of a healthy master at the next loss of a
//! replica, and a replica that a failover has taken from its master follows nobody for ever.

use super::view::GroupView;
use crate::base::{Addr, FenceSight};
use crate::machine::{Cause, Group};

/// The first step of a removal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemovalStep {
    /// Something of ours would be left behind and cannot be taken back now, for this reason.
    Stays(String),
    /// The data nodes give back the fence first.
    TakesBack,
    /// Nothing is left behind.
    Ends,
}

impl GroupView {
    /// The first step for a group, as this sentinel sees it. With `force` nothing stands in the way: what can be taken back is.
    pub fn removal_step(&self, group: &Group, force: bool) -> RemovalStep {
        match obstacle(group, self).filter(|_| !force) {
            Some(why) => RemovalStep::Stays(why),
            None if group.fence.is_some() && (!force || group.failover.is_none()) => RemovalStep::TakesBack,
            None => RemovalStep::Ends,
        }
    }

    /// Whether a removal still waits for servers to give back the fence. By force only those that can be reached are waited for.
    pub fn holds_up_removal(&self, group: &Group, force: bool) -> bool {
        let holds = |addr: &Addr| self.live_report(addr).is_some() && !self.gave_back(addr);
        group.fence.is_some() && (!force || group.data_nodes().any(holds))
    }

    /// Whether nothing of ours is seen to stand at a server. What another's server holds is not ours to take back.
    pub fn gave_back(&self, addr: &Addr) -> bool {
        let foreign = self.nodes.get(addr).is_some_and(|node| node.foreign.is_some());
        foreign || self.fence(addr).and_then(FenceSight::held).is_some_and(|held| held.min_replicas == 0)
    }
}

fn obstacle(group: &Group, view: &GroupView) -> Option<String> {
    let mut under_way = None;
    if let Some(failover) = &group.failover {
        let detached: Vec<&Addr> = group.data_nodes().filter(|addr| view.is_detached(addr)).collect();
        if !detached.is_empty() {
            return Some(format!("a failover is under way, and {} were taken from their master for it", listed(&detached)));
        }
        if !failover.phase.is_undecided() {
            return Some("a failover is under way, and servers are being pointed at the new master".to_owned());
        }
        // What it has asked of servers may not be seen yet. The loss of a master that is not fenced asks nothing before it is decided.
        if matches!(failover.cause, Cause::Requested { .. }) || group.fence.is_some() {
            under_way = Some("a failover is under way".to_owned());
        }
    }
    if group.fence.is_none() {
        return under_way;
    }
    let away: Vec<&Addr> = group.data_nodes().filter(|addr| view.live_report(addr).is_none()).collect();
    if !away.is_empty() {
        return Some(format!(
            "{} cannot be reached, and may hold min-replicas-to-write by the doing of this cluster, in its file as well: bring it back, or \
             have it forgotten first (SENTINEL FORGET)",
            listed(&away)
        ));
    }
    under_way
}

fn listed(addrs: &[&Addr]) -> String {
    addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
