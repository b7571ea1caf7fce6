//! One sentinel: the real judge, stepped as its agent steps it.

use crate::base::Mono;
use crate::base::observation::{Seen, Sight};
use crate::consensus::Proposal;
use crate::data::addr;
use crate::eyes::Eye;
use crate::hands::Hand;
use crate::judge::{Input, Intent, Judge};
use crate::net::Event;
use crate::run::Run;

pub(crate) struct Sentinel {
    pub(crate) up: bool,
    pub(crate) life: u32,
    pub(crate) stalled_until: u64,
    pub(crate) judge: Judge,
    /// The last entry that it has applied, by its place among those that changed the group.
    pub(crate) applied: usize,
    /// Whether it takes itself for the leader.
    pub(crate) believes: bool,
    pub(crate) eyes: Vec<Eye>,
    pub(crate) hands: Vec<Hand>,
    pub(crate) wakes_at: u64,
}

impl Run {
    pub(crate) fn step(&mut self, sentinel: usize, input: Input) {
        if !self.sentinels[sentinel].up {
            return;
        }
        let world = self.world_of(sentinel);
        let intents = self.sentinels[sentinel].judge.step(input, world);
        self.stats.steps += 1;
        for intent in intents {
            self.perform(sentinel, intent);
        }
        let wake_at = self.sentinels[sentinel].judge.wake_at().0.max(self.net.now + 500);
        let known = &mut self.sentinels[sentinel].wakes_at;
        if *known <= self.net.now || wake_at < *known {
            *known = wake_at;
            self.net.at(wake_at, Event::Wake { sentinel });
        }
    }

    pub(crate) fn wake(&mut self, sentinel: usize) {
        let wake_at = self.sentinels[sentinel].judge.wake_at().0;
        if !self.sentinels[sentinel].up {
            return;
        }
        if wake_at <= self.net.now {
            self.step(sentinel, Input::Wake);
        } else if self.sentinels[sentinel].wakes_at <= self.net.now {
            self.sentinels[sentinel].wakes_at = wake_at;
            self.net.at(wake_at, Event::Wake { sentinel });
        }
    }

    pub(crate) fn see(&mut self, sentinel: usize, node: usize, what: Sight) {
        let at = Mono(self.net.now);
        self.step(sentinel, Input::Seen(Seen { addr: addr(node), at, what }));
    }

    fn perform(&mut self, sentinel: usize, intent: Intent) {
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
                let proposal = Proposal { sentinel, life, key, command: *command, orphan: false };
                self.net.after(after, Event::Propose(Box::new(proposal)));
            }
            Intent::Ask { node, ask, permit } => self.begin_act(sentinel, node, ask, permit),
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
        let world = self.world_of(sentinel);
        self.sentinels[sentinel].judge = Judge::new(Self::number(sentinel), world);
        self.keep_eyes(sentinel);
        self.step(sentinel, Input::Wake);
        self.net.after(50_000, Event::Replicate { sentinel });
    }
}
