//! The table.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::round::{Act, Measured};

/// Both are measured by writes ten milliseconds apart, on a machine that does other things: less is no difference.
const NOISE_MS: f64 = 150.0;
/// And so is a tenth.
const NOISE_SHARE: f64 = 0.1;

/// Everything that was measured, and what could not be.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) measured: Vec<Measured>,
    /// Libraries that could not be run here, with the reason.
    pub(crate) absent: Vec<(String, String)>,
}

/// One column of the table.
#[derive(Clone, Copy, Debug)]
struct Figure {
    head: &'static str,
    act: Act,
    of: fn(&Measured) -> Option<f64>,
}

const FIGURES: [Figure; 4] = [
    Figure { head: "kill", act: Act::Kill, of: |measured| measured.longest_pause_ms },
    Figure { head: "switchover", act: Act::Switchover, of: |measured| measured.longest_pause_ms },
    Figure { head: "cut off: start", act: Act::Isolated, of: |measured| measured.first_write_ms },
    Figure { head: "cut off: kill", act: Act::Isolated, of: |measured| measured.longest_pause_ms },
];

/// Ours and stock's.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Pair {
    ours: Option<f64>,
    stock: Option<f64>,
}

impl Pair {
    /// Never again is slower than anything.
    fn is_worse(self) -> bool {
        match (self.ours, self.stock) {
            (None, Some(_)) => true,
            (None | Some(_), None) => false,
            (Some(ours), Some(stock)) => ours > stock + NOISE_MS.max(stock * NOISE_SHARE),
        }
    }

    fn text(self) -> String {
        let one = |value: Option<f64>| value.map_or_else(|| "never".to_owned(), |ms| format!("{ms:.0}"));
        format!("{}/{}{}", one(self.ours), one(self.stock), if self.is_worse() { " !" } else { "" })
    }
}

impl Report {
    /// The table, what the libraries said, and what is not on this machine.
    pub(crate) fn table(&self) -> String {
        let mut text = String::from(
            "\nLongest pause of writes in ms, ours/stock, and in brackets the errors that the library's user saw.\n\
             ! marks where ours is slower than stock, or shows more errors.\n\n",
        );
        let _ = write!(text, "{:<28}", "");
        for figure in &FIGURES {
            let _ = write!(text, " {:>24}", figure.head);
        }
        text.push('\n');
        for library in self.libraries() {
            let _ = write!(text, "{library:<28}");
            for figure in &FIGURES {
                let _ = write!(text, " {:>24}", self.cell(library, *figure));
            }
            text.push('\n');
        }
        for (name, why) in &self.absent {
            let _ = writeln!(text, "{name:<28} {why}");
        }
        self.write_errors(&mut text);
        text
    }

    fn libraries(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        for measured in &self.measured {
            if !names.contains(&measured.library) {
                names.push(measured.library);
            }
        }
        names
    }

    fn of<'a>(&'a self, library: &'a str, act: Act, ours: bool) -> impl Iterator<Item = &'a Measured> {
        self.measured.iter().filter(move |measured| measured.library == library && measured.act == act && measured.ours == ours)
    }

    fn cell(&self, library: &str, figure: Figure) -> String {
        if self.of(library, figure.act, true).next().is_none() {
            return "-".to_owned();
        }
        let one = |ours| median(self.of(library, figure.act, ours).map(figure.of).collect());
        let [ours, stock] =
            [true, false].map(|ours| self.of(library, figure.act, ours).map(|measured| measured.errors.len()).sum::<usize>());
        let more = if ours > stock { " !" } else { "" };
        format!("{} ({ours}/{stock}{more})", Pair { ours: one(true), stock: one(false) }.text())
    }

    fn write_errors(&self, text: &mut String) {
        for figure in FIGURES.iter().take(3) {
            for library in self.libraries() {
                for ours in [true, false] {
                    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
                    for error in self.of(library, figure.act, ours).flat_map(|measured| &measured.errors) {
                        *counts.entry(error).or_default() += 1;
                    }
                    for (error, count) in counts {
                        let whose = if ours { "ours" } else { "stock" };
                        let _ = write!(text, "\n{}, {library}, {whose}: {count} x {}", figure.act.name(), error.replace('\n', " "));
                    }
                }
            }
        }
        text.push('\n');
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({ "measured": self.measured, "absent": self.absent })
    }
}

/// One that never came is longer than all others.
fn median(mut values: Vec<Option<f64>>) -> Option<f64> {
    values.sort_by(|one, other| one.unwrap_or(f64::INFINITY).total_cmp(&other.unwrap_or(f64::INFINITY)));
    values.get(values.len() / 2).copied().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slower_and_never_are_marked() {
        let text = |ours, stock| Pair { ours, stock }.text();
        assert_eq!(text(Some(1000.0), Some(2000.0)), "1000/2000");
        assert_eq!(text(Some(1000.0), Some(400.0)), "1000/400 !");
        assert_eq!(text(Some(100.0), Some(40.0)), "100/40");
        assert_eq!(text(None, Some(40.0)), "never/40 !");
        assert_eq!(text(Some(40.0), None), "40/never");
        assert_eq!(median(vec![None, Some(3.0), Some(1.0)]), Some(3.0));
    }

    #[test]
    fn what_is_not_here_is_in_the_table() {
        let report = Report { measured: Vec::new(), absent: vec![("Jedis".to_owned(), "needs Maven Central".to_owned())] };
        assert!(report.table().contains("Jedis                        needs Maven Central"), "{}", report.table());
    }
}
