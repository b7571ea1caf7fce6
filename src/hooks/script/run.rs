//! One process.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

use super::queue::RunEnd;

/// Starts a script as stock Sentinel does: no shell, our environment, `dir` as the working directory, no descriptor of ours but
/// standard output and error.
///
/// It reads nothing (our standard input is not its business), and leads a process group, so that its children can be ended with it.
pub(super) fn start(argv: &[String], dir: &Path) -> io::Result<Child> {
    let (path, arguments) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    // Joined, so that a bare name is a file in `dir` rather than one in PATH.
    Command::new(dir.join(path)).arg0(path).args(arguments).current_dir(dir).stdin(Stdio::null()).process_group(0).spawn()
}

/// What a failed start counts as. A file that is just being written, or a host without room for a process, may be better soon.
pub(super) fn not_started(error: &io::Error) -> RunEnd {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory | io::ErrorKind::ExecutableFileBusy => RunEnd::NO_PROCESS,
        _ => RunEnd::CANNOT_EXECUTE,
    }
}

/// Waits for its end, at most for `limit`; then it is killed, and `overdue` called.
pub(super) async fn wait(child: &mut Child, limit: Duration, overdue: impl FnOnce()) -> RunEnd {
    let in_time = tokio::time::timeout(limit, child.wait()).await;
    let status = match in_time {
        Ok(status) => status,
        Err(_) => {
            overdue();
            kill(child);
            child.wait().await
        }
    };
    status.map_or(RunEnd::NO_PROCESS, end)
}

/// Its process is still ours to wait for, so the number cannot belong to another one.
fn kill(child: &mut Child) {
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    if group.is_none_or(|group| kill_process_group(group, Signal::KILL).is_err()) {
        // Without its group it goes alone; an error means that it is gone already.
        let _ = child.start_kill();
    }
}

fn end(status: ExitStatus) -> RunEnd {
    RunEnd { signal: status.signal().unwrap_or(0), code: status.code().unwrap_or(0) }
}
