//! Bars: one scenario after the other, each product a bar, the median filled and the worst run as a whisker.

use std::fmt::Write as _;

use super::numbers::{Column, Unit, shown};
use super::svg::{as_f64, begin, line, words};
use super::text::{escaped, key_of};
use crate::results::Results;

const WIDTH: f64 = 620.0;
/// Where names end and bars begin.
const LEFT: f64 = 116.0;
/// Room for the number after the longest bar.
const RIGHT: f64 = 110.0;
const BAR: f64 = 13.0;
const GAP: f64 = 12.0;
const TOP: f64 = 8.0;
const FOOT: f64 = 26.0;

/// A chart of one figure. Bars that are far longer than most are cut, and say so.
pub(super) fn bars(results: &Results, column: &Column) -> String {
    let group = |scenario: &str| results.products.iter().filter(|product| results.cell(scenario, **product).is_some()).count();
    let heights: Vec<f64> = results.scenarios.iter().map(|scenario| as_f64(group(&scenario.id)) * BAR + GAP).collect();
    let height = TOP + heights.iter().sum::<f64>() + FOOT;
    let scale = Scale::of(results, column);
    let mut svg = begin("", (WIDTH, height), column.title);
    scale.grid(&mut svg, height - FOOT, column.unit);
    let mut y = TOP;
    for (scenario, height) in results.scenarios.iter().zip(&heights) {
        let middle = y + (height - GAP) / 2.0 + 4.0;
        words(&mut svg, "name", (LEFT - 8.0, middle), &scenario.id);
        let mut at = y;
        for product in &results.products {
            let Some(cell) = results.cell(&scenario.id, *product) else { continue };
            let title = format!("{}, {}", scenario.title, product.name());
            match cell.spread(column.figure) {
                Some(spread) => scale.bar(&mut svg, at, &key_of(*product), &title, (spread.median, spread.worst), column.unit),
                None => words(&mut svg, "value", (LEFT + 4.0, at + BAR - 3.0), "–"),
            }
            at += BAR;
        }
        y += height;
    }
    svg + "</svg>"
}

/// From a figure to a place on the axis.
struct Scale {
    most: f64,
}

impl Scale {
    /// Up to the largest value, but not beyond three times what three quarters of all stay below, of those that are not 0.
    fn of(results: &Results, column: &Column) -> Self {
        let spreads = results.cells.iter().filter_map(|cell| cell.spread(column.figure));
        let mut values: Vec<f64> = spreads.map(|spread| spread.worst).filter(|worst| *worst > 0.0).collect();
        values.sort_by(f64::total_cmp);
        let largest = values.last().copied().unwrap_or(0.0);
        let usual = values.get(values.len() * 3 / 4).copied().unwrap_or(0.0) * 3.0;
        Self { most: round_up(largest.min(usual).max(1.0)) }
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + (value / self.most).min(1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn grid(&self, svg: &mut String, bottom: f64, unit: Unit) {
        for quarter in 0..=4 {
            let value = self.most * f64::from(quarter) / 4.0;
            let x = self.x(value);
            line(svg, "grid", x, (TOP, bottom));
            words(svg, "tick", (x, bottom + 16.0), &self.label(value, unit));
        }
    }

    /// In the same unit all along the axis.
    fn label(&self, value: f64, unit: Unit) -> String {
        if unit == Unit::Time && self.most >= 2000.0 { format!("{} s", value / 1000.0) } else { shown(value, unit) }
    }

    fn bar(&self, svg: &mut String, y: f64, key: &str, title: &str, (median, worst): (f64, f64), unit: Unit) {
        let (end, far, middle) = (self.x(median), self.x(worst), y + BAR / 2.0);
        let numbers = if shown(median, unit) == shown(worst, unit) {
            shown(median, unit)
        } else {
            format!("{} – {}", shown(median, unit), shown(worst, unit))
        };
        let _ = write!(svg, "<g><title>{}: {numbers}</title>", escaped(title));
        let _ = write!(
            svg,
            "<rect class=\"fill {key}\" x=\"{LEFT}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            y + 1.0,
            (end - LEFT).max(1.0),
            BAR - 2.0
        );
        if far > end + 1.0 {
            let _ = write!(svg, "<path class=\"whisker\" d=\"M{end:.1} {middle:.1}H{far:.1}M{far:.1} {:.1}v6\"/>", middle - 3.0);
        }
        if worst > self.most {
            // Cut: two strokes across the end of the bar.
            let _ = write!(
                svg,
                "<path class=\"cut\" d=\"M{:.1} {:.1}l4 -{h:.1}M{:.1} {:.1}l4 -{h:.1}\"/>",
                far - 10.0,
                y + BAR,
                far - 6.0,
                y + BAR,
                h = BAR
            );
        }
        words(svg, "value", (far + 5.0, middle + 3.5), &numbers);
        *svg += "</g>";
    }
}

/// The next number that is 1, 2, 4 or 8 times a power of ten: its quarters are easy to read.
fn round_up(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 4.0, 8.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= value).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::round_up;

    #[test]
    fn axes_end_with_round_numbers() {
        assert_eq!([1.0, 3.0, 17.0, 810.0, 2200.0].map(round_up), [1.0, 4.0, 20.0, 1000.0, 4000.0]);
    }
}
