//! One data node: what the server holds, and what it says of itself.

use crate::base::observation::{AttachedReplica, NodeReport, ReplicaReport, RoleReport};
use crate::base::{Addr, Fence, ReplId, RunId};
use crate::breach::Breach;
use crate::net::{Conn, Msg, Place};
use crate::run::Run;
use crate::setup::Keeps;

/// How much one entry adds to an offset: the length of the PING of a master to its replicas.
const BYTES: u64 = 14;

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
    /// The group that it belongs to.
    pub(crate) team: usize,
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
    pub(crate) saved: (Option<Target>, Fence),
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
    /// Over which connection it was last detached, and the newest one of that moment: all others were closed then.
    pub(crate) detached_by: Option<(Conn, Conn)>,
    /// It has not joined yet.
    pub(crate) spare: bool,
    /// There is no server behind its link to the master.
    pub(crate) pretends: bool,
    /// An operator made it a master at the server itself: it takes writes before the log knows of it.
    pub(crate) by_hand: bool,
    /// The offset that it told last while it was attached (for a broken rule).
    pub(crate) told: u64,
}

impl Node {
    pub(crate) fn new(team: usize, master: Option<usize>, phase: u64, keeps: Keeps, has_file: bool, timeout_s: u64) -> Self {
        let follows = master.map(Target::Node);
        Self {
            team,
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
            detached_by: None,
            spare: false,
            pretends: false,
            by_hand: false,
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

/// The host of a node.
pub(crate) const fn name(node: usize) -> &'static str {
    const NAMES: [&str; 18] = [
        "red", "blue", "green", "grey", "pink", "teal", "gold", "oak", "elm", "fir", "ash", "yew", "hawk", "rook", "wren", "crow", "kite",
        "dove",
    ];
    NAMES[node]
}

/// The address of a node.
pub(crate) fn addr(node: usize) -> Addr {
    Addr::new(name(node), 6379).expect("an address")
}

pub(crate) fn history(replid: u32) -> ReplId {
    ReplId::new(format!("h{replid}")).expect("an id")
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
                let good_replicas = (node.fence.min_replicas > 0).then_some(node.good);
                (RoleReport::Master { replicas, good_replicas, misnamed: vec![] }, node.offset * BYTES)
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
            run_id: RunId::new(if breach == Some(Breach::RestartedIsIntact) { format!("{at}") } else { format!("{at}-{}", node.run_id) })
                .expect("an id"),
            version: String::new(),
            role,
            replid: history(node.replid),
            replid2: node.former.filter(|_| !(node.by_hand && breach == Some(Breach::UnseenByHand))).map(|(replid, _)| history(replid)),
            second_offset: node.former.map(|(_, until)| until * BYTES + 1),
            offset,
            loading: false,
            raw: String::new(),
        }
    }
}
