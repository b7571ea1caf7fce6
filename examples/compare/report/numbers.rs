//! How figures are shown, the same everywhere.

use crate::measure::Figures;
use crate::results::{Cell, Spread};

/// A column of every table.
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) unit: Unit,
    /// What it means, for people.
    pub(super) meaning: &'static str,
    pub(super) figure: fn(&Figures) -> Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Time,
    Count,
}

#[expect(clippy::cast_precision_loss, reason = "counts of one run are small")]
const fn count(number: usize) -> Option<f64> {
    Some(number as f64)
}

/// Less is better in all of them, save that a failover needs one promotion.
pub(super) const COLUMNS: [Column; 8] = [
    Column {
        title: "no writes",
        unit: Unit::Time,
        meaning: "Time without an acknowledged write for the application that follows the sentinels, from the last write before the fault: \
                  the longest pause, or the sum of all that last 200 ms or more.",
        figure: |figures| Some(figures.unavailable_ms),
    },
    Column {
        title: "two masters",
        unit: Unit::Time,
        meaning: "Time in which at least two data nodes took writes, by looks at all of them every 10 ms.",
        figure: |figures| Some(figures.two_masters_ms),
    },
    Column {
        title: "lost",
        unit: Unit::Count,
        meaning: "Acknowledged writes of the applications, not confirmed by WAIT, that the master does not hold in the end.",
        figure: |figures| count(figures.lost),
    },
    Column {
        title: "lost beside",
        unit: Unit::Count,
        meaning: "The same of clients in the first master's host that go on writing to its address, whatever happens.",
        figure: |figures| count(figures.lost_beside),
    },
    Column {
        title: "lost after WAIT",
        unit: Unit::Count,
        meaning: "The same of all clients, for writes for which WAIT 1 told that a replica has them.",
        figure: |figures| count(figures.lost_confirmed),
    },
    Column {
        title: "stale answers",
        unit: Unit::Count,
        meaning: "Answers of sentinels, asked every 10 ms, that named an old master after any of them had named a newer one.",
        figure: |figures| count(figures.stale_answers),
    },
    Column {
        title: "promotions",
        unit: Unit::Count,
        meaning: "How often a replica became a master.",
        figure: |figures| count(figures.promotions),
    },
    Column {
        title: "reconnect",
        unit: Unit::Time,
        meaning: "From the moment that a new master took writes to the application's first write there; without a promotion, from \
                  its lost connection to its next write.",
        figure: |figures| figures.reconnect_ms,
    },
];

/// A figure with its unit's care: whole milliseconds below ten seconds, else seconds.
pub(super) fn shown(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Count => thousands(value),
        Unit::Time if value == 0.0 => "0".to_owned(),
        Unit::Time if value < 1.0 => "< 1 ms".to_owned(),
        Unit::Time if value < 9_999.5 => format!("{} ms", thousands(value)),
        Unit::Time => format!("{:.1} s", value / 1000.0),
    }
}

/// Median and worst, or one number where they are shown alike; a dash for what there is not.
pub(super) fn spread(cell: &Cell, column: &Column) -> (String, Option<String>) {
    let Some(Spread { median, worst }) = cell.spread(column.figure) else { return ("–".to_owned(), None) };
    let (median, worst) = (shown(median, column.unit), shown(worst, column.unit));
    if median == worst { (median, None) } else { (median, Some(worst)) }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_shown_as_people_read_them() {
        let time = |value| shown(value, Unit::Time);
        assert_eq!([time(0.0), time(0.3), time(12.4), time(1234.0), time(12_345.0)], ["0", "< 1 ms", "12 ms", "1,234 ms", "12.3 s"]);
        assert_eq!([shown(7.0, Unit::Count), shown(1_234_567.0, Unit::Count)], ["7", "1,234,567"]);
    }
}
