//! Places where a test may kill this process, so that "any step may be the last" can be shown on real processes.
//!
//! Compiled to nothing without the feature `failpoints`. With it, a place called `NAME` is armed by a file of that name in the
//! folder that `RAFT_SENTINEL_FAILPOINTS` names. The process that comes first removes the file, which only one can, and kills itself.

/// Dies here if a test wants that.
#[cfg(feature = "failpoints")]
pub fn pass(name: &str) {
    let Some(folder) = std::env::var_os("RAFT_SENTINEL_FAILPOINTS") else { return };
    if std::fs::remove_file(std::path::Path::new(&folder).join(name)).is_ok() {
        tracing::error!(name, "failpoint: this process kills itself");
        let me = rustix::process::getpid();
        // An error leaves the process alive, and the test that armed the place fails.
        let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
    }
}

/// Does nothing.
#[cfg(not(feature = "failpoints"))]
pub const fn pass(_name: &str) {}
