//! The start gate of a Redis server: it asks the sentinels as what the server may start, and then becomes that server.
//!
//! It runs on the host of the server, in the place of redis-server (a unit's ExecStart, a container's entry point). In reading order:
//! [`command`] (what may be typed), `settings` with `wildcard` (what the server's configuration says of itself), `data` with `rdb` (what is
//! on its disk), `whoami` (which recorded node it is), `ask` (the sentinels' answer), `decide` (the decision, pure), `wait` (until there is one).
//!
//! No Redis server is asked anything here, nothing is written, and no process is left behind: [`run`] executes the server in its own place.
//! Called by `main`; the command line is embedded by `conf`.

mod ask;
pub mod command;
mod data;
mod decide;
mod rdb;
mod settings;
mod wait;
mod whoami;
mod wildcard;

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;

pub use self::command::Gate;
use self::decide::StartRole;
use self::settings::{Settings, Wanted};
use crate::base::Addr;

/// The exit code for giving up: a temporary failure, in the words of sysexits.h.
const GAVE_UP: u8 = 75;
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// Why the gate ended without becoming the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was told to stop while it waited.
    Stopped,
    /// The time that it was given ran out; why it still waited.
    GaveUp(String),
    /// It cannot be used like this, and waiting would not help.
    Refused(String),
    /// The server cannot be executed.
    NotExecuted {
        /// What was tried, and what the system said.
        problem: String,
        /// Whether there is no such program.
        missing: bool,
    },
}

impl Ended {
    /// The exit code of the process, as a shell or a supervisor reads it.
    pub const fn code(&self) -> u8 {
        match self {
            Self::Stopped => 0,
            Self::Refused(_) => 1,
            Self::GaveUp(_) => GAVE_UP,
            Self::NotExecuted { missing: false, .. } => NOT_EXECUTABLE,
            Self::NotExecuted { missing: true, .. } => NOT_FOUND,
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("told to stop; Redis was not started"),
            Self::GaveUp(why) => write!(f, "gave up after the time that --timeout allows; Redis was not started: {why}"),
            Self::Refused(why) => write!(f, "Redis was not started: {why}"),
            Self::NotExecuted { problem, .. } => f.write_str(problem),
        }
    }
}

/// What is executed in the end.
enum Start {
    /// The command as it was given.
    AsGiven,
    /// The command, in this role.
    As(StartRole),
}

/// Waits until the server may start, and becomes it. Returns only if that does not come to pass.
pub fn run(gate: &Gate) -> Ended {
    let wanted = match settings::read(gate.args()) {
        Ok(wanted) => wanted,
        Err(bad) => return Ended::Refused(bad.to_string()),
    };
    let (settings, start) = match wanted {
        Wanted::Say => (Settings::default(), Start::AsGiven),
        Wanted::Serve(settings) => match wait::until_decided(gate, &settings) {
            Ok(start) => (*settings, start),
            Err(ended) => return ended,
        },
    };
    let mut command = Command::new(gate.program());
    command.args(gate.args()).args(role_args(&settings, &start));
    // Comes back only with an error.
    let error = command.exec();
    let problem = format!("cannot execute {}: {error}", gate.program().display());
    Ended::NotExecuted { problem, missing: error.kind() == ErrorKind::NotFound }
}

/// What is added to the command: the last word on whom to follow wins over the configuration file.
fn role_args(settings: &Settings, start: &Start) -> Vec<String> {
    match start {
        Start::As(StartRole::ReplicaOf(master)) => vec!["--replicaof".to_owned(), master.host().to_owned(), master.port().to_string()],
        Start::As(StartRole::Compared) => {
            let nobody = Addr::nobody();
            vec!["--replicaof".to_owned(), nobody.host().to_owned(), nobody.port().to_string()]
        }
        // A file that was rewritten while the node was a replica still says so.
        Start::As(StartRole::Master) if settings.follows => ["--replicaof", "no", "one"].map(str::to_owned).to_vec(),
        Start::As(StartRole::Master) | Start::AsGiven => Vec::new(),
    }
}

/// One line, or a few, for whoever reads the log of the server.
fn say(what: &dyn fmt::Display) {
    // Nobody may be listening; the server is to start all the same.
    let _ = writeln!(io::stderr(), "raft-sentinel gate: {what}");
}
