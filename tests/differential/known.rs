//! The known differences, each with its row in the page for operators.

use crate::situations::Difference;

/// One question that we answer in another way than stock Sentinel 7.0.
pub(crate) struct Known {
    /// The question; `*` at the end stands for anything.
    pub(crate) question: &'static str,
    /// What our answer holds then, so that a known difference does not hide a new one.
    pub(crate) here: &'static str,
    /// The first cell of the row in `src/docs/differences.md` that says it, and why.
    pub(crate) page: &'static str,
}

const fn known(question: &'static str, here: &'static str, page: &'static str) -> Known {
    Known { question, here, page }
}

#[rustfmt::skip]
pub(crate) const KNOWN: &[Known] = &[
    known("QUIT", "+OK", "`QUIT`"),
];

/// The row that explains a difference.
pub(crate) fn row(difference: &Difference) -> Option<usize> {
    let asks = |row: &Known| match row.question.strip_suffix('*') {
        Some(start) if !start.ends_with(' ') => difference.question.starts_with(start),
        Some(_) | None => difference.question == row.question,
    };
    super::known::KNOWN.iter().position(|row| asks(row) && difference.ours.contains(row.here))
}

/// An event that is told in another way.
pub(crate) struct KnownEvent {
    /// Its channel.
    pub(crate) channel: &'static str,
    /// Who tells it where.
    pub(crate) how: How,
    /// As above.
    pub(crate) page: &'static str,
}

/// How an event differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// Only stock has it in a failover.
    StockOnly,
    /// Only we have it.
    OursOnly,
    /// It comes at another place among the others.
    Moved,
}

#[rustfmt::skip]
pub(crate) const KNOWN_EVENTS: &[KnownEvent] = &[
];

#[test]
fn the_page_has_every_known_difference() {
    let page = include_str!("../../src/docs/differences.md");
    let rows: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next()).collect();
    let named = KNOWN.iter().map(|row| row.page).chain(KNOWN_EVENTS.iter().map(|row| row.page));
    let missing: Vec<&str> = named.filter(|name| !rows.contains(name)).collect();
    assert!(missing.is_empty(), "no row of src/docs/differences.md begins with {missing:?}");
}
