//! The page: one HTML file that needs nothing else.

use std::fmt::Write as _;

use super::numbers::{COLUMNS, Column, spread};
use super::story::{self, Window};
use super::text::{escaped, swatch};
use super::{chart, glance};
use crate::results::{Cell, Results, Told};

const STYLE: &str = include_str!("page.css");
/// The columns that have a chart of their own.
const CHARTS: [usize; 6] = [0, 1, 2, 3, 4, 5];
/// The column in which less is not better.
const PROMOTIONS: usize = 6;

/// All results as a page.
pub(crate) fn page(results: &Results) -> String {
    let title = "raft-sentinel beside stock Sentinel";
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n\
         <p>The same trouble for each of them, in turn, on real Redis: what it did to clients. Less is better in every figure but the number of promotions.</p>\n"
    );
    facts(&mut html, results);
    html += &glance::table(results);
    html += "<h2>In figures</h2>\n";
    summary(&mut html, results);
    html += "<h2>In pictures</h2>\n";
    legend_of_products(&mut html, results);
    charts(&mut html, results);
    html += "<h2>Each scenario over time</h2>\n";
    legend_of_stories(&mut html);
    results.scenarios.iter().for_each(|scenario| stories(&mut html, results, scenario));
    html += "<h2>How it was measured</h2>\n";
    method(&mut html, results);
    html + "</body>\n</html>\n"
}

fn facts(html: &mut String, results: &Results) {
    let (machine, settings) = (&results.machine, &results.settings);
    let (low, high) = results.loads();
    let hosts = if settings.hosts { "every member on a host of its own (network namespaces)" } else { "all members on one host" };
    let rows = [
        ("programs", format!("{}, watching Redis {}", machine.programs(), machine.redis)),
        (
            "machine",
            format!("{} × {}, Linux {}; load average {low:.1} to {high:.1} before the runs", machine.cores, machine.cpu, machine.kernel),
        ),
        (
            "deployment",
            format!(
                "1 master, 2 replicas, 3 sentinels with quorum 2, down-after-milliseconds {}, failover-timeout {}; {hosts}",
                settings.down_after_ms, settings.failover_timeout_ms
            ),
        ),
        ("when", format!("{}, {:.0} minutes", machine.date, (results.took_s / 60.0).ceil())),
    ];
    *html += "<dl class=\"facts\">";
    for (name, value) in rows {
        let _ = write!(html, "<dt>{name}</dt><dd>{}</dd>", escaped(&value));
    }
    *html += "</dl>\n";
    if !machine.optimised {
        *html +=
            "<p class=\"warn\">Measured with a build that is not optimised: the figures of raft-sentinel are worse than they are.</p>\n";
    }
    for (what, why) in &results.left_out {
        let _ = writeln!(html, "<p class=\"quiet\">Left out: {}: {}</p>", escaped(what), escaped(why));
    }
}

fn summary(html: &mut String, results: &Results) {
    *html += "<div class=\"wide\"><table>\n<thead><tr><th></th><th></th>";
    for column in &COLUMNS {
        let _ = write!(html, "<th title=\"{}\">{}</th>", escaped(column.meaning), column.title);
    }
    *html += "</tr></thead>\n<tbody>\n";
    for scenario in &results.scenarios {
        let cells: Vec<&Cell> = results.products.iter().filter_map(|product| results.cell(&scenario.id, *product)).collect();
        for (number, cell) in cells.iter().enumerate() {
            let _ = write!(html, "<tr{}>", if number + 1 == cells.len() { " class=\"last\"" } else { "" });
            if number == 0 {
                let runs = cells.iter().map(|cell| cell.runs.len()).max().unwrap_or(0);
                let _ = write!(
                    html,
                    "<th class=\"scenario\" rowspan=\"{}\"><a href=\"#{}\" style=\"color:inherit\">{}</a><br><small class=\"quiet\">{runs} run{}</small></th>",
                    cells.len(),
                    escaped(&scenario.id),
                    escaped(&scenario.title),
                    if runs == 1 { "" } else { "s" }
                );
            }
            let _ = write!(html, "<th>{}{}</th>", swatch(cell.product), unsettled(cell));
            for (at, column) in COLUMNS.iter().enumerate() {
                figure(html, cell, column, at != PROMOTIONS && is_best(cell, &cells, column));
            }
            *html += "</tr>\n";
        }
    }
    *html += "</tbody></table></div>\n\
              <p class=\"quiet\">Medians over all runs; below them the worst, where it differs. Green: clearly less than somebody else in the same scenario, and \
              nobody is clearly less than this. What each column means is told <a href=\"#method\" style=\"color:inherit\">at the end</a>.</p>\n";
}

fn figure(html: &mut String, cell: &Cell, column: &Column, best: bool) {
    let (median, worst) = spread(cell, column);
    let worst = worst.map(|worst| format!("<small>{worst}</small>")).unwrap_or_default();
    let _ = write!(html, "<td{}>{median}{worst}</td>", if best { " class=\"best\"" } else { "" });
}

/// Whether its median is clearly less than another's, and none is clearly less than its own.
fn is_best(cell: &Cell, cells: &[&Cell], column: &Column) -> bool {
    let median = |cell: &Cell| cell.spread(column.figure).map(|spread| spread.median);
    let Some(own) = median(cell) else { return false };
    let others = || cells.iter().filter_map(|other| median(other));
    others().any(|other| clearly_less(own, other, column)) && !others().any(|other| clearly_less(other, own, column))
}

/// By more than a tenth, and by more than what chance does to it.
fn clearly_less(one: f64, other: f64, column: &Column) -> bool {
    let least = match column.unit {
        super::numbers::Unit::Time => 20.0,
        super::numbers::Unit::Count => 1.0,
    };
    one < other * 0.9 && other - one >= least
}

fn unsettled(cell: &Cell) -> String {
    match cell.unsettled() {
        0 => String::new(),
        runs => format!(" <small class=\"warn\" title=\"{}\">{runs} not whole again</small>", escaped(&reasons(cell))),
    }
}

fn reasons(cell: &Cell) -> String {
    cell.runs.iter().filter_map(|run| run.unsettled.clone()).collect::<Vec<_>>().join("; ")
}

fn legend_of_products(html: &mut String, results: &Results) {
    *html += "<div class=\"legend\">";
    for product in &results.products {
        let _ = write!(html, "<span>{}</span>", swatch(*product));
    }
    *html += "<span class=\"quiet\">bar: median; line: worst run; a bar with two strokes is cut</span></div>\n";
}

fn charts(html: &mut String, results: &Results) {
    *html += "<div class=\"charts\">\n";
    for column in CHARTS.map(|number| &COLUMNS[number]) {
        let svg = chart::bars(results, column);
        let _ =
            writeln!(html, "<figure><h4>{}</h4>{svg}<figcaption>{}</figcaption></figure>", escaped(column.title), escaped(column.meaning));
    }
    *html += "</div>\n";
}

fn legend_of_stories(html: &mut String) {
    *html += "<svg width=\"0\" height=\"0\" style=\"position:absolute\" aria-hidden=\"true\"><defs><pattern id=\"hatch\" width=\"5\" height=\"5\" \
              patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\"><rect width=\"2\" height=\"5\" style=\"fill:var(--hatch)\"/></pattern></defs></svg>\n\
              <p>Of each product the run in the middle, by unavailability. A is the first master, B and C are the replicas. The moment 0 is that of the fault.</p>\n";
    let entries = [
        ("n0", "A takes writes, is named, is written to"),
        ("n1", "the same for B"),
        ("n2", "the same for C"),
        ("replica", "is a replica"),
        ("refuses", "a master that refuses writes; a sentinel that says that it cannot tell"),
        ("silent", "empty: no answer, no writes"),
        ("double", "two take writes at once"),
    ];
    *html += "<div class=\"legend\">";
    for (class, text) in entries {
        let (y, height) = if class == "replica" { (5, 2) } else { (0, 12) };
        let _ = write!(
            html,
            "<span><svg viewBox=\"0 0 22 12\"><rect class=\"{class}\" x=\"0\" y=\"{y}\" width=\"22\" height=\"{height}\"/></svg>{text}</span>"
        );
    }
    *html += "</div>\n";
}

fn stories(html: &mut String, results: &Results, scenario: &Told) {
    let cells: Vec<&Cell> = results.products.iter().filter_map(|product| results.cell(&scenario.id, *product)).collect();
    let window = Window::of(cells.iter().map(|cell| &cell.strip));
    let _ = writeln!(html, "<h3 id=\"{}\">{}</h3>\n<p>{}</p>", escaped(&scenario.id), escaped(&scenario.title), escaped(&scenario.what));
    for cell in cells {
        let several = cell.runs.first().is_some_and(|run| run.groups.len() > 1);
        let which =
            if several { format!(" <span class=\"quiet\">(group {}, the worst off)</span>", cell.strip.group + 1) } else { String::new() };
        let picture = story::picture(&cell.strip, window, &format!("{}, {}", scenario.title, cell.product.name()));
        let _ = writeln!(html, "<div class=\"scenario-block\"><h4>{}{which}{}</h4>{picture}", swatch(cell.product), unsettled(cell));
        *html += "<ol class=\"notes\">";
        for (at, text) in &cell.strip.notes {
            let _ = write!(html, "<li>{:.2} s: {}</li>", at / 1000.0, escaped(text));
        }
        *html += "</ol></div>\n";
    }
}

fn method(html: &mut String, results: &Results) {
    *html += "<p id=\"method\">All products get the same configuration, but for the lines that say who the sentinels are, and the same clients; they are seen \
              only from outside, through the SENTINEL protocol. Two applications, one of them with WAIT 1 after each write, ask the sentinels for the \
              master in turn, check it with ROLE, listen to +switch-master, and write a new key every 5 or 10 ms. Two more sit in the first master's host \
              and write to its address whatever happens. An observer that no cut concerns asks every sentinel for the master and every data node for \
              its role, and whether it takes a write that changes nothing. With twenty groups all of this is done every 50 or 100 ms, and without clients \
              beside the masters. Each run has a deployment of its own. When it is whole again, all acknowledged writes are compared with what the \
              master holds.</p>\n<dl class=\"terms\">";
    for column in &COLUMNS {
        let _ = write!(html, "<dt>{}</dt><dd>{}</dd>", escaped(column.title), escaped(column.meaning));
    }
    let timeout = results.settings.failover_timeout_ms;
    let _ = writeln!(
        html,
        "<dt>failover-timeout</dt><dd>{timeout} ms here, 180,000 by default. Stock Sentinel waits twice this time before it tries a failed \
         failover again, so with the default it would wait for minutes.</dd></dl>"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{Figures, Strip};
    use crate::product::Product;
    use crate::results::Run;

    fn cell(product: Product, unavailable_ms: f64) -> Cell {
        let groups = vec![Figures { unavailable_ms, ..Figures::default() }];
        Cell { scenario: "crash".to_owned(), product, runs: vec![Run { groups, ..Run::default() }], strip: Strip::default() }
    }

    #[test]
    fn the_best_is_marked_only_where_it_is_clear() {
        let (slow, quick, as_quick) =
            (cell(Product::RedisSentinel, 2200.0), cell(Product::Available, 1000.0), cell(Product::Strict, 1015.0));
        let cells = [&slow, &quick, &as_quick];
        let best = cells.map(|cell| is_best(cell, &cells, &COLUMNS[0]));
        assert_eq!(best, [false, true, true]);
        assert!(!is_best(&quick, &[&quick, &as_quick], &COLUMNS[0]), "nobody is clearly worse");
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        let told = Told { id: "crash".to_owned(), title: "A <b> & c".to_owned(), what: String::new() };
        let cells = vec![cell(Product::RedisSentinel, 2200.0)];
        let results = Results { products: vec![Product::RedisSentinel], scenarios: vec![told], cells, ..Results::default() };
        let html = page(&results);
        for word in ["http:", "https:", "src=", "@import", "<script", "<b>"] {
            assert!(!html.contains(word), "{word} is in the page");
        }
        assert!(html.contains("A &lt;b&gt; &amp; c") && html.contains("2,200 ms"));
    }
}
