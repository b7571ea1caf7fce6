//! A real redis-server.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use super::net::Host;
use super::ports::free_port;
use super::process::{Process, Recipe, find_program};
use super::resp::{Conn, Reply};
use super::timeline::Timeline;

const INSTALL: &str = "sh scripts/need redis-server redis-sentinel (or: apt-get install -y redis-server redis-sentinel)";
const START_LIMIT: Duration = Duration::from_secs(10);

/// How a server is to be started.
#[derive(Clone, Debug, Default)]
pub struct ServerOptions {
    /// Where its master listens.
    pub replica_of: Option<SocketAddr>,
    /// `requirepass`, and `masterauth` with the same.
    pub password: Option<String>,
    /// `replica-priority`.
    pub priority: Option<u32>,
    /// More lines for the configuration file.
    pub lines: Vec<String>,
    /// Whether the same is said on its command line instead, without a file.
    pub fileless: bool,
    /// The host of a network that it runs in; this machine if none.
    pub host: Option<Host>,
    /// The program, if not the redis-server of this machine.
    pub program: Option<PathBuf>,
}

/// A redis-server on a free port of the loopback interface or of a host, with a folder of its own and no persistence.
#[derive(Debug)]
pub struct RedisServer {
    /// Its name in the timeline.
    pub name: String,
    /// The address on which it listens.
    pub ip: Ipv4Addr,
    /// Where it listens; no two servers of a test have the same.
    pub port: u16,
    password: Option<String>,
    process: Process,
    timeline: Timeline,
}

impl RedisServer {
    /// Starts a server below `root` and waits until it answers.
    pub fn start(name: &str, root: &Path, timeline: &Timeline, options: &ServerOptions) -> Self {
        let (ip, port) = (options.host.as_ref().map_or(Ipv4Addr::LOCALHOST, Host::ip), free_port());
        let dir = root.join(name);
        fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("create {}: {e}", dir.display()));
        let file = dir.join("redis.conf");
        fs::write(&file, config(ip, port, &dir, options)).unwrap_or_else(|e| panic!("write {}: {e}", file.display()));
        let log = dir.join("log");
        timeline.watch_log(&format!("{name}, redis-server on {port}"), log.clone());
        let process = Process::start(recipe(file, log, options).within(options.host.as_ref()));
        let (name, password) = (name.to_owned(), options.password.clone());
        let mut server = Self { name, ip, port, password, process, timeline: timeline.clone() };
        server.wait_until_answering();
        server
    }

    /// Kills it (SIGKILL).
    pub fn kill(&mut self) {
        self.timeline.note(format!("SIGKILL to {} ({})", self.name, self.port));
        self.process.kill();
    }

    /// Suspends it (SIGSTOP).
    pub fn stop(&self) {
        self.timeline.note(format!("SIGSTOP to {} ({})", self.name, self.port));
        self.process.stop();
    }

    /// Lets it go on.
    pub fn cont(&self) {
        self.timeline.note(format!("SIGCONT to {} ({})", self.name, self.port));
        self.process.cont();
    }

    /// Asks it to end, and waits until it has.
    pub fn terminate(&mut self) -> ExitStatus {
        self.timeline.note(format!("SIGTERM to {} ({})", self.name, self.port));
        self.process.terminate()
    }

    /// Starts it again on the same port, with its configuration file as it is now.
    pub fn restart(&mut self) {
        self.process.kill();
        self.process.start_again();
        self.timeline.note(format!("{} ({}) started again", self.name, self.port));
        self.wait_until_answering();
    }

    /// Its address and port.
    pub fn addr(&self) -> SocketAddr {
        (self.ip, self.port).into()
    }

    /// A connection, authenticated if there is a password.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn conn(&self, limit: Duration) -> io::Result<Conn> {
        let mut conn = Conn::open_at(self.addr(), limit)?;
        if let Some(password) = &self.password {
            conn.ask(&["AUTH", password])?;
        }
        Ok(conn)
    }

    /// Asks it one thing.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn ask(&self, words: &[&str]) -> io::Result<Reply> {
        self.conn(Duration::from_secs(2))?.ask(words)
    }

    /// A field of INFO, if it answers and has it.
    pub fn info(&self, section: &str, field: &str) -> Option<String> {
        let text = self.ask(&["INFO", section]).ok()?.text()?;
        text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':').map(ToOwned::to_owned))
    }

    /// `master` or `slave`, as it reports it.
    pub fn role(&self) -> Option<String> {
        self.info("replication", "role")
    }

    /// The port it replicates from with its link up.
    pub fn linked_to(&self) -> Option<u16> {
        let text = self.ask(&["INFO", "replication"]).ok()?.text()?;
        let up = text.lines().any(|line| line == "master_link_status:up");
        let port = text.lines().find_map(|line| line.strip_prefix("master_port:")?.parse().ok())?;
        up.then_some(port)
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    fn wait_until_answering(&mut self) {
        let (timeline, what) = (self.timeline.clone(), format!("{} answers on {}", self.name, self.port));
        timeline.wait_for(&what, START_LIMIT, || {
            if let Some(status) = self.process.exit_status() {
                panic!("{} ended at once ({status})\n{}", self.name, self.timeline.report());
            }
            // Any reply will do: NOAUTH and LOADING are answers too.
            Conn::open_at(self.addr(), Duration::from_millis(500)).and_then(|mut conn| conn.ask(&["PING"])).map_err(|e| e.to_string())
        });
    }
}

/// The redis-server of this machine.
pub fn redis_server() -> PathBuf {
    find_program("redis-server", INSTALL)
}

fn recipe(file: PathBuf, log: PathBuf, options: &ServerOptions) -> Recipe {
    let program = options.program.clone().unwrap_or_else(redis_server);
    let args = if options.fileless {
        let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("read {}: {e}", file.display()));
        let words = |line: &str| line.split(' ').map(|word| word.trim_matches('"').to_owned()).collect::<Vec<_>>();
        text.lines().map(|line| format!("--{line}")).flat_map(|line| words(&line)).collect()
    } else {
        vec![file.display().to_string()]
    };
    Recipe { program, args, env: Vec::new(), log }
}

fn config(ip: Ipv4Addr, port: u16, dir: &Path, options: &ServerOptions) -> String {
    let mut lines = vec![
        format!("port {port}"),
        format!("bind {ip}"),
        format!("dir {}", dir.display()),
        "save \"\"".to_owned(),
        "appendonly no".to_owned(),
        "repl-diskless-sync-delay 0".to_owned(),
        "enable-debug-command local".to_owned(),
    ];
    // In a closed network of its own a server may be open.
    lines.extend(options.host.is_some().then(|| "protected-mode no".to_owned()));
    lines.extend(options.replica_of.map(|master| format!("replicaof {} {}", master.ip(), master.port())));
    lines.extend(options.password.iter().flat_map(|secret| [format!("requirepass {secret}"), format!("masterauth {secret}")]));
    lines.extend(options.priority.map(|priority| format!("replica-priority {priority}")));
    lines.extend(options.lines.iter().cloned());
    lines.join("\n") + "\n"
}
