//! Places where a test may kill this process, so that "any step may be the last" can be shown on real processes.
//!
//! Compiled to nothing without the feature `failpoints`. With it, a place called `NAME` is armed by a file of that name in the
//! folder that `RAFT_SENTINEL_FAILPOINTS` names. The process that comes first removes the file, which only one can, and kills itself.
//! A place that [lingers](linger) makes every process that comes wait, for as many milliseconds as its file says, while the file is there.

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

/// Waits here for as long as a test wants: what is slow on a test's machine, and only there.
#[cfg(feature = "failpoints")]
pub fn linger(name: &str) {
    let Some(folder) = std::env::var_os("RAFT_SENTINEL_FAILPOINTS") else { return };
    let Ok(content) = std::fs::read_to_string(std::path::Path::new(&folder).join(name)) else { return };
    if let Ok(span_ms) = content.trim().parse() {
        std::thread::sleep(std::time::Duration::from_millis(span_ms));
    }
}

/// Does nothing.
#[cfg(not(feature = "failpoints"))]
pub const fn linger(_name: &str) {}

/// The command level that this process claims: the environment names one, so that two releases can be played by one build.
#[cfg(feature = "failpoints")]
pub fn level(own: u32) -> u32 {
    std::env::var("RAFT_SENTINEL_LEVEL").ok().and_then(|level| level.parse().ok()).unwrap_or(own)
}

/// Its own.
#[cfg(not(feature = "failpoints"))]
pub const fn level(own: u32) -> u32 {
    own
}

/// The level that an entry of this name needs: the environment names entries that are of the second.
#[cfg(feature = "failpoints")]
pub fn level_of(name: &str, own: u32) -> u32 {
    if std::env::var("RAFT_SENTINEL_SECOND_LEVEL").is_ok_and(|named| named == name) { 2 } else { own }
}

/// Its own.
#[cfg(not(feature = "failpoints"))]
pub const fn level_of(_name: &str, own: u32) -> u32 {
    own
}
