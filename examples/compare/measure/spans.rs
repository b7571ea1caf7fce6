//! Spans of time, and what several of them have in common.

use crate::clock::Us;

/// From one moment to a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: Us,
    pub(crate) to: Us,
}

/// For how long, within `window`, at least two of the lists had a span at the same time. The spans of one list do not overlap.
pub(super) fn shared(lists: &[Vec<Span>], window: Span) -> Us {
    let clipped = lists.iter().flatten().map(|span| Span { from: span.from.max(window.from), to: span.to.min(window.to) });
    let mut edges: Vec<(Us, i32)> = clipped.filter(|span| span.from < span.to).flat_map(|span| [(span.from, 1), (span.to, -1)]).collect();
    // An end before a beginning at the same moment: a handover is no overlap.
    edges.sort_unstable();
    let (mut open, mut since, mut total) = (0, 0, 0);
    for (at, step) in edges {
        if open >= 2 {
            total += at - since;
        }
        open += step;
        since = at;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: Us, to: Us) -> Span {
        Span { from, to }
    }

    #[test]
    fn only_what_two_have_in_common_counts() {
        let lists = [vec![span(0, 10), span(20, 30)], vec![span(5, 25)], vec![span(24, 40)]];
        assert_eq!(shared(&lists, span(0, 100)), 5 + 10);
        assert_eq!(shared(&lists, span(8, 22)), 2 + 2, "what is outside the window does not count");
    }

    #[test]
    fn a_handover_is_no_overlap() {
        assert_eq!(shared(&[vec![span(0, 10)], vec![span(10, 20)]], span(0, 100)), 0);
        assert_eq!(shared(&[vec![span(0, 10)], vec![]], span(0, 100)), 0);
    }
}
