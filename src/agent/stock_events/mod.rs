//! Listens to the stock sentinels beside which a group is in shadow, and puts what they decide into the log: one task for all groups.
//!
//! Who they are is known from their hellos (`neighbours`); each is subscribed to on its own port, where it says what it decides. Nothing
//! is ever asked of it but SUBSCRIBE and PING. `listener` hears one of them, [`word`] reads what it says, this file starts and stops
//! listeners, and proposes each thing once: what the log knows already is not said again.

mod listener;
mod word;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use self::listener::StockListener;
use super::Parts;
use crate::base::{Addr, GroupName, Mono, SentinelId, WallTime};
use crate::board::Subscription;
use crate::machine::{Command, Group, ShadowEntry, StockWord};

/// How often it is looked who is there.
const ROUND: Duration = Duration::from_millis(500);
/// A sentinel whose hellos have ended may still speak on its port: it is listened to for so long.
const KEEP_MS: u64 = 60_000;
/// Words that may wait for the log.
const WORDS_WAITING: usize = 1024;
/// Between attempts to put a word into the log, and for how long that is tried.
const RETRY: Duration = Duration::from_millis(250);
const ATTEMPTS: u32 = 120;

/// Something that a stock sentinel said about a group.
#[derive(Clone, Debug)]
struct HeardWord {
    group: GroupName,
    from: Addr,
    /// With the addresses as they were said.
    word: StockWord,
    at: WallTime,
}

/// One that is listened to.
struct Heeded {
    addr: Addr,
    name: String,
    last_heard: Mono,
    stop: CancellationToken,
}

pub(super) async fn run(parts: Parts, cancel: CancellationToken) {
    let tasks = TaskTracker::new();
    let (words, inbox) = mpsc::channel(WORDS_WAITING);
    tasks.spawn(record(parts.clone(), inbox, cancel.clone()));
    let mut heeded: BTreeMap<(GroupName, SentinelId), Heeded> = BTreeMap::new();
    let mut round = tokio::time::interval(ROUND);
    round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => break,
            _ = round.tick() => tend(&parts, &mut heeded, &words, &tasks, &cancel),
        }
    }
    tasks.close();
    tasks.wait().await;
}

/// Starts and stops listeners, so that each stock sentinel around a group in shadow has one.
fn tend(
    parts: &Parts,
    heeded: &mut BTreeMap<(GroupName, SentinelId), Heeded>,
    words: &mpsc::Sender<HeardWord>,
    tasks: &TaskTracker,
    cancel: &CancellationToken,
) {
    let (state, now) = (parts.raft.state(), parts.clock.mono());
    for (name, _) in state.groups.iter().filter(|(_, group)| group.in_shadow()) {
        for (id, foreign) in parts.board.neighbours(name).foreign.iter().filter(|(id, _)| !state.former.contains(id)) {
            let (addr, theirs) = (&foreign.hello.sender, &foreign.hello.group);
            let key = (name.clone(), id.clone());
            if let Some(known) = heeded.get_mut(&key).filter(|known| known.addr == *addr && known.name == *theirs) {
                known.last_heard = foreign.last_heard;
                continue;
            }
            let stop = cancel.child_token();
            let listener = StockListener {
                parts: parts.clone(),
                group: name.clone(),
                sentinel: id.clone(),
                addr: addr.clone(),
                theirs: theirs.clone(),
                words: words.clone(),
            };
            tasks.spawn(stop.clone().run_until_cancelled_owned(listener.run()));
            let started = Heeded { addr: addr.clone(), name: theirs.clone(), last_heard: foreign.last_heard, stop };
            if let Some(moved) = heeded.insert(key, started) {
                moved.stop.cancel();
            }
        }
    }
    heeded.retain(|(group, id), known| {
        let shadow = state.groups.get(group).is_some_and(|group| group.in_shadow());
        let stays = shadow && now.ms_since(known.last_heard) < KEEP_MS;
        if !stays {
            known.stop.cancel();
            parts.board.show_subscription(group, id, None);
        }
        stays
    });
}

/// Puts words into the log, in the order in which they were heard.
async fn record(parts: Parts, mut inbox: mpsc::Receiver<HeardWord>, cancel: CancellationToken) {
    loop {
        let heard = tokio::select! {
            () = cancel.cancelled() => return,
            heard = inbox.recv() => match heard {
                Some(heard) => heard,
                None => return,
            },
        };
        tokio::select! {
            () = cancel.cancelled() => return,
            () = record_one(&parts, &heard) => {}
        }
    }
}

async fn record_one(parts: &Parts, heard: &HeardWord) {
    for _ in 0..ATTEMPTS {
        let Some(group) = parts.raft.state().groups.get(&heard.group).cloned() else { return };
        let Some(entry) = entry_for(parts, &group, heard) else { return };
        let command = Command::Shadow { group: heard.group.clone(), entry, at: heard.at, asked: None };
        match parts.raft.propose(command).await {
            Ok(_) => return,
            Err(error) => tracing::debug!(group = %heard.group, %error, "what a stock sentinel said is not in the log yet"),
        }
        tokio::time::sleep(RETRY).await;
    }
    warn!(group = %heard.group, from = %heard.from, word = ?heard.word, "what a stock sentinel said could not be put into the log");
}

/// What is to be put into the log; none if it is there, or concerns nobody.
fn entry_for(parts: &Parts, group: &Group, heard: &HeardWord) -> Option<ShadowEntry> {
    if !group.in_shadow() {
        return None;
    }
    let view = parts.board.group(&group.name).unwrap_or_default();
    // Servers may be known there by another name than here.
    let ours = |said: &Addr| group.data_nodes().find(|known| view.is_same(known, said)).unwrap_or(said).clone();
    let word = match heard.word.clone() {
        StockWord::Chosen(said) => StockWord::Chosen(ours(&said)),
        StockWord::Switched(said) => StockWord::Switched(ours(&said)),
        word @ (StockWord::Down | StockWord::Up | StockWord::Tried | StockWord::Aborted(_)) => word,
    };
    let known = match &word {
        // It was seen on the servers before it was heard.
        StockWord::Switched(to) if *to == group.master.addr => {
            let last = group.incidents.last();
            !last.is_some_and(|last| last.moved_to.as_ref() == Some(to) && last.stock.switched.is_none())
        }
        StockWord::Up => group.open_incident().is_none_or(|incident| incident.stock.knows(&word)),
        _ => group.open_incident().is_some_and(|incident| incident.stock.knows(&word)),
    };
    let by = parts.raft.id();
    (!known).then(|| ShadowEntry::StockSaid { epoch: group.epoch, word, from: heard.from.clone(), by })
}

/// Shows, and logs, how a listener fares when that changes.
fn show(parts: &Parts, group: &GroupName, id: &SentinelId, addr: &Addr, fares: Result<(), String>) {
    let changed = parts.board.show_subscription(group, id, Some(Arc::new(Subscription { fares: fares.clone() })));
    match fares {
        Ok(()) if changed => info!(%group, sentinel = %id, %addr, "listening to the events of a stock sentinel"),
        Err(why) if changed => {
            warn!(%group, sentinel = %id, %addr, "cannot hear what this stock sentinel decides: {why} (sentinel-user, sentinel-pass and tls-replication say how to get in; a password is shown to those only whom 'sentinel foreign-sentinels' lists)");
        }
        Ok(()) | Err(_) => {}
    }
}
