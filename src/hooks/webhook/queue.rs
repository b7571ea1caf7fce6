//! The letters of one group that wait. Pure.

use std::collections::VecDeque;

use super::payload::Payload;
use crate::base::WebhookUrl;

/// Bounds and times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Letters that may wait for one group.
    pub waiting: usize,
    /// Attempts to deliver one letter.
    pub attempts: u32,
    /// How long one attempt may take.
    pub attempt_ms: u64,
    /// Pause after the first attempt; doubles with each further one.
    pub retry_ms: u64,
    /// Longest pause.
    pub longest_pause_ms: u64,
}

impl Default for Limits {
    /// A receiver may be away for about two minutes before a letter is given up.
    fn default() -> Self {
        Self { waiting: 256, attempts: 8, attempt_ms: 10_000, retry_ms: 1000, longest_pause_ms: 60_000 }
    }
}

impl Limits {
    /// The pause after attempt number `attempt`, from 1.
    pub(super) fn pause_ms(&self, attempt: u32) -> u64 {
        let doubled = 1_u64.checked_shl(attempt.saturating_sub(1)).unwrap_or(u64::MAX);
        self.retry_ms.saturating_mul(doubled).min(self.longest_pause_ms)
    }
}

/// The letters, oldest first. There is an outbox only while somebody works on it.
#[derive(Debug, Default)]
pub(super) struct Queue {
    letters: VecDeque<(WebhookUrl, Payload)>,
}

impl Queue {
    /// Puts a letter at the end; the oldest makes room if there is none, and is returned.
    pub(super) fn put(&mut self, url: WebhookUrl, letter: Payload, limits: &Limits) -> Option<Payload> {
        self.letters.push_back((url, letter));
        if self.letters.len() <= limits.waiting {
            return None;
        }
        self.letters.pop_front().map(|(_, letter)| letter)
    }

    /// Takes the oldest letter.
    pub(super) fn take(&mut self) -> Option<(WebhookUrl, Payload)> {
        self.letters.pop_front()
    }

    pub(super) fn len(&self) -> usize {
        self.letters.len()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails may panic")]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room() {
        let (limits, mut outbox) = (Limits { waiting: 2, ..Limits::default() }, Queue::default());
        let url = WebhookUrl::new("http://a/").unwrap();
        let letter = |key: &str| Payload { event: "+sdown", key: key.to_owned(), body: String::new() };
        let dropped = ["a", "b", "c"].map(|key| outbox.put(url.clone(), letter(key), &limits).map(|letter| letter.key));
        assert_eq!(dropped, [None, None, Some("a".to_owned())]);
        assert_eq!((outbox.len(), outbox.take().unwrap().1.key), (2, "b".to_owned()));
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let limits = Limits::default();
        assert_eq!([1, 2, 3, 6, 7, 200].map(|attempt| limits.pause_ms(attempt)), [1000, 2000, 4000, 32_000, 60_000, 60_000]);
    }
}
