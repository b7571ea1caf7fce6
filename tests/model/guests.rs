//! Servers that join, move to another address and leave; and connections that pretend to be replicas.

use crate::base::Fence;
use crate::data::{Node, Target, addr};
use crate::net::Event;
use crate::run::Run;
use crate::storm::Trouble;

/// Places for servers that join each group.
pub(crate) const SPARE: usize = 4;

impl Run {
    /// A server that is not part of the group yet.
    pub(crate) fn spare(node: Node) -> Node {
        Node { follows: Some(Target::Nobody), power: crate::data::Power::Off, gone_for_good: true, spare: true, ..node }
    }

    /// Somebody attaches to the master: a new server, one that lived elsewhere until now, or nobody at all.
    pub(crate) fn join(&mut self) {
        let team = self.dice.index(self.teams.len());
        let Some(master) = self.master_of(team) else { return };
        let nodes = self.teams[team].nodes.clone();
        let Some(at) = nodes.clone().find(|node| self.nodes[*node].spare) else { return };
        self.replids += 1;
        let (fresh, pretends) = (self.replids, self.dice.chance(35));
        let here = |node: &usize| *node != master && !self.nodes[*node].gone_for_good && !self.nodes[*node].pretends;
        let movers: Vec<usize> = nodes.filter(here).collect();
        let moves = (!pretends && movers.len() > 1 && self.dice.chance(50)).then(|| self.dice.pick(&movers));
        // The master moves, too: whoever starts it at its new place has it follow the master on record, as soon as that is another.
        let leads = !pretends && moves.is_none() && self.nodes[master].is_master() && self.dice.chance(40);
        let moves = if leads { Some(master) } else { moves };
        self.tell(|| format!("{} joins (pretends {pretends}, in the place of {moves:?})", addr(at).host()));
        if let Some(from) = moves {
            self.crash(from, true);
            self.nodes[from].gone_for_good = true;
            let before = self.nodes[from].clone();
            let node = &mut self.nodes[at];
            (node.log, node.offset, node.replid, node.former) = (before.log, before.offset, before.replid, before.former);
            (node.placed, node.backlog_from, node.fence) = (before.placed, before.offset + 1, before.fence);
        } else {
            let node = &mut self.nodes[at];
            (node.log, node.offset, node.replid, node.former) = (Vec::new(), 0, fresh, None);
            (node.placed, node.fence) = (false, Fence::OFF);
        }
        let now = self.net.now;
        let node = &mut self.nodes[at];
        (node.spare, node.gone_for_good, node.pretends, node.power) = (false, false, pretends, crate::data::Power::Up);
        node.life += 1;
        node.follows = (!leads).then_some(Target::Node(master));
        node.saved = (node.follows, node.fence);
        let (life, phase) = (node.life, node.phase);
        self.net.at(now + 1000 + phase % 1000, Event::Cron { node: at, life });
        self.connect_upstream(at);
        if leads {
            self.net.after(1_000_000, Event::Trouble(Trouble::Rejoin(at)));
        }
        if pretends || self.dice.chance(40) {
            let stays = self.dice.between(500_000, 20_000_000);
            self.net.after(stays, Event::Trouble(Trouble::Leave(at)));
        }
    }

    /// A server that was the master under another address asks who is the master now.
    pub(crate) fn rejoin(&mut self, at: usize) {
        let master = self.master_of(self.nodes[at].team).filter(|master| *master != at && !self.nodes[*master].gone_for_good);
        match master {
            _ if self.nodes[at].gone_for_good || !self.nodes[at].is_master() => {}
            Some(master) if self.nodes[at].runs() => {
                self.tell(|| format!("{} is started as a replica of {}", addr(at).host(), addr(master).host()));
                self.follow(at, Some(Target::Node(master)));
                self.save(at);
            }
            _ => self.net.after(1_000_000, Event::Trouble(Trouble::Rejoin(at))),
        }
    }

    /// It leaves for good.
    pub(crate) fn leave(&mut self, at: usize) {
        if self.master_of(self.nodes[at].team) == Some(at) {
            return;
        }
        let off = self.nodes[at].pretends || self.dice.chance(50);
        self.crash(at, off);
        self.nodes[at].gone_for_good = true;
    }

    /// Whether a master counts somebody for its fence of whom the log knows nothing yet: nothing is promised of its writes then.
    pub(crate) fn counts_strangers(&self, at: usize) -> bool {
        let group = self.group(self.nodes[at].team);
        let known = |node: usize| addr(node) == group.master.addr || group.may_hold(&addr(node));
        self.nodes[at].attached.iter().any(|attached| !known(attached.node))
    }

    /// How many of those that acknowledged `offset` may hold it, as far as the log knows.
    pub(crate) fn known_holders(&self, at: usize, offset: u64) -> u32 {
        let group = self.group(self.nodes[at].team);
        let known = |node: usize| addr(node) == group.master.addr || group.may_hold(&addr(node));
        self.nodes[at].attached.iter().filter(|attached| attached.acked >= offset && known(attached.node)).count() as u32
    }
}
