//! The judge of one group: one input, one step, what is wanted.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::alarm::Alarm;
pub(super) use super::attempt::FailoverAttempt;
use super::down::{DownReport, Standard, Verdict, judge_node};
use super::fence::{FenceMark, Smaller};
use super::intent::{Ask, Intent, LocalEvent, ProposalKey};
use super::pending::Pending;
use super::readiness::Played;
use super::tenure::Tenures;
use super::view::{GroupView, HeldBack, NodeView};
use crate::base::observation::{NodeObservation, Observed, Role};
use crate::base::{Addr, GroupName, Mono, NodeId, WallTime};
use crate::machine::{Command, Group};

/// The judge wants to be woken at least this often, so that it notices when it was not.
const PULSE_MS: u64 = 250;
/// Woken later than asked by more than this, it was not awake: it looks again before it holds anything to be silent.
const STALL_MS: u64 = 250;
/// How long that look takes: several PINGs, and the answers that waited meanwhile. Only who slept for a whole limit begins the
/// limit anew: on a starved machine short stalls come every few seconds, and a long limit would never run out.
const LOOK_AGAIN_AWAKE_MS: u64 = 500;
/// Lateness below this is ordinary scheduling.
const JITTER_MS: u64 = 10;
/// A report older than this is no ground for a change of role.
pub(super) const FRESH_MS: u64 = 3000;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The moment asked for has come, or the [`World`] changed.
    Wake,
    /// A data node was seen.
    NodeObservation(NodeObservation),
    /// A proposal has come to an end: `well` if it was committed and not refused.
    Proposed {
        /// What it was about.
        key: ProposalKey,
        /// Whether it took effect.
        well: bool,
    },
    /// A change of role was tried: `well` if the node carried it out.
    Asked {
        /// The node.
        node: Addr,
        /// What it was asked.
        ask: Ask,
        /// Whether it obeyed.
        well: bool,
    },
}

/// The world as it is at one step.
#[derive(Clone, Debug)]
pub struct World {
    /// The moment.
    pub now: Mono,
    /// The same moment for people, to stamp into entries.
    pub wall: WallTime,
    /// The group as agreed, as far as it is applied here.
    pub group: Arc<Group>,
    /// Whether this sentinel's votes count.
    pub voting: bool,
    /// Whether this sentinel leads, and may trust that it does.
    pub leading: bool,
    /// How many sentinels are a majority of those that vote.
    pub majority: usize,
    /// How many of those that vote are in touch with this one, itself included if it votes.
    pub usable: usize,
    /// Why this sentinel must not change a server now, besides what the log says.
    pub held_back: Option<HeldBack>,
    /// The data nodes that belong to other groups, which were there first.
    pub elsewhere: Arc<BTreeMap<Addr, GroupName>>,
}

/// The judge of one group.
#[derive(Clone, Debug)]
pub struct Judge {
    pub(super) me: NodeId,
    pub(super) world: World,
    pub(super) view: GroupView,
    /// Since when the recorded master has been that, for this sentinel.
    pub(super) master_since: Mono,
    /// Whether the cluster decided on the recorded master since this sentinel has looked on.
    pub(super) decided_here: bool,
    /// When this sentinel last only listened for others.
    pub(super) listened: Mono,
    pub(super) attempt: Option<FailoverAttempt>,
    pub(super) mark: Option<FenceMark>,
    /// Since when this sentinel has led with the fence as it is recorded. What a server held before that may have been changed by the
    /// leader before.
    pub(super) fence_since: Mono,
    pub(super) smaller: Smaller,
    pub(super) fence_trouble: Option<Alarm>,
    /// When the loss of the master was last played through.
    pub(super) played: Option<Played>,
    pub(super) unready: Option<Alarm>,
    /// What is remembered of replicas that come and go.
    pub(super) tenures: Tenures,
    /// Whether this very step is the first one that leads.
    pub(super) began_to_lead: bool,
    pub(super) proposals: Pending<ProposalKey>,
    pub(super) asks: Pending<Addr>,
    pub(super) intents: Vec<Intent>,
    pub(super) wake_at: Mono,
}

impl Judge {
    /// A judge that has seen nothing yet.
    pub fn new(me: NodeId, world: World) -> Self {
        let now = world.now;
        let mut judge = Self {
            me,
            world,
            view: GroupView::default(),
            master_since: now,
            decided_here: false,
            listened: now,
            attempt: None,
            mark: None,
            fence_since: now,
            smaller: Smaller::unknown(now),
            fence_trouble: None,
            played: None,
            unready: None,
            tenures: Tenures::default(),
            began_to_lead: false,
            proposals: Pending::default(),
            asks: Pending::default(),
            intents: Vec::new(),
            wake_at: now,
        };
        judge.keep_nodes();
        judge
    }

    /// Takes in what happened, and says what is wanted now.
    ///
    /// Call it again at [`wake_at`](Self::wake_at) at the latest.
    pub fn step(&mut self, input: Input, world: World) -> Vec<Intent> {
        self.advance(input, world);
        self.keep_readiness();
        std::mem::take(&mut self.intents)
    }

    /// One step, but for what is only told of it.
    pub(super) fn advance(&mut self, input: Input, world: World) {
        let now = world.now;
        self.notice_own_absence(now);
        self.adopt(world);
        self.take_in(input);
        self.wake_at = now.plus_ms(PULSE_MS);
        let on_master = self.judge_nodes();
        self.vote(&on_master);
        if self.world.leading {
            self.lead();
        }
        self.note_fence_problem();
        let next = self.proposals.next(now).into_iter().chain(self.asks.next(now)).min();
        next.into_iter().for_each(|at| self.wake_by(at));
        self.view.held_back.clone_from(&self.world.held_back);
    }

    /// When the judge wants to be woken.
    pub const fn wake_at(&self) -> Mono {
        self.wake_at
    }

    /// What it believes, for whoever asks: with the replicas as candidates, which are ranked only where they are to be shown.
    pub fn picture(&self) -> GroupView {
        GroupView { candidates: self.candidates_now(), ..self.view.clone() }
    }

    /// What it believes, but for the candidates.
    pub const fn view(&self) -> &GroupView {
        &self.view
    }

    pub(super) const fn now(&self) -> Mono {
        self.world.now
    }

    pub(super) fn wake_by(&mut self, at: Mono) {
        self.wake_at = self.wake_at.min(at);
    }

    pub(super) fn want(&mut self, intent: Intent) {
        self.intents.push(intent);
    }

    /// Proposes, unless the same is under way.
    pub(super) fn propose(&mut self, key: ProposalKey, command: Command) {
        if self.proposals.begin(key.clone(), self.now()) {
            self.want(Intent::Propose { key, command: Box::new(command.fitted()) });
        }
    }

    /// A sentinel that was paused, or starved, has heard nothing and must not take that for silence.
    fn notice_own_absence(&mut self, now: Mono) {
        let late_ms = now.ms_since(self.wake_at);
        let limit_ms = self.world.group.settings.down_after_ms;
        let silence_kept_ms = if late_ms < limit_ms { limit_ms.saturating_sub(LOOK_AGAIN_AWAKE_MS) } else { 0 };
        for node in self.view.nodes.values_mut() {
            if late_ms > STALL_MS {
                node.forgive_silence(late_ms, silence_kept_ms, now);
            } else if late_ms > JITTER_MS {
                node.excuse_silence(late_ms, now);
            }
        }
    }

    fn adopt(&mut self, world: World) {
        let new_master = world.group.master.since != self.world.group.master.since;
        let other_group = !Arc::ptr_eq(&world.group, &self.world.group);
        self.began_to_lead = world.leading && !self.world.leading;
        let fence = std::mem::replace(&mut self.world, world).group.fence;
        if new_master {
            self.master_since = self.now();
            self.decided_here = is_decided(&self.world.group);
        }
        // The servers are what our own failover has made of them: what it left undone, the old master before all, is not to wait.
        if self.decided_here {
            self.world.held_back.take_if(|held_back| *held_back == HeldBack::Listening);
        }
        if self.world.held_back == Some(HeldBack::Listening) {
            self.listened = self.now();
        }
        self.note_fence(fence);
        if new_master || self.began_to_lead {
            self.proposals.clear();
            self.asks.clear();
        }
        if other_group {
            self.note_wait_number(fence);
            self.keep_nodes();
        }
        if other_group || self.began_to_lead {
            self.tenures.keep(&self.world.group, new_master || self.began_to_lead);
        }
    }

    /// Looks at the group's data nodes and no others.
    fn keep_nodes(&mut self) {
        let (group, now) = (Arc::clone(&self.world.group), self.now());
        self.view.nodes.retain(|addr, _| *addr == group.master.addr || group.replicas.contains_key(addr));
        for addr in group.data_nodes() {
            self.view.nodes.entry(addr.clone()).or_insert_with(|| NodeView::new(now));
        }
    }

    fn take_in(&mut self, input: Input) {
        match input {
            Input::Wake => {}
            Input::NodeObservation(seen) => self.note(seen),
            Input::Proposed { key, well } => self.proposals.end(key, well, self.world.now),
            Input::Asked { node, ask, well } => self.note_asked(node, &ask, well),
        }
    }

    fn note(&mut self, seen: NodeObservation) {
        if self.is_of_stand_in(&seen) {
            return;
        }
        let expected = if seen.addr == self.world.group.master.addr { Role::Master } else { Role::Replica };
        let Some(node) = self.view.nodes.get_mut(&seen.addr) else { return };
        let before = node.role();
        let is_report = matches!(seen.what, Observed::Report(_));
        let written = if let Observed::Report(report) = &seen.what { Some(report.offset) } else { None };
        node.note(seen.what, seen.at);
        if let (true, Some(before), Some(after)) = (is_report, before, node.role())
            && before != after
        {
            let what = LocalEvent::RoleChanged { to_master: after == Role::Master, expected: after == expected };
            self.want(Intent::Notify { node: seen.addr.clone(), what });
        }
        if is_report {
            self.note_foreign(&seen.addr);
        }
        if let Some(offset) = written.filter(|_| seen.addr == self.world.group.master.addr) {
            self.note_written(offset);
        }
    }

    fn note_asked(&mut self, node: Addr, ask: &Ask, well: bool) {
        let now = self.now();
        // What is still wanted after it was done is asked again a little later; what follows from it comes at once.
        self.asks.end(node.clone(), well && ask.is_step(), now);
        if let Some(node) = self.view.nodes.get_mut(&node).filter(|_| well) {
            node.note_obeyed(ask);
        }
        let remark = match ask {
            Ask::Pause { .. } => {
                self.note_paused(well);
                None
            }
            Ask::KillScript => {
                self.note_script_kill(&node, well);
                None
            }
            Ask::Promote { .. } | Ask::Detach { .. } | Ask::ServeCatchUp | Ask::Arm(_) | Ask::Unpause => None,
            Ask::Demote { .. } => Some(LocalEvent::Demoted),
            Ask::Repoint { .. } => Some(LocalEvent::Repointed),
        };
        let failing_over = self.world.group.failover.is_some();
        if let Some(what) = remark.filter(|_| well && !failing_over) {
            self.want(Intent::Notify { node, what });
        }
    }

    /// Returns what is held of the recorded master.
    fn judge_nodes(&mut self) -> Verdict {
        let now = self.now();
        let (mut changed, mut earliest, mut on_master) = (Vec::new(), None, Verdict::Up);
        for (addr, node) in &self.view.nodes {
            let is_master = *addr == self.world.group.master.addr;
            let verdict = self.verdict(node, is_master);
            let down = matches!(verdict, Verdict::Down(_));
            if down != node.down_since.is_some() {
                changed.push((addr.clone(), down));
            }
            if let Verdict::Late { deadline } = verdict {
                earliest = earliest.into_iter().chain([deadline]).min();
            }
            if is_master {
                on_master = verdict;
            }
        }
        earliest.into_iter().for_each(|deadline| self.wake_by(deadline));
        for (addr, down) in changed {
            if let Some(node) = self.view.nodes.get_mut(&addr) {
                node.down_since = down.then_some(now);
                node.script_kill_sent = false;
            }
            self.want(Intent::Notify { node: addr, what: if down { LocalEvent::Down } else { LocalEvent::Up } });
        }
        debug_assert!(self.view.nodes.contains_key(&self.world.group.master.addr), "the master is always looked at");
        on_master
    }

    fn verdict(&self, node: &NodeView, is_master: bool) -> Verdict {
        let group = &self.world.group;
        if is_master && let Some(for_ms) = self.lost_history(group) {
            return Verdict::Down(DownReport { evidence: self.loss_evidence(group), for_ms, limit_ms: 0 });
        }
        if is_master && let Some(verdict) = self.judge_stand_in(node) {
            return verdict;
        }
        // As long as nothing is put right, nobody is blamed for a wrong role.
        let master_since = is_master.then(|| self.master_since.max(self.listened));
        judge_node(node, Standard { settings: &group.settings, master_since }, self.now())
    }

    fn lead(&mut self) {
        if self.only_watches() {
            self.watch_only();
            return;
        }
        self.end_scripts();
        if self.world.group.failover.is_some() {
            self.lead_failover();
        } else {
            if let Some(ended) = self.attempt.take() {
                let group = Arc::clone(&self.world.group);
                self.end_pause(&group, &ended);
            }
            self.repair();
        }
    }
}

/// Whether the recorded master became that by a decision of the cluster.
fn is_decided(group: &Group) -> bool {
    group.history.iter().rev().any(|decision| decision.decided == Some(group.master.since))
}
