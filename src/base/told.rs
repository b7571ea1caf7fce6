//! A limit on repeated log lines: the first of a kind is told, further ones are counted until the next one is due.

use std::collections::BTreeMap;

use super::time::Mono;

/// Kinds that are told apart at one time. All further ones share one line.
const KINDS: usize = 64;

/// Lines told lately, by kind: a source address, or an address with a reason.
#[derive(Debug)]
pub struct Told<K> {
    every_ms: u64,
    kinds: BTreeMap<K, ToldLine>,
    /// Kinds beyond [`KINDS`].
    others: Option<ToldLine>,
}

#[derive(Debug)]
struct ToldLine {
    at: Mono,
    left_out: u64,
}

impl<K: Ord> Told<K> {
    /// Tells each kind at most once in so many milliseconds.
    pub const fn new(every_ms: u64) -> Self {
        Self { every_ms, kinds: BTreeMap::new(), others: None }
    }

    /// Whether a line of this kind is due: the number of lines of its kind that were left out since the last one, or none to stay silent.
    ///
    /// Memory is bounded whatever the kinds are: with too many of them, those that are new share one line.
    pub fn due(&mut self, kind: K, now: Mono) -> Option<u64> {
        let every_ms = self.every_ms;
        if let Some(line) = self.kinds.get_mut(&kind) {
            return line.due(now, every_ms);
        }
        if self.kinds.len() >= KINDS {
            self.kinds.retain(|_, line| now.ms_since(line.at) < every_ms);
        }
        if self.kinds.len() < KINDS {
            self.kinds.insert(kind, ToldLine { at: now, left_out: 0 });
            return Some(0);
        }
        match &mut self.others {
            Some(line) => line.due(now, every_ms),
            others @ None => {
                *others = Some(ToldLine { at: now, left_out: 0 });
                Some(0)
            }
        }
    }
}

impl ToldLine {
    fn due(&mut self, now: Mono, every_ms: u64) -> Option<u64> {
        if now.ms_since(self.at) < every_ms {
            self.left_out += 1;
            return None;
        }
        self.at = now;
        Some(std::mem::take(&mut self.left_out))
    }
}

/// The end of a line before which others of its kind were left out.
pub fn left_out(count: u64) -> String {
    if count == 0 { String::new() } else { format!(" ({count} more of this kind were left out since the last such line)") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_kind_is_told_and_the_rest_are_counted() {
        let mut told = Told::new(1000);
        assert_eq!(told.due("a", Mono::from_ms(5)), Some(0));
        assert_eq!(told.due("a", Mono::from_ms(6)), None);
        assert_eq!(told.due("a", Mono::from_ms(1004)), None);
        assert_eq!(told.due("b", Mono::from_ms(7)), Some(0), "another kind is told at once");
        assert_eq!(told.due("a", Mono::from_ms(1005)), Some(2));
        assert_eq!(left_out(0), "");
    }

    #[test]
    fn ten_thousand_sources_are_a_bounded_number_of_lines_and_of_memory() {
        let mut told = Told::new(1000);
        let lines = (0..10_000).filter(|source| told.due(*source, Mono::from_ms(1)).is_some()).count();
        assert_eq!(lines, KINDS + 1);
        assert_eq!(told.kinds.len(), KINDS);
        assert_eq!(told.due(20_000, Mono::from_ms(2000)), Some(0), "old kinds make room");
        assert_eq!(told.kinds.len(), 1);
    }
}
