//! Data nodes end, and begin again with what is left.

use crate::base::Fence;
use crate::data::{Power, Snapshot, Target, Upstream, addr};
use crate::net::{Event, Msg};
use crate::run::Run;
use crate::setup::Keeps;

impl Run {
    /// The process ends; with the host or without.
    pub(crate) fn crash(&mut self, at: usize, off: bool) {
        if self.nodes[at].power != Power::Up {
            return;
        }
        let name = addr(at).host().to_owned();
        self.tell(|| format!("{name} {}", if off { "loses its host" } else { "crashes" }));
        let node = &mut self.nodes[at];
        node.power = if off { Power::Off } else { Power::Down };
        node.life += 1;
        node.frozen = false;
        node.inbox.clear();
        node.waiting.clear();
        node.postponed.clear();
        let (conns, attached, upstream) = (std::mem::take(&mut node.conns), std::mem::take(&mut node.attached), node.upstream);
        node.upstream = Upstream::None { since: self.net.now };
        if off {
            return;
        }
        for (conn, place) in conns {
            self.send(at, place, conn, Msg::Closed);
        }
        for replica in attached {
            self.send(at, replica.node, replica.conn, Msg::MasterLeaves);
        }
        self.leave_upstream(at, upstream);
    }

    pub(crate) fn restart(&mut self, at: usize) {
        if self.nodes[at].power == Power::Up || self.nodes[at].gone_for_good {
            return;
        }
        let now = self.net.now;
        self.replids += 1;
        let fresh = self.replids;
        let node = &mut self.nodes[at];
        let before = std::mem::take(&mut node.log);
        node.power = Power::Up;
        node.run_id += 1;
        if node.has_file {
            (node.follows, node.fence) = node.saved;
            // Never armed so far, or not any more: as good as forgotten.
            node.amnesiac = node.is_master() && node.fence == Fence::OFF;
        } else {
            (node.follows, node.fence, node.amnesiac) = (None, Fence::OFF, true);
        }
        (node.former, node.placed, node.paused_until, node.good) = (None, false, 0, 0);
        match (node.keeps, node.snapshot.clone()) {
            (Keeps::Data, _) => {
                node.log = before.clone();
                (node.offset, node.backlog_from, node.replid) = (0, 1, fresh);
            }
            (Keeps::Snapshot, Some(Snapshot { log, offset, replid })) => {
                node.log = log;
                (node.offset, node.backlog_from) = (offset, offset + 1);
                if node.follows.is_some() {
                    (node.replid, node.placed) = (replid, true);
                } else {
                    (node.replid, node.former) = (fresh, Some((replid, offset)));
                }
            }
            (Keeps::Snapshot, None) | (Keeps::Nothing, _) => {
                (node.offset, node.backlog_from, node.replid) = (0, 1, fresh);
            }
        }
        node.upstream = Upstream::None { since: now };
        let (life, phase) = (node.life, node.phase);
        let lost: Vec<u32> = before.into_iter().filter(|id| *id >= 2 && !self.nodes[at].has(*id)).collect();
        let keeps = self.nodes[at].keeps;
        self.tell(|| format!("{} restarts with {keeps:?}, {} writes lost", addr(at).host(), lost.len()));
        self.note_lost(at, &lost);
        // Of a master that was made by hand and restarted before anybody could look at it nothing is promised. Nor of what a replica confirmed
        // for one, if it restarts from a file that says nothing of the history that it held.
        let confirmed = |node: usize| self.nodes[node].by_hand && self.nodes[at].former.is_none() && !self.nodes[at].placed;
        let for_one = matches!(self.nodes[at].follows, Some(Target::Node(node)) if confirmed(node));
        self.ledger_of(at).void |= std::mem::take(&mut self.nodes[at].by_hand) || for_one;
        self.net.at(now + 1000 + phase % 1000, Event::Cron { node: at, life });
        self.connect_upstream(at);
    }
}
