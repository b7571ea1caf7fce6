//! What is under way: so that a wish is not uttered twice while its answer is awaited, and not hammered after a failure.

use std::collections::BTreeMap;

use crate::base::Mono;

/// Pause after a failure before the same thing is tried again.
const RETRY_AFTER_MS: u64 = 200;
/// After this long without an answer the thing is tried again all the same.
const GIVE_UP_AFTER_MS: u64 = 5000;

/// Things under way, by key.
#[derive(Clone, Debug)]
pub struct Pending<K> {
    not_before: BTreeMap<K, Mono>,
}

impl<K> Default for Pending<K> {
    fn default() -> Self {
        Self { not_before: BTreeMap::new() }
    }
}

impl<K: Ord> Pending<K> {
    /// Whether `key` may be begun now; if so it is under way from here on.
    pub fn begin(&mut self, key: K, now: Mono) -> bool {
        if self.not_before.get(&key).is_some_and(|until| now < *until) {
            return false;
        }
        self.not_before.insert(key, now.plus_ms(GIVE_UP_AFTER_MS));
        true
    }

    /// `key` has ended: well, and may be begun again at once; or not, and may be tried again later.
    pub fn end(&mut self, key: K, well: bool, now: Mono) {
        if well {
            self.not_before.remove(&key);
        } else {
            self.not_before.insert(key, now.plus_ms(RETRY_AFTER_MS));
        }
    }

    /// Whether `key` was begun and has not ended.
    pub fn is_under_way(&self, key: &K, now: Mono) -> bool {
        // One that has ended rests for less.
        self.not_before.get(key).is_some_and(|until| *until > now.plus_ms(RETRY_AFTER_MS))
    }

    /// Keeps `key` from being begun for `ms` milliseconds more.
    pub fn rest(&mut self, key: K, ms: u64, now: Mono) {
        self.not_before.insert(key, now.plus_ms(ms));
    }

    /// The earliest moment after `now` at which something may be tried again.
    pub fn next(&self, now: Mono) -> Option<Mono> {
        self.not_before.values().copied().filter(|until| *until > now).min()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.not_before.clear();
    }
}
