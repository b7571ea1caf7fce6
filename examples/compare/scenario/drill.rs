//! Scenarios about the sentinels themselves.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::act::Act;
use crate::stage::Stage;

const LATER: Duration = Duration::from_secs(2);
const REST: Duration = Duration::from_secs(4);
/// Longer than any product waits before it begins a failover.
const END_LIMIT: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(1);

pub(super) fn planned(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.fault("SENTINEL FAILOVER", |stage| {
        let name = stage.groups[0].name.clone();
        stage.expect_ok(&stage.sentinels[0], &["SENTINEL", "FAILOVER", &name])
    })?;
    act.until_served();
    Ok(())
}

/// Both products know the same drill. Stock's sentinels elect one for each failover, so all are armed, and the others disarmed when the
/// first has ended; of ours one leads before anything happens, so that one is armed.
pub(super) fn leader_killed(act: &mut Act<'_>) -> anyhow::Result<()> {
    let armed: Vec<usize> =
        if act.stage.spec.product.is_ours() { vec![leader(act.stage)?] } else { (0..act.stage.sentinels.len()).collect() };
    act.prepare("whichever sentinel leads the failover is to end in it", |stage| {
        let arm = |number: &usize| stage.expect_ok(&stage.sentinels[*number], &["SENTINEL", "SIMULATE-FAILURE", "crash-after-election"]);
        armed.iter().try_for_each(arm)
    })?;
    let mut ended = None;
    act.fault("SIGKILL to A, the master", |stage| {
        stage.groups[0].nodes[0].kill();
        ended = wait_until_one_ends(stage);
        // A sentinel that does not know the word clears what was set before it says so.
        for number in armed.iter().filter(|number| ended.is_some_and(|ended| ended != **number)) {
            stage.ask(&stage.sentinels[*number], &["SENTINEL", "SIMULATE-FAILURE", "none"])?;
        }
        Ok(())
    })?;
    let Some(ended) = ended else { bail!("no sentinel ended within {} s", END_LIMIT.as_secs()) };
    act.prepare(&format!("sentinel {} has ended in the middle of its failover", ended + 1), |_| Ok(()))?;
    act.until_served();
    act.heal("A and the sentinel are started again", |stage| {
        stage.groups[0].nodes[0].start_again();
        stage.sentinels[ended].start_again();
        Ok(())
    })
}

pub(super) fn sentinels_lost(act: &mut Act<'_>) -> anyhow::Result<()> {
    let lost = 1..act.stage.sentinels.len();
    act.fault("SIGKILL to sentinels 2 and 3", |stage| {
        stage.sentinels[lost.clone()].iter_mut().for_each(crate::stage::Member::kill);
        Ok(())
    })?;
    act.hold(LATER);
    act.prepare("all clients lose their connections to A", |stage| {
        stage.ask(&stage.groups[0].nodes[0], &["CLIENT", "KILL", "TYPE", "normal"]).map(drop)
    })?;
    act.hold(REST);
    act.heal("the sentinels are started again", |stage| {
        stage.sentinels[lost.clone()].iter_mut().for_each(crate::stage::Member::start_again);
        Ok(())
    })?;
    act.hold(LATER);
    Ok(())
}

fn wait_until_one_ends(stage: &mut Stage) -> Option<usize> {
    let start = Instant::now();
    while start.elapsed() < END_LIMIT {
        if let Some(ended) = stage.sentinels.iter_mut().position(|sentinel| !sentinel.is_running()) {
            return Some(ended);
        }
        std::thread::sleep(LOOK_EVERY);
    }
    None
}

/// The number of the sentinel that leads the Raft group, as the first one tells an operator.
fn leader(stage: &Stage) -> anyhow::Result<usize> {
    let text = stage.status_of_ours()?;
    let status: serde_json::Value = serde_json::from_str(&text).with_context(|| format!("read the status: {text}"))?;
    let id = status.get("leader_id").and_then(|id| id.as_u64().or_else(|| id.as_str()?.parse().ok()));
    let id = id.and_then(|id| usize::try_from(id).ok()).with_context(|| format!("no leader in the status: {text}"))?;
    Ok(id - 1)
}
