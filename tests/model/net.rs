//! Messages on connections: in order on each, late, held while the way is cut, and delivered after it is healed.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use crate::base::observation::Sight;
use crate::consensus::Proposal;
use crate::dice::Dice;
use crate::judge::{Ask, ProposalKey};
use crate::storm::Trouble;

/// Data nodes, then sentinels, then clients.
pub(crate) type Place = usize;
pub(crate) type Conn = u64;

/// How long an act may take to be delivered once it is written (its connection is set so).
const ACT_DELIVERY: u64 = 1_000_000;

/// What travels.
#[derive(Clone, Debug)]
pub(crate) enum Msg {
    // Sentinels and data nodes.
    Connect,
    Connected,
    Refused,
    Closed,
    Ping { info: bool, fence: bool },
    Pong(Vec<Sight>),
    Act { id: u64, ask: Ask },
    Acted { id: u64, sights: Vec<Sight> },
    // Data nodes among themselves.
    Hello,
    Welcome,
    Psync { replid: Option<u32>, offset: u64 },
    Continue { replid: u32, entries: Vec<u32> },
    FullBegins,
    FullCopy { replid: u32, offset: u64, log: Vec<u32> },
    Stream(Vec<u32>),
    Ack { offset: u64 },
    ReplicaLeaves,
    MasterLeaves,
    NoMasterLink,
    // Clients.
    Write { id: u32, wait: u32 },
}

#[derive(Clone, Debug)]
pub(crate) enum Event {
    Deliver { from: Place, to: Place, conn: Conn, nth: u32, msg: Msg },
    Cron { node: usize, life: u32 },
    SendCopy { node: usize, life: u32, conn: Conn },
    PauseEnds { node: usize },
    Wake { sentinel: usize },
    EyeTurn { sentinel: usize, node: usize },
    Confirmed { sentinel: usize, life: u32, id: u64 },
    ActLimit { sentinel: usize, node: usize, life: u32, id: u64 },
    Propose(Box<Proposal>),
    Proposed { sentinel: usize, life: u32, key: ProposalKey, well: bool },
    Replicate { sentinel: usize },
    Lead { sentinel: usize, term: u64 },
    Elect,
    ClientTurn { client: usize },
    Trouble(Trouble),
}

#[derive(Debug)]
struct Scheduled {
    at: u64,
    turn: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.turn) == (other.at, other.turn)
    }
}
impl Eq for Scheduled {}
impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.turn).cmp(&(self.at, self.turn))
    }
}

#[derive(Debug)]
struct Held {
    from: Place,
    to: Place,
    conn: Conn,
    nth: u32,
    since: u64,
    msg: Msg,
}

/// One direction of a connection: what is sent on it arrives in order.
#[derive(Debug, Default)]
struct Lane {
    sent: u32,
    arrived: u32,
    early: BTreeMap<u32, Msg>,
}

/// The agenda and the wires.
pub(crate) struct Net {
    pub(crate) now: u64,
    agenda: BinaryHeap<Scheduled>,
    turn: u64,
    places: usize,
    cut: Vec<bool>,
    held: Vec<Held>,
    lanes: HashMap<(Conn, Place), Lane>,
    conns: Conn,
    pub(crate) slow: bool,
    pub(crate) late_acts: bool,
}

impl Net {
    pub(crate) fn new(places: usize) -> Self {
        Self {
            now: 0,
            agenda: BinaryHeap::new(),
            turn: 0,
            places,
            cut: vec![false; places * places],
            held: Vec::new(),
            lanes: HashMap::new(),
            conns: 0,
            slow: false,
            late_acts: false,
        }
    }

    pub(crate) fn at(&mut self, at: u64, event: Event) {
        self.turn += 1;
        self.agenda.push(Scheduled { at: at.max(self.now), turn: self.turn, event });
    }

    pub(crate) fn after(&mut self, micros: u64, event: Event) {
        self.at(self.now + micros, event);
    }

    pub(crate) fn next(&mut self) -> Option<Event> {
        let next = self.agenda.pop()?;
        self.now = self.now.max(next.at);
        Some(next.event)
    }

    pub(crate) fn new_conn(&mut self) -> Conn {
        self.conns += 1;
        self.conns
    }

    pub(crate) fn is_cut(&self, from: Place, to: Place) -> bool {
        self.cut[from * self.places + to]
    }

    pub(crate) fn joined(&self, a: Place, b: Place) -> bool {
        !self.is_cut(a, b) && !self.is_cut(b, a)
    }

    pub(crate) fn cut(&mut self, from: Place, to: Place) {
        if from != to {
            self.cut[from * self.places + to] = true;
        }
    }

    pub(crate) fn heal(&mut self, from: Place, to: Place, dice: &mut Dice) {
        if !std::mem::take(&mut self.cut[from * self.places + to]) {
            return;
        }
        // Whoever waited to repeat a packet does so sooner or later. All that waits on one connection goes out in one packet then, or
        // in a few that follow each other closely.
        let (due, kept) = std::mem::take(&mut self.held).into_iter().partition(|held| (held.from, held.to) == (from, to));
        self.held = kept;
        let due: Vec<Held> = due;
        let mut lateness: HashMap<Conn, u64> = HashMap::new();
        for Held { from, to, conn, nth, since, msg } in due {
            // The system has given up to deliver an act that is older than its limit.
            let given_up = matches!(msg, Msg::Act { .. }) && self.now - since > ACT_DELIVERY && !self.late_acts;
            let msg = if given_up { Msg::Closed } else { msg };
            let late = match lateness.get(&conn) {
                Some(late) if self.slow => late + dice.between(0, 1_000),
                Some(late) => *late,
                None if dice.chance(50) => dice.between(100, 20_000),
                None => dice.between(1_000, 1_500_000),
            };
            lateness.insert(conn, late);
            self.after(late, Event::Deliver { from, to, conn, nth, msg });
        }
    }

    pub(crate) fn heal_all(&mut self, dice: &mut Dice) {
        for from in 0..self.places {
            for to in 0..self.places {
                self.heal(from, to, dice);
            }
        }
    }

    /// Keeps a message for as long as its way is cut.
    pub(crate) fn hold(&mut self, from: Place, to: Place, conn: Conn, nth: u32, msg: Msg) {
        self.held.push(Held { from, to, conn, nth, since: self.now, msg });
    }

    pub(crate) fn send(&mut self, from: Place, to: Place, conn: Conn, msg: Msg, dice: &mut Dice) {
        let micros = match dice.between(0, 999) {
            0..=949 => dice.between(60, 1_500),
            950..=995 => dice.between(1_500, 40_000),
            _ if self.slow => dice.between(200_000, 1_500_000),
            _ => dice.between(40_000, 220_000),
        };
        let slow_act = self.late_acts && matches!(msg, Msg::Act { .. }) && dice.chance(15);
        let micros = if slow_act { dice.between(100_000, 4_000_000) } else { micros };
        let lane = self.lanes.entry((conn, to)).or_default();
        let nth = lane.sent;
        lane.sent += 1;
        self.after(micros, Event::Deliver { from, to, conn, nth, msg });
    }

    /// A message is there: what can be read now, in order.
    pub(crate) fn arrived(&mut self, to: Place, conn: Conn, nth: u32, msg: Msg) -> Vec<Msg> {
        let Some(lane) = self.lanes.get_mut(&(conn, to)) else { return vec![msg] };
        lane.early.insert(nth, msg);
        let mut readable = Vec::new();
        while let Some(next) = lane.early.remove(&lane.arrived) {
            lane.arrived += 1;
            readable.push(next);
        }
        readable
    }
}
