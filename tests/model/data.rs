//! One data node: what the server holds, and what it makes of orders.

use crate::base::observation::{AttachedReplica, NodeReport, ReplicaReport, RoleReport, Sight, ValidReply};
use crate::base::{Addr, Fence, FenceSight, ReplId, RunId};
use crate::breach::Breach;
use crate::judge::Ask;
use crate::net::{Conn, Event, Msg, Place};
use crate::run::Run;
use crate::setup::Keeps;

/// How much one entry adds to an offset.
const BYTES: u64 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Nobody,
    Node(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Power {
    Up,
    /// The process is gone, the host is there: its port refuses.
    Down,
    /// The host is gone: nothing answers.
    Off,
}

/// A replica's end of its link to its master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upstream {
    None { since: u64 },
    Connecting { conn: Conn, since: u64 },
    Copying { conn: Conn, last_io: u64 },
    Up { conn: Conn, last_io: u64 },
}

/// A master's end of a replica's link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attached {
    pub(crate) conn: Conn,
    pub(crate) node: usize,
    /// None while its copy is being made.
    pub(crate) streaming: bool,
    pub(crate) online: bool,
    pub(crate) acked_at: u64,
    pub(crate) acked: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub(crate) id: u32,
    pub(crate) offset: u64,
    pub(crate) replicas: u32,
    pub(crate) until: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) log: Vec<u32>,
    pub(crate) offset: u64,
    pub(crate) replid: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) power: Power,
    pub(crate) gone_for_good: bool,
    pub(crate) frozen: bool,
    pub(crate) inbox: Vec<(Place, Conn, Msg)>,
    pub(crate) run_id: u32,
    /// Counts lives, for events of an earlier one.
    pub(crate) life: u32,
    pub(crate) has_file: bool,
    pub(crate) keeps: Keeps,
    pub(crate) follows: Option<Target>,
    pub(crate) fence: Fence,
    saved: (Option<Target>, Fence),
    pub(crate) priority: u32,
    /// What it was made of, in order: the entries of its stream and what came before.
    pub(crate) log: Vec<u32>,
    pub(crate) offset: u64,
    /// The first offset that it can still send.
    pub(crate) backlog_from: u64,
    pub(crate) replid: u32,
    pub(crate) former: Option<(u32, u64)>,
    /// Whether it knows its place, to go on from.
    pub(crate) placed: bool,
    pub(crate) upstream: Upstream,
    pub(crate) attached: Vec<Attached>,
    pub(crate) good: u32,
    pub(crate) paused_until: u64,
    pub(crate) postponed: Vec<(Place, u32, u32)>,
    pub(crate) waiting: Vec<Waiting>,
    pub(crate) conns: Vec<(Conn, Place)>,
    /// Where its second begins.
    pub(crate) phase: u64,
    pub(crate) crons: u64,
    pub(crate) cron_missed: bool,
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) timeout_s: u64,
    /// It runs without what was configured at run time, so that nothing is promised of it until it is told again.
    pub(crate) amnesiac: bool,
    /// The offset that it told last while it was attached (for a broken rule).
    told: u64,
}

impl Node {
    pub(crate) fn new(master: Option<usize>, phase: u64, keeps: Keeps, has_file: bool, timeout_s: u64) -> Self {
        let follows = master.map(Target::Node);
        Self {
            power: Power::Up,
            gone_for_good: false,
            frozen: false,
            inbox: Vec::new(),
            run_id: 0,
            life: 0,
            has_file,
            keeps,
            follows,
            fence: Fence::OFF,
            saved: (follows, Fence::OFF),
            priority: 100,
            log: vec![0; 3],
            offset: 3,
            backlog_from: 1,
            replid: 1,
            former: None,
            placed: true,
            upstream: Upstream::None { since: 0 },
            attached: Vec::new(),
            good: 0,
            paused_until: 0,
            postponed: Vec::new(),
            waiting: Vec::new(),
            conns: Vec::new(),
            phase,
            crons: 0,
            cron_missed: false,
            snapshot: None,
            timeout_s,
            amnesiac: false,
            told: 0,
        }
    }

    pub(crate) fn runs(&self) -> bool {
        self.power == Power::Up && !self.frozen
    }

    pub(crate) fn is_master(&self) -> bool {
        self.follows.is_none()
    }

    pub(crate) fn linked(&self) -> bool {
        matches!(self.upstream, Upstream::Up { .. })
    }

    /// The server's own count of seconds.
    pub(crate) const fn second(&self, now: u64) -> u64 {
        (now + self.phase) / 1_000_000
    }

    pub(crate) fn count_good(&mut self, now: u64) {
        let (lag, second) = (u64::from(self.fence.max_lag_s), self.second(now));
        let good = |attached: &&Attached| attached.online && second - self.second(attached.acked_at) <= lag;
        self.good = self.attached.iter().filter(good).count() as u32;
    }

    pub(crate) fn takes_writes(&self) -> bool {
        self.is_master() && (self.fence.min_replicas == 0 || self.good >= self.fence.min_replicas)
    }

    pub(crate) fn has(&self, write: u32) -> bool {
        self.log.contains(&write)
    }
}

/// The address of a node.
pub(crate) fn addr(node: usize) -> Addr {
    Addr::new(["red", "blue", "green", "grey", "pink", "teal", "gold"][node], 6379)
}

pub(crate) fn history(replid: u32) -> ReplId {
    ReplId::new(format!("h{replid}"))
}

impl Run {
    pub(crate) fn report(&mut self, at: usize) -> NodeReport {
        let now = self.net.now;
        let breach = self.setup.breach;
        let node = &mut self.nodes[at];
        let (role, offset) = match node.follows {
            None => {
                let second = node.second(now);
                let row = |attached: &Attached| AttachedReplica {
                    addr: addr(attached.node),
                    online: attached.online,
                    offset: attached.acked * BYTES,
                    lag_s: second - node.second(attached.acked_at),
                };
                let replicas = node.attached.iter().map(row).collect();
                (RoleReport::Master { replicas, good_replicas: (node.fence.min_replicas > 0).then_some(node.good) }, node.offset * BYTES)
            }
            Some(target) => {
                let master = match target {
                    Target::Nobody => Addr::nobody(),
                    Target::Node(master) => addr(master),
                };
                let last_io = match node.upstream {
                    Upstream::Up { last_io, .. } | Upstream::Copying { last_io, .. } => Some((now - last_io) / 1_000_000),
                    Upstream::None { .. } | Upstream::Connecting { .. } => None,
                };
                let down = match node.upstream {
                    Upstream::None { since } | Upstream::Connecting { since, .. } => Some((now - since) / 1_000_000),
                    Upstream::Copying { .. } | Upstream::Up { .. } => None,
                };
                let replica = ReplicaReport {
                    master,
                    link_up: node.linked(),
                    last_io_s: last_io,
                    link_down_s: down,
                    syncing: matches!(node.upstream, Upstream::Copying { .. }),
                    priority: node.priority,
                    announced: true,
                    place_lost: !node.placed && node.offset > 0,
                };
                (RoleReport::Replica(replica), if node.placed { node.offset * BYTES } else { 1 })
            }
        };
        let detached = node.follows == Some(Target::Nobody);
        let offset = if detached && breach == Some(Breach::OffsetsBeforeDetach) { node.told } else { offset };
        node.told = offset;
        NodeReport {
            run_id: RunId::new(if breach == Some(Breach::RestartedIsIntact) {
                format!("{at}")
            } else {
                format!("{at}-{}", node.run_id)
            }),
            version: String::new(),
            role,
            replid: history(node.replid),
            replid2: node.former.map(|(replid, _)| history(replid)),
            second_offset: node.former.map(|(_, until)| until * BYTES + 1),
            offset,
            loading: false,
            raw: String::new(),
        }
    }

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
                let mut sights = vec![Sight::Valid(if stale { ValidReply::MasterDown } else { ValidReply::Pong })];
                if info {
                    sights.push(Sight::Report(Box::new(self.report(at))));
                }
                if fence {
                    sights.push(Sight::Fence(FenceSight::Holds(self.nodes[at].fence)));
                }
                self.send(at, from, conn, Msg::Pong(sights));
            }
            Msg::Act { id, ask } => {
                let sights = self.obey(at, conn, &ask);
                self.send(at, from, conn, Msg::Acted { id, sights });
                self.note_hook(ask.name());
            }
            Msg::Write { id, wait } => self.take_write(at, from, id, wait),
            other => self.replicate(at, from, conn, other),
        }
    }

    fn obey(&mut self, at: usize, conn: Conn, ask: &Ask) -> Vec<Sight> {
        self.tell(|| format!("{} obeys {ask:?}", addr(at).host));
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
                if matches!(ask, Ask::Demote { .. }) {
                    self.kill_clients(at, conn);
                }
            }
            Ask::Detach { fence } => {
                if let Some(fence) = fence {
                    self.hold_fence(at, *fence);
                }
                self.follow(at, Some(Target::Nobody));
                self.save(at);
                if self.setup.breach != Some(Breach::KeepOldOrders) {
                    self.kill_clients(at, conn);
                }
                sights.push(Sight::Fence(FenceSight::Holds(self.nodes[at].fence)));
            }
            Ask::Lend => {
                self.hold_fence(at, Fence { min_replicas: 1_000_000, max_lag_s: 1 });
                self.follow(at, None);
            }
            Ask::Arm(fence) => {
                self.hold_fence(at, *fence);
                self.save(at);
                self.nodes[at].amnesiac = false;
                sights.push(Sight::Fence(FenceSight::Holds(*fence)));
            }
            Ask::Pause { ms } => {
                let until = self.net.now + ms * 1000;
                self.nodes[at].paused_until = until.max(self.nodes[at].paused_until);
                self.net.at(until, Event::PauseEnds { node: at });
            }
            Ask::Unpause => {
                self.nodes[at].paused_until = 0;
                self.resume_writes(at);
            }
        }
        sights.push(Sight::Report(Box::new(self.report(at))));
        sights
    }

    fn hold_fence(&mut self, at: usize, fence: Fence) {
        let now = self.net.now;
        self.nodes[at].fence = fence;
        self.nodes[at].count_good(now);
    }

    fn save(&mut self, at: usize) {
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

    /// The process ends; with the host or without.
    pub(crate) fn crash(&mut self, at: usize, off: bool) {
        if self.nodes[at].power != Power::Up {
            return;
        }
        let name = addr(at).host;
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
        let was_replica = node.follows.is_some();
        let lost: Vec<u32> = before.into_iter().filter(|id| *id >= 2 && !self.nodes[at].has(*id)).collect();
        let keeps = self.nodes[at].keeps;
        self.tell(|| format!("{} restarts with {keeps:?}, {} writes lost", addr(at).host, lost.len()));
        self.note_lost(at, was_replica, &lost);
        self.net.at(now + 1000 + phase % 1000, Event::Cron { node: at, life });
        self.connect_upstream(at);
    }
}
