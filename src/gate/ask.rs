//! The question: who the master is and what its replicas hold, in one linearizable answer of any sentinel.

use std::fmt::Write as _;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tonic::{Code, Status};

use super::decide::{GateAnswer, Holding, Replacement, Replica};
use crate::base::{Addr, ReplId};
use crate::ctl::client;
use crate::proto::sentinel as pb;
use crate::proto::sentinel::sentinel_client::SentinelClient;

/// For one sentinel: one without a quorum says so within a second.
const LIMIT: Duration = Duration::from_secs(3);
/// The next sentinel is asked when the one before has not answered for so long: a dead host must not keep Redis waiting.
const STAGGER: Duration = Duration::from_millis(200);

/// What came of asking.
pub(super) enum AskOutcome {
    /// An answer, and which sentinel gave it.
    GateAnswer(usize, Box<GateAnswer>),
    /// A quorum knows no such group.
    UnknownGroup,
    /// No sentinel could say: why, for each.
    Nothing(Vec<(Addr, String)>),
}

/// Asks the sentinels, beginning with number `first`, until one answers.
pub(super) async fn ask(access: &client::Route, sentinels: &[Addr], first: usize, group: &str) -> AskOutcome {
    let (mut asked, mut tried) = (FuturesUnordered::new(), Vec::new());
    let mut next = (0..sentinels.len()).map(|turn| (first + turn) % sentinels.len());
    loop {
        if let Some(number) = next.next() {
            let addr = &sentinels[number];
            asked.push(async move { (number, ask_one(access, addr, group).await) });
        }
        tokio::select! {
            answered = asked.next() => match answered {
                Some((number, Ok(answer))) => return AskOutcome::GateAnswer(number, Box::new(answer)),
                Some((_, Err(status))) if status.code() == Code::NotFound => return AskOutcome::UnknownGroup,
                Some((number, Err(status))) => tried.push((number, client::phrase(&status))),
                None => {
                    tried.sort();
                    return AskOutcome::Nothing(tried.into_iter().map(|(number, why)| (sentinels[number].clone(), why)).collect());
                }
            },
            () = tokio::time::sleep(STAGGER), if next.len() > 0 => {}
        }
    }
}

async fn ask_one(access: &client::Route, addr: &Addr, group: &str) -> Result<GateAnswer, Status> {
    let request = pb::ListReplicasRequest { group: group.to_owned(), consistency: pb::Consistency::Linearizable.into() };
    let asking = async {
        let channel = access.connect(addr, Some(LIMIT)).await?;
        SentinelClient::new(channel).max_decoding_message_size(client::ANSWER_BYTES).list_replicas(request).await
    };
    let late = |_| Status::unavailable(format!("no answer within {} s", LIMIT.as_secs()));
    answer(tokio::time::timeout(LIMIT, asking).await.map_err(late)??.into_inner())
}

fn answer(told: pb::ListReplicasResponse) -> Result<GateAnswer, Status> {
    let strange = |what: &str| Status::unavailable(format!("its answer {what}; is it a raft-sentinel of this release?"));
    let master = told.master.ok_or_else(|| strange("names no master"))?;
    let addr = address(master.address.as_ref()).ok_or_else(|| strange("names no master"))?;
    let replacement = master.failover.as_ref().map_or(Replacement::None, |failover| replacement(failover, &addr));
    let replicas = told.replicas.iter().map(|node| replica(node).ok_or_else(|| strange("has a replica without an address")));
    Ok(GateAnswer {
        epoch: master.epoch,
        history: history(&master.history),
        wait_replicas: master.wait_replicas,
        replacement,
        replicas: replicas.collect::<Result<_, _>>()?,
        master: addr,
        told_by: told.answer.map_or(0, |answer| answer.answered_by),
    })
}

/// A failover that has been decided has another old master than the recorded one.
fn replacement(failover: &pb::FailoverProgress, master: &Addr) -> Replacement {
    if address(failover.old_master.as_ref()).as_ref() != Some(master) {
        return Replacement::None;
    }
    if !failover.is_blocked {
        return Replacement::Running;
    }
    let mut why = String::new();
    for obstacle in &failover.blocked {
        let parted = if why.is_empty() { "" } else { ", " };
        let addr = address(obstacle.replica.as_ref()).map_or_else(|| "a replica".to_owned(), |addr| addr.to_string());
        // Writing to a String cannot fail.
        let _ = write!(why, "{parted}{addr}: {}", obstacle.reason);
    }
    Replacement::Blocked(if why.is_empty() { "no replica is known".to_owned() } else { why })
}

fn replica(node: &pb::DataNode) -> Option<Replica> {
    let up = node.health() == pb::Health::Up;
    let holding = Holding { history: history(&node.history), offset: node.offset.unwrap_or(0), keys: node.keys };
    Some(Replica {
        addr: address(node.address.as_ref())?,
        report: node.report_age_ms.map(|age_ms| (age_ms, holding)),
        heard_ms: node.last_seen_age_ms.filter(|_| up),
        looked_at: node.health() != pb::Health::Unspecified,
        trouble: node.health_reason.clone(),
    })
}

fn history(text: &str) -> Option<ReplId> {
    ReplId::new(text).ok()
}

fn address(address: Option<&pb::Address>) -> Option<Addr> {
    let address = address?;
    Addr::new(&address.host, u16::try_from(address.port).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u32) -> Option<pb::Address> {
        Some(pb::Address { host: "10.0.0.1".to_owned(), port })
    }

    fn told(failover: Option<pb::FailoverProgress>) -> GateAnswer {
        let node = pb::DataNode {
            address: at(2),
            health: pb::Health::Up.into(),
            last_seen_age_ms: Some(4),
            offset: Some(90),
            history: "h".to_owned(),
            keys: Some(3),
            report_age_ms: Some(5),
            ..Default::default()
        };
        let master = pb::Master { address: at(1), epoch: 7, history: "h".to_owned(), failover, ..Default::default() };
        answer(pb::ListReplicasResponse { master: Some(master), replicas: vec![node], answer: None }).unwrap()
    }

    #[test]
    fn an_answer_is_taken_as_it_is_told() {
        let answer = told(None);
        assert_eq!(
            (answer.master, answer.epoch, answer.history.clone()),
            (Addr::new("10.0.0.1", 1).expect("an address"), 7, ReplId::new("h").ok())
        );
        let holding = Holding { history: answer.history, offset: 90, keys: Some(3) };
        assert_eq!((answer.replicas[0].report.clone(), answer.replicas[0].heard_ms), (Some((5, holding)), Some(4)));
    }

    #[test]
    fn only_an_undecided_failover_replaces_the_recorded_master() {
        let failover = |port, is_blocked| pb::FailoverProgress { old_master: at(port), is_blocked, ..Default::default() };
        assert_eq!(told(Some(failover(1, false))).replacement, Replacement::Running);
        assert_eq!(told(Some(failover(2, false))).replacement, Replacement::None, "decided: the record is the new master");
        let obstacle = pb::Obstacle { replica: at(2), reason: "down".to_owned() };
        let blocked = pb::FailoverProgress { blocked: vec![obstacle], ..failover(1, true) };
        assert_eq!(told(Some(blocked)).replacement, Replacement::Blocked("10.0.0.1:2: down".to_owned()));
    }

    #[test]
    fn what_is_no_answer_is_a_reason_to_ask_another_sentinel() {
        let refused = answer(pb::ListReplicasResponse::default()).unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
    }
}
