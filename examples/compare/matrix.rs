//! All runs of a comparison, one after the other. The next deployment is started while the last one comes to rest.

use std::io::Write as _;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::Context;

use crate::act;
use crate::machine;
use crate::measure::{self, Strip};
use crate::product::Product;
use crate::results::{Cell, Run, middle};
use crate::scenario::Scenario;
use crate::stage::{Spec, Stage};

/// One run that is to be made.
#[derive(Clone, Copy)]
pub(crate) struct Turn {
    pub(crate) scenario: &'static Scenario,
    pub(crate) product: Product,
    pub(crate) number: u32,
    pub(crate) of: u32,
}

/// What a stage is to be like for a turn.
pub(crate) type SpecOf<'a> = &'a dyn Fn(&Turn) -> Spec;

/// What came of all runs.
#[derive(Default)]
pub(crate) struct Harvest {
    pub(crate) cells: Vec<Cell>,
    /// Runs that came to nothing, with the reason: the others are worth having all the same.
    pub(crate) failed: Vec<(String, String)>,
}

/// Makes all runs and gathers what they showed.
pub(crate) fn run_all(turns: &[Turn], spec: SpecOf<'_>) -> Harvest {
    let begun = Instant::now();
    let (mut gathered, mut failed) = (Vec::new(), Vec::new());
    let mut ahead = Ahead::default();
    for (number, turn) in turns.iter().enumerate() {
        print!("{:>3}/{}  {:<17} {:<25} run {}/{}  ", number + 1, turns.len(), turn.scenario.id, turn.product.name(), turn.number, turn.of);
        flush();
        match run(turn, turns.get(number + 1), spec, &mut ahead) {
            Ok((made, strip)) => {
                println!("{}  [{} s in all]", in_short(&made), begun.elapsed().as_secs());
                gathered.push((*turn, made, strip));
            }
            Err(e) => {
                println!("FAILED: {e:#}");
                let what = format!("{}, {}, run {}", turn.scenario.id, turn.product.name(), turn.number);
                failed.push((what, format!("{e:#}").lines().next().unwrap_or_default().to_owned()));
            }
        }
    }
    Harvest { cells: cells(gathered), failed }
}

/// Makes one run. The stage of the next one is set up as soon as nothing that counts in milliseconds is disturbed by it.
fn run(turn: &Turn, following: Option<&Turn>, spec: SpecOf<'_>, ahead: &mut Ahead) -> anyhow::Result<(Run, Strip)> {
    let stage = match ahead.take() {
        Some(stage) => stage,
        None => Stage::set_up(&spec(turn)),
    };
    let stage = stage.context("set up the deployment")?;
    let load = machine::load();
    say("running");
    let record = act::play(stage, turn.scenario, || {
        say("settling");
        *ahead = Ahead::set_up(following.map(spec));
    })?;
    Ok((Run { groups: measure::figures(&record), unsettled: record.unsettled.clone(), load }, measure::strip(&record)))
}

/// A stage that is being set up. If it is not wanted any more it is taken down, whatever became of it.
#[derive(Default)]
struct Ahead(Option<JoinHandle<anyhow::Result<Stage>>>);

impl Ahead {
    fn set_up(spec: Option<Spec>) -> Self {
        Self(spec.map(|spec| thread::spawn(move || Stage::set_up(&spec))))
    }

    fn take(&mut self) -> Option<anyhow::Result<Stage>> {
        Some(self.0.take()?.join().unwrap_or_else(|panicked| std::panic::resume_unwind(panicked)))
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        drop(self.take());
    }
}

fn in_short(run: &Run) -> String {
    let sum = |figure: fn(&measure::Figures) -> usize| run.groups.iter().map(figure).sum::<usize>();
    let two: f64 = run.groups.iter().map(|figures| figures.two_masters_ms).fold(0.0, f64::max);
    let [lost, beside, confirmed] =
        [sum(|figures| figures.lost), sum(|figures| figures.lost_beside), sum(|figures| figures.lost_confirmed)];
    let stale = sum(|figures| figures.stale_answers);
    let mut text = format!("no writes {:.0} ms, two masters {two:.0} ms, ", run.unavailable_ms());
    text += &format!("lost {lost}, beside {beside}, after WAIT {confirmed}; {stale} stale answers");
    if let Some(instead) = &run.unsettled {
        text += &format!("; NOT WHOLE AGAIN: {instead}");
    }
    text
}

fn cells(gathered: Vec<(Turn, Run, Strip)>) -> Vec<Cell> {
    let mut cells: Vec<(Cell, Vec<Strip>)> = Vec::new();
    for (turn, run, strip) in gathered {
        let (scenario, product) = (turn.scenario.id.to_owned(), turn.product);
        match cells.iter_mut().find(|(cell, _)| cell.scenario == scenario && cell.product == product) {
            Some((cell, strips)) => {
                cell.runs.push(run);
                strips.push(strip);
            }
            None => cells.push((Cell { scenario, product, runs: vec![run], strip: Strip::default() }, vec![strip])),
        }
    }
    let told = |(mut cell, mut strips): (Cell, Vec<Strip>)| {
        cell.strip = strips.swap_remove(middle(&cell.runs));
        cell
    };
    cells.into_iter().map(told).collect()
}

fn say(text: &str) {
    print!("{text}… ");
    flush();
}

fn flush() {
    // Progress that cannot be shown is no reason to stop.
    let _ = std::io::stdout().flush();
}
