//! Real redis-server processes on free ports, gone with the test.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use raft_sentinel::base::Addr;
use rustix::process::{Pid, Signal, kill_process};

/// A running redis-server.
pub(crate) struct Server {
    child: Child,
    dir: tempfile::TempDir,
    pub(crate) port: u16,
}

impl Server {
    /// Starts one with these lines in its configuration file, and waits until it answers.
    pub(crate) fn start(lines: &str) -> Self {
        Self::start_at(free_port(), lines)
    }

    pub(crate) fn start_at(port: u16, lines: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let conf = dir.path().join("redis.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsave \"\"\nlogfile redis.log\nrepl-diskless-sync-delay 0\n{lines}\n",
            dir.path().display()
        );
        std::fs::write(&conf, text).expect("a configuration file");
        Self::run(port, dir, &[conf.to_str().expect("a plain path")])
    }

    /// Starts one that has no configuration file, and so cannot rewrite it.
    pub(crate) fn start_without_file() -> Self {
        let (port, dir) = (free_port(), tempfile::tempdir().expect("a temporary directory"));
        let path = dir.path().display().to_string();
        Self::run(port, dir, &["--port", &port.to_string(), "--save", "", "--dir", &path])
    }

    fn run(port: u16, dir: tempfile::TempDir, arguments: &[&str]) -> Self {
        // The kernel kills it when the test's thread ends, however that ends.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "redis-server"])
            .args(arguments)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server and setpriv are installed");
        let server = Self { child, dir, port };
        server.wait_until_it_answers();
        server
    }

    pub(crate) fn replica_of(master: &Self, lines: &str) -> Self {
        let replica = Self::start(&format!("replicaof 127.0.0.1 {}\n{lines}", master.port));
        replica.wait_for("INFO replication", "master_link_status:up");
        replica
    }

    /// What is in its configuration file now.
    pub(crate) fn written(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("redis.conf")).unwrap_or_default()
    }

    pub(crate) fn addr(&self) -> Addr {
        Addr::new("127.0.0.1", self.port).expect("an address")
    }

    fn wait_until_it_answers(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let log = || std::fs::read_to_string(self.dir.path().join("redis.log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "redis-server does not listen: {}", log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What the server says to one inline command, on a connection of its own.
    pub(crate) fn say(&self, command: &str) -> String {
        let mut stream = self.type_in(command);
        let mut answer = [0; 64 * 1024];
        let mut length = stream.read(&mut answer).expect("an answer");
        // A bulk text may come in pieces.
        while answer[0] == b'$' && length < bulk_end(&answer[..length]) {
            length += stream.read(&mut answer[length..]).expect("the rest");
        }
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    /// Sends one inline command without waiting for the answer.
    pub(crate) fn type_in(&self, command: &str) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a limit");
        stream.write_all(format!("{command}\r\n").as_bytes()).expect("it takes commands");
        stream
    }

    pub(crate) fn wait_for(&self, command: &str, fact: &str) {
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            let said = self.say(command);
            if said.contains(fact) {
                return;
            }
            assert!(Instant::now() < deadline, "'{command}' does not say {fact}: {said}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("it runs");
    }

    /// SIGKILL, and the end of the process.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn bulk_end(answer: &[u8]) -> usize {
    let head = String::from_utf8_lossy(answer.split(|&byte| byte == b'\r').next().unwrap_or_default()).into_owned();
    head.len() + 2 + head[1..].parse::<usize>().expect("a length") + 2
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("loopback works").port()
}
