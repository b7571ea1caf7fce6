//! Messages on connections: in order on each, late, held while the way is cut, and delivered after it is healed.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::base::observation::Observed;
use crate::consensus::Proposal;
use crate::dice::Dice;
use crate::judge::{Ask, ProposalKey};
use crate::storm::Trouble;

/// Data nodes, then sentinels, then clients.
pub(crate) type Place = usize;
pub(crate) type Conn = u64;

/// How long an act may take to be delivered once it is written (its connection is set so).
pub(crate) const ACT_DELIVERY: u64 = 1_000_000;

/// What travels.
#[derive(Clone, Debug)]
pub(crate) enum Msg {
    // Sentinels and data nodes.
    Connect,
    Connected,
    Refused,
    Closed,
    Ping { info: bool, fence: bool },
    Pong(Vec<Observed>),
    Act { id: u64, ask: Ask, sent: u64 },
    Acted { id: u64, sights: Vec<Observed> },
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
    Wake { sentinel: usize, team: usize },
    EyeTurn { sentinel: usize, node: usize },
    Confirmed { sentinel: usize, life: u32, id: u64 },
    ActLimit { sentinel: usize, node: usize, life: u32, id: u64 },
    Propose(Box<Proposal>),
    Proposed { sentinel: usize, team: usize, life: u32, key: ProposalKey, well: bool },
    Replicate { sentinel: usize },
    Lead { sentinel: usize, term: u64 },
    Elect,
    ClientTurn { client: usize },
    Trouble(Trouble),
}

/// When, and which of those that are due at the same moment comes first; then where the event is kept.
type Due = Reverse<(u64, u32, u32)>;

#[derive(Clone, Debug)]
struct Held {
    from: Place,
    to: Place,
    conn: Conn,
    nth: u32,
    since: u64,
    msg: Msg,
}

/// One direction of a connection: what is sent on it arrives in order.
#[derive(Clone, Debug, Default)]
struct Lane {
    to: Option<Place>,
    sent: u32,
    arrived: u32,
    early: Vec<(u32, Msg)>,
}

/// What can be read after a message has arrived.
pub(crate) enum Readable {
    /// Nothing: others come before it.
    Early,
    /// This one.
    One(Msg),
    /// This one, and others that had come before it.
    Several(Vec<Msg>),
}

/// The agenda and the wires.
#[derive(Clone)]
pub(crate) struct Net {
    pub(crate) now: u64,
    agenda: BinaryHeap<Due>,
    events: Vec<Option<Event>>,
    free: Vec<u32>,
    turn: u32,
    pub(crate) places: usize,
    cut: Vec<bool>,
    held: Vec<Held>,
    /// Both directions of each connection, by its number.
    lanes: Vec<[Lane; 2]>,
    pub(crate) slow: bool,
    /// Messages take the same time on the same way.
    pub(crate) exact: bool,
    /// How many acts of a hundred are delivered seconds late.
    pub(crate) late_acts: u64,
}

impl Net {
    pub(crate) fn new(places: usize) -> Self {
        Self {
            now: 0,
            agenda: BinaryHeap::new(),
            events: Vec::new(),
            free: Vec::new(),
            turn: 0,
            places,
            cut: vec![false; places * places],
            held: Vec::new(),
            lanes: Vec::new(),
            slow: false,
            exact: false,
            late_acts: 0,
        }
    }

    pub(crate) fn at(&mut self, at: u64, event: Event) {
        self.turn += 1;
        let kept = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            self.events.len() as u32 - 1
        });
        self.events[kept as usize] = Some(event);
        self.agenda.push(Reverse((at.max(self.now), self.turn, kept)));
    }

    pub(crate) fn after(&mut self, micros: u64, event: Event) {
        self.at(self.now + micros, event);
    }

    pub(crate) fn next(&mut self) -> Option<Event> {
        let Reverse((at, _, kept)) = self.agenda.pop()?;
        self.now = self.now.max(at);
        self.free.push(kept);
        self.events[kept as usize].take()
    }

    pub(crate) fn peek(&self) -> Option<&Event> {
        self.agenda.peek().and_then(|Reverse((_, _, kept))| self.events[*kept as usize].as_ref())
    }

    pub(crate) const fn newest_conn(&self) -> Conn {
        self.lanes.len() as Conn - 1
    }

    pub(crate) fn new_conn(&mut self) -> Conn {
        self.lanes.push(Default::default());
        self.lanes.len() as Conn - 1
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
            let given_up = matches!(msg, Msg::Act { .. }) && self.now - since > ACT_DELIVERY && self.late_acts == 0;
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
            _ if self.exact => 200 + 37 * ((from * 5 + to * 3) % 11) as u64,
            0..=949 => dice.between(60, 1_500),
            950..=995 => dice.between(1_500, 40_000),
            _ if self.slow => dice.between(200_000, 1_500_000),
            _ => dice.between(40_000, 220_000),
        };
        let slow_act = self.late_acts > 0 && matches!(msg, Msg::Act { .. }) && dice.chance(self.late_acts);
        let micros = if slow_act { dice.between(100_000, 4_000_000) } else { micros };
        let lane = self.lane(to, conn);
        let nth = lane.sent;
        lane.sent += 1;
        self.after(micros, Event::Deliver { from, to, conn, nth, msg });
    }

    fn lane(&mut self, to: Place, conn: Conn) -> &mut Lane {
        let lanes = &mut self.lanes[conn as usize];
        let which = usize::from(lanes[0].to.is_some_and(|known| known != to));
        lanes[which].to = Some(to);
        &mut lanes[which]
    }

    /// A message is there: what can be read now, in order.
    pub(crate) fn arrived(&mut self, to: Place, conn: Conn, nth: u32, msg: Msg) -> Readable {
        let lane = self.lane(to, conn);
        if nth != lane.arrived {
            lane.early.push((nth, msg));
            return Readable::Early;
        }
        lane.arrived += 1;
        if lane.early.is_empty() {
            return Readable::One(msg);
        }
        let mut readable = vec![msg];
        while let Some(next) = lane.early.iter().position(|(nth, _)| *nth == lane.arrived) {
            lane.arrived += 1;
            readable.push(lane.early.swap_remove(next).1);
        }
        Readable::Several(readable)
    }
}
