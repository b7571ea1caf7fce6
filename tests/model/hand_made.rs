//! An operator who changes roles at the servers themselves.

use crate::data::{Target, addr};
use crate::net::Event;
use crate::run::Run;
use crate::storm::Trouble;

impl Run {
    /// Somebody careful makes a replica the master: one that has all that was written, with all the others at once. The old master is told
    /// a moment later. What Redis itself throws away for a careless operator nobody can keep.
    pub(crate) fn move_by_hand(&mut self) {
        let team = self.dice.index(self.teams.len());
        let Some(master) = self.master_of(team).filter(|master| self.nodes[*master].runs() && self.nodes[*master].is_master()) else {
            return;
        };
        let group = self.group(team);
        if !group.is_strict() || group.failover.is_some() || group.fence.is_none_or(|fence| fence.min_replicas == 0) {
            return;
        }
        let offset = self.nodes[master].offset;
        let others: Vec<usize> =
            self.teams[team].nodes.clone().filter(|node| *node != master && !self.nodes[*node].gone_for_good).collect();
        let complete = |node: &usize| {
            let node = &self.nodes[*node];
            node.runs() && !node.pretends && node.linked() && node.follows == Some(Target::Node(master)) && node.offset == offset
        };
        if others.len() < 2 || !others.iter().all(complete) {
            return;
        }
        let to = self.dice.pick(&others);
        self.tell(|| format!("{} is made the master by hand", addr(to).host()));
        self.follow(to, None);
        self.save(to);
        self.nodes[to].by_hand = true;
        for node in others.into_iter().filter(|node| *node != to) {
            self.point_by_hand(node, to);
        }
        let later = self.dice.between(0, 1_500_000);
        self.net.after(later, Event::Trouble(Trouble::PointByHand(master, to)));
    }

    pub(crate) fn point_by_hand(&mut self, node: usize, master: usize) {
        let led = self.nodes[master].by_hand || self.master_of(self.nodes[master].team) == Some(master);
        if !led
            || self.nodes[node].by_hand
            || self.nodes[node].gone_for_good
            || self.master_of(self.nodes[node].team) == Some(node) && !self.nodes[master].by_hand
        {
            return;
        }
        // The operator looks before the last step. Had it been undone meanwhile, Redis itself would throw away at that step what the old
        // master has confirmed since.
        let team = self.nodes[node].team;
        let undone = |other: usize| !self.nodes[other].gone_for_good && self.nodes[other].follows != Some(Target::Node(master));
        if self.master_of(team) == Some(node) && self.teams[team].nodes.clone().filter(|other| ![node, master].contains(other)).any(undone)
        {
            return;
        }
        if !self.nodes[node].runs() || !self.nodes[master].runs() {
            self.net.after(1_000_000, Event::Trouble(Trouble::PointByHand(node, master)));
            return;
        }
        self.tell(|| format!("{} is told by hand to follow {}", addr(node).host(), addr(master).host()));
        self.follow(node, Some(Target::Node(master)));
        self.save(node);
    }
}
