//! One sentinel process, ours or stock, behind one interface.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::Signal;

use super::GROUP;
use super::history::History;
use super::net::Host;
use super::ports::free_port;
use super::process::{Process, Recipe, find_program};
use super::resp::{Conn, Reply};
use super::timeline::Timeline;

const INSTALL: &str = "sh scripts/need redis-server redis-sentinel (or: apt-get install -y redis-server redis-sentinel)";
const START_LIMIT: Duration = Duration::from_secs(15);

/// Whose sentinel it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// `raft-sentinel serve`.
    Ours,
    /// `redis-sentinel`.
    Stock,
}

impl Flavour {
    /// Its name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ours => "raft-sentinel",
            Self::Stock => "redis-sentinel",
        }
    }
}

/// Where one sentinel listens. A stock one only uses the first port.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// The address of all of them.
    pub ip: Ipv4Addr,
    /// SENTINEL protocol.
    pub resp: u16,
    /// Peers.
    pub raft: u16,
    /// gRPC clients.
    pub grpc: u16,
    /// Metrics and health.
    pub http: u16,
}

impl Ports {
    /// Four free ports on the loopback interface.
    pub fn free() -> Self {
        Self::on(Ipv4Addr::LOCALHOST)
    }

    /// Four free ports on this address.
    pub fn on(ip: Ipv4Addr) -> Self {
        Self { ip, resp: free_port(), raft: free_port(), grpc: free_port(), http: free_port() }
    }

    /// The address of the SENTINEL protocol.
    pub fn resp_addr(self) -> SocketAddr {
        (self.ip, self.resp).into()
    }

    /// The address for gRPC clients.
    pub fn grpc_addr(self) -> SocketAddr {
        (self.ip, self.grpc).into()
    }
}

/// What a sentinel is to be told in its configuration file.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    /// Its number; the ports of all are in `peers`.
    pub id: usize,
    /// The ports of all sentinels of the cluster, by number from 1.
    pub peers: Vec<Ports>,
    /// The lines about the monitored group, and any others; the same for both flavours.
    pub lines: Vec<String>,
    /// Additions to its environment (failpoints).
    pub env: Vec<(String, String)>,
    /// Arguments after the file's name; ours only.
    pub args: Vec<String>,
    /// Its own ports, where it is not among the initial members.
    pub joins: Option<Ports>,
    /// The host of a network that it runs in; this machine if none.
    pub host: Option<Host>,
    /// A program that becomes ours, if it is not started directly; ours only.
    pub program: Option<PathBuf>,
}

impl Orders {
    fn own(&self) -> Ports {
        self.joins.unwrap_or_else(|| self.peers[self.id - 1])
    }
}

/// A sentinel process. Killed when dropped.
#[derive(Debug)]
pub struct Sentinel {
    /// Whose it is.
    pub flavour: Flavour,
    /// Its number, from 1.
    pub id: usize,
    /// Where it listens.
    pub ports: Ports,
    /// Its configuration file.
    pub config: PathBuf,
    process: Process,
    timeline: Timeline,
}

impl Sentinel {
    /// Starts a sentinel below `root` and waits until it answers PING.
    pub fn start(flavour: Flavour, root: &Path, timeline: &Timeline, orders: &Orders) -> Self {
        let mut sentinel = Self::launch(flavour, root, timeline, orders);
        sentinel.wait_until_answering();
        sentinel
    }

    /// Starts a sentinel without waiting for anything, for tests of a start that must fail.
    pub fn launch(flavour: Flavour, root: &Path, timeline: &Timeline, orders: &Orders) -> Self {
        let name = format!("sentinel-{}", orders.id);
        let dir = root.join(&name);
        fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("create {}: {e}", dir.display()));
        let config = dir.join("sentinel.conf");
        fs::write(&config, config_text(flavour, &dir, orders)).unwrap_or_else(|e| panic!("write {}: {e}", config.display()));
        Self::spawn(flavour, config, orders.own(), timeline, orders)
    }

    /// Starts one of ours on a file that is there already (a stock one's, with lines added), and waits until it answers PING.
    pub fn take_over(id: usize, config: PathBuf, ports: Ports, timeline: &Timeline) -> Self {
        let orders = Orders { id, joins: Some(ports), ..Orders::default() };
        let mut sentinel = Self::spawn(Flavour::Ours, config, ports, timeline, &orders);
        sentinel.wait_until_answering();
        sentinel
    }

    fn spawn(flavour: Flavour, config: PathBuf, ports: Ports, timeline: &Timeline, orders: &Orders) -> Self {
        let log = config.with_file_name(if flavour == Flavour::Ours { "log" } else { "log-of-stock" });
        timeline.watch_log(&format!("sentinel-{}, {} on {}", orders.id, flavour.name(), ports.resp), log.clone());
        let process = Process::start(recipe(flavour, &config, log, orders).within(orders.host.as_ref()));
        Self { flavour, id: orders.id, ports, config, process, timeline: timeline.clone() }
    }

    /// Kills it (SIGKILL).
    pub fn kill(&mut self) {
        self.timeline.note(format!("SIGKILL to sentinel {}", self.id));
        self.process.kill();
    }

    /// Suspends it (SIGSTOP).
    pub fn stop(&self) {
        self.timeline.note(format!("SIGSTOP to sentinel {}", self.id));
        self.process.stop();
    }

    /// Lets it go on.
    pub fn cont(&self) {
        self.timeline.note(format!("SIGCONT to sentinel {}", self.id));
        self.process.cont();
    }

    /// Asks it to end, and waits until it has.
    pub fn terminate(&mut self) -> ExitStatus {
        self.timeline.note(format!("SIGTERM to sentinel {}", self.id));
        self.process.terminate()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.timeline.note(format!("{signal:?} to sentinel {}", self.id));
        self.process.signal(signal);
    }

    /// Starts it again without waiting for anything, for tests of a start that must fail.
    pub fn relaunch(&mut self) {
        self.process.kill();
        self.process.start_again();
        self.timeline.note(format!("sentinel {} started again", self.id));
    }

    /// Starts it again with the same ports, files and environment.
    pub fn restart(&mut self) {
        self.relaunch();
        self.wait_until_answering();
    }

    /// How it ended, if it has (a failpoint killed it, or it refused to start).
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.process.exit_status()
    }

    /// Whether it runs (or is suspended).
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// Its process id, while it has one.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Changes the environment of its next start; an empty value removes the variable.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.process.set_env(name, value);
    }

    /// Its folder: configuration file, log, data.
    pub fn dir(&self) -> &Path {
        self.config.parent().expect("the file was put into a folder")
    }

    /// The whole log so far.
    pub fn log(&self) -> String {
        fs::read(self.process.log()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// A connection to its SENTINEL port.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn conn(&self) -> io::Result<Conn> {
        Conn::open_at(self.ports.resp_addr(), Duration::from_secs(3))
    }

    /// A client of its gRPC port.
    pub fn history(&self) -> History {
        History::at(self.ports.grpc_addr())
    }

    /// Asks until a quorum is there to answer: on a busy machine sentinels lose their leader now and then, and say so.
    /// A change must be one that may be asked for twice, since its outcome is unknown then.
    pub fn answer(&self, words: &[&str]) -> Reply {
        self.timeline.wait_for(&format!("sentinel {} answers {words:?}", self.id), START_LIMIT, || {
            let reply = self.ask(words).map_err(|e| e.to_string())?;
            if reply.error().is_some_and(|text| text.starts_with("NOQUORUM ")) { Err(reply.to_string()) } else { Ok(reply) }
        })
    }

    /// Asks for a change that must be made.
    pub fn expect_ok(&self, words: &[&str]) {
        let reply = self.answer(words);
        assert!(reply.is_ok(), "sentinel {}: {words:?}: {reply}\n{}", self.id, self.timeline.report());
    }

    /// Asks it one thing.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn ask(&self, words: &[&str]) -> io::Result<Reply> {
        self.conn()?.ask(words)
    }

    /// The port of the master it names; the error is what it answered instead.
    ///
    /// # Errors
    /// When it names none.
    pub fn master(&self) -> Result<u16, String> {
        let reply = self.ask(&["SENTINEL", "get-master-addr-by-name", GROUP]).map_err(|e| e.to_string())?;
        master_port(&reply).ok_or_else(|| reply.to_string())
    }

    fn wait_until_answering(&mut self) {
        let (timeline, what) = (self.timeline.clone(), format!("sentinel {} answers on {}", self.id, self.ports.resp));
        timeline.wait_for(&what, START_LIMIT, || {
            if let Some(status) = self.process.exit_status() {
                panic!("sentinel {} ended at once ({status})\n{}", self.id, self.timeline.report());
            }
            self.ask(&["PING"]).map_err(|e| e.to_string())
        });
    }
}

/// The port in a reply to get-master-addr-by-name.
pub fn master_port(reply: &Reply) -> Option<u16> {
    reply.items().get(1)?.text()?.parse().ok()
}

static TOLD: OnceLock<PathBuf> = OnceLock::new();

/// From now on our binary is this one. The first call counts.
pub fn use_binary(path: PathBuf) {
    let _ = TOLD.set(path);
}

/// Where our binary is: as told, `RAFT_SENTINEL_BIN`, what cargo says, or beside the folder that this program is in.
///
/// # Errors
/// When it is not there, with what to do.
pub fn find_our_binary() -> Result<PathBuf, String> {
    let told = TOLD.get().cloned().or_else(|| std::env::var_os("RAFT_SENTINEL_BIN").map(PathBuf::from));
    let built = option_env!("CARGO_BIN_EXE_raft-sentinel").map(PathBuf::from);
    let beside = || {
        let here = std::env::current_exe().unwrap_or_default();
        here.ancestors().nth(2).map(|dir| dir.join("raft-sentinel")).unwrap_or_default()
    };
    let path = told.or(built).unwrap_or_else(beside);
    if path.is_file() { Ok(path) } else { Err(format!("{} does not exist. To build it: cargo build --release", path.display())) }
}

/// The same for those who cannot go on without it.
///
/// # Panics
/// When it is not there, with what to do.
pub fn our_binary() -> PathBuf {
    find_our_binary().unwrap_or_else(|missing| panic!("{missing}"))
}

fn recipe(flavour: Flavour, config: &Path, log: PathBuf, orders: &Orders) -> Recipe {
    let (file, env) = (config.display().to_string(), orders.env.clone());
    match flavour {
        Flavour::Ours => {
            let program = orders.program.clone().unwrap_or_else(our_binary);
            Recipe { program, args: ["serve".to_owned(), file].into_iter().chain(orders.args.clone()).collect(), env, log }
        }
        Flavour::Stock => Recipe { program: find_program("redis-sentinel", INSTALL), args: vec![file], env, log },
    }
}

/// A program below `root` that prepares its surroundings by the words of a shell, and becomes our binary.
pub fn our_binary_after(root: &Path, words: &str) -> PathBuf {
    let path = root.join("prepared-sentinel");
    let script = format!("#!/bin/sh\n{words}\nexec {} \"$@\"\n", our_binary().display());
    fs::write(&path, script).unwrap_or_else(|e| panic!("write {}: {e}", path.display()));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap_or_else(|e| panic!("chmod {}: {e}", path.display()));
    path
}

/// The secret of all sentinels that are not told another.
pub const SECRET: &str = "1f0c6c2b9d0d4a7e8a5b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7081";

/// Lines after which a sentinel gets no secret of ours.
const DECIDES_ON_PROOF: [&str; 3] = ["raft secret-file ", "raft insecure ", "# no secret"];

/// Writes a secret file for its owner alone, in one step as far as readers see, and returns its path.
pub fn write_secret(path: &Path, secrets: &[&str]) -> PathBuf {
    let fresh = path.with_extension("fresh");
    fs::write(&fresh, secrets.join("\n") + "\n").unwrap_or_else(|e| panic!("write {}: {e}", fresh.display()));
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600)).unwrap_or_else(|e| panic!("chmod {}: {e}", fresh.display()));
    fs::rename(&fresh, path).unwrap_or_else(|e| panic!("rename {}: {e}", fresh.display()));
    path.to_owned()
}

/// Lines after which a sentinel without a quorum does not say `-NOQUORUM`, which most tests can tell apart from "no such name".
const DECIDES_ON_REPLY: [&str; 2] = ["sentinel no-quorum-reply ", "# default no-quorum-reply"];

fn config_text(flavour: Flavour, dir: &Path, orders: &Orders) -> String {
    let mine = orders.own();
    let mut lines = vec![format!("port {}", mine.resp), format!("bind {}", mine.ip), format!("dir {}", dir.display())];
    if flavour == Flavour::Ours {
        lines.push(format!("raft node-id {}", orders.id));
        lines.push(format!("raft listen {}:{}", mine.ip, mine.raft));
        lines.extend((1..).zip(&orders.peers).map(|(id, peer)| format!("raft peer {id} {}:{}", peer.ip, peer.raft)));
        lines.push(format!("grpc listen {}:{}", mine.ip, mine.grpc));
        lines.push(format!("http listen {}:{}", mine.ip, mine.http));
        if !orders.lines.iter().any(|line| DECIDES_ON_PROOF.iter().any(|begin| line.starts_with(begin))) {
            lines.push(format!("raft secret-file {}", write_secret(&dir.join("secret"), &[SECRET]).display()));
        }
        if !orders.lines.iter().any(|line| DECIDES_ON_REPLY.iter().any(|begin| line.starts_with(begin))) {
            lines.push("sentinel no-quorum-reply error".to_owned());
        }
        if !mine.ip.is_loopback() {
            // A network that the test made, and in which nobody else is.
            lines.push("grpc admin-without-password yes".to_owned());
        }
    }
    lines.extend(orders.lines.iter().cloned());
    lines.join("\n") + "\n"
}
