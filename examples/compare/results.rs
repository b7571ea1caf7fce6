//! What a whole comparison showed: what is written as JSON, and what tables and pages are made of.

use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::measure::{Figures, Strip};
use crate::product::Product;

/// All of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    pub(crate) settings: Settings,
    /// The products that took part, in the order in which they are shown.
    pub(crate) products: Vec<Product>,
    /// What was left out, with the reason.
    pub(crate) left_out: Vec<(String, String)>,
    pub(crate) scenarios: Vec<Told>,
    pub(crate) cells: Vec<Cell>,
    pub(crate) took_s: f64,
}

/// What all products were told.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) down_after_ms: u64,
    pub(crate) failover_timeout_ms: u64,
    /// Whether hosts were network namespaces.
    pub(crate) hosts: bool,
}

/// A scenario, for people.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) what: String,
}

/// One product in one scenario.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) scenario: String,
    pub(crate) product: Product,
    pub(crate) runs: Vec<Run>,
    /// The story of the run in the middle, by unavailability.
    pub(crate) strip: Strip,
}

/// One run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Run {
    /// For each group.
    pub(crate) groups: Vec<Figures>,
    /// What had not come right at the end.
    pub(crate) unsettled: Option<String>,
    /// The load average of the machine in the minute before.
    pub(crate) load: f64,
}

/// A figure over all runs and groups.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) worst: f64,
}

impl Results {
    pub(crate) fn cell(&self, scenario: &str, product: Product) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.scenario == scenario && cell.product == product)
    }

    /// The lowest and the highest load average before a run.
    pub(crate) fn loads(&self) -> (f64, f64) {
        let loads = || self.cells.iter().flat_map(|cell| &cell.runs).map(|run| run.load);
        (loads().fold(f64::INFINITY, f64::min).min(loads().fold(0.0, f64::max)), loads().fold(0.0, f64::max))
    }
}

impl Cell {
    /// A figure over all runs and groups; none where no run has it.
    pub(crate) fn spread(&self, figure: impl Fn(&Figures) -> Option<f64>) -> Option<Spread> {
        let mut values: Vec<f64> = self.runs.iter().flat_map(|run| &run.groups).filter_map(figure).collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = (*values.get(values.len().checked_sub(1)? / 2)?, values[values.len() / 2]);
        Some(Spread { median: f64::midpoint(low, high), worst: *values.last()? })
    }

    /// How many runs had not settled when nobody waited any longer.
    pub(crate) fn unsettled(&self) -> usize {
        self.runs.iter().filter(|run| run.unsettled.is_some()).count()
    }
}

impl Run {
    /// The worst group's unavailability.
    pub(crate) fn unavailable_ms(&self) -> f64 {
        self.groups.iter().map(|figures| figures.unavailable_ms).fold(0.0, f64::max)
    }
}

/// The number of the run in the middle, by unavailability; of an even number the worse of the two.
pub(crate) fn middle(runs: &[Run]) -> usize {
    let mut order: Vec<usize> = (0..runs.len()).collect();
    order.sort_by(|one, other| runs[*one].unavailable_ms().total_cmp(&runs[*other].unavailable_ms()));
    order.get(runs.len() / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(unavailable_ms: &[f64]) -> Run {
        let groups = unavailable_ms.iter().map(|ms| Figures { unavailable_ms: *ms, ..Figures::default() }).collect();
        Run { groups, ..Run::default() }
    }

    #[test]
    fn a_spread_is_over_all_groups_of_all_runs() {
        let runs = vec![run(&[5.0, 1.0]), run(&[9.0]), run(&[3.0])];
        let cell = Cell { scenario: String::new(), product: Product::Strict, runs, strip: Strip::default() };
        assert_eq!(cell.spread(|figures| Some(figures.unavailable_ms)), Some(Spread { median: 4.0, worst: 9.0 }));
        assert_eq!(cell.spread(|figures| figures.reconnect_ms), None);
    }

    #[test]
    fn the_run_in_the_middle_tells_the_story() {
        assert_eq!(middle(&[run(&[5.0]), run(&[9.0]), run(&[7.0, 1.0])]), 2);
        assert_eq!(middle(&[run(&[5.0]), run(&[9.0])]), 1);
        assert_eq!(middle(&[]), 0);
    }
}
