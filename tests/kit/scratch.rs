//! Temporary folders that go away: at the end, after a panic, and at the next run if the process was killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, Once, PoisonError};

const PREFIX: &str = "raft-sentinel-test";

static NEXT: AtomicU32 = AtomicU32::new(0);
static FIRST: Once = Once::new();
static OPEN: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
static KEEP_ALL: AtomicBool = AtomicBool::new(false);

/// From now on folders stay, as with `KEEP=1`.
pub fn keep_all() {
    KEEP_ALL.store(true, Ordering::Relaxed);
}

/// A folder that is removed with this value. `KEEP=1` in the environment keeps it, and says where it is.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    keep: bool,
}

impl Scratch {
    /// A new empty folder.
    pub fn new() -> Self {
        FIRST.call_once(|| {
            sweep();
            clean_up_before_abort();
        });
        let keep = KEEP_ALL.load(Ordering::Relaxed) || std::env::var_os("KEEP").is_some_and(|value| value != "0");
        let kind = if keep { "raft-sentinel-kept" } else { PREFIX };
        let name = format!("{kind}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap_or_else(|e| panic!("create {}: {e}", path.display()));
        if !keep {
            OPEN.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
        }
        Self { path, keep }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.keep {
            eprintln!("kept {}", self.path.display());
            return;
        }
        // A folder that cannot be removed is no reason to hide what the test has found.
        let _ = fs::remove_dir_all(&self.path);
        OPEN.lock().unwrap_or_else(PoisonError::into_inner).retain(|path| *path != self.path);
    }
}

/// Removes the folders of processes that were killed.
fn sweep() {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let Some(rest) = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('-')) else { continue };
        let Some(pid) = rest.split('-').next().and_then(|pid| pid.parse::<u32>().ok()) else { continue };
        if !Path::new(&format!("/proc/{pid}")).exists() {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

/// Release builds abort on a panic and drop nothing; the children die with us, their folders would stay.
fn clean_up_before_abort() {
    if !cfg!(panic = "abort") {
        return;
    }
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        report(info);
        remove_all();
    }));
}

/// Removes all folders of this process, which is about to end without dropping anything.
pub fn remove_all() {
    // Whoever holds the lock may be the one that panicked.
    for path in OPEN.try_lock().into_iter().flat_map(|open| open.clone()) {
        let _ = fs::remove_dir_all(path);
    }
}
