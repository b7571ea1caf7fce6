//! Orders, and the servers that would refuse them to the user of the sentinels.
//!
//! A refusal is known before the order is needed (`probe` tries them). A replica that takes no orders is no candidate, is not counted among those
//! that can be taken from the old master, and is not asked again and again.

use std::collections::BTreeMap;

use super::fenced_failover::DetachState;
use super::group_judge::{FailoverAttempt, Judge};
use super::intent::{Ask, Intent, Permit};
use super::view::NodeView;
use crate::base::observation::NodeReport;
use crate::base::{Addr, FenceSight, Mono, Order};
use crate::machine::{Group, Ineligible};

/// Servers that are named in one sentence.
const NAMED: usize = 3;

impl NodeView {
    /// Why it can be made neither a master nor a replica, if so.
    pub(super) fn takes_no_orders(&self) -> Option<Ineligible> {
        self.refusals.of(Order::Role).map(|why| Ineligible::TakesNoOrders { why: why.to_owned() })
    }

    /// An order was carried out, so it is not refused any more.
    pub(super) fn note_obeyed(&mut self, ask: &Ask) {
        if needs(ask) == Some(Order::Role) {
            self.refusals.lift(Order::Role);
        }
    }
}

impl Judge {
    /// Asks a node to change, unless it is being asked, or would refuse; false in that case.
    pub(super) fn ask(&mut self, node: &Addr, ask: Ask) -> bool {
        if self.only_watches() || self.is_foreign(&self.world.group, node) || self.would_refuse(node, &ask) {
            return false;
        }
        let begun = self.asks.begin(node.clone(), self.now());
        if begun {
            let permit = Permit::of(&self.world.group);
            let judged = self.view.standing(node).filter(|_| ask.is_of_role());
            self.want(Intent::Ask { node: node.clone(), ask, permit, judged });
        }
        begun
    }

    fn would_refuse(&self, node: &Addr, ask: &Ask) -> bool {
        let refusals = self.view.nodes.get(node).map(|node| &node.refusals);
        needs(ask).is_some_and(|order| refusals.is_some_and(|refusals| refusals.of(order).is_some()))
    }

    /// A replica that has not left the old master, with what speaks against relying on it.
    pub(super) fn attached(&self, group: &Group, addr: &Addr, seen: (Mono, &NodeReport), attempt: &FailoverAttempt) -> DetachState {
        let unreliable = self.check_reliable(group, addr, seen, attempt).err();
        DetachState::Attached(unreliable.or_else(|| self.view.nodes.get(addr).and_then(NodeView::takes_no_orders)))
    }

    /// Why a replica that has left the old master, and is intact, could not be made the new one.
    pub(super) fn unpromotable(&self, group: &Group, addr: &Addr) -> Option<Ineligible> {
        let node = self.view.nodes.get(addr)?;
        let unarmable = |why: &str| Ineligible::Unarmable { why: why.to_owned() };
        let without_fence = || match self.view.fence(addr) {
            Some(FenceSight::Unknown(why)) => Some(unarmable(why)),
            Some(FenceSight::Holds(_)) | None => node.refusals.of(Order::ConfigSet).map(unarmable),
        };
        node.takes_no_orders().or_else(|| group.promotion_fence().and_then(|_| without_fence()))
    }

    /// Why the master cannot be made to hold a fence, if it refuses that.
    pub(super) fn refuses_fence(&self, master: &Addr) -> Option<String> {
        let words = self.view.nodes.get(master)?.refusals.of(Order::ConfigSet)?;
        Some(format!("{master} lets this cluster set no fence: {words} (allow {} to the user of the sentinels)", Order::ConfigSet.rights()))
    }

    /// What the group's servers refuse, and what follows from it, for people.
    pub(super) fn lacking_rights(&self, group: &Group) -> Vec<String> {
        let mut refused: BTreeMap<(Order, &str), Vec<&Addr>> = BTreeMap::new();
        for addr in group.data_nodes().filter(|addr| !self.is_foreign(group, addr)) {
            let refusals = self.view.nodes.get(addr).map(|node| &node.refusals);
            for (order, words) in refusals.into_iter().flat_map(crate::base::Refusals::iter) {
                if !order.is_for_fence() || group.wanted_fence().is_some() {
                    refused.entry((order, words)).or_default().push(addr);
                }
            }
        }
        refused.into_iter().map(|((order, words), servers)| sentence(order, words, &servers)).collect()
    }
}

fn sentence(order: Order, words: &str, servers: &[&Addr]) -> String {
    let mut named: Vec<String> = servers.iter().take(NAMED).map(ToString::to_string).collect();
    if servers.len() > NAMED {
        named.push(format!("{} more", servers.len() - NAMED));
    }
    let (name, follows, rights) = (order.name(), order.consequence(), order.rights());
    format!("refused by {}: {name} ({words}), so that {follows}; allow {rights} to the user of the sentinels", named.join(", "))
}

/// The order that a change is made by, where it is of no use without.
const fn needs(ask: &Ask) -> Option<Order> {
    match ask {
        Ask::Promote { .. } | Ask::Demote { .. } | Ask::Repoint { .. } | Ask::Detach { .. } | Ask::ServeCatchUp => Some(Order::Role),
        Ask::Arm(_) => Some(Order::ConfigSet),
        // Told once each; a refusal is an answer.
        Ask::Pause { .. } | Ask::Unpause | Ask::KillScript => None,
    }
}
