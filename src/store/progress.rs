//! How far the disk is behind the log in memory, and how long it takes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The file cannot be written or read any more; this sentinel has to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed(Arc<str>);

impl Failed {
    pub(super) fn of(reason: String) -> Self {
        Self(reason.into())
    }

    pub(super) fn closed() -> Self {
        Self("the log is closed".into())
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failed {}

/// The disk, as its writer last knew it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// Entries below this index are durable.
    pub(super) next: u64,
    /// How many commits of the file are durable.
    pub(super) commits: u64,
    /// How long a sync takes.
    pub(super) sync: Duration,
    /// Why nothing is written any more.
    pub(super) failed: Option<Failed>,
}

impl Progress {
    pub(super) const fn at(next: u64, commits: u64) -> Self {
        Self { next, commits, sync: Duration::ZERO, failed: None }
    }

    /// Everything below `next` is durable, after a sync that took so long.
    ///
    /// The figure follows a slower disk at once and a faster one slowly: waits are made of it, and one that is too short costs an election.
    pub(super) fn note(&mut self, next: u64, commits: u64, took: Duration) {
        self.next = next;
        self.commits = commits;
        self.sync = took.max(self.sync - self.sync / 8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figure_rises_at_once_and_falls_slowly() {
        let mut progress = Progress::at(0, 0);
        progress.note(1, 1, Duration::from_millis(80));
        progress.note(2, 2, Duration::from_millis(1));
        assert_eq!((progress.next, progress.sync), (2, Duration::from_millis(70)));
        (0..60).for_each(|_| progress.note(3, 3, Duration::from_millis(1)));
        assert_eq!(progress.sync, Duration::from_millis(1));
    }
}
