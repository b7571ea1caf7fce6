//! Notices others who watch the same data nodes, and says so: one task for all groups.
//!
//! A sentinel that is not of this cluster decides by itself who is master. Nothing that it says is believed here, but the operator
//! must know of it. Fed by the ears of the probes and by PUBLISH on our own port; `register` remembers, this file tells.

mod register;
#[cfg(test)]
mod register_test;

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::register::{News, Register};
use super::Parts;
use crate::base::{Heard, HeardOn, OnChannel};
use crate::board::{Foreign, Notice, NoticeKind};

/// How often the silent are looked for, and what is shown is brought up to date.
const ROUND: Duration = Duration::from_millis(500);

pub(super) async fn run(parts: Parts, mut heard: mpsc::Receiver<Heard>, cancel: CancellationToken) {
    let mut register = Register::default();
    let mut round = tokio::time::interval(ROUND);
    round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let news = tokio::select! {
            () = cancel.cancelled() => return,
            Some(heard) = heard.recv() => take(&parts, &mut register, heard),
            _ = round.tick() => {
                let news = register.tidy(&parts.raft.state(), parts.clock.mono());
                parts.board.show_neighbours(register.shown());
                news
            }
        };
        if !news.is_empty() {
            parts.board.show_neighbours(register.shown());
        }
        news.into_iter().for_each(|news| tell(&parts, news));
    }
}

fn take(parts: &Parts, register: &mut Register, Heard { at, on }: Heard) -> Vec<News> {
    match on {
        HeardOn::OwnPort(Some(hello)) => register.hear(None, &hello, &parts.raft.state(), at),
        HeardOn::DataNode { group, what: OnChannel::Hello(hello), .. } => register.hear(Some(&group), &hello, &parts.raft.state(), at),
        HeardOn::OwnPort(None) | HeardOn::DataNode { what: OnChannel::Malformed, .. } => {
            parts.board.count_malformed_hello();
            Vec::new()
        }
        HeardOn::DataNode { group, addr, what: OnChannel::Ears(fares) } => {
            register.note_ears(&group, &addr, fares, at);
            Vec::new()
        }
        HeardOn::DataNode { group, addr, what: OnChannel::Voice(fares) } => {
            register.note_voice(&group, &addr, fares, at);
            Vec::new()
        }
    }
}

fn tell(parts: &Parts, news: News) {
    let (group, foreign, present) = match news {
        News::Stays(group, foreign) => {
            let Foreign { hello, .. } = foreign;
            warn!(%group, sentinel = %hello.sentinel, addr = %hello.sender, claims = %hello.master, epoch = %hello.epoch,
                "a sentinel that is not of this cluster still watches these servers");
            return;
        }
        News::Came(group, foreign) => (group, foreign, true),
        News::Went(group, foreign) => (group, foreign, false),
    };
    let hello = foreign.hello;
    if present {
        warn!(%group, sentinel = %hello.sentinel, addr = %hello.sender, name = %hello.group, claims = %hello.master, epoch = %hello.epoch,
            "a sentinel that is not of this cluster watches these servers, and may promote another master: stop it, or let it watch other servers");
    } else {
        info!(%group, sentinel = %hello.sentinel, addr = %hello.sender, "no longer heard of the sentinel that is not of this cluster");
    }
    // The record may have moved on; the event is worded with the master of the moment.
    let node = parts.raft.state().groups.get(&group).map_or(hello.master, |group| group.master.addr.clone());
    parts.board.notify(Notice { group, node, what: NoticeKind::Foreign { id: hello.sentinel, addr: hello.sender, present } });
}
