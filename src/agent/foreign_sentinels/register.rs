//! Who has been heard around each group, and what call-backs proved of them: the memory behind the warnings. Reads no clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::call::{AnswerProof, OF_MEMBER};
use super::calls::{AGAIN_AFTER_MS, AddressCalls, Named};
use crate::base::places::is_same;
use crate::base::{Addr, ForeignPlaces, GroupName, Hello, Mono, NoChannel, SentinelId, limits};
use crate::board::{Channel, Foreign, Neighbours, Trouble};
use crate::machine::State;

/// Believed when it is heard again after this long: a sentinel that is just joining, or was just removed, is no stranger.
const CONFIRM_AFTER_MS: u64 = 1000;
/// Forgotten when it has been silent for this long.
const FORGET_AFTER_MS: u64 = 15_000;
/// No longer believed when so much time has passed since a call-back proved it, whatever hellos say.
const PROVEN_FOR_MS: u64 = 20_000;
/// Warned of again after this long.
const WARN_EVERY_MS: u64 = 60_000;
/// Hellos that prove nothing are told of at most this often, with how many there were.
const TELL_EVERY_MS: u64 = 10_000;

/// What is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// A sentinel of others is there.
    Came(GroupName, Foreign),
    /// It is still there.
    Stays(GroupName, Foreign),
    /// It is gone, or is one of ours now, or no longer proves that it is there.
    Went(GroupName, Foreign),
    /// Hellos name a sentinel that is not believed.
    Unproven {
        /// Around which group.
        group: GroupName,
        /// Where it should be.
        addr: Addr,
        /// Why it is not believed: goes on from the address.
        why: String,
        /// How many others there were since this was told last.
        others: u64,
    },
}

/// All that was heard.
#[derive(Debug, Default)]
pub(super) struct Register {
    places: Arc<ForeignPlaces>,
    strangers: BTreeMap<GroupName, BTreeMap<SentinelId, Stranger>>,
    channels: BTreeMap<GroupName, BTreeMap<Addr, Channel>>,
    calls: AddressCalls,
    told_at: Option<Mono>,
    untold: u64,
}

#[derive(Debug)]
struct Stranger {
    foreign: Foreign,
    /// Where it was last heard.
    here: Addr,
    /// When a call-back last proved it; none if none did.
    proven_at: Option<Mono>,
    /// When it was last told of; none while it is not believed.
    warned_at: Option<Mono>,
}

impl Stranger {
    fn is_proven(&self, now: Mono) -> bool {
        self.proven_at.is_some_and(|at| now.ms_since(at) < PROVEN_FOR_MS)
    }

    /// Takes note that it is believed, if it is; tells when that is new, or was not said for long.
    fn weigh(&mut self, group: &GroupName, now: Mono) -> Option<News> {
        let heard_again = self.foreign.last_heard.ms_since(self.foreign.first_heard) >= CONFIRM_AFTER_MS;
        if !heard_again || !self.is_proven(now) {
            return None;
        }
        let news: fn(GroupName, Foreign) -> News = match self.warned_at {
            None => News::Came,
            Some(at) if now.ms_since(at) >= WARN_EVERY_MS => News::Stays,
            Some(_) => return None,
        };
        self.warned_at = Some(now);
        Some(news(group.clone(), self.foreign.clone()))
    }
}

/// A call that is due: the address, and who is to be asked about with the hello that named him and where that was heard.
pub(super) type DueCall = (Addr, Vec<(Named, Hello, Addr)>);

impl Register {
    /// A register that believes what this sentinel's own file lets it believe.
    pub(super) fn new(places: Arc<ForeignPlaces>) -> Self {
        Self { places, ..Self::default() }
    }

    /// Takes note of a hello that was heard on the data node `here` of a group, unless it is of a sentinel of this cluster.
    pub(super) fn hear(&mut self, group: &GroupName, here: &Addr, hello: &Hello, state: &State, now: Mono) -> Option<News> {
        if is_member(&hello.sentinel, state) || !state.groups.contains_key(group) {
            return None;
        }
        if is_of_member(&hello.sender, state) {
            return self.doubt(group, &hello.sender, OF_MEMBER.to_owned(), now);
        }
        if let Some(why) = self.places.refusal(&hello.sender, here) {
            return self.doubt(group, &hello.sender, why.to_owned(), now);
        }
        let known = self.strangers.entry(group.clone()).or_default();
        if !known.contains_key(&hello.sentinel) && !has_room(known) {
            return None;
        }
        let foreign = || Foreign { hello: hello.clone(), first_heard: now, last_heard: now, locked: false };
        let fresh = || Stranger { foreign: foreign(), here: here.clone(), proven_at: None, warned_at: None };
        let stranger = known.entry(hello.sentinel.clone()).or_insert_with(fresh);
        // What was proved of one address says nothing of another.
        if stranger.foreign.hello.sender != hello.sender && !stranger.is_proven(now) {
            *stranger = Stranger { warned_at: stranger.warned_at, ..fresh() };
        }
        if stranger.foreign.hello.sender != hello.sender {
            return self.doubt(group, &hello.sender, "is not where the sentinel of that id answers".to_owned(), now);
        }
        (stranger.foreign.last_heard, stranger.here) = (now, here.clone());
        stranger.foreign.hello.clone_from(hello);
        if stranger.proven_at.is_none_or(|at| now.ms_since(at) >= AGAIN_AFTER_MS) {
            let trusted = self.places.trusts(&hello.sender);
            self.calls.want(&hello.sender, (group.clone(), hello.sentinel.clone()), trusted, now);
        }
        stranger.weigh(group, now)
    }

    /// The calls that are to be made now.
    pub(super) fn due_calls(&mut self, now: Mono) -> Vec<DueCall> {
        let strangers = &self.strangers;
        let told = |named: Named| {
            let stranger = strangers.get(&named.0)?.get(&named.1)?;
            Some((named, stranger.foreign.hello.clone(), stranger.here.clone()))
        };
        self.calls.start(now).into_iter().map(|(addr, named)| (addr, named.into_iter().filter_map(told).collect())).collect()
    }

    /// Takes what a call proved.
    pub(super) fn answered(&mut self, addr: &Addr, proofs: Vec<(Named, AnswerProof)>, now: Mono) -> Vec<News> {
        let proves = |proof: &AnswerProof| matches!(proof, AnswerProof::Watches | AnswerProof::Locked);
        self.calls.ended(addr, proofs.iter().any(|(_, proof)| proves(proof)), now);
        proofs.into_iter().filter_map(|((group, id), proof)| self.take_proof(addr, &group, &id, proof, now)).collect()
    }

    fn take_proof(&mut self, addr: &Addr, group: &GroupName, id: &SentinelId, proof: AnswerProof, now: Mono) -> Option<News> {
        let stranger = self.strangers.get_mut(group)?.get_mut(id).filter(|stranger| stranger.foreign.hello.sender == *addr)?;
        match proof {
            AnswerProof::Watches | AnswerProof::Locked => {
                stranger.proven_at = Some(now);
                stranger.foreign.locked = proof == AnswerProof::Locked;
                stranger.weigh(group, now)
            }
            AnswerProof::Refuted(why) => {
                stranger.proven_at = None;
                self.doubt(group, addr, why, now)
            }
            // It may only be busy: what it proved before holds for a while.
            AnswerProof::Silent(why) => self.doubt(group, addr, why, now),
        }
    }

    fn doubt(&mut self, group: &GroupName, addr: &Addr, why: String, now: Mono) -> Option<News> {
        if self.told_at.is_some_and(|at| now.ms_since(at) < TELL_EVERY_MS) {
            self.untold += 1;
            return None;
        }
        self.told_at = Some(now);
        Some(News::Unproven { group: group.clone(), addr: addr.clone(), why, others: std::mem::take(&mut self.untold) })
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

    /// Forgets who is silent, who has joined, and what is no longer monitored; and no longer believes who proves nothing.
    pub(super) fn tidy(&mut self, state: &State, now: Mono) -> Vec<News> {
        let mut news = Vec::new();
        for (group, known) in &mut self.strangers {
            let monitored = state.groups.contains_key(group);
            known.retain(|id, stranger| {
                let silent = now.ms_since(stranger.foreign.last_heard) >= FORGET_AFTER_MS;
                let ours = is_member(id, state) || is_of_member(&stranger.foreign.hello.sender, state);
                let stays = monitored && !silent && !ours;
                if !(stays && stranger.is_proven(now)) && stranger.warned_at.take().is_some() {
                    news.push(News::Went(group.clone(), stranger.foreign.clone()));
                }
                stays
            });
        }
        self.strangers.retain(|_, known| !known.is_empty());
        let named: BTreeSet<&Addr> =
            self.strangers.values().flat_map(|known| known.values().map(|stranger| &stranger.foreign.hello.sender)).collect();
        self.calls.tidy(|addr| named.contains(addr), now);
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

/// Whether a sentinel of this cluster answers there, whatever id a hello puts to it.
fn is_of_member(addr: &Addr, state: &State) -> bool {
    state.sentinels.values().any(|record| is_same(&record.resp, addr))
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
