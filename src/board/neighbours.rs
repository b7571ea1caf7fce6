//! Who else watches a group's data nodes, and how this sentinel fares on their hello channels.

use std::collections::BTreeMap;

use crate::base::{Addr, Hello, Mono, NoChannel, SentinelId};

/// For how long there may be no subscription before that is shown: clients pass over a node that is flagged for it.
const GONE_AFTER_MS: u64 = 5000;
/// A sentinel is there if its last hello is younger than this: five of its periods.
const THERE_MS: u64 = 10_000;

/// What this sentinel hears around one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Neighbours {
    /// Sentinels that are not of this cluster, by their public id.
    pub foreign: BTreeMap<SentinelId, Foreign>,
    /// The data nodes on whose hello channel something is wrong.
    pub channels: BTreeMap<Addr, Channel>,
}

/// A sentinel that is not of this cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// Its last hello.
    pub hello: Hello,
    /// When it was first heard.
    pub first_heard: Mono,
    /// When it was last heard.
    pub last_heard: Mono,
    /// Whether it lets nobody in without a password that it is not shown: that it watches these servers is what its hello says.
    pub locked: bool,
}

/// How the subscription to the events of a stock sentinel fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// It stands; or why there is none.
    pub fares: Result<(), String>,
}

/// What is wrong on one hello channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Channel {
    /// There is no subscription.
    pub deaf: Option<Trouble>,
    /// Our own hello is not taken.
    pub mute: Option<Trouble>,
}

/// What is wrong, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Since when.
    pub since: Mono,
    /// What.
    pub what: NoChannel,
}

impl Neighbours {
    /// The sentinels of others that were heard lately, those left out that were of this cluster once (`former`) and still run.
    pub fn others<'a>(&'a self, former: &'a [SentinelId], now: Mono) -> impl Iterator<Item = &'a Foreign> {
        self.foreign
            .values()
            .filter(move |foreign| now.ms_since(foreign.last_heard) < THERE_MS && !former.contains(&foreign.hello.sentinel))
    }

    /// Whether a node is to be shown as `disconnected` for want of a subscription: it refuses one, or has left us without
    /// one for longer than a fresh link takes. Never a reason to hold it down.
    pub fn is_deaf_to(&self, addr: &Addr, now: Mono) -> bool {
        let deaf = self.channels.get(addr).and_then(|channel| channel.deaf.as_ref());
        deaf.is_some_and(|trouble| trouble.what.refused || now.ms_since(trouble.since) > GONE_AFTER_MS)
    }

    /// What an operator should know of a node's hello channel.
    pub fn complaint(&self, addr: &Addr) -> Option<String> {
        let Channel { deaf, mute } = self.channels.get(addr)?;
        let refused = |trouble: &Option<Trouble>| trouble.as_ref().filter(|trouble| trouble.what.refused).map(|t| t.what.why.clone());
        let deaf = refused(deaf).map(|why| format!("it refuses SUBSCRIBE {HELLO}: {why}"));
        let mute = refused(mute).map(|why| format!("it refuses PUBLISH {HELLO}: {why}"));
        let all: Vec<String> = deaf.into_iter().chain(mute).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

const HELLO: &str = crate::base::hello::HELLO_CHANNEL;
