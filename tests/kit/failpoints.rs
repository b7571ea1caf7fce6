//! Places where one of our sentinels kills itself when a test has armed them (`src/failpoint.rs`).

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::scratch::Scratch;

/// The folder in which places are armed. Make it first, so that it outlives the sentinels.
#[derive(Debug)]
pub struct Failpoints {
    folder: Scratch,
}

impl Failpoints {
    /// No place is armed.
    pub fn new() -> Self {
        Self { folder: Scratch::new() }
    }

    /// What the sentinels' environment must say.
    pub fn env(&self) -> Vec<(String, String)> {
        vec![("RAFT_SENTINEL_FAILPOINTS".to_owned(), self.folder.path().display().to_string())]
    }

    /// The first sentinel that comes to `place` from now on dies there.
    pub fn arm(&self, place: &str) {
        let file = self.file(place);
        fs::write(&file, "").unwrap_or_else(|e| panic!("arm {}: {e}", file.display()));
    }

    /// From now on every sync of every sentinel's log takes so much longer.
    pub fn slow_syncs(&self, span: Duration) {
        // Renamed into place: a sentinel that reads half of it would be fast.
        let (draft, file) = (self.file("slow-sync.new"), self.file("slow-sync"));
        let written = fs::write(&draft, span.as_millis().to_string()).and_then(|()| fs::rename(&draft, &file));
        written.unwrap_or_else(|e| panic!("arm {}: {e}", file.display()));
    }

    /// Whether nobody has come to an armed place yet.
    pub fn is_armed(&self, place: &str) -> bool {
        self.file(place).exists()
    }

    fn file(&self, place: &str) -> PathBuf {
        self.folder.path().join(place)
    }
}

impl Default for Failpoints {
    fn default() -> Self {
        Self::new()
    }
}
