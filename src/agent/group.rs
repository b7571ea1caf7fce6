//! The loop of one group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::perform::{self, ActionRequest};
use super::{Channels, Parts, held_back};
use crate::base::observation::NodeObservation;
use crate::base::{Addr, Epoch, GroupName, GroupSettings, HelloTemplate, Mono, NodeId};
use crate::board::{Notice, NoticeKind};
use crate::failpoint;
use crate::judge::{HeldBack, Input, Intent, Judge, LocalEvent, ProposalKey, World};
use crate::machine::{Command, Group, Outcome, Phase, State};
use crate::probe::{self, HelloChannel, Probe, ProbeSettings};
use crate::raft::Leadership;
use crate::redis::{RefusedRename, RenameTrust};
use crate::secret::Keys;
use crate::simulate::Place;

/// Sights that may wait for the judge; a probe that finds the box full waits.
const SIGHTS_WAITING: usize = 256;

/// Tends one group until it is no longer monitored, or `cancel`. `look` asks for a fresh look at all its data nodes.
/// `since` is when its hello channels were begun to be listened to.
pub(super) async fn run(parts: Parts, channels: Channels, (name, since): (GroupName, Mono), look: Arc<Notify>, cancel: CancellationToken) {
    let leading = leads(&parts);
    let Some(group) = parts.raft.state().groups.get(&name).cloned() else { return };
    let (sights, seen) = mpsc::channel(SIGHTS_WAITING);
    let (results, ended) = mpsc::unbounded_channel();
    let shared = held_back::Shared::of(&parts, &group);
    let world = world(&parts, leading, group, since, &shared);
    let judge = Judge::new(parts.raft.id(), world.clone());
    let (claim, said) = watch::channel(None);
    let channel = HelloChannel { group: name.clone(), claim: said, out: channels.heard };
    let current_epoch = channels.current_epoch;
    let mut keeper = GroupLoop {
        parts,
        name,
        judge,
        group: world.group,
        since,
        held_back: None,
        shared,
        probes: BTreeMap::new(),
        sights,
        results,
        claim,
        channel,
        current_epoch,
        renames: RenameTrust::default(),
        keys: None,
    };
    keeper.keep_probes();
    keeper.work(seen, ended, &look, &cancel).await;
    keeper.parts.board.hide(&keeper.name);
}

/// To be asked before the state is looked at: a state that is older than the leadership may lack what the last leader had decided.
fn leads(parts: &Parts) -> bool {
    matches!(*parts.raft.leadership().borrow(), Leadership::Leading { .. })
}

/// How many of those that vote are in touch: this sentinel, and each that was heard within the limit of the group.
fn usable(parts: &Parts, voters: &BTreeSet<NodeId>, within_ms: u64) -> usize {
    let (now, peers) = (parts.clock.mono(), parts.raft.peers());
    let heard = |id: &NodeId| peers.get(id).and_then(|peer| peer.last_heard).is_some_and(|at| now.ms_since(at) <= within_ms);
    voters.iter().filter(|id| **id == parts.raft.id() || heard(id)).count()
}

fn world(parts: &Parts, leading: bool, group: Arc<Group>, since: Mono, shared: &held_back::Shared) -> World {
    let state = parts.raft.state();
    let voters = &state.voters;
    World {
        now: parts.clock.mono(),
        wall: parts.clock.wall(),
        held_back: held_back::held_back(parts, &group, since, &shared.elsewhere),
        elsewhere: Arc::clone(&shared.elsewhere),
        usable: usable(parts, voters, group.settings.down_after_ms),
        group,
        voting: voters.contains(&parts.raft.id()),
        majority: voters.len() / 2 + 1,
        leading,
    }
}

struct GroupLoop {
    parts: Parts,
    name: GroupName,
    judge: Judge,
    group: Arc<Group>,
    /// Since when it is tended here.
    since: Mono,
    /// What ties this sentinel's hands, as last told.
    held_back: Option<HeldBack>,
    /// What other groups act on.
    shared: held_back::Shared,
    probes: BTreeMap<Addr, Probe>,
    sights: mpsc::Sender<NodeObservation>,
    results: mpsc::UnboundedSender<Input>,
    claim: watch::Sender<Option<HelloTemplate>>,
    channel: HelloChannel,
    current_epoch: watch::Receiver<Epoch>,
    /// Which other names of commands the servers are trusted with.
    renames: RenameTrust,
    /// The keys with which the password was opened.
    keys: Option<Arc<Keys>>,
}

impl GroupLoop {
    async fn work(
        &mut self,
        mut seen: mpsc::Receiver<NodeObservation>,
        mut ended: mpsc::UnboundedReceiver<Input>,
        look: &Notify,
        cancel: &CancellationToken,
    ) {
        let mut states = self.parts.raft.states();
        let mut leadership = self.parts.raft.leadership();
        loop {
            let wake_at = self.parts.clock.instant(self.judge.wake_at());
            let input = tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                // What was seen of an act comes before its end, and is to be known by then.
                Some(sight) = seen.recv() => Input::NodeObservation(sight),
                Some(input) = ended.recv() => input,
                changed = states.changed() => {
                    if changed.is_err() { return }
                    if self.is_current(&states.borrow_and_update()) { continue }
                    Input::Wake
                }
                changed = leadership.changed() => {
                    if changed.is_err() { return }
                    leadership.borrow_and_update();
                    Input::Wake
                }
                () = look.notified() => {
                    self.probes.values().for_each(Probe::look);
                    continue;
                }
                () = tokio::time::sleep_until(wake_at.into()) => Input::Wake,
            };
            let leading = leads(&self.parts);
            let state = self.parts.raft.state();
            let Some(group) = state.groups.get(&self.name).cloned() else {
                // Whoever started this loop ends it, unless it never sees the group gone because it is monitored again already.
                tokio::select! {
                    () = cancel.cancelled() => return,
                    changed = states.changed() => if changed.is_err() { return },
                }
                continue;
            };
            self.step(input, leading, group);
            self.keep_claim(&state);
        }
    }

    fn is_current(&self, state: &crate::machine::State) -> bool {
        state.groups.get(&self.name).is_some_and(|group| Arc::ptr_eq(group, &self.group))
    }

    fn step(&mut self, input: Input, leading: bool, group: Arc<Group>) {
        if !Arc::ptr_eq(&group, &self.group) || self.has_other_keys() {
            self.group = Arc::clone(&group);
            self.keep_probes();
        }
        self.look_for_sharers(&group);
        let world = world(&self.parts, leading, group, self.since, &self.shared);
        self.tell_of_tie(world.held_back.clone());
        let intents = self.judge.step(input, world);
        if intents.iter().any(|intent| matches!(intent, Intent::Notify { what: LocalEvent::Foreign { .. }, .. })) {
            self.keep_probes();
        }
        self.parts.board.show(&self.name, self.judge.picture());
        self.tell_of_renames();
        for intent in intents {
            self.perform(intent);
        }
    }

    fn look_for_sharers(&mut self, group: &Group) {
        if !self.shared.is_current(group, self.parts.clock.mono()) {
            self.shared = held_back::Shared::of(&self.parts, group);
        }
    }

    /// Tells those who listen when this sentinel begins or ends to hold back.
    fn tell_of_tie(&mut self, held_back: Option<HeldBack>) {
        let told = |held_back: Option<HeldBack>| held_back.filter(|held_back| *held_back != HeldBack::Listening);
        let (before, now) = (told(std::mem::replace(&mut self.held_back, held_back.clone())), told(held_back));
        if before != now {
            let why = now.as_ref().or(before.as_ref()).map_or_else(String::new, ToString::to_string);
            if let Some(HeldBack::Shared(other)) = &now {
                held_back::tell_of_shared(&self.group, other);
            }
            let what = NoticeKind::HeldBack { why, holds: now.is_some() };
            self.parts.board.notify(Notice { group: self.name.clone(), node: self.group.master.addr.clone(), what });
        }
    }

    fn tell_of_renames(&self) {
        for RefusedRename { server, command, to, why } in self.renames.take_refused() {
            let what = format!("{command} is not sent as '{}', which {why}", to.escape_debug());
            self.parts.board.notify(Notice { group: self.name.clone(), node: server, what: NoticeKind::RenameRefused { what } });
        }
    }

    /// The settings with the password in clear text, or the reason why this sentinel has none to show.
    fn open_password(&mut self, group: &Group) -> (GroupSettings, Option<String>) {
        self.keys = self.parts.sealer.keys();
        let mut settings = group.settings.clone();
        let Some(sealed) = &group.settings.auth_pass else { return (settings, None) };
        match self.parts.sealer.open_password(&self.name, sealed) {
            Ok(password) => {
                settings.auth_pass = Some(password.into());
                (settings, None)
            }
            Err(why) => (settings, Some(why.to_string())),
        }
    }

    /// Whether the secret file has changed since the password was opened.
    fn has_other_keys(&self) -> bool {
        let now = self.parts.sealer.keys();
        now.as_ref().map(Arc::as_ptr) != self.keys.as_ref().map(Arc::as_ptr)
    }

    /// One probe for each data node, with the settings agreed upon.
    fn keep_probes(&mut self) {
        let group = Arc::clone(&self.group);
        self.probes.retain(|addr, _| group.data_nodes().any(|node| node == addr));
        let (opened, locked) = self.open_password(&group);
        let mut settings = ProbeSettings::of(&opened, &self.parts.client_name);
        settings.paces = self.parts.paces.clone();
        settings.access.locked = locked;
        let may_touch = held_back::may_touch(&self.parts, &group);
        settings.watch_fence = may_touch && (group.wanted_fence().is_some() || group.fence.is_some());
        settings.access = settings.access.over(self.parts.tls.clone());
        settings.access.renames = self.renames.clone();
        self.renames.check(&group.settings.rename_commands, &group.master.addr);
        for addr in group.data_nodes() {
            let probe = self.probes.entry(addr.clone()).or_insert_with(|| {
                let mut probe = probe::spawn(addr.clone(), settings.clone(), self.parts.clock, self.sights.clone());
                probe.listen(&self.channel);
                probe
            });
            probe.settings(settings.clone());
            // Whoever watches another's server would take our hellos there for those of its own.
            let foreign = self.judge.view().nodes.get(addr).is_some_and(|node| node.foreign.is_some());
            if may_touch && !foreign {
                probe.arm();
                probe.speak(&self.channel);
            } else {
                probe.disarm();
            }
        }
    }

    /// Keeps what our hellos say up to date.
    fn keep_claim(&self, state: &State) {
        let claim = self.claim_now(state);
        self.claim.send_if_modified(|current| {
            let changed = *current != claim;
            *current = claim;
            changed
        });
    }

    /// Nothing is said before the cluster knows this sentinel, who would be taken for a stranger, nor while a failover has not
    /// come to its new master: nobody needs it then, and it would go on in the replication history that replicas are chosen by.
    fn claim_now(&self, state: &State) -> Option<HelloTemplate> {
        let (parts, group) = (&self.parts, &self.group);
        let known = state.sentinels.get(&parts.raft.id()).is_some_and(|record| record.sentinel_id == *parts.raft.sentinel_id());
        let settled = group.failover.as_ref().is_none_or(|failover| match failover.phase {
            Phase::Choosing | Phase::Detaching | Phase::Draining { .. } | Phase::Promoting => false,
            Phase::Following { .. } => true,
        });
        let set = state.parameters.of(parts.raft.id());
        // Stock sentinels would count us among those whose votes they need, and we never vote for them.
        let alone = !group.in_shadow() && self.held_back.is_none();
        (known && settled && alone && parts.announce_port != 0).then(|| HelloTemplate {
            announce_ip: set.ip.clone().or_else(|| parts.announce_ip.clone()),
            port: set.port(parts.announce_port),
            sentinel: parts.raft.sentinel_id().clone(),
            current_epoch: *self.current_epoch.borrow(),
            group: self.name.clone(),
            master: group.master.addr.clone(),
            epoch: group.epoch,
        })
    }

    fn perform(&self, intent: Intent) {
        match intent {
            Intent::Propose { key, command } => self.propose(key, *command),
            Intent::Look(addr) => {
                if let Some(probe) = self.probes.get(&addr) {
                    probe.look();
                }
            }
            Intent::Ask { node, ask, permit, judged } => {
                let Some(probe) = self.probes.get(&node) else { return };
                let newest = self.judge.view().nodes.get(&node).and_then(|node| node.report.as_ref());
                let process = newest.map(|(_, report)| report.run_id.clone());
                let errand = ActionRequest { group: self.name.clone(), node, ask, process, permit, judged };
                let (parts, sights, results) = (self.parts.clone(), self.sights.clone(), self.results.clone());
                let Some(hands) = probe.hands() else {
                    // An error means that the group is no longer monitored.
                    let _ = results.send(Input::Asked { node: errand.node, ask: errand.ask, well: false });
                    return;
                };
                tokio::spawn(perform::run(parts, errand, hands, sights, results));
            }
            Intent::Notify { node, what } => self.notify(node, what),
        }
    }

    fn propose(&self, key: ProposalKey, command: Command) {
        if let Command::ReplicaSeen { replica, .. } = &command
            && self.is_anothers(replica)
        {
            // An error means that the group is no longer monitored.
            let _ = self.results.send(Input::Proposed { key, well: false });
            return;
        }
        let (parts, results, group) = (self.parts.clone(), self.results.clone(), self.name.clone());
        tokio::spawn(async move {
            let entry = command.name();
            if matches!(command, Command::Promote { .. }) {
                parts.simulation.pass(Place::AfterElection);
            }
            let confirms = matches!(command, Command::Promoted { .. });
            failpoint::pass(&format!("before-{entry}"));
            // A vote is anybody's; all else is a leader's conclusion, which must not outlive its leadership.
            let proposed = match key {
                ProposalKey::Vote => parts.raft.propose(command).await,
                _ => parts.raft.propose_leading(command).await,
            };
            let well = match proposed {
                Ok(committed) => {
                    failpoint::pass(&format!("after-{entry}"));
                    match committed.outcome {
                        Outcome::Done | Outcome::Unchanged => {
                            if confirms {
                                parts.simulation.pass(Place::AfterPromotion);
                            }
                            true
                        }
                        Outcome::Refused(refusal) => {
                            tracing::debug!(%group, entry, %refusal, "refused");
                            false
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(%group, entry, %error, "not committed; it is proposed again if it is still due");
                    false
                }
            };
            // An error means that the group is no longer monitored.
            let _ = results.send(Input::Proposed { key, well });
        });
    }

    /// Whether a server that was found belongs to another group. A group that follows another one has all its servers in common with that.
    fn is_anothers(&self, found: &Addr) -> bool {
        let follows = matches!(self.held_back, Some(HeldBack::Shared(_)));
        !follows && !self.group.replicas.contains_key(found) && held_back::is_taken(&self.parts.raft.state(), &self.name, found)
    }

    /// Whether the replicas are being pointed at a new master.
    fn is_following(&self) -> bool {
        let state = self.parts.raft.state();
        let failover = state.groups.get(&self.name).and_then(|group| group.failover.as_ref());
        failover.is_some_and(|failover| matches!(failover.phase, Phase::Following { .. }))
    }

    fn notify(&self, node: Addr, what: LocalEvent) {
        let what = match what {
            LocalEvent::Down => NoticeKind::Down,
            LocalEvent::Up => NoticeKind::Up,
            LocalEvent::RoleChanged { to_master, expected } => NoticeKind::RoleChanged { to_master, expected },
            LocalEvent::Foreign { owner } => NoticeKind::ForeignServer { why: owner.as_ref().map(ToString::to_string) },
            LocalEvent::Demoted => NoticeKind::Demoted,
            LocalEvent::Repointed if self.is_following() => NoticeKind::PointedAtNewMaster,
            LocalEvent::Repointed => NoticeKind::Repointed,
            LocalEvent::FenceProblem { why } => NoticeKind::FenceProblem { why },
            LocalEvent::FenceWell => NoticeKind::FenceWell,
            LocalEvent::Unready { why } => NoticeKind::Unready { why },
            LocalEvent::Ready => NoticeKind::Ready,
        };
        self.parts.board.notify(Notice { group: self.name.clone(), node, what });
    }
}
