//! The first thing to look at: in how many scenarios which harm was seen.

use std::fmt::Write as _;

use super::text::swatch;
use crate::measure::Figures;
use crate::product::Product;
use crate::results::Results;

/// Two masters for a shorter time than this is what a promotion takes.
const BRIEF_MS: f64 = 100.0;

/// A kind of harm, and whether a run shows it where this is the limit, in milliseconds.
type Harm = (&'static str, fn(&Figures, f64) -> bool);

const HARMS: [Harm; 5] = [
    ("writes were lost that WAIT had confirmed", |figures, _| figures.lost_confirmed > 0),
    ("applications lost acknowledged writes", |figures, _| figures.lost > 0),
    ("two masters took writes for more than 100 ms", |figures, _| figures.two_masters_ms > BRIEF_MS),
    ("a sentinel named an old master after a newer one", |figures, _| figures.stale_answers > 0),
    ("applications could not write for more than twice the limit", |figures, limit_ms| figures.unavailable_ms > 2.0 * limit_ms),
];

/// The table, as HTML.
pub(super) fn table(results: &Results) -> String {
    let mut html = format!("<table class=\"glance\"><thead><tr><th>in how many of {} scenarios, in any run</th>", results.scenarios.len());
    for product in &results.products {
        let _ = write!(html, "<th>{}</th>", swatch(*product));
    }
    html += "</tr></thead><tbody>\n";
    for harm in &HARMS {
        let _ = write!(html, "<tr><th>{}</th>", harm.0);
        for product in &results.products {
            let _ = write!(html, "<td>{}</td>", seen_in(results, *product, harm));
        }
        html += "</tr>\n";
    }
    html + "</tbody></table>\n"
}

/// In how many scenarios this was seen of a product.
#[expect(clippy::cast_precision_loss, reason = "a limit is at most half a minute")]
fn seen_in(results: &Results, product: Product, harm: &Harm) -> usize {
    let limit_ms = results.settings.down_after_ms as f64;
    let cells = results.cells.iter().filter(|cell| cell.product == product);
    cells.filter(|cell| cell.runs.iter().flat_map(|run| &run.groups).any(|figures| harm.1(figures, limit_ms))).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Strip;
    use crate::results::{Cell, Run, Settings};

    #[test]
    fn a_scenario_counts_once_however_often_it_went_wrong() {
        let run = |lost| Run { groups: vec![Figures { lost, unavailable_ms: 1500.0, ..Figures::default() }; 2], ..Run::default() };
        let cell = |product, runs| Cell { scenario: String::new(), product, runs, strip: Strip::default() };
        let cells =
            vec![cell(Product::Strict, vec![run(0), run(3)]), cell(Product::Strict, vec![run(0)]), cell(Product::Available, vec![run(1)])];
        let results = Results { cells, settings: Settings { down_after_ms: 1000, ..Settings::default() }, ..Results::default() };
        assert_eq!(HARMS.each_ref().map(|harm| seen_in(&results, Product::Strict, harm)), [0, 1, 0, 0, 0]);
    }
}
