//! Scenarios that cut connections between hosts.

use std::time::Duration;

use crate::act::Act;

/// As long for everybody, so that what is lost meanwhile can be compared.
const CUT: Duration = Duration::from_secs(8);
const FLAPS: u32 = 8;

pub(super) fn cut_off(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.fault("the host of A, the master, is cut off", |stage| stage.ground.cut_off_the_master())?;
    act.hold(CUT);
    act.heal("the cut is taken back", |stage| stage.ground.heal())
}

pub(super) fn one_way(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.fault("nobody hears the host of A, the master, any more", |stage| stage.ground.silence_the_master())?;
    act.hold(CUT);
    act.heal("the cut is taken back", |stage| stage.ground.heal())
}

pub(super) fn flapping(act: &mut Act<'_>) -> anyhow::Result<()> {
    let limit = Duration::from_millis(act.stage.spec.down_after_ms);
    let (off, on) = (limit.mul_f64(0.8), limit.mul_f64(0.6));
    act.fault("the link of A's host, the master's, is lost", |stage| stage.ground.cut_off_the_master())?;
    for flap in 1..=FLAPS {
        act.hold(off);
        if flap == FLAPS {
            break;
        }
        act.stage.ground.heal()?;
        act.hold(on);
        act.stage.ground.cut_off_the_master()?;
    }
    act.heal("the link stays", |stage| stage.ground.heal())?;
    act.hold(limit * 4);
    Ok(())
}
