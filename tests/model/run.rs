//! One schedule from beginning to end.

use std::sync::Arc;

use crate::base::{Addr, Epoch, GroupName, GroupSettings, LogIndex, Mono, WallTime};
use crate::check::{Ledger, Promise, Stats, Violation};
use crate::client::Client;
use crate::data::{Node, addr, name};
use crate::dice::Dice;
use crate::eyes::Eye;
use crate::hands::Hand;
use crate::judge::{Judge, World};
use crate::machine::command::Origin;
use crate::machine::{Command, Group, State};
use crate::net::{Conn, Event, Msg, Net, Place, Readable};
use crate::sentinel::Sentinel;
use crate::setup::Setup;
use crate::storm::Hook;

const CLIENTS: usize = 3;
/// The group has so long at most to find itself before anything goes wrong.
const BOOT: u64 = 4_000_000;
/// No schedule has so many events, unless something is repeated for ever.
const MANY: u64 = 400_000;

/// A schedule under way.
pub struct Run {
    pub(crate) setup: Setup,
    pub(crate) dice: Dice,
    pub(crate) net: Net,
    pub(crate) nodes: Vec<Node>,
    pub(crate) sentinels: Vec<Sentinel>,
    pub(crate) clients: Vec<Client>,
    pub(crate) state: State,
    /// The group after each entry that changed it.
    pub(crate) snaps: Vec<Arc<Group>>,
    /// The same as judges are told it: with a broken rule, something else than was agreed.
    pub(crate) told: Vec<Arc<Group>>,
    pub(crate) leader: Option<usize>,
    pub(crate) term: u64,
    pub(crate) without_leader: u32,
    pub(crate) replids: u32,
    pub(crate) writes: u32,
    pub(crate) acts: u64,
    pub(crate) hooks: Vec<Hook>,
    pub(crate) ledger: Ledger,
    pub(crate) stats: Stats,
    pub(crate) violation: Option<Violation>,
    pub(crate) calm: bool,
    /// The group has found itself.
    pub(crate) booted: bool,
    pub(crate) deadline: u64,
    pub(crate) over: bool,
    story: Option<Vec<String>>,
}

/// What came of a schedule.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The first promise that was not kept.
    pub violation: Option<Violation>,
    /// What it went through.
    pub stats: Stats,
    /// What happened, if it was to be told.
    pub story: Vec<String>,
}

pub(crate) fn group_name() -> GroupName {
    GroupName::new("m").expect("a name")
}

impl Run {
    /// Plays the schedule; `told` if its story is wanted.
    pub fn play(setup: &Setup, told: bool) -> Outcome {
        let mut run = Self::begin(setup.clone(), told);
        let mut events = 0;
        while !run.over && run.violation.is_none() {
            let Some(event) = run.net.next() else { break };
            run.happen(event);
            events += 1;
            if events > MANY {
                run.violate(Promise::P7, format!("{MANY} events, and no end"));
            }
        }
        if run.violation.is_none() {
            run.check_end();
        }
        run.stats.void = u64::from(run.ledger.void);
        Outcome { violation: run.violation, stats: run.stats, story: run.story.unwrap_or_default() }
    }

    fn begin(setup: Setup, told: bool) -> Self {
        let mut dice = Dice::new(setup.seed);
        let mut state = State::default();
        state.apply_membership(LogIndex(1), (0..setup.sentinels).map(Self::number).collect());
        let settings = GroupSettings {
            down_after_ms: setup.down_after_ms,
            quorum: setup.sentinels as u32 / 2 + 1,
            promotion_policy: setup.policy,
            fence_max_lag_s: setup.max_lag_s,
            failover_timeout_ms: 15_000,
            ..GroupSettings::default()
        };
        let configure = Command::ConfigureGroup {
            name: group_name(),
            master: addr(0),
            settings,
            replicas: (1..setup.nodes).map(addr).collect(),
            epoch: Epoch(0),
            origin: Origin::File,
            at: WallTime(0),
        };
        state.apply(LogIndex(2), &configure);
        let group = Arc::clone(&state.groups[&group_name()]);
        let node = |dice: &mut Dice, at: usize| {
            let (phase, timeout) = (dice.between(0, 999_999), dice.pick(&[5, 10, 15]));
            let has_file = !setup.adversary.amnesia || dice.chance(70);
            Node::new((at > 0).then_some(0), phase, setup.keeps, has_file, timeout)
        };
        let nodes: Vec<Node> = (0..setup.nodes).map(|at| node(&mut dice, at)).collect();
        let world = World {
            now: Mono(0),
            wall: WallTime(0),
            group: Arc::clone(&group),
            voting: true,
            leading: false,
            majority: setup.sentinels / 2 + 1,
            tie: None,
        };
        let sentinel = |at: usize| Sentinel {
            up: true,
            life: 0,
            stalled_until: 0,
            judge: Judge::new(Self::number(at), world.clone()),
            applied: 0,
            believes: false,
            eyes: vec![Eye::default(); setup.nodes],
            hands: (0..setup.nodes).map(|_| Hand::default()).collect(),
            wakes_at: 0,
        };
        let mut net = Net::new(setup.nodes + setup.sentinels + CLIENTS);
        net.slow = setup.adversary.slow_packets;
        net.late_acts = setup.adversary.late_acts;
        let mut run = Self {
            sentinels: (0..setup.sentinels).map(sentinel).collect(),
            clients: (0..CLIENTS).map(|at| Client { master: 0, wait: 0, stubborn: at > 0 }).collect(),
            setup,
            dice,
            net,
            nodes,
            state,
            told: vec![Arc::clone(&group)],
            snaps: vec![group],
            leader: None,
            term: 0,
            without_leader: 0,
            replids: 1,
            writes: 1,
            acts: 0,
            hooks: Vec::new(),
            ledger: Ledger { masters: vec![0], ..Ledger::default() },
            stats: Stats::default(),
            violation: None,
            calm: true,
            booted: false,
            deadline: u64::MAX,
            over: false,
            story: told.then(Vec::new),
        };
        run.set_off();
        run
    }

    fn set_off(&mut self) {
        self.tell_setup();
        for node in 0..self.nodes.len() {
            let first = self.dice.between(0, 1_000_000);
            self.net.at(first, Event::Cron { node, life: 0 });
            self.connect_upstream(node);
        }
        for sentinel in 0..self.sentinels.len() {
            for node in 0..self.nodes.len() {
                let first = self.dice.between(0, 200_000);
                self.net.at(first, Event::EyeTurn { sentinel, node });
            }
        }
        for client in 0..CLIENTS {
            self.net.at(1_000_000, Event::ClientTurn { client });
        }
        self.crown(0);
        self.net.at(100_000, Event::Elect);
        self.boot();
    }

    /// Nothing goes wrong until the group is what its settings say, and for a random moment more.
    fn boot(&mut self) {
        let mut until = BOOT;
        while self.net.now < until && self.violation.is_none() {
            let Some(event) = self.net.next() else { break };
            let entries = self.snaps.len();
            self.happen(event);
            if self.snaps.len() != entries && until == BOOT && self.is_ready() {
                until = BOOT.min(self.net.now + self.dice.between(0, 1_500_000));
            }
        }
        (self.calm, self.booted) = (false, true);
        self.brew();
    }

    fn is_ready(&self) -> bool {
        let group = self.group();
        let known = group.master.identity.is_some() && group.replicas.values().all(|replica| replica.identity.is_some());
        known && (group.wanted_fence().is_none() || group.is_armed())
    }

    fn tell_setup(&mut self) {
        let setup = self.setup.clone();
        self.tell(|| format!("{setup:?}"));
    }

    fn happen(&mut self, event: Event) {
        if let Some(sentinel) = self.sentinel_of(&event)
            && self.net.now < self.sentinels[sentinel].stalled_until
        {
            let until = self.sentinels[sentinel].stalled_until;
            self.net.at(until, event);
            return;
        }
        match event {
            Event::Deliver { from, to, conn, nth, msg } => self.arrive(from, to, conn, nth, msg),
            Event::Cron { node, life } => self.cron(node, life),
            Event::SendCopy { node, life, conn } => self.send_copy(node, life, conn),
            Event::PauseEnds { node } => self.resume_writes(node),
            Event::Wake { sentinel } => self.wake(sentinel),
            Event::EyeTurn { sentinel, node } => self.eye_turn(sentinel, node),
            Event::Confirmed { sentinel, life, id } => self.confirm_act(sentinel, life, id),
            Event::ActLimit { sentinel, node, life, id } => self.act_limit(sentinel, node, life, id),
            Event::Propose(proposal) => self.propose(*proposal),
            Event::Proposed { sentinel, life, key, well } => {
                if self.sentinels[sentinel].life == life {
                    self.step(sentinel, crate::judge::Input::Proposed { key, well });
                }
            }
            Event::Replicate { sentinel } => self.catch_up(sentinel),
            Event::Lead { sentinel, term } => self.learn_leadership(sentinel, term),
            Event::Elect => self.elect(),
            Event::ClientTurn { client } => self.client_turn(client),
            Event::Trouble(trouble) => self.trouble(trouble),
        }
    }

    /// Whose event it is, for one that may be asleep.
    fn sentinel_of(&self, event: &Event) -> Option<usize> {
        match event {
            Event::Deliver { to, .. } => self.sentinel_at(*to),
            Event::Wake { sentinel }
            | Event::EyeTurn { sentinel, .. }
            | Event::Confirmed { sentinel, .. }
            | Event::ActLimit { sentinel, .. }
            | Event::Proposed { sentinel, .. }
            | Event::Replicate { sentinel }
            | Event::Lead { sentinel, .. } => Some(*sentinel),
            Event::Cron { .. }
            | Event::SendCopy { .. }
            | Event::PauseEnds { .. }
            | Event::Propose(_)
            | Event::Elect
            | Event::ClientTurn { .. }
            | Event::Trouble(_) => None,
        }
    }

    fn arrive(&mut self, from: Place, to: Place, conn: Conn, nth: u32, msg: Msg) {
        if self.net.is_cut(from, to) {
            self.net.hold(from, to, conn, nth, msg);
            return;
        }
        match self.net.arrived(to, conn, nth, msg) {
            Readable::Early => {}
            Readable::One(msg) => self.read(from, to, conn, msg),
            Readable::Several(all) => all.into_iter().for_each(|msg| self.read(from, to, conn, msg)),
        }
    }

    fn read(&mut self, from: Place, to: Place, conn: Conn, msg: Msg) {
        if to < self.nodes.len() {
            self.receive(to, from, conn, msg);
        } else if let Some(sentinel) = self.sentinel_at(to)
            && self.sentinels[sentinel].up
            && let Some(msg) = self.eye_hears(sentinel, from, conn, msg)
        {
            self.hand_hears(sentinel, from, conn, msg);
        }
    }

    pub(crate) fn send(&mut self, from: Place, to: Place, conn: Conn, msg: Msg) {
        self.net.send(from, to, conn, msg, &mut self.dice);
    }

    pub(crate) fn places(&self) -> usize {
        self.nodes.len() + self.sentinels.len() + CLIENTS
    }

    pub(crate) fn place_of_sentinel(&self, sentinel: usize) -> Place {
        self.nodes.len() + sentinel
    }

    pub(crate) fn place_of_client(&self, client: usize) -> Place {
        self.nodes.len() + self.sentinels.len() + client
    }

    fn sentinel_at(&self, place: Place) -> Option<usize> {
        place.checked_sub(self.nodes.len()).filter(|sentinel| *sentinel < self.sentinels.len())
    }

    pub(crate) fn node_at(&self, wanted: &Addr) -> Option<usize> {
        (0..self.nodes.len()).find(|node| name(*node) == wanted.host)
    }

    pub(crate) fn tell(&mut self, what: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(format!("{:>9.3} {}", self.net.now as f64 / 1000.0, what()));
        }
    }
}
