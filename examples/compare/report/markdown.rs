//! The table of a Markdown file, between two comments that mark its place.

use std::fmt::Write as _;

use anyhow::{Context, bail};

use super::numbers::{COLUMNS, Column, spread};
use crate::product::Product;
use crate::results::Results;

const BEGIN: &str = "<!-- compare: begin -->";
const END: &str = "<!-- compare: end -->";
/// What the short table shows of each product.
const SHOWN: [usize; 6] = [0, 1, 2, 3, 4, 5];

/// The text with the table of these results in its place.
pub(crate) fn with_table(text: &str, results: &Results) -> anyhow::Result<String> {
    let (before, rest) = text.split_once(BEGIN).with_context(|| format!("no line says {BEGIN}"))?;
    let Some((_, after)) = rest.split_once(END) else { bail!("no line after {BEGIN} says {END}") };
    Ok(format!("{before}{BEGIN}\n{}{END}{after}", table(results)))
}

fn table(results: &Results) -> String {
    let mut text = String::from("| scenario | |");
    SHOWN.iter().for_each(|column| text += &format!(" {} |", COLUMNS[*column].title));
    text += "\n|---|---|";
    SHOWN.iter().for_each(|_| text += "---:|");
    text.push('\n');
    for scenario in &results.scenarios {
        let mut title = scenario.title.as_str();
        for product in &results.products {
            let Some(cell) = results.cell(&scenario.id, *product) else { continue };
            let _ = write!(text, "| {title} | {} |", short(*product));
            title = "";
            for column in SHOWN.map(|number| &COLUMNS[number]) {
                let (median, worst) = spread(cell, column);
                let _ = write!(text, " {} |", worst.map_or(median.clone(), |worst| format!("{median} ({worst})")));
            }
            text.push('\n');
        }
    }
    text + "\n" + &legend(results)
}

/// Which of them it is, in a narrow column.
const fn short(product: Product) -> &'static str {
    match product {
        Product::RedisSentinel => "stock",
        Product::ValkeySentinel => "valkey",
        Product::Available => "available",
        Product::Strict => "strict",
    }
}

fn legend(results: &Results) -> String {
    let (machine, settings) = (&results.machine, &results.settings);
    let runs =
        |scenario: &str| results.products.iter().filter_map(|product| results.cell(scenario, *product)).map(|cell| cell.runs.len()).max();
    let runs: Vec<usize> = results.scenarios.iter().filter_map(|scenario| runs(&scenario.id)).collect();
    let (least, most) = (runs.iter().min().unwrap_or(&0), runs.iter().max().unwrap_or(&0));
    let often = match (least, most) {
        (1, 1) => "One run of each.".to_owned(),
        _ if least == most => format!("Medians of {most} runs, the worst in brackets."),
        _ => format!("Medians of {least} to {most} runs, the worst in brackets."),
    };
    let (low, high) = results.loads();
    let mut text = format!(
        "{often} {} on Redis {}; {} × {}, Linux {}, load average {low:.1} to {high:.1}; {}; \
         down-after-milliseconds {}, failover-timeout {}.{}\n\n",
        machine.programs(),
        machine.redis,
        machine.cores,
        machine.cpu,
        machine.kernel,
        machine.date,
        settings.down_after_ms,
        settings.failover_timeout_ms,
        if machine.optimised { "" } else { " **Not an optimised build.**" },
    );
    for Column { title, meaning, .. } in SHOWN.map(|number| &COLUMNS[number]) {
        let _ = writeln!(text, "- *{title}*: {meaning}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{Figures, Strip};
    use crate::results::{Cell, Run, Told};

    fn results() -> Results {
        let groups = vec![Figures { unavailable_ms: 2200.0, lost: 12, ..Figures::default() }];
        let runs = vec![Run { groups, ..Run::default() }];
        let cells = vec![Cell { scenario: "crash".to_owned(), product: Product::RedisSentinel, runs, strip: Strip::default() }];
        let told = Told { id: "crash".to_owned(), title: "The master crashes".to_owned(), what: String::new() };
        Results { products: vec![Product::RedisSentinel], scenarios: vec![told], cells, ..Results::default() }
    }

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let text = format!("before\n{BEGIN}\noutdated\n{END}\nafter\n");
        let once = with_table(&text, &results()).expect("both marks are there");
        assert!(once.starts_with(&format!("before\n{BEGIN}\n| scenario")) && once.ends_with(&format!("{END}\nafter\n")), "{once}");
        assert!(once.contains("| The master crashes | stock | 2,200 ms | 0 | 12 | 0 | 0 | 0 |") && !once.contains("outdated"), "{once}");
        assert_eq!(with_table(&once, &results()).expect("the marks are still there"), once);
    }

    #[test]
    fn one_run_has_no_median() {
        let mut results = results();
        assert!(legend(&results).starts_with("One run of each. "), "{}", legend(&results));
        results.cells[0].runs.push(Run::default());
        assert!(legend(&results).starts_with("Medians of 2 runs, the worst in brackets. "), "{}", legend(&results));
    }

    /// What is in the README was measured: nobody has touched it up.
    #[test]
    fn the_readme_shows_the_measured_results() {
        let measured = serde_json::from_str(include_str!("../measured.json")).expect("it was written by this program");
        let readme = include_str!("../../../README.md");
        let made = with_table(readme, &measured).expect("the README has the marks");
        assert!(made == readme, "to write the table: compare --table examples/compare/measured.json");
    }

    #[test]
    fn without_marks_nothing_is_written() {
        assert!(with_table("no marks", &results()).is_err());
        assert!(with_table(BEGIN, &results()).is_err());
    }
}
