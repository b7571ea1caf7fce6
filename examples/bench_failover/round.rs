//! One round: set up, kill, measure.

use std::time::{Duration, Instant, SystemTime};

use raft_sentinel::proto::sentinel as proto;
use serde::Serialize;

use crate::kit::history::{self, History};
use crate::kit::writer::SERVER_LIMIT;
use crate::kit::{Ack, Cluster, GROUP};
use crate::side::Side;

/// Stock Sentinel waits this long or more before a second attempt when its first election fails.
const FIRST_WRITE_LIMIT: Duration = Duration::from_secs(60);
const DECISION_LIMIT: Duration = Duration::from_secs(10);
/// Writes before the kill: at least so many, and up to as many again, so that the kill falls anywhere between two pings.
const WRITES_BEFORE: u32 = 700;

/// What one round showed. All times in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Round {
    pub(crate) side: Side,
    /// From the trouble to the first write that the new master accepted.
    pub(crate) total_ms: f64,
    /// The same, less the limit.
    pub(crate) beyond_limit_ms: f64,
    /// What the log says; ours only.
    pub(crate) parts: Option<Parts>,
}

/// The parts of a failover, by the stamps in the log (microseconds of the wall clock; all on one machine).
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Parts {
    /// From the end of the limit at the sentinel whose vote completed the quorum, to the first write.
    pub(crate) limit_to_write_ms: f64,
    /// From there to that vote.
    pub(crate) limit_to_vote_ms: f64,
    /// From that vote to the decision.
    pub(crate) vote_to_decided_ms: f64,
    /// From the decision until the leader saw the new master.
    pub(crate) decided_to_promoted_ms: f64,
    /// From the decision to the first write.
    pub(crate) decided_to_write_ms: f64,
}

/// What happens to the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Trouble {
    /// SIGKILL: its port refuses connections.
    Kill,
    /// SIGSTOP: it is silent.
    Hang,
}

impl Trouble {
    /// How long the client waits for the answer to a write. A killed master closes its connections, a silent one is noticed by this
    /// alone, and only what the sentinels do is to be measured.
    pub(crate) const fn patience(self) -> Duration {
        match self {
            Self::Kill => SERVER_LIMIT,
            Self::Hang => Duration::from_millis(20),
        }
    }
}

/// Plays one round from nothing to nothing.
pub(crate) fn play(side: Side, trouble: Trouble, down_after_ms: u64) -> Round {
    let mut cluster = side.start(down_after_ms);
    let writer = cluster.writer_within(trouble.patience());
    let timeline = cluster.timeline.clone();
    let before = WRITES_BEFORE + chance_below(WRITES_BEFORE);
    timeline.wait_until("the client writes", FIRST_WRITE_LIMIT, || writer.count() >= before as usize);
    let old = cluster.sentinels[0].master().unwrap_or_else(|instead| panic!("no master: {instead}\n{}", timeline.report()));
    let killed = Instant::now();
    match trouble {
        Trouble::Kill => cluster.server_mut(old).kill(),
        Trouble::Hang => cluster.server(old).stop(),
    }
    let first = timeline.wait_for("a write on a new master", FIRST_WRITE_LIMIT, || {
        writer.first_elsewhere(killed, old).ok_or_else(|| "none yet".to_owned())
    });
    drop(writer);
    let total = first.at.duration_since(killed).as_secs_f64() * 1000.0;
    let parts = side.is_ours().then(|| parts(&cluster, &first));
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a limit are far below 2^52")]
    Round { side, total_ms: total, beyond_limit_ms: total - down_after_ms as f64, parts }
}

fn parts(cluster: &Cluster, first: &Ack) -> Parts {
    let mut history = History::of(cluster.sentinels[0].ports.grpc);
    cluster.timeline.wait_for("the log tells how it went", DECISION_LIMIT, || {
        let decisions = history.decisions(GROUP)?;
        let newest = decisions.first().ok_or("no decision is remembered")?;
        parts_of(newest, micros(first.wall)).ok_or_else(|| format!("incomplete: {newest:?}"))
    })
}

/// None as long as the new master has not been confirmed.
fn parts_of(decision: &proto::Decision, write_us: u64) -> Option<Parts> {
    let (started, decided, promoted) = (decision.started?, decision.decided?, decision.promoted?);
    let completing = history::votes(decision).iter().find(|vote| vote.cast.is_some_and(|cast| cast.index == started.index))?;
    let cast_us = completing.cast?.at_us;
    // Whole milliseconds, rounded down: take the next one, so that the error makes us look slower, not faster.
    let over_ms = (completing.silent_ms + 1).saturating_sub(completing.limit_ms);
    let limit_us = cast_us - over_ms * 1000;
    Some(Parts {
        limit_to_write_ms: between(limit_us, write_us),
        limit_to_vote_ms: between(limit_us, cast_us),
        vote_to_decided_ms: between(cast_us, decided.at_us),
        decided_to_promoted_ms: between(decided.at_us, promoted.at_us),
        decided_to_write_ms: between(decided.at_us, write_us),
    })
}

#[expect(clippy::cast_precision_loss, reason = "differences of stamps of one failover are far below 2^52")]
fn between(from_us: u64, to_us: u64) -> f64 {
    if to_us >= from_us { (to_us - from_us) as f64 / 1000.0 } else { -((from_us - to_us) as f64) / 1000.0 }
}

fn micros(wall: SystemTime) -> u64 {
    let since = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

fn chance_below(limit: u32) -> u32 {
    rand::random::<u32>() % limit
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn moment(index: u64, at_us: u64) -> Option<proto::Moment> {
        Some(proto::Moment { index, at_us })
    }

    /// The limit of 1000 ms ran out at sentinel 2 (whose vote, entry 41, completed the quorum) 4 ms before it voted.
    fn decision() -> proto::Decision {
        let vote = |voter, silent_ms, cast| proto::Vote { voter, silent_ms, limit_ms: 1000, cast, ..proto::Vote::default() };
        let votes = vec![vote(1, 1080, moment(40, 5_000_000)), vote(2, 1003, moment(41, 5_010_000))];
        let down = proto::MasterDown { votes, quorum: 2 };
        proto::Decision {
            cause: Some(proto::Cause { cause: Some(proto::cause::Cause::Down(down)) }),
            started: moment(41, 5_010_000),
            decided: moment(42, 5_012_500),
            promoted: moment(43, 5_016_000),
            ..proto::Decision::default()
        }
    }

    #[test]
    fn the_parts_count_from_the_vote_that_completed_the_quorum() {
        let parts = parts_of(&decision(), 5_015_000).expect("it is complete");
        let near = |value: f64, expected: f64| assert!((value - expected).abs() < 1e-9, "{value} rather than {expected}");
        near(parts.limit_to_vote_ms, 4.0);
        near(parts.limit_to_write_ms, 9.0);
        near(parts.vote_to_decided_ms, 2.5);
        near(parts.decided_to_promoted_ms, 3.5);
        near(parts.decided_to_write_ms, 2.5);
    }

    #[test]
    fn an_unfinished_failover_has_no_parts_yet() {
        assert!(parts_of(&proto::Decision { promoted: None, ..decision() }, 5_015_000).is_none());
        assert!(parts_of(&proto::Decision { cause: None, ..decision() }, 5_015_000).is_none());
    }
}
