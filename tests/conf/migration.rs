//! A file that a real redis-sentinel has written starts a raft-sentinel once it has its raft lines.

<<<<<<< HEAD
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
=======
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;
>>>>>>> w-conf

use raft_sentinel::base::{Addr, Secret};
use raft_sentinel::conf;

<<<<<<< HEAD
/// A process that does not outlive the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(program: &str, args: &[&str]) -> Running {
    let child = Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    Running(child.unwrap_or_else(|error| panic!("{program} is needed for this test: {error}")))
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).map(|addr| addr.port()).unwrap()
}

/// Waits until `fact` gives something.
#[track_caller]
fn eventually<T>(what: &str, mut fact: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = fact() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within 30 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Sends one inline command and reads one line of the answer (and what a bulk answer holds).
fn ask(port: u16, command: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    stream.write_all(format!("{command}\r\n").as_bytes()).ok()?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    match line.trim_end().strip_prefix('$') {
        None => Some(line.trim_end().to_owned()),
        Some(length) => {
            let mut bulk = vec![0; length.parse().ok()?];
            reader.read_exact(&mut bulk).ok()?;
            String::from_utf8(bulk).ok()
        }
    }
}

fn start_server(dir: &Path, port: u16, more: &[&str]) -> Running {
    let (port_text, dir) = (port.to_string(), dir.to_string_lossy());
    let mut args = vec!["--port", &port_text, "--dir", &dir, "--save", "", "--repl-diskless-sync-delay", "0"];
    args.extend(more);
    let running = start("redis-server", &args);
    eventually("redis-server answers", || ask(port, "PING").filter(|answer| answer == "+PONG"));
    running
}
=======
use crate::live::{eventually, free_port, start, start_server};
>>>>>>> w-conf

#[test]
fn a_file_written_by_redis_sentinel_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let (master, replica, port) = (free_port(), free_port(), free_port());
    let _master = start_server(dir.path(), master, &[]);
    let _replica = start_server(dir.path(), replica, &["--replicaof", "127.0.0.1", &master.to_string()]);

    let file = dir.path().join("sentinel.conf");
    let text = format!(
        "# ours\nport {port}\ndir {}\nsentinel monitor mymaster 127.0.0.1 {master} 1\nsentinel down-after-milliseconds mymaster 7000\n\
         sentinel parallel-syncs mymaster 3\nsentinel auth-pass mymaster hunter2\nSENTINEL resolve-hostnames no\nrequirepass s3cret\n",
        dir.path().display()
    );
    std::fs::write(&file, text).unwrap();
    let _sentinel = start("redis-sentinel", &[&file.to_string_lossy()]);
    // The password of the SENTINEL port is asked for, so the question is put behind AUTH on one connection.
    eventually("the sentinel rewrites its file with the replica in it", || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
        stream.write_all(b"AUTH s3cret\r\nSENTINEL FLUSHCONFIG\r\n").ok()?;
        let mut answers = BufReader::new(stream).lines();
        let flushed = answers.next()?.ok()? == "+OK" && answers.next()?.ok()? == "+OK";
        let text = std::fs::read_to_string(&file).ok()?;
        (flushed && text.contains(&format!("known-replica mymaster 127.0.0.1 {replica}"))).then_some(())
    });

    let said = conf::load(&file, &[]).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(said.contains("no 'raft node-id' and no 'raft peer' line"), "{said}");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}\nraft node-id 1\nraft peer 1 127.0.0.1:{}\n", free_port())).unwrap();
    let config = conf::load(&file, &["--grpc".to_owned(), "listen".to_owned(), format!("127.0.0.1:{}", free_port())])
        .unwrap_or_else(|error| panic!("{error}\n{text}"));

    let [group] = config.groups.as_slice() else { panic!("{:?}", config.groups) };
    assert_eq!((group.name.as_str(), &group.master), ("mymaster", &Addr::new("127.0.0.1", master)));
    assert_eq!(group.replicas, [Addr::new("127.0.0.1", replica)]);
    assert_eq!((group.settings.quorum, group.settings.down_after_ms, group.settings.parallel_syncs), (1, 7000, 3));
    assert_eq!(group.settings.auth_pass, Some(Secret::new("hunter2")));
    assert_eq!((config.resp.port, &config.resp.requirepass), (port, &Some(Secret::new("s3cret"))));
    assert!(config.sentinel.id_seed.is_some_and(|id| text.contains(id.as_str())));
    assert_eq!(config.dir.canonicalize().unwrap(), dir.path().canonicalize().unwrap());
}
