//! Readiness for the loss of the master: the failover that would follow is played through on a copy of the judge.
//!
//! No rule is written here a second time. The copy takes real steps against a copy of the record, the votes are entries of the real state
//! machine, and the servers do what they are asked, as far as they answer now. The play ends with the first `Promote` that the state
//! machine takes, or with the first reason that a failover would be blocked by.
//!
//! Two losses are played: the process is gone (its port refuses), and the master is silent. The second asks more: a silent master is replaced
//! only once its fence has run out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::alarm::{self, Call};
use super::group_judge::{Input, Judge, World};
use super::intent::{Ask, Intent, LocalEvent};
use super::pending::Pending;
use super::view::{HeldBack, Link, NodeView, Outlook, Readiness};
use crate::base::observation::{LinkLoss, NodeObservation, NodeReport, Observed, ReplicaReport, RoleReport, ValidReply};
use crate::base::{Addr, LogIndex, Mono, NodeId};
use crate::machine::{Choice, Command, DownEvidence, Evidence, Group, Ineligible, Outcome, State};

/// The play is repeated this often.
const REFRESH_MS: u64 = 1000;
/// After a change of the record it is repeated at once, but not more often than this.
const REST_MS: u64 = 100;
/// A server that has kept a PING waiting for longer is taken not to answer.
const ANSWERS_WITHIN_MS: u64 = 1000;
/// A failover that has not come to a decision after this long, by the clock of the play, is told as undecided.
const PLAYED_MS: u64 = 60_000;
/// Steps of one play; far more than any takes.
const STEPS: u32 = 2000;
/// The play's entries stand behind all entries of the log.
const BEHIND_THE_LOG: LogIndex = LogIndex(u64::MAX / 2);

/// When the readiness was last computed, and of which record.
#[derive(Clone, Debug)]
pub(super) struct Played {
    at: Mono,
    of: Arc<Group>,
}

/// In which way the master is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    /// Its process has ended.
    Gone,
    /// It answers nothing.
    Silent,
}

/// How a play ends.
#[derive(Debug)]
enum Forecast {
    /// A decision; with how many replicas are there to follow the new master.
    Promoted { choice: Box<Choice>, followers: u32 },
    /// The failover would be blocked.
    Blocked(Vec<(Addr, Ineligible)>),
    /// Another obstacle, for people.
    Stuck(String),
}

impl Judge {
    /// Keeps the readiness in the view. A failover under way is not kept waiting by plays: it says itself how it fares.
    pub(super) fn keep_readiness(&mut self) {
        let (now, group) = (self.now(), Arc::clone(&self.world.group));
        if let Some(failover) = &group.failover {
            // What was told before stays told until the failover is over: it may be what the failover runs into.
            let (would, why) = match &failover.blocked {
                Some(reasons) => (Outlook::No, in_words(reasons)),
                None => (Outlook::UnderWay, Vec::new()),
            };
            self.view.readiness = Readiness { would, next: None, why };
            self.played = None;
            return;
        }
        let voted = !group.ballot.votes().is_empty();
        let due = self.played.as_ref().is_none_or(|played| {
            let for_ms = now.ms_since(played.at);
            for_ms >= REFRESH_MS || (for_ms >= REST_MS && !voted && !Arc::ptr_eq(&played.of, &group))
        });
        if due {
            self.view.readiness = self.play_both();
            self.played = Some(Played { at: now, of: group });
        }
        self.tell_of_readiness();
    }

    /// A copy at `now` to which nothing of what is under way will come back.
    fn at_rest(&self, now: Mono) -> Self {
        let (attempt, proposals, asks, intents) = (None, Pending::default(), Pending::default(), Vec::new());
        Self { attempt, proposals, asks, intents, wake_at: now, ..self.clone() }
    }

    fn tell_of_readiness(&mut self) {
        let (now, complaint) = (self.now(), self.view.readiness.complaint());
        let what = match alarm::note(&mut self.unready, &mut self.view.readiness_alarm, complaint, now) {
            Call::Nothing(due) => return due.into_iter().for_each(|due| self.wake_by(due)),
            Call::Wrong(why) => LocalEvent::Unready { why },
            Call::Well => LocalEvent::Ready,
        };
        let node = self.world.group.master.addr.clone();
        self.want(Intent::Notify { node, what });
    }

    fn play_both(&self) -> Readiness {
        let group = &self.world.group;
        let no = |why: Vec<String>| Readiness { would: Outlook::No, next: None, why };
        if group.in_shadow() {
            return no(vec!["the group is in shadow: this cluster carries nothing out".to_owned()]);
        }
        if let Some(held_back @ HeldBack::Shared(_)) = &self.world.held_back {
            return no(vec![held_back.to_string()]);
        }
        let (usable, quorum) = (self.world.usable, group.settings.quorum as usize);
        if usable < quorum {
            return no(vec![format!("{usable} sentinels are in touch, and quorum {quorum} must see the master down")]);
        }
        if usable < self.world.majority {
            return no(vec![format!("{usable} sentinels are in touch, and a decision takes {}", self.world.majority)]);
        }
        if let Some(why) = self.never_a_master(group) {
            return no(vec![why]);
        }
        if group.replicas.is_empty() {
            return no(vec!["no replica is known".to_owned()]);
        }
        let (choice, followers) = match Play::new(self, Loss::Gone).run() {
            Forecast::Promoted { choice, followers } => (choice, followers),
            Forecast::Blocked(reasons) => return no(in_words(&reasons)),
            Forecast::Stuck(why) => return no(vec![why]),
        };
        let mut limits = Vec::new();
        if let Some(fence) = choice.arms.filter(|fence| fence.min_replicas > followers) {
            limits.push(format!(
                "{} would take no writes: {followers} replicas would follow it, and its fence asks for {}",
                choice.chosen, fence.min_replicas
            ));
        }
        let only_if_gone = |why: String| format!("a master that is silent, and not known to be gone, would not be replaced: {why}");
        // By the rules of `available` a loss is a loss.
        let silent = group.is_strict().then(|| Play::new(self, Loss::Silent).run());
        match silent {
            None | Some(Forecast::Promoted { .. }) => {}
            Some(Forecast::Blocked(reasons)) => limits.push(only_if_gone(in_words(&reasons).join("; "))),
            Some(Forecast::Stuck(why)) => limits.push(only_if_gone(why)),
        }
        limits.extend(self.lacking_rights(group));
        let would = if limits.is_empty() { Outlook::Yes } else { Outlook::Partly };
        Readiness { would, next: Some(choice.chosen), why: limits }
    }
}

fn in_words(reasons: &[(Addr, Ineligible)]) -> Vec<String> {
    if reasons.is_empty() {
        return vec!["no replica is known".to_owned()];
    }
    reasons.iter().map(|(addr, reason)| format!("{addr}: {reason}")).collect()
}

/// One play.
struct Play {
    judge: Judge,
    world: World,
    state: State,
    began: Mono,
    /// The servers that answer, as they would say that they are.
    servers: BTreeMap<Addr, NodeReport>,
    /// What they have answered, on its way.
    answers: Vec<Input>,
    loss: Loss,
}

impl Play {
    fn new(original: &Judge, loss: Loss) -> Self {
        let world = World { leading: true, ..original.world.clone() };
        let (now, group) = (world.now, Arc::clone(&world.group));
        let mut judge = original.at_rest(now);
        let master = &group.master.addr;
        let mut servers = BTreeMap::new();
        for (addr, node) in &mut judge.view.nodes {
            if addr == master {
                lose(node, loss, group.settings.down_after_ms, now);
            } else if answers(node, now) {
                node.note(Observed::Valid(ValidReply::Pong), now);
                servers.extend(node.report.as_ref().map(|(_, report)| (addr.clone(), without_master(report))));
            }
        }
        let mut state = State::default();
        state.groups.insert(group.name.clone(), group);
        Self { judge, began: now, world, state, servers, answers: Vec::new(), loss }
    }

    fn run(mut self) -> Forecast {
        self.cast_votes();
        let mut steps = 0;
        while steps < STEPS {
            let inputs = std::mem::take(&mut self.answers);
            if inputs.is_empty() {
                self.world.now = self.judge.wake_at().max(self.world.now.plus_ms(1));
            } else {
                self.world.now = self.world.now.plus_ms(1);
            }
            for input in inputs.into_iter().chain([Input::Wake]) {
                steps += 1;
                if let Some(ending) = self.step(input) {
                    return ending;
                }
            }
            if self.world.now.ms_since(self.began) > PLAYED_MS {
                break;
            }
        }
        Forecast::Stuck(format!("no decision would come within {} s", PLAYED_MS / 1000))
    }

    /// As many sentinels as are in touch see the master down.
    fn cast_votes(&mut self) {
        let me = self.judge.me;
        let others = (0..).map(|number| NodeId(u64::MAX - number)).filter(|id| *id != me);
        let voters: BTreeSet<NodeId> = self.world.voting.then_some(me).into_iter().chain(others).take(self.world.usable).collect();
        self.state.apply_membership(BEHIND_THE_LOG, voters.clone());
        let limit_ms = self.world.group.settings.down_after_ms;
        let evidence = match self.loss {
            Loss::Gone => Evidence::Refused,
            Loss::Silent => Evidence::Silent,
        };
        for voter in voters {
            let testimony = DownEvidence { evidence, silent_ms: limit_ms, limit_ms, replicas: Vec::new() };
            let (group, epoch, at) = (self.world.group.name.clone(), self.world.group.epoch, self.world.wall);
            self.apply(&Command::VoteDown { group, epoch, voter, testimony, at });
        }
    }

    fn apply(&mut self, command: &Command) -> Outcome {
        let index = LogIndex(self.state.applied.0 + 1);
        let (outcome, _) = self.state.apply(index, command);
        if let Some(group) = self.state.groups.get(&self.world.group.name) {
            self.world.group = Arc::clone(group);
        }
        outcome
    }

    fn step(&mut self, input: Input) -> Option<Forecast> {
        let input = match input {
            Input::NodeObservation(seen) => Input::NodeObservation(NodeObservation { at: self.world.now, ..seen }),
            other @ (Input::Wake | Input::Proposed { .. } | Input::Asked { .. }) => other,
        };
        self.judge.advance(input, self.world.clone());
        std::mem::take(&mut self.judge.intents).into_iter().find_map(|intent| self.perform(intent))
    }

    fn perform(&mut self, intent: Intent) -> Option<Forecast> {
        match intent {
            Intent::Notify { .. } => None,
            Intent::Look(addr) => {
                self.show(&addr);
                None
            }
            Intent::Ask { node, ask, .. } => {
                if self.obey(&node, &ask) {
                    self.show(&node);
                    self.answers.push(Input::Asked { node, ask, well: true });
                }
                None
            }
            Intent::Propose { key, command } => {
                if let Command::FailoverBlocked { reasons, .. } = *command {
                    return Some(Forecast::Blocked(reasons));
                }
                let outcome = self.apply(&command);
                self.answers.push(Input::Proposed { key, well: !matches!(outcome, Outcome::Refused(_)) });
                match (*command, outcome) {
                    (Command::Promote { .. }, Outcome::Refused(refusal)) => Some(Forecast::Stuck(refusal.to_string())),
                    (Command::Promote { choice, .. }, Outcome::Done | Outcome::Unchanged) => Some(self.promoted(choice)),
                    (Command::FailoverAborted { reason, .. }, _) => Some(Forecast::Stuck(reason.as_str().to_owned())),
                    _ => None,
                }
            }
        }
    }

    fn promoted(&self, choice: Choice) -> Forecast {
        let may_follow = |addr: &&Addr| **addr != choice.chosen && self.world.group.may_hold(addr);
        let followers = u32::try_from(self.servers.keys().filter(may_follow).count()).unwrap_or(u32::MAX);
        Forecast::Promoted { choice: Box::new(choice), followers }
    }

    /// The server tells what it is: once, however often it is looked at before the answer comes, as a real one is. Else two looks after each
    /// answer would be four answers, and soon more than there is time for.
    fn show(&mut self, addr: &Addr) {
        let Some(report) = self.servers.get(addr) else { return };
        let what = Observed::Report(Box::new(report.clone()));
        let seen = Input::NodeObservation(NodeObservation { addr: addr.clone(), at: self.world.now, what });
        let of_the_same =
            |answer: &&mut Input| matches!(answer, Input::NodeObservation(NodeObservation { addr: other, .. }) if other == addr);
        match self.answers.iter_mut().find(of_the_same) {
            Some(answer) => *answer = seen,
            None => self.answers.push(seen),
        }
    }

    /// The server does as it is asked; false if it does not answer.
    fn obey(&mut self, addr: &Addr, ask: &Ask) -> bool {
        let source = match ask {
            Ask::Repoint { master } | Ask::Demote { master } => {
                self.servers.get(master).map(|source| (source.replid.clone(), source.offset))
            }
            _ => None,
        };
        let Some(server) = self.servers.get_mut(addr) else { return false };
        match ask {
            Ask::Promote { .. } | Ask::ServeCatchUp => {
                server.role = RoleReport::Master { replicas: Vec::new(), good_replicas: None, misnamed: Vec::new() };
            }
            Ask::Detach { .. } => follow(server, Addr::nobody(), false),
            Ask::Demote { master } | Ask::Repoint { master } => {
                let same = source.filter(|(replid, _)| *replid == server.replid);
                follow(server, master.clone(), same.is_some());
                server.offset = same.map_or(server.offset, |(_, offset)| offset.max(server.offset));
            }
            Ask::Arm(_) | Ask::Pause { .. } | Ask::Unpause | Ask::KillScript => {}
        }
        true
    }
}

/// A server answers if it does now: its link is up, and it has kept nothing waiting for long.
fn answers(node: &NodeView, now: Mono) -> bool {
    let prompt = node.waiting_since.is_none_or(|since| now.ms_since(since) < ANSWERS_WITHIN_MS);
    matches!(node.link, Link::Up { .. }) && node.down_since.is_none() && node.cannot_judge.is_none() && !node.busy && prompt
}

fn lose(node: &mut NodeView, loss: Loss, limit_ms: u64, now: Mono) {
    let since = Mono(now.0.saturating_sub(limit_ms.saturating_mul(1000)));
    let how = match loss {
        Loss::Gone => LinkLoss::Refused,
        Loss::Silent => LinkLoss::TimedOut,
    };
    node.link = Link::Down { since, loss: how };
    node.counts_from = since;
    node.last_reply = node.last_valid;
    node.loading_since = None;
    node.cannot_judge = None;
    node.lacking_since = None;
    node.busy = false;
}

/// What a replica says of itself once its master is gone.
fn without_master(report: &NodeReport) -> NodeReport {
    let mut report = report.clone();
    if let RoleReport::Replica(replica) = &mut report.role
        && replica.link_up
    {
        replica.link_up = false;
        replica.link_down_s = Some(0);
    }
    report
}

fn follow(server: &mut NodeReport, master: Addr, link_up: bool) {
    let before = match &server.role {
        RoleReport::Replica(replica) => Some(replica.clone()),
        RoleReport::Master { .. } => None,
    };
    let (priority, announced) = before.as_ref().map_or((100, true), |replica| (replica.priority, replica.announced));
    let place_lost = before.is_some_and(|replica| replica.place_lost);
    server.role = RoleReport::Replica(ReplicaReport {
        master,
        link_up,
        last_io_s: link_up.then_some(0),
        link_down_s: (!link_up).then_some(0),
        syncing: false,
        priority,
        announced,
        place_lost,
    });
}
