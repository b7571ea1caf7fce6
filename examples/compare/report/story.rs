//! The story of one product in one scenario: who took writes, whom the sentinels named, and where clients could write, over time.

use std::fmt::Write as _;

use super::svg::{as_f64, begin, line, words};
use super::text::escaped;
use crate::measure::{Bar, State, Strip};
use crate::stage::TRIO;
use crate::stage::conf::node_letter;

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 116.0;
const RIGHT: f64 = 12.0;
const ROW: f64 = 17.0;
const BETWEEN: f64 = 7.0;
const TOP: f64 = 22.0;
const FOOT: f64 = 22.0;
/// From which width on a bar has room for its letter.
const LETTER: f64 = 14.0;
/// Milliseconds shown before whatever is done first.
const BEFORE: f64 = 500.0;
/// And of what may be shown before the fault, at most.
const LONG_BEFORE: f64 = 5000.0;

/// The span that all products of a scenario are shown in, so that they can be compared: milliseconds since the fault.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    from: f64,
    to: f64,
}

impl Window {
    /// Wide enough for all of them, within reason.
    pub(super) fn of<'a>(strips: impl Iterator<Item = &'a Strip> + Clone) -> Self {
        const ENOUGH: f64 = 40_000.0;
        let first = strips.clone().flat_map(|strip| &strip.notes).map(|(at, _)| *at).fold(0.0, f64::min);
        let to = strips.map(|strip| strip.end).fold(1000.0, f64::max).min(ENOUGH);
        Self { from: (first - BEFORE).max(-LONG_BEFORE), to }
    }

    fn x(self, at: f64) -> f64 {
        LEFT + (at.clamp(self.from, self.to) - self.from) / (self.to - self.from) * (WIDTH - LEFT - RIGHT)
    }

    fn is_seen(self, bar: &Bar) -> bool {
        bar.to > self.from && bar.from < self.to
    }
}

/// The picture.
pub(super) fn picture(strip: &Strip, window: Window, name: &str) -> String {
    let ys: Vec<f64> = (0..strip.rows.len()).map(|row| TOP + as_f64(row) * ROW + BETWEEN * as_f64(gaps_before(row))).collect();
    let bottom = ys.last().map_or(TOP, |y| y + ROW);
    let height = bottom + FOOT;
    let mut svg = begin("story", (WIDTH, height), name);
    axis(&mut svg, window, bottom);
    end(&mut svg, strip, window, bottom);
    for (from, to) in doubles(strip) {
        let (x, width) = (window.x(from), window.x(to) - window.x(from));
        let height = ys.get(TRIO - 1).map_or(ROW, |y| y + ROW - TOP);
        let _ = write!(
            svg,
            "<rect class=\"double\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>two masters take writes, {}</title></rect>",
            TOP - 2.0,
            width.max(1.0),
            height + 3.0,
            span(from, to)
        );
    }
    for (row, y) in strip.rows.iter().zip(&ys) {
        words(&mut svg, "name", (LEFT - 8.0, y + 12.5), &row.name);
        row.bars.iter().filter(|bar| window.is_seen(bar)).for_each(|bar| draw(&mut svg, window, *y, bar, &row.name));
    }
    marks(&mut svg, strip, window, bottom);
    svg + "</svg>"
}

/// Data nodes, sentinels and clients stand apart.
const fn gaps_before(row: usize) -> usize {
    (row >= TRIO) as usize + (row >= 2 * TRIO) as usize
}

fn draw(svg: &mut String, window: Window, y: f64, bar: &Bar, row: &str) {
    let (x, end) = (window.x(bar.from), window.x(bar.to));
    let width = (end - x).max(0.8);
    let (class, letter, told) = match bar.state {
        State::Node(number) => {
            let letter = node_letter(number);
            (format!("n{number}"), Some(letter), told_of(row, letter))
        }
        State::Replica => ("replica".to_owned(), None, "a replica".to_owned()),
        State::Refuses if row.starts_with("data") => ("refuses".to_owned(), None, "a master that refuses writes".to_owned()),
        State::Refuses => ("refuses".to_owned(), None, "says that it cannot tell".to_owned()),
        State::Silent => ("silent".to_owned(), None, "does not answer".to_owned()),
    };
    let (top, height) = if bar.state == State::Replica { (y + ROW / 2.0 - 1.0, 2.0) } else { (y + 1.5, ROW - 3.0) };
    let title = format!("{}: {told}, {}", escaped(row), span(bar.from, bar.to));
    let _ = write!(
        svg,
        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"><title>{title}</title></rect>"
    );
    if let Some(letter) = letter.filter(|_| width >= LETTER) {
        words(svg, "letter", (x + 3.5, y + 12.5), &letter.to_string());
    }
}

fn told_of(row: &str, letter: char) -> String {
    if row.starts_with("data") {
        "takes writes".to_owned()
    } else if row.starts_with("sentinel") {
        format!("names {letter}")
    } else {
        format!("writes to {letter}")
    }
}

fn axis(svg: &mut String, window: Window, bottom: f64) {
    let step = [500.0, 1000.0, 2000.0, 5000.0].into_iter().find(|step| window.to / step <= 16.0).unwrap_or(10_000.0);
    let mut at = (window.from / step).ceil() * step;
    while at <= window.to {
        let x = window.x(at);
        line(svg, "grid", x, (TOP - 4.0, bottom));
        words(svg, "tick", (x, bottom + 15.0), &format!("{} s", at / 1000.0 + 0.0));
        at += step;
    }
}

/// What was done to it: a numbered line for each note.
fn marks(svg: &mut String, strip: &Strip, window: Window, bottom: f64) {
    for (number, (at, text)) in (1..).zip(&strip.notes) {
        let x = window.x(*at);
        let _ = write!(svg, "<g><title>{}</title>", escaped(text));
        line(svg, "mark", x, (14.0, bottom));
        words(svg, "number", (x, 11.0), &number.to_string());
        *svg += "</g>";
    }
}

/// Where the run ended, if others took longer.
fn end(svg: &mut String, strip: &Strip, window: Window, bottom: f64) {
    let (x, far) = (window.x(strip.end), window.x(window.to));
    if far - x < 1.0 {
        return;
    }
    line(svg, "end", x, (TOP - 4.0, bottom));
    if far - x > 80.0 {
        words(svg, "told", (x + 6.0, TOP + 10.0), "end of the run");
    }
}

/// When at least two data nodes took writes.
fn doubles(strip: &Strip) -> Vec<(f64, f64)> {
    let taking = strip.rows.iter().take(TRIO).flat_map(|row| &row.bars).filter(|bar| matches!(bar.state, State::Node(_)));
    let mut edges: Vec<(f64, i32)> = taking.flat_map(|bar| [(bar.from, 1), (bar.to, -1)]).collect();
    edges.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
    let (mut open, mut since, mut found) = (0, 0.0, Vec::new());
    for (at, step) in edges {
        if open >= 2 && at > since {
            found.push((since, at));
        }
        open += step;
        since = at;
    }
    found
}

/// A span as people read it.
fn span(from: f64, to: f64) -> String {
    format!("{:.2} s to {:.2} s", from / 1000.0, to / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Row;

    #[test]
    fn the_time_with_two_masters_is_where_bars_of_data_nodes_overlap() {
        let bar = |from, to, state| Bar { from, to, state };
        let row = |bars: Vec<Bar>| Row { name: String::new(), bars };
        let rows = vec![
            row(vec![bar(0.0, 10.0, State::Node(0)), bar(12.0, 20.0, State::Replica)]),
            row(vec![bar(8.0, 30.0, State::Node(1))]),
            row(vec![bar(0.0, 30.0, State::Replica)]),
            row(vec![bar(0.0, 30.0, State::Node(0))]),
        ];
        assert_eq!(doubles(&Strip { rows, ..Strip::default() }), [(8.0, 10.0)]);
    }
}
