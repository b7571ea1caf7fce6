//! The world of a schedule before anything goes wrong.

use std::sync::Arc;

use crate::base::{Epoch, GroupName, GroupSettings, LogIndex, Mono, WallTime};
use crate::breach::Breach;
use crate::check::{Ledger, Stats};
use crate::client::Client;
use crate::data::{Node, addr};
use crate::dice::Dice;
use crate::eyes::Eye;
use crate::guests::SPARE;
use crate::hands::Hand;
use crate::judge::{Judge, World};
use crate::machine::command::Origin;
use crate::machine::{Command, State};
use crate::net::{Event, Net};
use crate::run::Run;
use crate::sentinel::{Mind, Sentinel};
use crate::setup::{Setup, Terms};
use crate::team::Team;

/// Clients of each group.
const CLIENTS: usize = 3;
/// The groups have so long at most to find themselves before anything goes wrong.
const BOOT: u64 = 4_000_000;

impl Run {
    /// The schedule up to the moment at which its storm begins.
    pub(crate) fn begin(setup: Setup, told: bool) -> Self {
        let mut dice = Dice::new(setup.seed);
        let mut state = State::default();
        state.apply_membership(LogIndex(1), (0..setup.sentinels).map(Self::number).collect());
        let (mut teams, mut nodes, mut clients) = (Vec::new(), Vec::new(), Vec::new());
        for (at, terms) in setup.groups.iter().enumerate() {
            let first = nodes.len();
            nodes.extend((first..first + terms.nodes).map(|node| new_node(&mut dice, &setup, at, (first, node))));
            let spare = if setup.adversary.guests { SPARE } else { 0 };
            let last = first + terms.nodes + spare;
            nodes.extend((first + terms.nodes..last).map(|node| Self::spare(new_node(&mut dice, &setup, at, (first, node)))));
            clients.extend((0..CLIENTS).map(|nth| Client { team: at, master: first, wait: 0, stubborn: nth > 0 }));
            let ledger = Ledger { masters: vec![first], writer: 0, ..Ledger::default() };
            let name = GroupName::new(["m", "n", "o"][at]).expect("a name");
            state.apply(LogIndex(2 + at as u64), &configure(&name, terms, setup.sentinels, first));
            teams.push(Team { name, terms: terms.clone(), nodes: first..last, ledger, removal: None });
        }
        let groups: Vec<_> = teams.iter().map(|team| Arc::clone(&state.groups[&team.name])).collect();
        let mind = |sentinel: usize, team: usize| {
            let group = Arc::clone(&groups[team]);
            let majority = setup.sentinels / 2 + 1;
            let elsewhere = Arc::default();
            let world = World {
                now: Mono(0),
                wall: WallTime(0),
                group,
                voting: true,
                leading: false,
                majority,
                usable: 0,
                held_back: None,
                elsewhere,
            };
            Mind { judge: Judge::new(Self::number(sentinel), world), wakes_at: 0 }
        };
        let sentinel = |at: usize| Sentinel {
            up: true,
            life: 0,
            stalled_until: 0,
            minds: (0..teams.len()).map(|team| mind(at, team)).collect(),
            applied: 0,
            believes: false,
            eyes: vec![Eye::default(); nodes.len()],
            hands: (0..nodes.len()).map(|_| Hand::default()).collect(),
        };
        let sentinels: Vec<Sentinel> = (0..setup.sentinels).map(sentinel).collect();
        let mut net = Net::new(nodes.len() + sentinels.len() + clients.len());
        net.exact = setup.exact;
        net.slow = setup.adversary.slow_packets;
        net.late_acts = match (setup.adversary.late_acts, setup.breach) {
            (false, _) => 0,
            (true, Some(Breach::KeepOldOrders)) => 60,
            (true, _) => 15,
        };
        let mut run = Self {
            setup,
            dice,
            net,
            teams,
            nodes,
            sentinels,
            clients,
            state,
            told: vec![groups.clone()],
            snaps: vec![groups],
            leader: None,
            term: 0,
            without_leader: 0,
            replids: 1,
            writes: 1,
            acts: 0,
            hooks: Vec::new(),
            stats: Stats::default(),
            violation: None,
            resetting: false,
            calm: true,
            booted: false,
            deadline: u64::MAX,
            healed_at: 0,
            over: false,
            story: told.then(Vec::new),
        };
        run.set_off();
        run.boot();
        run
    }

    fn set_off(&mut self) {
        let setup = self.setup.clone();
        self.tell(|| format!("{setup:?}"));
        for node in 0..self.nodes.len() {
            let first = self.dice.between(0, 1_000_000);
            if !self.nodes[node].spare {
                self.net.at(first, Event::Cron { node, life: 0 });
                self.connect_upstream(node);
            }
        }
        for sentinel in 0..self.sentinels.len() {
            for node in 0..self.nodes.len() {
                let first = self.dice.between(0, 200_000);
                self.net.at(first, Event::EyeTurn { sentinel, node });
            }
        }
        for client in 0..self.clients.len() {
            self.net.at(1_000_000, Event::ClientTurn { client });
        }
        self.crown(0);
        self.net.at(100_000, Event::Elect);
    }

    /// Nothing goes wrong until each group is what its settings say, and for a random moment more.
    fn boot(&mut self) {
        let mut until = BOOT;
        while self.net.now < until && self.violation.is_none() {
            let Some(event) = self.net.next() else { break };
            let entries = self.snaps.len();
            self.happen(event);
            if self.snaps.len() != entries && until == BOOT && (0..self.teams.len()).all(|team| self.is_ready(team)) {
                until = BOOT.min(self.net.now + self.dice.between(0, 1_500_000));
            }
        }
        (self.calm, self.booted) = (false, true);
        if self.setup.storm_ms > 0 {
            self.brew();
        }
    }

    fn is_ready(&self, team: usize) -> bool {
        let group = self.group(team);
        let known = group.master.identity.is_some() && group.replicas.values().all(|replica| replica.identity.is_some());
        known && (group.wanted_fence().is_none() || group.is_armed())
    }
}

fn new_node(dice: &mut Dice, setup: &Setup, team: usize, (first, node): (usize, usize)) -> Node {
    let (phase, timeout) = (dice.between(0, 999_999), dice.pick(&[5, 10, 15]));
    let has_file = !setup.adversary.amnesia || dice.chance(70);
    Node::new(team, (node > first).then_some(first), phase, setup.groups[team].keeps, has_file, timeout)
}

fn configure(name: &GroupName, terms: &Terms, sentinels: usize, first: usize) -> Command {
    let settings = GroupSettings {
        down_after_ms: terms.down_after_ms,
        quorum: sentinels as u32 / 2 + 1,
        promotion_policy: terms.policy,
        fence_max_lag_s: terms.max_lag_s,
        failover_timeout_ms: 15_000,
        ..GroupSettings::default()
    };
    let (origin, at) = (Origin::File, WallTime(0));
    let replicas = (first + 1..first + terms.nodes).map(addr).collect();
    Command::ConfigureGroup {
        name: name.clone(),
        master: addr(first),
        settings,
        replicas,
        epoch: Epoch(0),
        origin,
        at,
        takes_up: None,
        asked: None,
    }
}
