//! Who has been heard around each group: the memory behind the warnings. Reads no clock.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{Addr, GroupName, Hello, Mono, NoChannel, SentinelId, limits};
use crate::board::{Channel, Foreign, Neighbours, Trouble};
use crate::machine::State;

/// Believed when it is heard again after this long: a sentinel that is just joining, or was just removed, is no stranger.
const CONFIRM_AFTER_MS: u64 = 1000;
/// Forgotten when it has been silent for this long.
const FORGET_AFTER_MS: u64 = 15_000;
/// Warned of again after this long.
const WARN_EVERY_MS: u64 = 60_000;

/// What is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// A sentinel of others is there.
    Came(GroupName, Foreign),
    /// It is still there.
    Stays(GroupName, Foreign),
    /// It is gone, or is one of ours now.
    Went(GroupName, Foreign),
}

/// All that was heard.
#[derive(Debug, Default)]
pub(super) struct Register {
    strangers: BTreeMap<GroupName, BTreeMap<SentinelId, Stranger>>,
    channels: BTreeMap<GroupName, BTreeMap<Addr, Channel>>,
}

#[derive(Debug)]
struct Stranger {
    foreign: Foreign,
    /// When it was last told of; none while it is not believed yet.
    warned_at: Option<Mono>,
}

/// Where a hello was heard: on a data node of this group, or on our own port.
pub(super) type Via<'a> = Option<&'a GroupName>;

impl Register {
    /// Takes a hello to heart, unless it is of a sentinel of this cluster.
    pub(super) fn hear(&mut self, via: Via<'_>, hello: &Hello, state: &State, now: Mono) -> Vec<News> {
        if is_member(&hello.sentinel, state) {
            return Vec::new();
        }
        concerned(via, hello, state).into_iter().filter_map(|group| self.hear_around(group, hello, now)).collect()
    }

    fn hear_around(&mut self, group: GroupName, hello: &Hello, now: Mono) -> Option<News> {
        let known = self.strangers.entry(group.clone()).or_default();
        if !known.contains_key(&hello.sentinel) && !has_room(known) {
            return None;
        }
        let fresh = || Stranger { foreign: Foreign { hello: hello.clone(), first_heard: now, last_heard: now }, warned_at: None };
        let stranger = known.entry(hello.sentinel.clone()).or_insert_with(fresh);
        stranger.foreign.last_heard = now;
        stranger.foreign.hello.clone_from(hello);
        let foreign = &stranger.foreign;
        let news: fn(GroupName, Foreign) -> News = match stranger.warned_at {
            None if now.ms_since(foreign.first_heard) >= CONFIRM_AFTER_MS => News::Came,
            Some(at) if now.ms_since(at) >= WARN_EVERY_MS => News::Stays,
            None | Some(_) => return None,
        };
        stranger.warned_at = Some(now);
        Some(news(group, stranger.foreign.clone()))
    }

    /// Notes how we fare on a channel.
    pub(super) fn note_ears(&mut self, group: &GroupName, addr: &Addr, fares: Result<(), NoChannel>, now: Mono) {
        note(&mut self.channel(group, addr).deaf, fares, now);
    }

    /// The same for our own hellos.
    pub(super) fn note_voice(&mut self, group: &GroupName, addr: &Addr, fares: Result<(), NoChannel>, now: Mono) {
        note(&mut self.channel(group, addr).mute, fares, now);
    }

    fn channel(&mut self, group: &GroupName, addr: &Addr) -> &mut Channel {
        self.channels.entry(group.clone()).or_default().entry(addr.clone()).or_default()
    }

    /// Forgets who is silent, who has joined, and what is no longer monitored.
    pub(super) fn tidy(&mut self, state: &State, now: Mono) -> Vec<News> {
        let mut news = Vec::new();
        for (group, known) in &mut self.strangers {
            let monitored = state.groups.contains_key(group);
            known.retain(|id, stranger| {
                let silent = now.ms_since(stranger.foreign.last_heard) >= FORGET_AFTER_MS;
                let stays = monitored && !silent && !is_member(id, state);
                if !stays && stranger.warned_at.is_some() {
                    news.push(News::Went(group.clone(), stranger.foreign.clone()));
                }
                stays
            });
        }
        self.strangers.retain(|_, known| !known.is_empty());
        self.channels.retain(|group, channels| {
            let group = state.groups.get(group);
            channels.retain(|addr, channel| {
                *channel != Channel::default() && group.is_some_and(|group| group.data_nodes().any(|node| node == addr))
            });
            !channels.is_empty()
        });
        news
    }

    /// What is shown of all that: strangers once they are believed.
    pub(super) fn shown(&self) -> BTreeMap<GroupName, Arc<Neighbours>> {
        let mut all: BTreeMap<GroupName, Neighbours> = BTreeMap::new();
        for (group, known) in &self.strangers {
            let believed = known.iter().filter(|(_, stranger)| stranger.warned_at.is_some());
            all.entry(group.clone()).or_default().foreign = believed.map(|(id, s)| (id.clone(), s.foreign.clone())).collect();
        }
        for (group, channels) in &self.channels {
            all.entry(group.clone()).or_default().channels.clone_from(channels);
        }
        all.into_iter().map(|(group, neighbours)| (group, Arc::new(neighbours))).collect()
    }
}

fn is_member(id: &SentinelId, state: &State) -> bool {
    state.sentinels.values().any(|record| record.sentinel_id == *id)
}

/// What is heard on a data node concerns the group for which we listen there, whatever name others have for it. A hello on our
/// own port can only be told by what it says: the name of a master, or the address of a data node.
fn concerned(via: Via<'_>, hello: &Hello, state: &State) -> Vec<GroupName> {
    match via {
        Some(group) => state.groups.contains_key(group).then(|| group.clone()).into_iter().collect(),
        None => {
            let fits =
                |group: &crate::machine::Group| group.name.as_str() == hello.group || group.data_nodes().any(|node| *node == hello.master);
            state.groups.values().filter(|group| fits(group)).map(|group| group.name.clone()).collect()
        }
    }
}

/// Makes room for one more, at the cost of one that is not believed yet: made-up ids must not crowd out real ones.
fn has_room(known: &mut BTreeMap<SentinelId, Stranger>) -> bool {
    if known.len() < limits::FOREIGN_SENTINELS {
        return true;
    }
    let unbelieved = known.iter().filter(|(_, stranger)| stranger.warned_at.is_none());
    let Some(id) = unbelieved.min_by_key(|(_, stranger)| stranger.foreign.last_heard).map(|(id, _)| id.clone()) else { return false };
    known.remove(&id).is_some()
}

fn note(trouble: &mut Option<Trouble>, fares: Result<(), NoChannel>, now: Mono) {
    *trouble = fares.err().map(|what| Trouble { since: trouble.as_ref().map_or(now, |trouble| trouble.since), what });
}
