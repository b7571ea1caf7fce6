//! Notices others who watch the same data nodes, and says so: one task for all groups.
//!
//! A sentinel that is not of this cluster decides by itself who is master. Nothing that it says is obeyed here, but the operator
//! must know of it. Hellos are heard by the subscribers of the probes, and anybody who may publish can say one: each is called back where it
//! says that it is (`call`), at a bounded rate (`calls`), and believed while it proves that it watches these servers. `register`
//! remembers, this file tells.

mod call;
mod calls;
mod register;
#[cfg(test)]
mod register_test;

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::call::{AnswerProof, Ask, Call};
use self::calls::Named;
use self::register::{DueCall, News, Register};
use super::Parts;
use crate::base::{Addr, Hello, HelloObservation, OnChannel, RunId};
use crate::board::{Foreign, Notice, NoticeKind};

/// How often the silent are looked for, calls that wait are begun, and what is shown is brought up to date.
const ROUND: Duration = Duration::from_millis(500);

/// What came of a call.
type Answered = (Addr, Vec<(Named, AnswerProof)>);

pub(super) async fn run(parts: Parts, mut heard: mpsc::Receiver<HelloObservation>, cancel: CancellationToken) {
    let mut register = Register::new(parts.foreign.clone());
    let (answers, mut answered) = mpsc::unbounded_channel();
    let mut round = tokio::time::interval(ROUND);
    round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let mut show = false;
        let news = tokio::select! {
            () = cancel.cancelled() => return,
            Some(heard) = heard.recv() => take(&parts, &mut register, heard),
            Some((addr, proofs)) = answered.recv() => {
                show = true;
                register.answered(&addr, proofs, parts.clock.mono())
            }
            _ = round.tick() => {
                show = true;
                register.tidy(&parts.raft.state(), parts.clock.mono())
            }
        };
        for due in register.due_calls(parts.clock.mono()) {
            begin(&parts, due, answers.clone(), &cancel);
        }
        if show || !news.is_empty() {
            parts.board.show_neighbours(register.shown());
        }
        news.into_iter().for_each(|news| tell(&parts, news));
    }
}

fn take(parts: &Parts, register: &mut Register, HelloObservation { at, group, addr, what }: HelloObservation) -> Vec<News> {
    match what {
        OnChannel::Hello(hello) => return register.hear(&group, &addr, &hello, &parts.raft.state(), at).into_iter().collect(),
        OnChannel::Malformed => parts.board.count_malformed_hello(),
        OnChannel::HelloSubscriber(fares) => register.note_ears(&group, &addr, fares, at),
        OnChannel::HelloPublisher(fares) => register.note_voice(&group, &addr, fares, at),
    }
    Vec::new()
}

/// Begins a call. It is bounded in time, and its answer comes to the loop; nobody waits for it.
fn begin(parts: &Parts, (addr, named): DueCall, answers: mpsc::UnboundedSender<Answered>, cancel: &CancellationToken) {
    let trusted = parts.foreign.trusts(&addr);
    let (who, asks): (Vec<Named>, Vec<Ask>) =
        named.into_iter().map(|(named, hello, here)| (named.clone(), ask(parts, named, hello, here))).unzip();
    let call = Call {
        addr,
        asks,
        trusted,
        credentials: parts.stock_credentials.borrow().clone(),
        client_name: parts.client_name.clone(),
        tls: parts.tls.clone(),
        members: parts.raft.state().sentinels.values().map(|record| record.resp.clone()).collect(),
    };
    let cancel = cancel.clone();
    tokio::spawn(async move {
        let Some(proofs) = cancel.run_until_cancelled(call.make()).await else { return };
        // An error means that this sentinel is stopping.
        let _ = answers.send((call.addr, who.into_iter().zip(proofs).collect()));
    });
}

fn ask(parts: &Parts, (name, sentinel): Named, hello: Hello, here: Addr) -> Ask {
    let view = parts.board.group(&name).unwrap_or_default();
    let (servers, runs) = parts.raft.state().groups.get(&name).map_or_else(Default::default, |group| {
        // A sentinel that watches another's server, which is at an address of the group, is none that watches the group.
        let foreign = |addr: &Addr| view.nodes.get(addr).is_some_and(|node| node.foreign.is_some());
        let known: Vec<&Addr> = group.data_nodes().filter(|addr| !foreign(addr)).collect();
        let ip = |addr: &Addr| Addr::new(view.nodes.get(addr)?.ip.clone()?, addr.port()).ok();
        let reported = |addr: &Addr| Some(view.nodes.get(addr)?.report.as_ref()?.1.run_id.clone());
        let recorded = group.replicas.values().map(|replica| &replica.identity).chain([&group.master.identity]);
        let runs: Vec<RunId> =
            recorded.flatten().map(|identity| identity.run_id.clone()).chain(known.iter().filter_map(|addr| reported(addr))).collect();
        (known.iter().map(|&addr| addr.clone()).chain(known.iter().filter_map(|addr| ip(addr))).collect(), runs)
    });
    Ask { sentinel, theirs: hello.group, servers, runs, here }
}

fn tell(parts: &Parts, news: News) {
    let (group, foreign, present) = match news {
        News::Unproven { group, addr, why, others } => {
            warn!(%group, %addr, others, "a hello names a sentinel that is not believed: its address {why}. Somebody may be publishing on the data nodes");
            return;
        }
        News::Stays(group, foreign) => {
            let Foreign { hello, locked, .. } = foreign;
            warn!(%group, sentinel = %hello.sentinel, addr = %hello.sender, claims = %hello.master, epoch = %hello.epoch, checked = !locked,
                "a sentinel that is not of this cluster still watches these servers");
            return;
        }
        News::Came(group, foreign) => (group, foreign, true),
        News::Went(group, foreign) => (group, foreign, false),
    };
    let locked = foreign.locked;
    let hello = foreign.hello;
    if present {
        warn!(%group, sentinel = %hello.sentinel, addr = %hello.sender, name = %hello.group, claims = %hello.master, epoch = %hello.epoch,
            "a sentinel that is not of this cluster watches these servers, and may promote another master: stop it, or let it watch other servers");
        if locked {
            warn!(%group, sentinel = %hello.sentinel, addr = %hello.sender,
                "it wants a password, so that it is a sentinel is certain and which servers it watches is not; 'sentinel foreign-sentinels {}' lets \
                 this sentinel show it 'sentinel-pass'", hello.sender.host());
        }
    } else {
        info!(%group, sentinel = %hello.sentinel, addr = %hello.sender,
            "the sentinel that is not of this cluster is no longer heard, or no longer answers when it is called back");
    }
    // The record may have moved on; the event is worded with the master of the moment.
    let node = parts.raft.state().groups.get(&group).map_or(hello.master, |group| group.master.addr.clone());
    parts.board.notify(Notice { group, node, what: NoticeKind::Foreign { id: hello.sentinel, addr: hello.sender, present } });
}
