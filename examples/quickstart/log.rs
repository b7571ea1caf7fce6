//! What the replicated log says of the failover: votes, decision, and what came of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, SystemTime};

use raft_sentinel::proto::sentinel as proto;

use crate::feed::Line;
use crate::kit::history::{self, History, address};
use crate::kit::{Cluster, GROUP};
use crate::paint::Tone;

const ASK_EVERY: Duration = Duration::from_millis(20);

/// A thread that reports the failover as the log tells it.
pub(crate) struct Watch {
    complete: Arc<AtomicBool>,
}

impl Watch {
    /// Whether the failover has come to its end.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }
}

/// Reports the failover that begins after `moment`.
pub(crate) fn follow(cluster: &Cluster, moment: SystemTime, reporter: Sender<Line>) -> Watch {
    let complete = Arc::new(AtomicBool::new(false));
    let watch = Watch { complete: Arc::clone(&complete) };
    let mut history = History::of(cluster.sentinels[0].ports.grpc);
    thread::spawn(move || {
        let mut told = BTreeSet::new();
        while !complete.load(Ordering::Acquire) {
            let Some(decision) = newest_of(&mut history, moment) else {
                thread::sleep(ASK_EVERY);
                continue;
            };
            let lines = lines(&decision).into_iter().filter(|(part, _)| told.insert(part.clone()));
            // Nobody listens any more once the demo is over.
            let told_all = lines.map(|(_, line)| reporter.send(line)).all(|sent| sent.is_ok());
            complete.store(decision.ending.is_some() || !told_all, Ordering::Release);
            thread::sleep(ASK_EVERY);
        }
    });
    watch
}

/// The newest failover that began after `moment`.
pub(crate) fn newest(cluster: &Cluster, moment: SystemTime) -> Option<proto::Decision> {
    newest_of(&mut History::of(cluster.sentinels[0].ports.grpc), moment)
}

/// A stamp of the log as a moment.
pub(crate) fn moment_of(at_us: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(at_us)
}

fn newest_of(history: &mut History, moment: SystemTime) -> Option<proto::Decision> {
    // Without a quorum for the moment: the next question may be answered.
    let newest = history.decisions(GROUP).ok()?.into_iter().next()?;
    newest.started.is_some_and(|started| moment_of(started.at_us) > moment).then_some(newest)
}

/// What can be told so far; each with a name that tells it apart.
fn lines(decision: &proto::Decision) -> Vec<(String, Line)> {
    let mut lines: Vec<(String, Line)> = history::votes(decision).iter().filter_map(vote).collect();
    let mut stage = |name: &str, moment: Option<proto::Moment>, line: &dyn Fn(Line) -> Line, what: String| {
        if let Some(moment) = moment {
            let blank = Line::new(moment_of(moment.at_us), format!("log {}", moment.index), what);
            lines.push((name.to_owned(), line(blank)));
        }
    };
    stage("started", decision.started, &|line| line, started(decision));
    if let Some(choice) = &decision.choice {
        let what = format!(
            "DECISION of sentinel {}: {} is the master of epoch {}",
            choice.decided_by,
            address(choice.chosen.as_ref()),
            decision.epoch
        );
        let what = format!("{what}, chosen for {}", choice.reason);
        stage("decided", decision.decided, &|line| line.tone(Tone::Strong).below(table(choice)), what);
        let what = format!("{} works as a master: REPLICAOF NO ONE is applied", address(choice.chosen.as_ref()));
        stage("promoted", decision.promoted, &|line| line, what);
    }
    let obstacles = decision.blocked.iter().map(|one| format!("{}: {}", address(one.replica.as_ref()), one.reason)).collect::<Vec<_>>();
    if !obstacles.is_empty() {
        let blocked = Line::new(SystemTime::now(), "log", format!("blocked: {}", obstacles.join("; "))).tone(Tone::Bad);
        lines.push((obstacles.join(";"), blocked));
    }
    if let Some((ending, moment)) = decision.ending.as_ref().zip(decision.ended) {
        let line = Line::new(moment_of(moment.at_us), format!("log {}", moment.index), ended(ending));
        lines.push(("ended".to_owned(), line));
    }
    lines
}

fn vote(vote: &proto::Vote) -> Option<(String, Line)> {
    let cast = vote.cast?;
    let what = format!(
        "vote of sentinel {}: DOWN, {}, no valid reply for {} ms (limit {} ms)",
        vote.voter,
        evidence(vote.evidence()),
        vote.silent_ms,
        vote.limit_ms
    );
    let line = Line::new(moment_of(cast.at_us), format!("log {}", cast.index), what).below(witnesses(&vote.replicas));
    Some((format!("vote {}", vote.voter), line))
}

const fn evidence(evidence: proto::Evidence) -> &'static str {
    match evidence {
        proto::Evidence::Unspecified => "for a reason that this demo does not know",
        proto::Evidence::Silent => "it is silent",
        proto::Evidence::Refused => "its port refuses connections",
        proto::Evidence::Closed => "it closed the connection",
        proto::Evidence::Busy => "a script keeps it busy",
        proto::Evidence::Unresolved => "its name does not resolve",
        proto::Evidence::WrongRole => "it reports to be a replica",
        proto::Evidence::LostHistory => "it restarted, and may lack what its replicas hold",
        proto::Evidence::Emptied => "it restarted without its data",
        proto::Evidence::Elsewhere => "another server answers at its address",
        proto::Evidence::Error => "it answers PING with an error",
        proto::Evidence::Loading => "it is loading its data",
    }
}

fn witnesses(witnesses: &[proto::Witness]) -> Vec<String> {
    let link = |up: bool| if up { "up" } else { "down" };
    let age = |witness: &proto::Witness| witness.last_io_s.map_or_else(String::new, |s| format!(", last heard {s} s ago"));
    let says = |witness: &proto::Witness| {
        format!("{} says: link to it {}{}", address(witness.replica.as_ref()), link(witness.link_up), age(witness))
    };
    witnesses.iter().map(says).collect()
}

fn started(decision: &proto::Decision) -> String {
    match decision.cause.as_ref().and_then(|cause| cause.cause.as_ref()) {
        Some(proto::cause::Cause::Down(down)) => {
            format!("{} of {} votes: objectively down, failover towards epoch {} begins", down.votes.len(), down.quorum, decision.epoch)
        }
        Some(proto::cause::Cause::Requested(request)) => format!("failover asked for at sentinel {}", request.by),
        None => format!("failover towards epoch {} begins", decision.epoch),
    }
}

fn table(choice: &proto::Choice) -> Vec<String> {
    let number = |value: Option<u64>| value.map_or_else(|| "?".to_owned(), |value| value.to_string());
    let verdict = |candidate: &proto::Candidate| match (candidate.eligible, candidate.address == choice.chosen) {
        (_, true) => "chosen".to_owned(),
        (true, false) => "eligible".to_owned(),
        (false, false) => candidate.ineligible_reason.clone(),
    };
    let head = format!("{:<22} {:>8} {:>12}  {:<10} {}", "candidate", "priority", "offset", "run id", "verdict");
    let row = |candidate: &proto::Candidate| {
        let (priority, offset) = (number(candidate.priority.map(u64::from)), number(candidate.offset));
        let run_id: String = candidate.run_id.chars().take(8).collect();
        format!("{:<22} {priority:>8} {offset:>12}  {run_id:<10} {}", address(candidate.address.as_ref()), verdict(candidate))
    };
    let loss = choice.estimated_loss_bytes.map(|bytes| format!("known to be missing: {bytes} bytes"));
    std::iter::once(head).chain(choice.candidates.iter().map(row)).chain(loss).collect()
}

fn ended(ending: &proto::Ending) -> String {
    let left: Vec<String> = ending.left.iter().map(|addr| address(Some(addr))).collect();
    match ending.kind() {
        proto::ending::Kind::Completed if left.is_empty() => "failover completed".to_owned(),
        proto::ending::Kind::Completed => format!("failover completed; still to be repaired: {}", left.join(", ")),
        proto::ending::Kind::Aborted => format!("failover given up: {}", ending.reason),
        proto::ending::Kind::Superseded => "the new master was lost as well: the next failover takes over".to_owned(),
        proto::ending::Kind::Unspecified => "failover ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn moment(index: u64) -> Option<proto::Moment> {
        Some(proto::Moment { index, at_us: index * 1000 })
    }

    fn redis(port: u32) -> Option<proto::Address> {
        Some(proto::Address { host: "127.0.0.1".to_owned(), port })
    }

    fn decision() -> proto::Decision {
        let witness = proto::Witness { replica: redis(7001), link_up: false, last_io_s: Some(1) };
        let vote = |voter, index| proto::Vote {
            voter,
            evidence: proto::Evidence::Refused.into(),
            silent_ms: 1003,
            limit_ms: 1000,
            replicas: vec![witness.clone()],
            cast: moment(index),
        };
        let down = proto::MasterDown { votes: vec![vote(1, 40), vote(3, 41)], quorum: 2 };
        let candidate = |port, offset, refusal: &str| proto::Candidate {
            address: redis(port),
            run_id: "0123456789abcdef".to_owned(),
            priority: Some(100),
            offset,
            eligible: refusal.is_empty(),
            ineligible_reason: refusal.to_owned(),
            ..proto::Candidate::default()
        };
        let choice = proto::Choice {
            chosen: redis(7001),
            reason: "the most data".to_owned(),
            decided_by: 1,
            candidates: vec![candidate(7001, Some(5000), ""), candidate(7002, Some(4000), ""), candidate(7003, None, "down")],
            estimated_loss_bytes: Some(0),
            ..proto::Choice::default()
        };
        proto::Decision {
            epoch: 4,
            cause: Some(proto::Cause { cause: Some(proto::cause::Cause::Down(down)) }),
            choice: Some(choice),
            started: moment(41),
            decided: moment(42),
            ..proto::Decision::default()
        }
    }

    #[test]
    fn each_part_is_told_once_there_is_something_to_tell() {
        let parts = |decision: &proto::Decision| lines(decision).into_iter().map(|(part, _)| part).collect::<Vec<_>>();
        assert_eq!(parts(&decision()), ["vote 1", "vote 3", "started", "decided"]);
        let ending = proto::Ending { kind: proto::ending::Kind::Completed.into(), left: Vec::new(), reason: String::new() };
        let ended = proto::Decision { promoted: moment(43), ended: moment(44), ending: Some(ending), ..decision() };
        assert_eq!(parts(&ended), ["vote 1", "vote 3", "started", "decided", "promoted", "ended"]);
    }

    #[test]
    fn votes_and_decisions_come_with_their_grounds() {
        let shown: String = lines(&decision()).iter().map(|(_, line)| format!("{line:?}\n")).collect();
        for part in [
            "vote of sentinel 3: DOWN, its port refuses connections, no valid reply for 1003 ms (limit 1000 ms)",
            "127.0.0.1:7001 says: link to it down, last heard 1 s ago",
            "2 of 2 votes: objectively down, failover towards epoch 4 begins",
            "DECISION of sentinel 1: 127.0.0.1:7001 is the master of epoch 4, chosen for the most data",
            "127.0.0.1:7001              100         5000  01234567   chosen",
            "127.0.0.1:7002              100         4000  01234567   eligible",
            "127.0.0.1:7003              100            ?  01234567   down",
            "known to be missing: 0 bytes",
        ] {
            assert!(shown.contains(part), "{part:?} is not in:\n{shown}");
        }
    }
}
