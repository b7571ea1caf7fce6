//! A small deterministic world: three judges, one ideal log, and data nodes that do as they are told. Time moves by the millisecond.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use raft_sentinel::base::observation::{
    AttachedReplica, InvalidReply, LinkLoss, NodeObservation, NodeReport, Observed, ReplicaReport, RoleReport, ValidReply,
};
use raft_sentinel::base::settings::PromotionPolicy;
use raft_sentinel::base::{
    Addr, Epoch, Fence, FenceSight, GroupName, GroupSettings, LogIndex, Mono, NodeId, ReplId, RunId, Standing, WallTime,
};
use raft_sentinel::judge::{Ask, HeldBack, Input, Intent, Judge, Link, LocalEvent, Permit, World};
use raft_sentinel::machine::command::Origin;
use raft_sentinel::machine::{Command, Event, Group, Outcome, Phase, State, invariants};

pub(crate) use super::node::Node;

/// What happens at a place, by the name of an intent.
type Happening = (&'static str, fn(&mut Bench));

pub(crate) struct Bench {
    pub(crate) now_ms: u64,
    pub(crate) state: State,
    pub(crate) nodes: BTreeMap<Addr, Node>,
    pub(crate) leader: Option<usize>,
    /// Second addresses of data nodes (a name beside an IP, say).
    pub(crate) aliases: BTreeMap<Addr, Addr>,
    /// Sentinels that are asleep (stopped): they take no steps.
    pub(crate) asleep: [bool; 3],
    pub(crate) events: Vec<(u64, Event)>,
    /// What each sentinel told of what it sees.
    pub(crate) remarks: [Vec<LocalEvent>; 3],
    /// Called before an intent of the leader is performed; true makes the leader die there, before it or after it.
    pub(crate) intents: Vec<String>,
    /// How many sentinels are in touch with each other.
    pub(crate) usable: usize,
    /// What ties the hands of all.
    pub(crate) held_back: Option<HeldBack>,
    pub(crate) die_at: Option<(String, bool)>,
    /// What happens in the moment before the first intent of this name is performed.
    pub(crate) before: Option<Happening>,
    /// What follows the master under an address at which there is no server.
    pub(crate) pretenders: BTreeSet<Addr>,
    /// Which data nodes each sentinel cannot reach, though others may.
    pub(crate) blind: [BTreeSet<Addr>; 3],
    /// A report that was made before the next act on its node, and comes after the one that the act brings.
    overtaken: Option<(Addr, NodeReport)>,
    judges: Vec<Judge>,
    inbox: Vec<Vec<Input>>,
}

pub(crate) fn addr(name: &str) -> Addr {
    Addr::new(name, 6379).expect("an address")
}

pub(crate) fn group_name() -> GroupName {
    GroupName::new("m").expect("a name")
}

impl Bench {
    /// `red` is the master; the others follow it. The limit is one second.
    pub(crate) fn new(replicas: &[&str]) -> Self {
        Self::with(replicas, PromotionPolicy::Available)
    }

    /// The same by another policy.
    pub(crate) fn with(replicas: &[&str], promotion_policy: PromotionPolicy) -> Self {
        Self::start(replicas, promotion_policy, |_| {})
    }

    /// The same with something done to each data node first.
    pub(crate) fn start(replicas: &[&str], promotion_policy: PromotionPolicy, prepare: fn(&mut Node)) -> Self {
        let replica = |name: &&str| (addr(name), Node { follows: Some(addr("red")), ..Node::new(1) });
        let mut nodes: BTreeMap<Addr, Node> = replicas.iter().map(replica).collect();
        nodes.insert(addr("red"), Node::new(1));
        nodes.values_mut().for_each(prepare);
        let mut bench = Self {
            now_ms: 0,
            state: State::default(),
            nodes,
            leader: Some(0),
            aliases: BTreeMap::new(),
            asleep: [false; 3],
            events: Vec::new(),
            remarks: Default::default(),
            intents: Vec::new(),
            usable: 3,
            held_back: None,
            die_at: None,
            before: None,
            pretenders: BTreeSet::new(),
            blind: Default::default(),
            overtaken: None,
            judges: Vec::new(),
            inbox: vec![Vec::new(); 3],
        };
        bench.state.apply_membership(LogIndex(1), [1, 2, 3].map(NodeId).into());
        let settings = GroupSettings { down_after_ms: 1000, quorum: 2, promotion_policy, ..GroupSettings::default() };
        bench.apply(&Command::ConfigureGroup {
            name: group_name(),
            master: addr("red"),
            settings,
            replicas: vec![],
            epoch: Epoch(0),
            origin: Origin::File,
            at: WallTime(0),
            takes_up: None,
            asked: None,
        });
        bench.judges = (0..3).map(|at| Judge::new(NodeId(at as u64 + 1), bench.world(at))).collect();
        bench.run(3000);
        assert_eq!(bench.group().replicas.len(), replicas.len(), "all replicas are discovered");
        bench
    }

    pub(crate) fn group(&self) -> Arc<Group> {
        Arc::clone(&self.state.groups[&group_name()])
    }

    pub(crate) fn node(&mut self, name: &str) -> &mut Node {
        self.nodes.get_mut(&addr(name)).expect("a node")
    }

    /// `min-replicas-to-write` of a node.
    pub(crate) fn node_fence(&self, name: &str) -> Option<u32> {
        self.nodes[&addr(name)].fence.map(|fence| fence.min_replicas)
    }

    /// Replicas get what their masters have written.
    fn replicate(&mut self) {
        let masters: BTreeMap<Addr, (u64, &'static str)> = self
            .nodes
            .iter()
            .filter(|(_, node)| node.is_there() && node.follows.is_none())
            .map(|(addr, node)| (addr.clone(), (node.offset, node.history)))
            .collect();
        for node in self.nodes.values_mut().filter(|node| node.is_there() && !node.lags) {
            let source = node.follows.as_ref().and_then(|master| masters.get(master));
            if let Some((offset, _)) = source.filter(|(_, history)| *history == node.history) {
                node.offset = node.offset.max(*offset);
            }
        }
    }

    /// The node behind an address.
    fn at(&self, addr: &Addr) -> Option<&Node> {
        self.nodes.get(self.aliases.get(addr).unwrap_or(addr))
    }

    /// The leader has an answer of this node, as it is now, on its way.
    pub(crate) fn tell_leader(&mut self, name: &str) {
        let node = addr(name);
        if let (Some(leader), Some(report)) = (self.leader, self.report(&node)) {
            let seen = self.see(&node, Observed::Report(Box::new(report)));
            self.inbox[leader].push(seen);
        }
    }

    /// The same, but it is overtaken by what the next act on the node brings.
    pub(crate) fn tell_leader_late(&mut self, name: &str) {
        self.overtaken = self.report(&addr(name)).map(|report| (addr(name), report));
    }

    fn reaches(&self, at: usize, node: &Addr) -> bool {
        !self.blind[at].contains(node)
    }

    pub(crate) fn judge(&self, at: usize) -> &Judge {
        &self.judges[at]
    }

    pub(crate) fn apply(&mut self, command: &Command) -> Outcome {
        let before = self.state.clone();
        let (outcome, logged) = self.state.apply(LogIndex(self.state.applied.0 + 1), command);
        invariants::check_step(&before, &self.state).expect("the invariants hold");
        self.events.extend(logged.into_iter().map(|logged| (self.now_ms, logged.event)));
        outcome
    }

    /// The first moment at which an event of that kind happened.
    pub(crate) fn when(&self, is: impl Fn(&Event) -> bool) -> Option<u64> {
        self.events.iter().find(|(_, event)| is(event)).map(|(at, _)| *at)
    }

    pub(crate) fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now_ms += 1;
            self.tick();
        }
    }

    /// Runs until `is` holds; panics after a minute of its own time.
    pub(crate) fn run_until(&mut self, what: &str, is: impl Fn(&Self) -> bool) {
        let limit = self.now_ms + 60_000;
        while !is(self) {
            assert!(self.now_ms < limit, "never came to be: {what}\n{:#?}\n{:#?}", self.group().failover, self.nodes);
            self.run(1);
        }
    }

    pub(crate) fn settled(&self) -> bool {
        let group = self.group();
        let as_recorded =
            |(at, node): (&Addr, &Node)| !node.is_there() || node.follows == (*at != group.master.addr).then(|| group.master.addr.clone());
        group.failover.is_none() && self.nodes.iter().all(as_recorded)
    }

    pub(crate) fn phase(&self) -> Option<Phase> {
        self.group().failover.as_ref().map(|failover| failover.phase.clone())
    }

    fn world(&self, at: usize) -> World {
        World {
            now: Mono::from_ms(self.now_ms),
            wall: WallTime(self.now_ms * 1000),
            group: self.group(),
            voting: true,
            leading: self.leader == Some(at),
            majority: 2,
            usable: self.usable,
            held_back: self.held_back.clone(),
            elsewhere: std::sync::Arc::default(),
        }
    }

    fn tick(&mut self) {
        self.replicate();
        for at in 0..3 {
            if self.asleep[at] {
                continue;
            }
            let due = self.judges[at].wake_at() <= Mono::from_ms(self.now_ms);
            let mut inputs = std::mem::take(&mut self.inbox[at]);
            inputs.extend(self.look_around(at));
            if inputs.is_empty() && due {
                inputs.push(Input::Wake);
            }
            for input in inputs {
                self.step(at, input);
            }
        }
        // The log tells everybody at once.
        for at in 0..3 {
            if !self.asleep[at] {
                self.step(at, Input::Wake);
            }
        }
    }

    fn step(&mut self, at: usize, input: Input) {
        let world = self.world(at);
        for intent in self.judges[at].step(input, world) {
            // It may have died of the one before.
            if !self.asleep[at] {
                self.perform(at, intent);
            }
        }
    }

    /// What the probes of one sentinel see in this millisecond: a PING every 100 ms, INFO every second.
    fn look_around(&self, at: usize) -> Vec<Input> {
        let mut seen = Vec::new();
        for known in self.group().data_nodes() {
            let turn = (self.now_ms + 13 * at as u64) % 100;
            if turn == 0 {
                let reachable = self.reaches(at, known) && self.at(known).is_some_and(|node| node.is_there() && !node.refuses_credentials);
                let linked = self.judges[at].view().nodes.get(known).is_some_and(|node| matches!(node.link, Link::Up { .. }));
                if reachable && !linked {
                    seen.push(self.see(known, Observed::Linked));
                    seen.extend(self.see_fence(known));
                    seen.extend(self.report(known).map(|report| self.see(known, Observed::Report(Box::new(report)))));
                }
                seen.push(self.see(known, Observed::Pinged));
                let answer = if self.reaches(at, known) { self.answer_ping(known) } else { Observed::Unlinked(LinkLoss::TimedOut) };
                seen.push(self.see(known, answer));
            }
            if turn == 50 && (self.now_ms / 100).is_multiple_of(10) && self.reaches(at, known) {
                seen.extend(self.see_fence(known));
                seen.extend(self.report(known).map(|report| self.see(known, Observed::Report(Box::new(report)))));
            }
        }
        seen
    }

    fn see(&self, node: &Addr, what: Observed) -> Input {
        Input::NodeObservation(NodeObservation { addr: node.clone(), at: Mono::from_ms(self.now_ms), what })
    }

    fn see_fence(&self, node: &Addr) -> Option<Input> {
        let held = self.at(node).filter(|node| node.is_there() && !node.busy && !node.refuses_credentials)?.fence;
        let sight = held.map_or_else(|| FenceSight::Unknown("NOPERM".to_owned()), FenceSight::Holds);
        Some(self.see(node, Observed::Fence(sight)))
    }

    fn answer_ping(&self, node: &Addr) -> Observed {
        match self.at(node) {
            Some(node) if node.silent => Observed::Unlinked(LinkLoss::TimedOut),
            Some(node) if node.alive && node.refuses_credentials => Observed::Unlinked(LinkLoss::Credentials("WRONGPASS".to_owned())),
            Some(node) if node.alive && node.busy => Observed::Invalid(InvalidReply::Busy),
            Some(node) if node.alive => Observed::Valid(ValidReply::Pong),
            Some(_) | None => Observed::Unlinked(LinkLoss::Refused),
        }
    }

    fn report(&self, addr: &Addr) -> Option<NodeReport> {
        let addr = self.aliases.get(addr).unwrap_or(addr);
        let node = self.nodes.get(addr).filter(|node| node.is_there() && !node.busy && !node.slow && !node.refuses_credentials)?;
        let attached = |(at, other): (&Addr, &Node)| {
            (other.is_there() && other.follows.as_ref() == Some(addr)).then(|| AttachedReplica {
                addr: at.clone(),
                online: !other.copying,
                offset: other.offset,
                lag_s: 0,
            })
        };
        let role = match &node.follows {
            None => {
                let mut replicas: Vec<_> = self.nodes.iter().filter_map(attached).collect();
                let pretends = |addr: &Addr| AttachedReplica { addr: addr.clone(), online: true, offset: node.offset, lag_s: 0 };
                replicas.extend(self.pretenders.iter().map(pretends));
                let fenced = node.fence.is_some_and(|fence| fence.min_replicas > 0);
                let good_replicas = fenced.then(|| u32::try_from(replicas.len()).expect("a few") + node.hangers_on);
                RoleReport::Master { replicas, good_replicas, misnamed: vec![] }
            }
            Some(master) => {
                let up = self.nodes.get(master).is_some_and(|master| master.is_there() && master.follows.is_none());
                RoleReport::Replica(ReplicaReport {
                    master: master.clone(),
                    link_up: up && !node.copying,
                    last_io_s: Some(0),
                    link_down_s: (!up).then_some(1),
                    syncing: node.copying,
                    priority: node.priority,
                    announced: true,
                    place_lost: false,
                })
            }
        };
        Some(NodeReport {
            run_id: RunId::new(format!("{}-{}", addr.host(), node.run)).expect("an id"),
            version: "7.0.15".to_owned(),
            role,
            replid: ReplId::new(node.history.replace(' ', "-")).expect("an id"),
            replid2: None,
            second_offset: None,
            offset: node.offset,
            loading: false,
            raw: format!(
                "{}# Clients\r\n# Keyspace\r\n{}",
                if node.fileless { "# Server\r\nconfig_file:\r\n" } else { "" },
                if node.empty { "" } else { "db0:keys=1" }
            ),
        })
    }

    /// A state may ask for a look at every step only if it ends by what the look shows. Each look is answered here, so others look more and
    /// more often.
    fn count_look(&self, at: usize) {
        let (looks, most) = (self.inbox[at].len(), 20 * self.nodes.len());
        assert!(looks <= most, "{looks} looks within a millisecond\n{:#?}\n{:#?}", self.group().failover, self.nodes);
    }

    fn perform(&mut self, at: usize, intent: Intent) {
        match intent {
            Intent::Notify { what, .. } => self.remarks[at].push(what),
            Intent::Look(node) => {
                if let Some(report) = self.report(&node).filter(|_| self.reaches(at, &node)) {
                    let seen = self.see(&node, Observed::Report(Box::new(report)));
                    self.inbox[at].push(seen);
                    self.count_look(at);
                }
            }
            Intent::Propose { key, command } => {
                let place = command.name().to_owned();
                self.meet(&place);
                if self.dies(at, &place, true) {
                    return;
                }
                let well = !matches!(self.apply(&command), Outcome::Refused(_));
                self.intents.push(place.clone());
                self.inbox[at].push(Input::Proposed { key, well });
                self.dies(at, &place, false);
            }
            Intent::Ask { node, ask, permit, judged } => {
                let place = format!("ask-{}", ask.name());
                assert_eq!(self.leader, Some(at), "only the leader asks");
                self.meet(&place);
                if permit != Permit::of(&self.group()) || self.dies(at, &place, true) {
                    return;
                }
                self.intents.push(place.clone());
                let is = self.report(&node).map(|report| Standing::of(&report));
                let as_judged = judged.zip(is).is_none_or(|(judged, is)| judged == is);
                self.meet(&format!("exec-{}", ask.name()));
                let well = self.reaches(at, &node) && as_judged && self.obey(&node, &ask);
                if well {
                    let fence = self.see_fence(&node);
                    self.inbox[at].extend(fence);
                }
                if let (true, Some(report)) = (well || !as_judged, self.report(&node)) {
                    let seen = self.see(&node, Observed::Report(Box::new(report)));
                    self.inbox[at].push(seen);
                    let written = if self.nodes[&node].unwritable { Err("ERR Read-only file system".to_owned()) } else { Ok(()) };
                    let written = self.see(&node, Observed::Rewritten(written));
                    self.inbox[at].push(written);
                }
                if let Some((node, report)) = self.overtaken.take_if(|(of, _)| *of == node) {
                    let seen = self.see(&node, Observed::Report(Box::new(report)));
                    self.inbox[at].push(seen);
                }
                self.inbox[at].push(Input::Asked { node, ask, well });
                self.dies(at, &place, false);
            }
        }
    }

    /// What is to happen right before this place happens.
    fn meet(&mut self, place: &str) {
        if let Some((_, happen)) = self.before.take_if(|(name, _)| *name == place) {
            happen(self);
        }
    }

    /// Whether the leader dies at this place: it falls asleep for good and another leads.
    fn dies(&mut self, at: usize, place: &str, before: bool) -> bool {
        let here = self.leader == Some(at) && self.die_at.as_ref().is_some_and(|(name, when)| name == place && *when == before);
        if here {
            self.die_at = None;
            self.asleep[at] = true;
            self.leader = (0..3).find(|other| !self.asleep[*other]);
            self.inbox[at].clear();
        }
        here
    }

    fn obey(&mut self, node: &Addr, ask: &Ask) -> bool {
        let node = self.aliases.get(node).unwrap_or(node);
        if let (Ask::KillScript, Some(node)) = (ask, self.nodes.get_mut(node).filter(|node| node.is_there())) {
            node.busy &= node.stubborn;
            node.obeyed.push(Ask::KillScript);
            return true;
        }
        let Some(node) = self.nodes.get_mut(node).filter(|node| node.is_there() && !node.busy && !node.stubborn) else { return false };
        node.obeyed.push(ask.clone());
        match ask {
            Ask::Promote { fence } => {
                node.follows = None;
                node.fence = fence.or(node.fence);
            }
            Ask::Demote { master } | Ask::Repoint { master } => node.follows = Some(master.clone()),
            Ask::Detach { fence } => {
                node.follows = Some(Addr::nobody());
                node.fence = fence.or(node.fence);
            }
            Ask::ServeCatchUp => {
                node.follows = None;
                node.fence = node.fence.map(|_| Fence::NO_WRITES);
            }
            Ask::Arm(fence) => node.fence = node.fence.map(|_| *fence),
            Ask::Pause { .. } | Ask::Unpause | Ask::KillScript => {}
        }
        true
    }
}
