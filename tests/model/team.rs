//! One of the groups under the same sentinels: its data nodes, its terms, and what is remembered of its promises.

use std::ops::Range;
use std::sync::Arc;

use crate::base::{Addr, GroupName};
use crate::check::Ledger;
use crate::data::name;
use crate::judge::Ask;
use crate::machine::Group;
use crate::run::Run;
use crate::setup::Terms;

#[derive(Clone)]
pub(crate) struct Team {
    pub(crate) name: GroupName,
    pub(crate) terms: Terms,
    pub(crate) nodes: Range<usize>,
    pub(crate) ledger: Ledger,
    /// How far its removal has come, if an operator wants it removed.
    pub(crate) removal: Option<crate::removal::Stage>,
}

impl Run {
    /// The group as it is agreed.
    pub(crate) fn group(&self, team: usize) -> &Arc<Group> {
        &self.snaps.last().expect("configured at the start")[team]
    }

    /// The group as a sentinel knows it.
    pub(crate) fn group_at(&self, sentinel: usize, team: usize) -> &Arc<Group> {
        &self.snaps[self.sentinels[sentinel].applied][team]
    }

    pub(crate) fn node_at(&self, wanted: &Addr) -> Option<usize> {
        (0..self.nodes.len()).find(|node| name(*node) == wanted.host())
    }

    /// The recorded master.
    pub(crate) fn master_of(&self, team: usize) -> Option<usize> {
        self.node_at(&self.group(team).master.addr)
    }

    pub(crate) fn ledger_of(&mut self, node: usize) -> &mut Ledger {
        &mut self.teams[self.nodes[node].team].ledger
    }

    /// Whether an act is of this group, all of it: whom it is sent to, and whom that is to follow.
    pub(crate) fn is_of(&self, team: usize, node: usize, ask: &Ask) -> bool {
        let inside = |node: usize| self.teams[team].nodes.contains(&node);
        match ask {
            // Or of nobody, by an old master that hands over.
            Ask::Demote { master } | Ask::Repoint { master } => {
                inside(node) && (*master == Addr::nobody() || self.node_at(master).is_some_and(inside))
            }
            Ask::Promote { .. }
            | Ask::Detach { .. }
            | Ask::ServeCatchUp
            | Ask::Arm(_)
            | Ask::Pause { .. }
            | Ask::Unpause
            | Ask::KillScript => inside(node),
        }
    }
}
