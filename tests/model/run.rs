//! One schedule from beginning to end.

use std::sync::Arc;

use crate::check::{Promise, Stats, Violation};
use crate::client::Client;
use crate::data::Node;
use crate::dice::Dice;
use crate::judge::Input;
use crate::machine::{Group, State};
use crate::net::{Conn, Event, Msg, Net, Place, Readable};
use crate::sentinel::Sentinel;
use crate::setup::Setup;
use crate::storm::Hook;
use crate::team::Team;

/// No schedule has so many events, unless something is repeated for ever.
const MANY: u64 = 400_000;

/// A schedule under way.
#[derive(Clone)]
pub struct Run {
    pub(crate) setup: Setup,
    pub(crate) dice: Dice,
    pub(crate) net: Net,
    pub(crate) teams: Vec<Team>,
    /// The data nodes of all groups, one group after the other.
    pub(crate) nodes: Vec<Node>,
    pub(crate) sentinels: Vec<Sentinel>,
    pub(crate) clients: Vec<Client>,
    pub(crate) state: State,
    /// The groups after each entry that changed one.
    pub(crate) snaps: Vec<Vec<Arc<Group>>>,
    /// The same as judges are told it: with a broken rule, something else than was agreed.
    pub(crate) told: Vec<Vec<Arc<Group>>>,
    pub(crate) leader: Option<usize>,
    pub(crate) term: u64,
    pub(crate) without_leader: u32,
    pub(crate) replids: u32,
    pub(crate) writes: u32,
    pub(crate) acts: u64,
    pub(crate) hooks: Vec<Hook>,
    pub(crate) stats: Stats,
    pub(crate) violation: Option<Violation>,
    pub(crate) calm: bool,
    /// An operator's RESET is being applied.
    pub(crate) resetting: bool,
    /// The groups have found themselves.
    pub(crate) booted: bool,
    pub(crate) deadline: u64,
    /// When all faults that were placed are to be healed.
    pub(crate) healed_at: u64,
    pub(crate) over: bool,
    pub(crate) story: Option<Vec<String>>,
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

impl Run {
    /// Plays the schedule; `told` if its story is wanted.
    pub fn play(setup: &Setup, told: bool) -> Outcome {
        let mut run = Self::begin(setup.clone(), told);
        run.finish();
        run.stats.void = u64::from(run.teams.iter().any(|team| team.ledger.void));
        Outcome { violation: run.violation, stats: run.stats, story: run.story.unwrap_or_default() }
    }

    pub(crate) fn finish(&mut self) {
        let mut events = 0;
        while !self.over && self.violation.is_none() {
            let Some(event) = self.net.next() else { break };
            self.happen(event);
            events += 1;
            if events > MANY {
                self.violate(Promise::P7, format!("{MANY} events, and no end"));
            }
        }
        if self.violation.is_none() {
            self.check_end();
        }
    }

    pub(crate) fn happen(&mut self, event: Event) {
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
            Event::Wake { sentinel, team } => self.wake(sentinel, team),
            Event::EyeTurn { sentinel, node } => self.eye_turn(sentinel, node),
            Event::Confirmed { sentinel, life, id } => self.confirm_act(sentinel, life, id),
            Event::ActLimit { sentinel, node, life, id } => self.act_limit(sentinel, node, life, id),
            Event::Propose(proposal) => self.propose(*proposal),
            Event::Proposed { sentinel, team, life, key, well } => {
                if self.sentinels[sentinel].life == life {
                    self.step(sentinel, team, Input::Proposed { key, well });
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
            Event::Wake { sentinel, .. }
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
        self.net.places
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

    pub(crate) fn tell(&mut self, what: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(format!("{:>9.3} {}", self.net.now as f64 / 1000.0, what()));
        }
    }
}
