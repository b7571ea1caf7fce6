//! What a scenario does with the stage, and when; and one run from the first write to the last comparison.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::cast::Cast;
use crate::clock::Clock;
use crate::record::{Marks, Record};
use crate::scenario::Scenario;
use crate::stage::Stage;

/// The longest period in which sentinels do something.
const RHYTHM: Duration = Duration::from_secs(1);
/// Writes of each client before the warm-up is counted.
const WRITES_BEFORE: usize = 5;
const WARM_UP: Duration = Duration::from_secs(1);
const FIRST_WRITES_LIMIT: Duration = Duration::from_secs(20);
/// Stock Sentinel waits twice the failover timeout before a second attempt when its first one fails.
const SERVED_LIMIT: Duration = Duration::from_secs(60);
/// How long is watched on after applications write again.
const AFTERWARDS: Duration = Duration::from_secs(1);
/// Stock Sentinel takes its time before it demotes an old master.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// One run under way.
pub(crate) struct Act<'a> {
    pub(crate) stage: &'a mut Stage,
    cast: &'a Cast,
    clock: Clock,
    marks: Marks,
    notes: Vec<(u64, String)>,
}

/// Plays a scenario on a stage that has formed. `settling` is called when all that counts in milliseconds is over.
pub(crate) fn play(mut stage: Stage, scenario: &Scenario, settling: impl FnOnce()) -> anyhow::Result<Record> {
    // At a moment that nobody can foresee: sentinels look at servers in a rhythm. The clients write equally long before every fault, so
    // that what is lost can be compared.
    thread::sleep(RHYTHM.mul_f64(rand::random()));
    let clock = Clock::start();
    let cast = Cast::enter(&stage, clock);
    let mut act = Act { stage: &mut stage, cast: &cast, clock, marks: Marks::default(), notes: Vec::new() };
    act.warm_up()?;
    (scenario.play)(&mut act).with_context(|| act.told())?;
    settling();
    let unsettled = act.settle();
    let Act { mut marks, notes, .. } = act;
    marks.end = clock.now();
    let groups = cast.leave(&stage)?;
    Ok(Record { marks, notes, groups, unsettled })
}

impl Act<'_> {
    /// Does something before the fault.
    pub(crate) fn prepare(&mut self, what: &str, deed: impl FnOnce(&mut Stage) -> anyhow::Result<()>) -> anyhow::Result<()> {
        self.notes.push((self.clock.now(), what.to_owned()));
        deed(self.stage).with_context(|| what.to_owned())
    }

    /// Does the harm; the clock of the scenario begins here.
    pub(crate) fn fault(&mut self, what: &str, deed: impl FnOnce(&mut Stage) -> anyhow::Result<()>) -> anyhow::Result<()> {
        self.marks.fault = self.clock.now();
        self.marks.healed = self.marks.fault;
        self.prepare(what, deed)
    }

    /// Takes it back.
    pub(crate) fn heal(&mut self, what: &str, deed: impl FnOnce(&mut Stage) -> anyhow::Result<()>) -> anyhow::Result<()> {
        self.marks.healed = self.clock.now();
        self.prepare(what, deed)
    }

    /// Lets time pass.
    pub(crate) fn hold(&self, span: Duration) {
        thread::sleep(span);
    }

    /// Waits until every application writes to another master, and a little longer.
    pub(crate) fn until_served(&mut self) {
        let start = Instant::now();
        while self.cast.not_served_elsewhere(self.marks.fault) > 0 {
            if start.elapsed() > SERVED_LIMIT {
                let late = self.cast.not_served_elsewhere(self.marks.fault);
                self.notes.push((self.clock.now(), format!("{late} not written to elsewhere after {} s", SERVED_LIMIT.as_secs())));
                return;
            }
            thread::sleep(LOOK_EVERY);
        }
        thread::sleep(AFTERWARDS);
    }

    /// Waits until every client writes, and lets them.
    fn warm_up(&self) -> anyhow::Result<()> {
        self.stage.wait_for("clients that write", FIRST_WRITES_LIMIT, |_| {
            let least = self.cast.least_written();
            if least >= WRITES_BEFORE { Ok(()) } else { Err(format!("one has written {least} values")) }
        })?;
        thread::sleep(WARM_UP);
        Ok(())
    }

    /// Waits until everything is whole again; else says what is not.
    fn settle(&self) -> Option<String> {
        let start = Instant::now();
        loop {
            let instead = self.stage.settled().err()?;
            if start.elapsed() > SETTLE_LIMIT {
                return Some(format!("{} s after the end: {instead}", SETTLE_LIMIT.as_secs()));
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    fn told(&self) -> String {
        let lines = self.notes.iter().map(|(at, what)| format!("{:>8.3} s  {what}\n", Duration::from_micros(*at).as_secs_f64()));
        format!("{}{}", lines.collect::<String>(), self.stage.logs())
    }
}
