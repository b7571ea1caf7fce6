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

/// Makes all runs and gathers what they showed.
pub(crate) fn run_all(turns: &[Turn], spec: SpecOf<'_>) -> anyhow::Result<Vec<Cell>> {
    let begun = Instant::now();
    let mut gathered: Vec<(Turn, Run, Strip)> = Vec::new();
    let mut next = Ahead::set_up(turns.first().map(spec));
    for (number, turn) in turns.iter().enumerate() {
        let Turn { scenario, product, number: run, of } = turn;
        print!("{:>3}/{}  {:<17} {:<25} run {run}/{of}  ", number + 1, turns.len(), scenario.id, product.name());
        flush();
        let stage = next.take().context("a stage is set up for every turn")?;
        let stage = stage.with_context(|| format!("set up {} for {}", product.name(), scenario.id))?;
        let (load, folder) = (machine::load(), stage.folder());
        say("running");
        let record = act::play(stage, scenario, || {
            say("settling");
            next = Ahead::set_up(turns.get(number + 1).map(spec));
        });
        let record = record.with_context(|| format!("{}, {}, in {folder}", scenario.id, product.name()))?;
        let made = Run { groups: measure::figures(&record), unsettled: record.unsettled.clone(), load };
        println!("{}  [{} s in all]", in_short(&made), begun.elapsed().as_secs());
        gathered.push((*turn, made, measure::strip(&record)));
    }
    Ok(cells(gathered))
}

/// A stage that is being set up. If it is not wanted any more it is taken down, whatever became of it.
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
