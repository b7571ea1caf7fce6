//! What a configuration may say, what it may not, and how it is told.

#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

mod accepted;
mod certificates;
mod command_line;
mod files;
mod live;
mod migration;
mod refused;
mod robust;
mod together;
mod words;

#[path = "../kit/mod.rs"]
mod kit;

use std::path::Path;

use raft_sentinel::conf::{self, ConfError, Config};

/// What every file needs besides what a test is about.
const RAFT: &str = "raft node-id 1\nraft peer 1 127.0.0.1:27379\n";

/// Reads `text` as the file `s.conf`, with the raft lines after it.
fn read(text: &str) -> Result<Config, ConfError> {
    read_raw(&format!("{text}\n{RAFT}"))
}

/// Reads `text` as the file `s.conf`.
fn read_raw(text: &str) -> Result<Config, ConfError> {
    conf::parse(Path::new("s.conf"), text.as_bytes(), &[])
}

/// Reads what must be right.
#[track_caller]
fn accepted(text: &str) -> Config {
    read(text).unwrap_or_else(|error| panic!("refused: {error}\n{text}"))
}

/// The message about what must be wrong.
#[track_caller]
fn message(result: Result<Config, ConfError>) -> String {
    result.err().map(|error| error.to_string()).unwrap_or_else(|| panic!("accepted"))
}
