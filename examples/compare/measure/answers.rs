//! Answers that were older than what some sentinel had said already.
//!
//! Masters follow each other in generations. A sentinel never goes back to an older one by itself, so when it names another master
//! than before, that is either a generation that others have named already, or a new one. An answer is *stale* if, before it was
//! asked for, some sentinel had answered with a newer generation whose master is another node.

use crate::clock::Us;
use crate::record::{Answer, Said};

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stale {
    pub(super) count: usize,
    /// The time from each stale answer to the sentinel's next one, for the sentinel that has most of it.
    pub(super) longest: Us,
}

/// A generation: who its master is, and when it was first named.
struct Generation {
    node: usize,
    known: Us,
}

/// The stale answers among those of all sentinels.
pub(super) fn stale(sentinels: &[Vec<Answer>]) -> Stale {
    let mut all: Vec<(usize, usize, Answer)> = Vec::new();
    for (sentinel, answers) in sentinels.iter().enumerate() {
        all.extend(answers.iter().enumerate().map(|(number, answer)| (sentinel, number, *answer)));
    }
    all.sort_by_key(|(_, _, answer)| answer.at);
    let mut generations: Vec<Generation> = Vec::new();
    let mut reached: Vec<Option<usize>> = vec![None; sentinels.len()];
    let (mut count, mut spans) = (0, vec![0; sentinels.len()]);
    for (sentinel, number, answer) in all {
        let Said::Names(node) = answer.said else { continue };
        let now = generation_of(&mut generations, reached[sentinel], node, answer.at);
        reached[sentinel] = Some(now);
        let newest = generations.iter().rposition(|generation| generation.known < answer.asked);
        if newest.is_some_and(|newest| newest > now && generations[newest].node != node) {
            count += 1;
            let next = sentinels[sentinel].get(number + 1).map_or(answer.at, |next| next.at);
            spans[sentinel] += next - answer.at;
        }
    }
    Stale { count, longest: spans.into_iter().max().unwrap_or(0) }
}

/// The generation that a sentinel means which had reached `before` and now names `node`.
fn generation_of(generations: &mut Vec<Generation>, before: Option<usize>, node: usize, at: Us) -> usize {
    let from = before.unwrap_or(0);
    if let Some(found) = generations.iter().skip(from).position(|generation| generation.node == node) {
        return from + found;
    }
    generations.push(Generation { node, known: at });
    generations.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers at these moments, asked for one microsecond earlier.
    fn answers(said: &[(Us, Said)]) -> Vec<Answer> {
        said.iter().map(|(at, said)| Answer { asked: at - 1, at: *at, said: *said }).collect()
    }

    #[test]
    fn an_answer_is_stale_once_another_has_named_the_next_master() {
        let ahead = answers(&[(10, Said::Names(0)), (20, Said::Names(1)), (30, Said::Names(1))]);
        let behind = answers(&[(11, Said::Names(0)), (25, Said::Names(0)), (35, Said::Names(0)), (47, Said::Names(1))]);
        assert_eq!(stale(&[ahead, behind]), Stale { count: 2, longest: 10 + 12 });
    }

    #[test]
    fn what_was_asked_before_the_news_is_not_stale() {
        let ahead = answers(&[(10, Said::Names(0)), (20, Said::Names(1))]);
        let slow = vec![Answer { asked: 19, at: 40, said: Said::Names(0) }];
        assert_eq!(stale(&[ahead, slow]), Stale::default());
    }

    #[test]
    fn who_refuses_is_not_stale() {
        let ahead = answers(&[(10, Said::Names(0)), (20, Said::Names(1))]);
        assert_eq!(stale(&[ahead, answers(&[(25, Said::Refuses), (35, Said::Silent)])]), Stale::default());
    }

    #[test]
    fn a_master_that_comes_back_is_a_new_generation() {
        let ahead = answers(&[(10, Said::Names(0)), (20, Said::Names(1)), (30, Said::Names(0))]);
        let behind = answers(&[(12, Said::Names(0)), (22, Said::Names(1)), (35, Said::Names(1)), (45, Said::Names(0))]);
        assert_eq!(stale(&[ahead.clone(), behind]), Stale { count: 1, longest: 10 });
        let never_moved = answers(&[(12, Said::Names(0)), (22, Said::Names(0)), (35, Said::Names(0))]);
        assert_eq!(stale(&[ahead, never_moved]), Stale { count: 1, longest: 13 }, "right by chance is right");
    }
}
