//! That the checks find something where there is something: stock sentinels, and our own policy that promises less.

use std::time::Duration;

use crate::world::{Policy, run};

/// The span in which both sides can write.
const CUT: Duration = Duration::from_secs(12);

#[test]
fn stock_sentinels_let_both_sides_write_and_lose_what_wait_confirmed() {
    let verdict = run("check of the checks: cut of the master's host", Policy::Stock, Policy::Stock.plan(), |world| {
        world.cut_off(&["redis-0", "sentinel-1"]);
        world.last(CUT);
        world.heal();
    });
    assert!(verdict.strays.len() > 100, "both sides took writes: {verdict:?}");
    assert!(verdict.plain_lost > 100, "what the old master took is lost: {verdict:?}");
    assert!(verdict.answers.is_err(), "the sentinel that was cut off goes on to name the old master");
}

#[test]
fn the_policy_available_loses_writes_and_answers_well() {
    let verdict = run("check of the checks: cut of the master's host", Policy::Available, Policy::Available.plan(), |world| {
        world.cut_off(&["redis-0", "sentinel-1"]);
        world.last(CUT);
        world.heal();
    });
    assert!(verdict.strays.len() > 100, "both sides took writes: {verdict:?}");
    assert!(verdict.plain_lost > 100, "what the old master took is lost: {verdict:?}");
    verdict.hold(Policy::Available);
}
