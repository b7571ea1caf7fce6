//! Programs that run to their end: operators' commands, starts that must fail, other people's clients.

use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::process::spawn;
use super::scratch::Scratch;

/// What a program left.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to its standard output.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
}

impl Ended {
    /// The standard output of a program that must have succeeded.
    pub fn success(self) -> String {
        assert_eq!(self.code, Some(0), "it failed\nstdout: {}\nstderr: {}", self.stdout, self.stderr);
        self.stdout
    }
}

/// Runs a program; one that has not ended after `limit` is killed, and that is a failure.
pub fn run(program: &str, args: &[&str], limit: Duration) -> Ended {
    let scratch = Scratch::new();
    let (out, err) = (scratch.path().join("out"), scratch.path().join("err"));
    let create = |path| File::create(path).unwrap_or_else(|e| panic!("create a file for the output of {program}: {e}"));
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]).args(args);
    command.stdin(Stdio::null()).stdout(create(&out)).stderr(create(&err));
    let mut child = spawn(command).unwrap_or_else(|e| panic!("start {program}: {e}"));
    let read = |path| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return Ended { code: status.code(), stdout: read(&out), stderr: read(&err) };
        }
        if start.elapsed() > limit {
            // An error means that it is gone already.
            let _ = child.kill();
            let _ = child.wait();
            panic!("{program} {args:?} did not end within {limit:?}\nstdout: {}\nstderr: {}", read(&out), read(&err));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
