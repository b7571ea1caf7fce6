//! What goes wrong, when, and for how long. Half of it at random moments, half of it right after a step of the protocol.

use std::sync::Arc;

use crate::base::WallTime;
use crate::base::settings::{PromotionPolicy, SettingChange};
use crate::data::addr;
use crate::machine::{Command, FailoverMode};
use crate::net::{Event, Place};
use crate::run::Run;
use crate::setup::Adversary;

#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    Any,
    Heal(Vec<(Place, Place)>),
    RestartNode(usize),
    Thaw(usize),
    RestartSentinel(usize),
    Leave(usize),
    /// A removal that is under way is looked at.
    Removal(usize),
    /// A server that was the master under another address is told to follow the one on record.
    Rejoin(usize),
    /// An operator tells the first to follow the second.
    PointByHand(usize, usize),
    Calm,
    Judgement,
}

/// Something goes wrong right after the `nth` time that this has happened.
#[derive(Clone, Debug)]
pub(crate) struct Hook {
    after: &'static str,
    nth: u64,
}

const HOOKS: [&str; 16] = [
    "write",
    "write",
    "vote-down",
    "detach",
    "detach",
    "promote",
    "promote",
    "promoted",
    "repoint",
    "demote",
    "pause",
    "arm",
    "replica-follows",
    "fence-armed",
    "fence-loosened",
    "failover-requested",
];

impl Run {
    pub(crate) fn brew(&mut self) {
        let (begin, length) = (self.net.now, self.setup.storm_ms * 1000);
        let groups = self.teams.len() as u64;
        for _ in 0..self.dice.between(1, 4 + 2 * groups) {
            let at = begin + self.dice.between(0, length);
            self.net.at(at, Event::Trouble(Trouble::Any));
        }
        for _ in 0..self.dice.between(0, 3 + groups) {
            let after = self.dice.pick(&HOOKS);
            let nth = if after == "write" { self.dice.between(1, 120) } else { self.dice.between(1, 4) };
            self.hooks.push(Hook { after, nth });
        }
        let Adversary { guests, by_hand, removals, planned, .. } = self.setup.adversary;
        for _ in 0..if guests || by_hand || removals || planned { self.dice.between(1, 6) } else { 0 } {
            let at = begin + self.dice.between(0, length);
            self.net.at(at, Event::Trouble(Trouble::Any));
        }
        self.net.at(begin + length, Event::Trouble(Trouble::Calm));
    }

    pub(crate) fn note_hook(&mut self, what: &str) {
        let mut due = 0;
        self.hooks.retain_mut(|hook| {
            if hook.after == what {
                hook.nth -= 1;
            }
            due += u32::from(hook.nth == 0);
            hook.nth > 0
        });
        for _ in 0..due {
            let soon = if self.dice.chance(50) { 0 } else { self.dice.between(0, 3_000) };
            self.net.after(soon, Event::Trouble(Trouble::Any));
        }
    }

    pub(crate) fn trouble(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Any if self.calm => {}
            Trouble::Any => self.any_trouble(),
            Trouble::Heal(pairs) => {
                self.tell(|| format!("the network heals ({} ways)", pairs.len()));
                for (from, to) in pairs {
                    self.net.heal(from, to, &mut self.dice);
                }
            }
            Trouble::RestartNode(node) => self.restart(node),
            Trouble::Thaw(node) => self.thaw(node),
            Trouble::RestartSentinel(sentinel) => self.restart_sentinel(sentinel),
            Trouble::Leave(node) => self.leave(node),
            Trouble::Removal(team) => self.go_on_removing(team),
            Trouble::Rejoin(node) => self.rejoin(node),
            Trouble::PointByHand(node, master) => self.point_by_hand(node, master),
            Trouble::Calm => self.calm_down(),
            Trouble::Judgement => {
                if (0..self.teams.len()).all(|team| self.is_settled(team)) || self.net.now >= self.deadline {
                    self.over = true;
                } else {
                    self.net.after(250_000, Event::Trouble(Trouble::Judgement));
                }
            }
        }
    }

    fn calm_down(&mut self) {
        self.tell(|| "all is healed".to_owned());
        self.calm = true;
        self.hooks.clear();
        self.net.heal_all(&mut self.dice);
        for node in 0..self.nodes.len() {
            self.thaw(node);
            self.restart(node);
        }
        for sentinel in 0..self.sentinels.len() {
            self.sentinels[sentinel].stalled_until = self.net.now;
            self.restart_sentinel(sentinel);
        }
        self.deadline = self.net.now + 45_000_000;
        let soonest = self.dice.between(500_000, 3_000_000);
        self.net.after(soonest, Event::Trouble(Trouble::Judgement));
    }

    fn a_team(&mut self) -> usize {
        self.dice.index(self.teams.len())
    }

    fn a_node(&mut self) -> usize {
        let team = self.a_team();
        let master = self.master_of(team);
        let any = self.dice.index(self.nodes.len());
        if self.dice.chance(45) { master.unwrap_or(any) } else { any }
    }

    fn a_sentinel(&mut self) -> usize {
        let any = self.dice.index(self.sentinels.len());
        if self.dice.chance(50) { self.leader.unwrap_or(any) } else { any }
    }

    fn any_trouble(&mut self) {
        if self.setup.adversary.guests && self.dice.chance(40) {
            self.join();
            return;
        }
        if self.setup.adversary.by_hand && self.dice.chance(25) {
            self.move_by_hand();
            return;
        }
        if self.setup.adversary.planned && self.dice.chance(40) {
            self.request();
            return;
        }
        if self.setup.adversary.removals && self.dice.chance(25) {
            let (team, sentinel) = (self.a_team(), self.a_sentinel());
            self.ask_removal(team, sentinel);
            return;
        }
        match self.dice.between(0, 99) {
            0..=37 => self.cut_some(),
            38..=52 => {
                let (node, off) = (self.a_node(), self.dice.chance(30));
                self.crash(node, off);
                let back = if self.dice.chance(30) { self.dice.between(1_000, 400_000) } else { self.dice.between(400_000, 6_000_000) };
                self.net.after(back, Event::Trouble(Trouble::RestartNode(node)));
            }
            53..=58 if self.setup.adversary.stops => {
                let node = self.a_node();
                if self.nodes[node].runs() {
                    self.tell(|| format!("{} is stopped", addr(node).host()));
                    self.nodes[node].frozen = true;
                    let back = self.dice.between(300_000, 9_000_000);
                    self.net.after(back, Event::Trouble(Trouble::Thaw(node)));
                }
            }
            53..=64 => {
                let sentinel = self.a_sentinel();
                if self.sentinels[sentinel].up {
                    self.crash_sentinel(sentinel);
                    let back = self.dice.between(100_000, 5_000_000);
                    self.net.after(back, Event::Trouble(Trouble::RestartSentinel(sentinel)));
                }
            }
            65..=72 => {
                let (sentinel, long) = (self.a_sentinel(), self.dice.between(50_000, 4_000_000));
                self.tell(|| format!("sentinel {} stalls for {} ms", sentinel + 1, long / 1000));
                self.sentinels[sentinel].stalled_until = self.net.now + long;
            }
            73..=80 => {
                self.depose();
                let able: Vec<usize> = (0..self.sentinels.len()).filter(|other| self.awake(*other)).collect();
                if !able.is_empty() {
                    let next = self.dice.pick(&able);
                    self.crown(next);
                }
            }
            81..=90 => self.request(),
            // What an operator moves by hand is a search of its own.
            91 if !self.setup.adversary.by_hand => self.reset(),
            91..=93 => self.change_settings(),
            94..=96 => self.lose_for_good(),
            _ => {
                let (node, priority) = (self.dice.index(self.nodes.len()), self.dice.pick(&[0, 10, 50, 100]));
                self.tell(|| format!("{} has priority {priority}", addr(node).host()));
                self.nodes[node].priority = priority;
            }
        }
    }

    fn request(&mut self) {
        let team = self.a_team();
        let group = Arc::clone(self.group(team));
        let manner = match self.dice.between(0, 99) {
            0..=59 => FailoverMode::Coordinated,
            60..=95 => FailoverMode::Plain,
            _ => FailoverMode::Force,
        };
        let replicas: Vec<_> = group.replicas.keys().cloned().collect();
        let target = (self.dice.chance(40) && !replicas.is_empty()).then(|| replicas[self.dice.index(replicas.len())].clone());
        let by = Self::number(0);
        let at = WallTime(self.net.now);
        self.order(
            team,
            &Command::FailoverRequested { group: group.name.clone(), epoch: group.epoch, by, manner, target, at, asked: None },
        );
    }

    /// An operator says RESET to a sentinel: nothing is lost by that, whatever the sentinel sees.
    fn reset(&mut self) {
        let (team, sentinel) = (self.a_team(), self.a_sentinel());
        if !self.sentinels[sentinel].up {
            return;
        }
        let group = Arc::clone(self.group_at(sentinel, team));
        let down = self.sentinels[sentinel].minds[team].judge.view().down_and_gone(&group);
        let at = WallTime(self.net.now);
        self.resetting = true;
        self.order(team, &Command::ResetGroup { group: group.name.clone(), down, at, asked: None });
        self.resetting = false;
    }

    fn change_settings(&mut self) {
        let change = match self.dice.between(0, 9) {
            0..=1 => SettingChange::PromotionPolicy(PromotionPolicy::Available),
            2..=4 => SettingChange::PromotionPolicy(PromotionPolicy::Strict),
            5 => SettingChange::PromotionPolicy(PromotionPolicy::Auto),
            _ => SettingChange::FenceMaxLagS(self.dice.pick(&[1, 2, 3])),
        };
        let (team, at) = (self.a_team(), WallTime(self.net.now));
        let group = self.teams[team].name.clone();
        self.order(team, &Command::SetOptions { group, changes: vec![change], at, asked: None });
    }

    /// A data node is lost for good, and perhaps forgotten; or, seldom, one is forgotten that is there.
    fn lose_for_good(&mut self) {
        let node = self.a_node();
        let team = self.nodes[node].team;
        let alive = self.nodes.iter().filter(|node| node.team == team && !node.gone_for_good).count();
        let at = WallTime(self.net.now);
        if alive > 2 && self.dice.chance(85) {
            let off = self.dice.chance(50);
            self.crash(node, off);
            self.nodes[node].gone_for_good = true;
            if self.dice.chance(50) {
                return;
            }
        }
        let replica = addr(node);
        let group = self.teams[team].name.clone();
        self.order(team, &Command::ReplicaForgotten { group, replica, at, asked: None });
    }

    fn cut_some(&mut self) {
        let places = self.places();
        let mut pairs = Vec::new();
        let both = |pairs: &mut Vec<(Place, Place)>, a: Place, b: Place| pairs.extend([(a, b), (b, a)]);
        let nodes = self.nodes.len();
        match self.dice.between(0, 11) {
            // One place alone.
            0..=2 => {
                let place = if self.dice.chance(80) {
                    self.a_node()
                } else {
                    let s = self.a_sentinel();
                    self.place_of_sentinel(s)
                };
                (0..places).filter(|other| *other != place).for_each(|other| both(&mut pairs, place, other));
            }
            // A master apart from the other data nodes and most sentinels, but not from clients.
            3..=4 => {
                let place = self.a_node();
                let spare = self.dice.index(places);
                let last = nodes + self.sentinels.len();
                (0..last).filter(|other| *other != place && *other != spare).for_each(|other| both(&mut pairs, place, other));
            }
            // Two halves.
            5..=6 => {
                let side: Vec<bool> = (0..places).map(|_| self.dice.chance(50)).collect();
                for a in 0..places {
                    (a + 1..places).filter(|b| side[a] != side[*b]).for_each(|b| both(&mut pairs, a, b));
                }
            }
            // One way only.
            7 => {
                let place = self.a_node();
                let inward = self.dice.chance(50);
                for other in (0..places).filter(|other| *other != place) {
                    if self.dice.chance(80) {
                        pairs.push(if inward { (other, place) } else { (place, other) });
                    }
                }
            }
            // One data node from the sentinels only.
            10 => {
                let place = self.a_node();
                (nodes..nodes + self.sentinels.len()).for_each(|other| both(&mut pairs, place, other));
            }
            // A sentinel and the master apart from the other sentinels, and from nobody else.
            8..=9 => {
                let (sentinel, node) = (self.a_sentinel(), self.a_node());
                let apart = self.place_of_sentinel(sentinel);
                for other in (nodes..nodes + self.sentinels.len()).filter(|other| *other != apart) {
                    both(&mut pairs, apart, other);
                    both(&mut pairs, node, other);
                }
            }
            // Here and there.
            _ => {
                for a in 0..places {
                    for b in 0..places {
                        if a != b && self.dice.chance(15) {
                            pairs.push((a, b));
                        }
                    }
                }
            }
        }
        self.tell(|| format!("cut: {pairs:?}"));
        for (from, to) in &pairs {
            self.net.cut(*from, *to);
        }
        let long = if self.dice.chance(40) { self.dice.between(100_000, 1_500_000) } else { self.dice.between(1_500_000, 10_000_000) };
        self.net.after(long, Event::Trouble(Trouble::Heal(pairs)));
    }

    fn thaw(&mut self, node: usize) {
        if !self.nodes[node].frozen {
            return;
        }
        self.tell(|| format!("{} goes on", addr(node).host()));
        self.nodes[node].frozen = false;
        let mut inbox = std::mem::take(&mut self.nodes[node].inbox);
        // Each connection in its order; which of them comes first is anybody's guess.
        while !inbox.is_empty() {
            let pick = self.dice.index(inbox.len());
            let conn = inbox[pick].1;
            let first = inbox.iter().position(|(_, known, _)| *known == conn).unwrap_or(pick);
            let (from, conn, msg) = inbox.remove(first);
            if self.nodes[node].power == crate::data::Power::Up {
                self.handle(node, from, conn, msg);
            }
        }
        self.resume_writes(node);
        if std::mem::take(&mut self.nodes[node].cron_missed) {
            let life = self.nodes[node].life;
            self.cron(node, life);
        }
    }
}
