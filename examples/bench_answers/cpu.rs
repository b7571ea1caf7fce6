//! The processor time that processes have used.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// Of a process with all its threads, as the scheduler counts it; none where the kernel does not tell.
pub(crate) fn used_by(pid: u32) -> Option<Duration> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    threads.flatten().map(|thread| on_cpu(&thread.path())).sum()
}

/// Of the thread that asks.
pub(crate) fn used_here() -> Option<Duration> {
    on_cpu(Path::new("/proc/thread-self"))
}

fn on_cpu(thread: &Path) -> Option<Duration> {
    let text = fs::read_to_string(thread.join("schedstat")).ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}
