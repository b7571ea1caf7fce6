//! Guests are paused: the master's and the leading sentinel's hosts stand still, with their clocks, and go on where they were.
//!
//! To the rest they are dead, and the rest fails over. A leader that goes on believes that a quorum has just acknowledged it, by a clock that
//! stood still; it sees the new master as one that should be a replica. It must not touch it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::kit::Scratch;
use crate::verdict::RESIDUE_OF_STOP;
use crate::world::{Policy, run};

/// Longer than a failover behind the fence takes.
const PAUSE: Duration = Duration::from_millis(6400);
/// How long the other sentinels do not reach the old master after the pause.
const ONE_SIDED: Duration = Duration::from_millis(1500);

/// The library that sets clocks back, compiled once.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let (source, target) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/frozen_clock.c"), std::env::temp_dir());
        let library = target.join(format!("frozen-clock-{}.so", std::process::id()));
        let built = Command::new("cc").args(["-shared", "-fPIC", "-O2", "-o"]).arg(&library).arg(&source).arg("-ldl").status();
        assert!(built.is_ok_and(|status| status.success()), "cannot compile {}: apt-get install gcc libc6-dev", source.display());
        library
    })
}

/// The pause of the first master and of the sentinel that leads; after it the other sentinels do not reach the master for `late`.
fn guests_are_paused(name: &str, late: Duration) {
    let (policy, clocks) = (Policy::wanted(), Scratch::new());
    let mut plan = policy.plan();
    plan.env.push(("LD_PRELOAD".to_owned(), library().display().to_string()));
    plan.env.push(("FROZEN_CLOCKS".to_owned(), clocks.path().display().to_string()));
    let verdict = run(name, policy, plan, move |world| {
        let leader = world.leader();
        let others: Vec<String> = (1..=3).filter(|id| *id != leader).map(|id| format!("sentinel-{id}")).collect();
        let unseen: Vec<&str> = others.iter().filter(|_| !late.is_zero()).map(String::as_str).collect();
        let logged = world.cluster.sentinel(leader).log().len();
        world.pause_guests(leader, PAUSE, clocks.path(), (&unseen, late));
        world.last(Duration::from_secs(2));
        let touched = acts_on_others(&world.cluster.sentinel(leader).log()[logged..], world.first_master());
        assert!(touched.is_empty(), "a leader that was paused acted on servers that have another master by now:\n{}", touched.join("\n"));
    });
    verdict.hold_with(policy, RESIDUE_OF_STOP);
}

/// What a sentinel did, by its log, to servers other than the old master.
fn acts_on_others(log: &str, old_master: u16) -> Vec<String> {
    let on_the_old_one = format!(":{old_master}");
    let acts = log.lines().filter(|line| line.contains("asked to ") && !line.contains(&on_the_old_one));
    acts.map(str::to_owned).collect()
}

#[test]
fn of_the_master_and_the_leader() {
    guests_are_paused("guests paused: master and leader", Duration::ZERO);
}

#[test]
fn of_the_master_and_the_leader_and_only_that_leader_sees_the_master_again() {
    guests_are_paused("guests paused: master and leader, others see it later", ONE_SIDED);
}
