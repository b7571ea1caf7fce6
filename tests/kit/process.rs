//! One child process: started, signalled, and never left behind.
//!
//! Children are started through `setpriv --pdeathsig KILL`, so that the kernel kills them even when this process dies
//! by SIGKILL. That signal follows the *thread* that started the child, hence one thread that lives as long as the
//! process starts all of them.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Sender};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::net::Host;

type Order = (Command, Sender<io::Result<Child>>);

static SPAWNER: LazyLock<Mutex<Sender<Order>>> = LazyLock::new(|| {
    let (orders, inbox) = mpsc::channel::<Order>();
    thread::Builder::new()
        .name("spawner".to_owned())
        .spawn(move || {
            for (mut command, reply) in inbox {
                // The asker waits for the answer; if it is gone, so is its interest.
                let _ = reply.send(command.spawn());
            }
        })
        .expect("a thread can be started");
    Mutex::new(orders)
});

/// Starts a child that the kernel ends with us, if `command` runs it by `setpriv`.
pub(super) fn spawn(command: Command) -> io::Result<Child> {
    let (reply, answer) = mpsc::channel();
    SPAWNER.lock().unwrap_or_else(PoisonError::into_inner).send((command, reply)).expect("the spawner lives as long as the process");
    answer.recv().expect("the spawner answers every order")
}

/// How long a process may go on after SIGSTOP, on a machine that does much else.
const STOPS_WITHIN: Duration = Duration::from_secs(5);

/// How to start a program: the same way each time.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Additions to its environment.
    pub env: Vec<(String, String)>,
    /// Where its output is appended.
    pub log: PathBuf,
}

/// A child process. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    recipe: Recipe,
    child: Option<Child>,
}

impl Process {
    /// Starts the program.
    pub fn start(recipe: Recipe) -> Self {
        let mut process = Self { recipe, child: None };
        process.start_again();
        process
    }

    /// Starts the program once more, after it has ended.
    pub fn start_again(&mut self) {
        assert!(!self.is_running(), "{} still runs", self.recipe.program.display());
        self.child = Some(spawn(self.recipe.command()).unwrap_or_else(|e| panic!("start {}: {e}", self.recipe.program.display())));
    }

    /// Ends it at once (SIGKILL) and reaps it.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // An error means that it is gone already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Suspends it (SIGSTOP): its sockets stay open and nobody answers. Returns when none of its threads runs any more, which
    /// on a busy machine takes a moment.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        let given_up_at = Instant::now() + STOPS_WITHIN;
        while !self.is_suspended() {
            assert!(Instant::now() < given_up_at, "{} is not suspended {STOPS_WITHIN:?} after SIGSTOP", self.recipe.program.display());
            thread::yield_now();
        }
    }

    /// Whether all of its threads are.
    fn is_suspended(&self) -> bool {
        let Some(child) = &self.child else { return true };
        let Ok(threads) = fs::read_dir(format!("/proc/{}/task", child.id())) else { return true };
        // The state stands behind the name, which is in parentheses and may hold anything.
        let state = |stat: &str| stat.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next());
        threads.flatten().all(|thread| fs::read_to_string(thread.path().join("stat")).map_or(true, |stat| state(&stat) == Some('T')))
    }

    /// Lets it go on after [`Process::stop`].
    pub fn cont(&self) {
        self.signal(Signal::CONT);
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let mut child = self.child.take().expect("only a running process is terminated");
        child.wait().expect("a child can be waited for")
    }

    /// How it ended, if it has.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    /// Whether it runs (or is suspended).
    pub fn is_running(&mut self) -> bool {
        self.child.is_some() && self.exit_status().is_none()
    }

    /// Its process id, while it has one.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Adds to the environment of the next start; an empty value removes the variable again.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.recipe.env.retain(|(known, _)| known != name);
        if !value.is_empty() {
            self.recipe.env.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.recipe.log
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().unwrap_or_else(|| panic!("{signal:?} to {}, which does not run", self.recipe.program.display()));
        let sent = kill_process(Pid::from_child(child), signal);
        sent.unwrap_or_else(|e| panic!("send {signal:?} to {}: {e}", self.recipe.program.display()));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Recipe {
    /// The same program in a host of a network, if one is given; the process id is still the program's.
    pub fn within(self, host: Option<&Host>) -> Self {
        let Some(host) = host else { return self };
        let [enter, arguments @ ..] = host.prefix();
        let program = self.program.display().to_string();
        let args = arguments.into_iter().chain([program]).chain(self.args).collect();
        Self { program: PathBuf::from(enter), args, ..self }
    }

    fn command(&self) -> Command {
        let log = File::options().create(true).append(true).open(&self.log);
        let log = log.unwrap_or_else(|e| panic!("open {}: {e}", self.log.display()));
        let errors = log.try_clone().expect("a file handle can be copied");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(&self.program).args(&self.args);
        // A process group of its own: Ctrl-C at the terminal is for us, who end the children in good order.
        command.process_group(0).stdin(Stdio::null()).stdout(log).stderr(errors);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// The last lines of a file, for reports; says so if there is nothing to show.
pub fn tail(path: &Path, lines: usize) -> String {
    const ENOUGH: u64 = 32 * 1024;
    let read = || -> io::Result<String> {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(ENOUGH)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    match read() {
        Ok(text) => {
            let all: Vec<&str> = text.lines().collect();
            all[all.len().saturating_sub(lines)..].join("\n")
        }
        Err(e) => format!("(no log: {e})"),
    }
}

/// The path of a program, or a panic that says how to get it.
pub fn find_program(name: &str, install: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("{name} is not installed. Install it with: {install}"))
}
