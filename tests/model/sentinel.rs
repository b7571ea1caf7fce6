//! One sentinel: the real judge, stepped as its agent steps it.

use crate::base::Mono;
use crate::base::observation::{NodeObservation, Observed};
use crate::consensus::Proposal;
use crate::data::addr;
use crate::eyes::Eye;
use crate::hands::{Hand, Wanted};
use crate::judge::{Input, Intent, Judge};
use crate::net::Event;
use crate::run::Run;

/// What it makes of one group.
#[derive(Clone)]
pub(crate) struct Mind {
    pub(crate) judge: Judge,
    pub(crate) wakes_at: u64,
}

#[derive(Clone)]
pub(crate) struct Sentinel {
    pub(crate) up: bool,
    pub(crate) life: u32,
    pub(crate) stalled_until: u64,
    /// One for each group.
    pub(crate) minds: Vec<Mind>,
    /// The last entry that it has applied, by its place among those that changed a group.
    pub(crate) applied: usize,
    /// Whether it takes itself for the leader.
    pub(crate) believes: bool,
    pub(crate) eyes: Vec<Eye>,
    pub(crate) hands: Vec<Hand>,
}

impl Run {
    pub(crate) fn step(&mut self, sentinel: usize, team: usize, input: Input) {
        if !self.sentinels[sentinel].up || self.is_gone_at(sentinel, team) {
            return;
        }
        let world = self.world_of(sentinel, team);
        let intents = self.sentinels[sentinel].minds[team].judge.step(input, world);
        self.stats.steps += 1;
        for intent in intents {
            self.perform(sentinel, team, intent);
        }
        let mind = &mut self.sentinels[sentinel].minds[team];
        let wake_at = mind.judge.wake_at().0.max(self.net.now + 500);
        if mind.wakes_at <= self.net.now || wake_at < mind.wakes_at {
            mind.wakes_at = wake_at;
            self.net.at(wake_at, Event::Wake { sentinel, team });
        }
    }

    pub(crate) fn wake(&mut self, sentinel: usize, team: usize) {
        if !self.sentinels[sentinel].up || self.is_gone_at(sentinel, team) {
            return;
        }
        let mind = &mut self.sentinels[sentinel].minds[team];
        let wake_at = mind.judge.wake_at().0;
        if wake_at <= self.net.now {
            self.step(sentinel, team, Input::Wake);
        } else if mind.wakes_at <= self.net.now {
            mind.wakes_at = wake_at;
            self.net.at(wake_at, Event::Wake { sentinel, team });
        }
    }

    /// Something that each of its judges has to know.
    pub(crate) fn step_all(&mut self, sentinel: usize) {
        (0..self.teams.len()).for_each(|team| self.step(sentinel, team, Input::Wake));
    }

    pub(crate) fn see(&mut self, sentinel: usize, node: usize, what: Observed) {
        let at = Mono(self.net.now);
        self.step(sentinel, self.nodes[node].team, Input::NodeObservation(NodeObservation { addr: addr(node), at, what }));
    }

    fn perform(&mut self, sentinel: usize, team: usize, intent: Intent) {
        let life = self.sentinels[sentinel].life;
        match intent {
            Intent::Notify { .. } => {}
            Intent::Look(node) => {
                if let Some(node) = self.node_at(&node) {
                    self.look(sentinel, node);
                }
            }
            Intent::Propose { key, command } => {
                let after = self.dice.between(100, 4_000);
                let proposal = Proposal { sentinel, team, life, key, command: *command, orphan: false };
                self.net.after(after, Event::Propose(Box::new(proposal)));
            }
            Intent::Ask { node, ask, permit, judged } => self.begin_act(sentinel, team, node, Wanted { ask, permit, judged }),
        }
    }

    pub(crate) fn crash_sentinel(&mut self, sentinel: usize) {
        self.tell(|| format!("sentinel {} crashes", sentinel + 1));
        let known = &mut self.sentinels[sentinel];
        known.up = false;
        known.life += 1;
        known.believes = false;
        let nodes = self.nodes.len();
        known.eyes = vec![Eye::default(); nodes];
        known.hands = (0..nodes).map(|_| Hand::default()).collect();
    }

    pub(crate) fn restart_sentinel(&mut self, sentinel: usize) {
        if self.sentinels[sentinel].up {
            return;
        }
        self.tell(|| format!("sentinel {} restarts", sentinel + 1));
        self.sentinels[sentinel].up = true;
        for team in 0..self.teams.len() {
            let world = self.world_of(sentinel, team);
            self.sentinels[sentinel].minds[team].judge = Judge::new(Self::number(sentinel), world);
        }
        self.keep_eyes(sentinel);
        self.step_all(sentinel);
        self.net.after(50_000, Event::Replicate { sentinel });
    }
}
