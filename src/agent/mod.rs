//! Hands: one loop for each group that awaits an input, lets the judge take a step, and performs what it wants.
//!
//! This room decides nothing. It owns the probes (eyes) of its groups, the way to their data nodes (`perform`), and five quiet
//! helpers: the `group_seeding`, which presents its file's groups to the cluster, the `vote_expiry`, by which a leader takes the votes of silent
//! sentinels out of the count, the `foreign_sentinels`, who notice others that watch the same data nodes, `stock_events`, which hears what those decide
//! about a group in shadow, and `observe`, which sees to it that a member leads that reaches the servers. Started by `app`.

mod foreign_sentinels;
mod group;
mod group_seeding;
mod held_back;
mod observe;
mod perform;
mod stock_events;
mod vote_expiry;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::base::paces::Paces;
use crate::base::{Credentials, Epoch, ForeignPlaces, GroupName, GroupSeed, HelloObservation, LogIndex, Mono};
use crate::board::Board;
use crate::clock::Clock;
use crate::machine::{Event, LoggedEvent, State};
use crate::raft::Raft;
use crate::secret::Sealer;
use crate::simulate::Simulation;
use crate::tls::ClientTls;

/// What the agent works with.
#[derive(Clone)]
pub struct Parts {
    /// The log.
    pub raft: Raft,
    /// Where it shows what it sees.
    pub board: Board,
    /// The clocks.
    pub clock: Clock,
    /// Where this process is to fail in a drill.
    pub simulation: Simulation,
    /// How often they are asked and spoken to.
    pub paces: Paces,
    /// The name under which the data nodes know our connections.
    pub client_name: String,
    /// `sentinel announce-ip`: where our hellos say that we are.
    pub announce_ip: Option<String>,
    /// The port of the SENTINEL protocol, as announced; 0 is none, and no hellos.
    pub announce_port: u16,
    /// How the connections to them are encrypted, if they are.
    pub tls: Option<ClientTls>,
    /// `sentinel shadow yes`: groups of the file begin in shadow, and none is touched before an operator has taken it over.
    pub shadow: bool,
    /// `sentinel sentinel-user` and `sentinel sentinel-pass`: how to get in where stock sentinels listen. SENTINEL CONFIG SET changes them.
    pub stock_credentials: watch::Receiver<Credentials>,
    /// Where sentinels of others may be, and to which of them those credentials may be shown.
    pub foreign: Arc<ForeignPlaces>,
    /// Opens the passwords of the data nodes.
    pub sealer: Sealer,
}

/// What is heard on hello channels on its way to those who notice: the way in, for the subscribers, and the way out.
#[derive(Debug)]
pub struct Hellos {
    /// The way in.
    pub heard: mpsc::Sender<HelloObservation>,
    /// The way out.
    pub inbox: mpsc::Receiver<HelloObservation>,
}

/// What the loops of all groups need for their hellos.
#[derive(Clone, Debug)]
struct Channels {
    /// The largest epoch of all groups.
    current_epoch: watch::Receiver<Epoch>,
    heard: mpsc::Sender<HelloObservation>,
}

/// Runs until `cancel` is cancelled and all its tasks have ended.
pub async fn run(parts: Parts, seeds: Vec<GroupSeed>, hellos: Hellos, cancel: CancellationToken) {
    let tasks = TaskTracker::new();
    tasks.spawn(group_seeding::run(parts.clone(), seeds, cancel.clone()));
    tasks.spawn(vote_expiry::run(parts.clone(), cancel.clone()));
    tasks.spawn(foreign_sentinels::run(parts.clone(), hellos.inbox, cancel.clone()));
    tasks.spawn(stock_events::run(parts.clone(), cancel.clone()));
    let (looks, mut wanted) = mpsc::channel(LOOKS_WAITING);
    tasks.spawn(observe::run(parts.clone(), looks, cancel.clone()));
    let (newest, current_epoch) = watch::channel(Epoch::default());
    let mut house = GroupTasks {
        parts: parts.clone(),
        channels: Channels { current_epoch, heard: hellos.heard },
        tasks: tasks.clone(),
        cancel: cancel.clone(),
        left: BTreeMap::new(),
    };
    let mut groups: BTreeMap<GroupName, Tended> = BTreeMap::new();
    let mut states = parts.raft.states();
    let mut events = parts.raft.events();
    loop {
        let state = Arc::clone(&states.borrow_and_update());
        newest.send_replace(largest_epoch(&state));
        house.tend(&state, &mut groups);
        tokio::select! {
            () = cancel.cancelled() => break,
            changed = states.changed() => if changed.is_err() { break },
            Some(group) = wanted.recv() => look_at(&group, &groups),
            event = events.recv() => match event {
                Ok(logged) => look_again(&logged, &groups),
                // A look that was missed is one round of INFO late.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break,
            },
        }
    }
    tasks.close();
    tasks.wait().await;
}

/// A group with a running loop.
struct Tended {
    stop: CancellationToken,
    /// The entry that began the group: one that was removed and taken up again is the same.
    created: LogIndex,
    /// Since when its hello channels have been listened to.
    since: Mono,
    /// Asks for a fresh look at all its data nodes.
    look: Arc<Notify>,
}

/// Groups that may wait for a look that another sentinel asked for.
const LOOKS_WAITING: usize = 64;

fn look_at(group: &GroupName, groups: &BTreeMap<GroupName, Tended>) {
    if let Some(tended) = groups.get(group) {
        tended.look.notify_one();
    }
}

/// An operator who resets a group wants to know how things are, not how they were at the last look.
fn look_again(logged: &LoggedEvent, groups: &BTreeMap<GroupName, Tended>) {
    if matches!(logged.event, Event::GroupReset { .. })
        && let Some(name) = &logged.group
    {
        look_at(name, groups);
    }
}

/// The largest epoch of a promotion, decided or under way, of any group.
fn largest_epoch(state: &State) -> Epoch {
    let running = state.groups.values().filter_map(|group| group.failover.as_ref()).map(|failover| failover.id.epoch);
    let decided = state.groups.values().map(|group| group.epoch);
    decided.chain(running).chain(state.retired.values().copied()).max().unwrap_or_default()
}

/// What the loops of the groups are started with.
struct GroupTasks {
    parts: Parts,
    channels: Channels,
    tasks: TaskTracker,
    cancel: CancellationToken,
    /// Groups that were removed a moment ago.
    left: BTreeMap<GroupName, Left>,
}

/// A group that was tended until a moment ago.
struct Left {
    created: LogIndex,
    since: Mono,
    at: Mono,
}

/// For so long hello channels may be left alone without listening anew: a sentinel says hello every two seconds.
const UNHEARD_MS: u64 = 1500;

impl GroupTasks {
    /// Starts a loop for each new group, stops those of removed ones.
    fn tend(&mut self, state: &State, groups: &mut BTreeMap<GroupName, Tended>) {
        let now = self.parts.clock.mono();
        self.left.retain(|_, left| now.ms_since(left.at) < UNHEARD_MS);
        groups.retain(|name, tended| {
            let stays = state.groups.contains_key(name);
            if !stays {
                tended.stop.cancel();
                self.left.insert(name.clone(), Left { created: tended.created, since: tended.since, at: now });
            }
            stays
        });
        for (name, group) in &state.groups {
            if groups.contains_key(name) {
                continue;
            }
            let same = self.left.remove(name).filter(|left| left.created == group.created);
            let (created, since) = (group.created, same.map_or(now, |left| left.since));
            let tended = Tended { stop: self.cancel.child_token(), created, since, look: Arc::default() };
            let (parts, channels, look) = (self.parts.clone(), self.channels.clone(), Arc::clone(&tended.look));
            self.tasks.spawn(group::run(parts, channels, (name.clone(), since), look, tended.stop.clone()));
            groups.insert(name.clone(), tended);
        }
    }
}
