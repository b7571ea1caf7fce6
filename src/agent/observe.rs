//! Sees to it that a member leads that can reach the servers; and tells others what this one reaches. What follows from that is `judge::reach`'s.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Parts;
use crate::base::GroupName;
use crate::base::server::{Reach, Server};
use crate::judge::reach::{Handover, out_of_reach};
use crate::raft::{Leadership, Survey};

const ROUND: Duration = Duration::from_millis(200);
/// How long servers may take to answer this sentinel when another asks about them.
const LOOK_WITHIN: Duration = Duration::from_millis(150);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Runs until `cancel`. Groups that are sent to `looks` are looked at afresh.
pub(super) async fn run(parts: Parts, looks: mpsc::Sender<GroupName>, cancel: CancellationToken) {
    let mut surveys = parts.raft.surveys();
    let mut handover = Handover::default();
    let mut round = tokio::time::interval(ROUND);
    round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            Some(survey) = surveys.recv() => answer(&parts, &looks, survey).await,
            _ = round.tick() => {
                if matches!(*parts.raft.leadership().borrow(), Leadership::Leading { .. }) {
                    lead_or_hand_over(&parts, &mut handover).await;
                }
            }
        }
    }
}

/// All servers that this sentinel would act on if it led, and cannot reach.
fn lost(parts: &Parts) -> BTreeSet<Server> {
    let (state, now) = (parts.raft.state(), parts.clock.mono());
    let views =
        state.groups.values().filter(|group| !group.in_shadow()).filter_map(|group| Some((&group.name, parts.board.group(&group.name)?)));
    views.flat_map(|(name, view)| out_of_reach(name, &view, now).collect::<Vec<_>>()).collect()
}

async fn lead_or_hand_over(parts: &Parts, handover: &mut Handover) {
    let Some(asked) = handover.question(&lost(parts), parts.clock.mono()) else { return };
    let answers = parts.raft.survey(&asked).await;
    let lost = lost(parts);
    let Some(to) = handover.choose(&asked, &lost, &answers) else { return };
    handover.note(parts.clock.mono());
    let example = asked.iter().find(|server| lost.contains(*server)).map(|server| server.addr.to_string()).unwrap_or_default();
    tracing::warn!(
        %to,
        "{} servers are out of this sentinel's reach ({example} and others), and sentinel {to} reaches more: it is to lead. Look at this host's network, at its credentials and certificates",
        lost.len()
    );
    match parts.raft.hand_over(to).await {
        Ok(()) => tracing::info!(%to, "leadership was handed over"),
        Err(problem) => tracing::warn!(%to, %problem, "leadership was not handed over"),
    }
}

/// A server counts as reached only by an answer that came after the question.
async fn answer(parts: &Parts, looks: &mpsc::Sender<GroupName>, survey: Survey) {
    let asked = parts.clock.mono();
    let groups: BTreeSet<&GroupName> = survey.servers.iter().map(|server| &server.group).collect();
    for group in groups {
        // An error means that this sentinel is stopping.
        let _ = looks.send(group.clone()).await;
    }
    let reached = || -> Vec<bool> {
        let since = |server: &Server| {
            // Who would not act on them is of no use as a leader, however well it sees.
            let view = parts.board.group(&server.group).filter(|view| view.held_back().is_none())?;
            let node = view.nodes.get(&server.addr).filter(|node| node.cannot_judge.is_none())?;
            Some(node.report.as_ref().map(|(at, _)| *at).max(Some(node.last_valid)) > Some(asked))
        };
        survey.servers.iter().map(|server| since(server).unwrap_or(false)).collect()
    };
    let all = async {
        while reached().contains(&false) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    // Those that have not answered by then are out of reach.
    let _ = tokio::time::timeout(LOOK_WITHIN, all).await;
    let out_of_reach = u32::try_from(lost(parts).len()).unwrap_or(u32::MAX);
    // An error means that nobody waits any more.
    let _ = survey.answer.send(Reach { reached: reached(), out_of_reach });
}
