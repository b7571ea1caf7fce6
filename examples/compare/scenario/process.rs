//! Scenarios that stop, kill and start processes.

use std::time::Duration;

use crate::act::Act;
use crate::stage::Stage;

const STALLED: Duration = Duration::from_secs(4);
const WATCHED: Duration = Duration::from_secs(4);

pub(super) fn crash(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.fault("SIGKILL to A, the master", kill_masters)?;
    act.until_served();
    act.heal("A is started again, empty", start_masters)
}

pub(super) fn all_at_once(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.fault("SIGKILL to all masters", kill_masters)?;
    act.until_served();
    act.heal("they are started again, empty", start_masters)
}

pub(super) fn hang(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.fault("SIGSTOP to A, the master", |stage| {
        stage.groups[0].nodes[0].stop();
        Ok(())
    })?;
    act.until_served();
    act.heal("SIGCONT to A", |stage| {
        stage.groups[0].nodes[0].cont();
        Ok(())
    })
}

pub(super) fn restarted_empty(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.fault("SIGKILL to A, the master, and it is started again at once, empty", |stage| {
        kill_masters(stage)?;
        start_masters(stage)
    })?;
    act.hold(WATCHED);
    Ok(())
}

/// The replica gets a password that no master knows, and loses its connection: it tries again each second, in vain.
pub(super) fn preferred_behind(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.prepare("B, the preferred replica, loses its master", |stage| {
        let preferred = &stage.groups[0].nodes[1];
        stage.expect_ok(preferred, &["CONFIG", "SET", "masterauth", "nobody-knows-it"])?;
        stage.ask(preferred, &["CLIENT", "KILL", "TYPE", "master"]).map(drop)
    })?;
    act.hold(STALLED);
    act.fault("SIGKILL to A, the master", |stage| {
        kill_masters(stage)?;
        // It may follow again; but nobody is left who has what it missed, save C.
        stage.expect_ok(&stage.groups[0].nodes[1], &["CONFIG", "SET", "masterauth", ""])
    })?;
    act.until_served();
    act.heal("A is started again, empty", start_masters)
}

fn kill_masters(stage: &mut Stage) -> anyhow::Result<()> {
    stage.groups.iter_mut().for_each(|group| group.nodes[0].kill());
    Ok(())
}

fn start_masters(stage: &mut Stage) -> anyhow::Result<()> {
    stage.groups.iter_mut().for_each(|group| group.nodes[0].start_again());
    Ok(())
}
