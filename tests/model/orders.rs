//! What a data node makes of what it is sent: questions, orders of sentinels, writes.

use crate::base::observation::{Observed, ValidReply};
use crate::base::{Fence, FenceSight};
use crate::breach::Breach;
use crate::data::{Power, Target, addr};
use crate::judge::Ask;
use crate::net::{ACT_DELIVERY, Conn, Event, Msg, Place};
use crate::run::Run;

impl Run {
    pub(crate) fn receive(&mut self, at: usize, from: Place, conn: Conn, msg: Msg) {
        match self.nodes[at].power {
            Power::Off => return,
            Power::Down => {
                let answer = match msg {
                    Msg::Connect => Msg::Refused,
                    Msg::Hello | Msg::Psync { .. } | Msg::Ack { .. } => Msg::MasterLeaves,
                    Msg::Ping { .. } | Msg::Act { .. } => Msg::Closed,
                    Msg::Stream(_) | Msg::Continue { .. } | Msg::FullBegins | Msg::FullCopy { .. } => Msg::ReplicaLeaves,
                    _ => return,
                };
                self.send(at, from, conn, answer);
                return;
            }
            Power::Up => {}
        }
        if self.nodes[at].frozen {
            // Its kernel goes on accepting.
            if matches!(msg, Msg::Connect) {
                self.send(at, from, conn, Msg::Connected);
            }
            self.nodes[at].inbox.push((from, conn, msg));
            return;
        }
        self.handle(at, from, conn, msg);
    }

    pub(crate) fn handle(&mut self, at: usize, from: Place, conn: Conn, msg: Msg) {
        match msg {
            Msg::Connect if self.nodes[at].pretends => self.send(at, from, conn, Msg::Refused),
            Msg::Connect => {
                self.nodes[at].conns.push((conn, from));
                self.send(at, from, conn, Msg::Connected);
            }
            Msg::Closed => self.nodes[at].conns.retain(|(known, _)| *known != conn),
            Msg::Ping { .. } | Msg::Act { .. } if !self.nodes[at].conns.contains(&(conn, from)) => {
                self.send(at, from, conn, Msg::Closed);
            }
            Msg::Ping { info, fence } => {
                let node = &self.nodes[at];
                let stale = node.follows.is_some() && !node.linked();
                let mut sights = vec![Observed::Valid(if stale { ValidReply::MasterDown } else { ValidReply::Pong })];
                if info {
                    sights.push(Observed::Report(Box::new(self.report(at))));
                }
                if fence {
                    sights.push(Observed::Fence(FenceSight::Holds(self.shown_fence(at))));
                }
                self.send(at, from, conn, Msg::Pong(sights));
            }
            Msg::Act { id, ask, sent } => {
                // Too late, over a connection that no detachment has cut: a limit that is stated. Where a rule is broken it counts all the
                // same, since late orders are what the rule is against.
                let uncut = self.nodes[at].detached_by.is_none_or(|(by, newest)| conn == by || conn > newest);
                let excused = self.setup.breach.is_none() && uncut && self.net.now - sent > ACT_DELIVERY;
                self.ledger_of(at).void |= excused;
                let sights = self.obey(at, conn, &ask);
                self.send(at, from, conn, Msg::Acted { id, sights });
                self.note_hook(ask.name());
            }
            Msg::Write { id, wait } => self.take_write(at, from, id, wait),
            other => self.replicate(at, from, conn, other),
        }
    }

    fn obey(&mut self, at: usize, conn: Conn, ask: &Ask) -> Vec<Observed> {
        self.tell(|| format!("{} obeys {ask:?}", addr(at).host()));
        if matches!(ask, Ask::Demote { .. } | Ask::Repoint { .. } | Ask::Detach { .. } | Ask::ServeCatchUp) {
            self.nodes[at].by_hand = false;
        }
        let mut sights = Vec::new();
        let unarmed = self.setup.breach == Some(Breach::PromoteUnarmed);
        match ask {
            Ask::Promote { fence } => {
                if let Some(fence) = fence {
                    self.hold_fence(at, if unarmed { Fence::OFF } else { *fence });
                }
                self.follow(at, None);
                self.save(at);
                self.kill_clients(at, conn);
                self.nodes[at].paused_until = 0;
            }
            Ask::Demote { master } | Ask::Repoint { master } => {
                let target = self.node_at(master).map_or(Target::Nobody, Target::Node);
                self.follow(at, Some(target));
                self.save(at);
                // Told to follow nobody in a planned change, it keeps those that wait for the end of the pause.
                if matches!(ask, Ask::Demote { .. }) && target != Target::Nobody {
                    self.kill_clients(at, conn);
                }
            }
            Ask::Detach { fence } => {
                if let Some(fence) = fence {
                    self.hold_fence(at, *fence);
                }
                self.follow(at, Some(Target::Nobody));
                self.save(at);
                self.nodes[at].detached_by = Some((conn, self.net.newest_conn()));
                if self.setup.breach != Some(Breach::KeepOldOrders) {
                    self.kill_clients(at, conn);
                }
                sights.push(Observed::Fence(FenceSight::Holds(self.nodes[at].fence)));
            }
            Ask::ServeCatchUp => {
                self.hold_fence(at, Fence::NO_WRITES);
                self.follow(at, None);
                sights.push(Observed::Fence(FenceSight::Holds(Fence::NO_WRITES)));
            }
            Ask::Arm(fence) => {
                let lower = Fence { min_replicas: fence.min_replicas.saturating_sub(1), ..*fence };
                self.hold_fence(at, if self.setup.breach == Some(Breach::LowerBeforeLog) { lower } else { *fence });
                self.save(at);
                self.nodes[at].amnesiac = false;
                sights.push(Observed::Fence(FenceSight::Holds(*fence)));
                sights.push(Observed::Rewritten(Ok(())));
            }
            Ask::Pause { ms } => {
                let until = self.net.now + ms * 1000;
                self.nodes[at].paused_until = until.max(self.nodes[at].paused_until);
                self.kill_clients(at, conn);
                self.net.at(until, Event::PauseEnds { node: at });
            }
            Ask::Unpause => {
                self.nodes[at].paused_until = 0;
                self.resume_writes(at);
            }
            // Nobody runs scripts here.
            Ask::KillScript => {}
        }
        sights.push(Observed::Report(Box::new(self.report(at))));
        sights
    }

    /// What it says that it holds.
    fn shown_fence(&self, at: usize) -> Fence {
        let held = self.nodes[at].fence;
        match self.setup.breach {
            Some(Breach::LowerBeforeLog) if held != Fence::OFF => Fence { min_replicas: held.min_replicas + 1, ..held },
            _ => held,
        }
    }

    fn hold_fence(&mut self, at: usize, fence: Fence) {
        let now = self.net.now;
        self.nodes[at].fence = fence;
        self.nodes[at].count_good(now);
    }

    pub(crate) fn save(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        if node.has_file {
            node.saved = (node.follows, node.fence);
        }
    }

    /// CLIENT KILL TYPE normal: whoever is connected, but for the one that asks.
    fn kill_clients(&mut self, at: usize, but: Conn) {
        let (kept, killed) = std::mem::take(&mut self.nodes[at].conns).into_iter().partition(|(conn, _)| *conn == but);
        self.nodes[at].conns = kept;
        let killed: Vec<(Conn, Place)> = killed;
        for (conn, place) in killed {
            self.send(at, place, conn, Msg::Closed);
        }
        self.nodes[at].waiting.clear();
        self.nodes[at].postponed.clear();
    }
}
