//! Signals, log files that are moved away, pipes that nobody reads.

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::kit::resp::ask_once;
use crate::kit::sentinel::{Flavour, our_binary};
use crate::kit::{Cluster, Plan, Scratch, Timeline, ports::free_port};

const SOON: Duration = Duration::from_secs(20);

/// One sentinel that logs to a file of its own.
fn one_with_a_log() -> (Cluster, PathBuf) {
    let lines = vec!["logfile own.log".to_owned()];
    let cluster = Plan { replicas: 0, sentinels: 1, quorum: 1, lines, ..Plan::new(Flavour::Ours) }.launch();
    let log = cluster.sentinels[0].dir().join("own.log");
    (cluster, log)
}

fn says(path: &PathBuf, what: &str) -> Result<(), String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    if text.contains(what) { Ok(()) } else { Err(format!("{} does not say {what:?}:\n{text}", path.display())) }
}

#[test]
fn sighup_opens_the_log_file_again_and_ends_nothing() {
    let (mut cluster, log) = one_with_a_log();
    let old = log.with_extension("1");
    fs::rename(&log, &old).expect("the log is there");
    cluster.sentinels[0].signal(Signal::HUP);
    cluster.timeline.wait_for("the log file is opened anew", SOON, || says(&log, "SIGHUP"));
    // Several in a row, as a service manager and an operator may send them.
    (0..50).for_each(|_| cluster.sentinels[0].signal(Signal::HUP));
    assert!(cluster.sentinels[0].ask(&["PING"]).is_ok(), "it answers");
    assert!(cluster.sentinels[0].is_running());
}

#[test]
fn a_log_file_that_is_moved_or_removed_without_a_word_is_written_anew() {
    let (mut cluster, log) = one_with_a_log();
    fs::rename(&log, log.with_extension("1")).expect("the log is there");
    cluster.timeline.wait_for("the file is there again after it was moved", SOON, || says(&log, "opened anew"));
    fs::remove_file(&log).expect("the log is there");
    cluster.timeline.wait_for("the file is there again after it was removed", SOON, || says(&log, "opened anew"));
    cluster.sentinels[0].terminate();
    assert_eq!(says(&log, "bye bye"), Ok(()), "the last words are written before the process ends");
}

/// A sentinel whose standard output is a pipe. Killed when dropped.
struct Piped {
    child: Child,
    port: u16,
    _scratch: Scratch,
}

impl Piped {
    fn start() -> Self {
        let (scratch, port, raft) = (Scratch::new(), free_port(), free_port());
        let file = scratch.path().join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nraft node-id 1\nraft listen 127.0.0.1:{raft}\nraft peer 1 127.0.0.1:{raft}\n\
             grpc listen off\nloglevel debug\n",
            scratch.path().display()
        );
        fs::write(&file, text).expect("the folder can be written");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(our_binary()).arg("serve").arg(&file);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        Self { child, port, _scratch: scratch }
    }

    fn answers(&self) -> Result<(), String> {
        ask_once(self.port, &["PING"]).map(drop).map_err(|error| error.to_string())
    }

    /// Makes it say a line or two for each connection, at loglevel debug.
    fn make_it_talk(&self, connections: usize) {
        for _ in 0..connections {
            drop(TcpStream::connect(("127.0.0.1", self.port)).expect("it listens"));
        }
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        // An error means that it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_standard_output_that_nobody_reads_does_not_freeze_it() {
    let (timeline, mut piped) = (Timeline::default(), Piped::start());
    timeline.wait_for("it answers", SOON, || piped.answers());
    // A pipe holds 64 KiB, the queue some thousand lines: both are full long before the end.
    piped.make_it_talk(7_000);
    timeline.holds("it answers although its log goes nowhere", Duration::from_secs(2), || piped.answers());
    // Somebody reads again, and is told what is missing.
    let mut stdout = piped.child.stdout.take().expect("it is a pipe");
    let (send, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let (mut text, mut chunk) = (String::new(), [0; 65_536]);
        while let Ok(read @ 1..) = stdout.read(&mut chunk) {
            text.push_str(&String::from_utf8_lossy(&chunk[..read]));
            if text.contains("log lines were lost") {
                let _ = send.send(());
            }
        }
    });
    timeline.wait_for("the loss is told", SOON, || {
        piped.make_it_talk(1);
        lines.recv_timeout(Duration::from_millis(100)).map_err(|_| "not yet".to_owned())
    });
}

#[test]
fn a_reader_of_its_standard_output_that_leaves_does_not_end_it() {
    let (timeline, mut piped) = (Timeline::default(), Piped::start());
    timeline.wait_for("it answers", SOON, || piped.answers());
    drop(piped.child.stdout.take());
    piped.make_it_talk(200);
    timeline.holds("it answers although its log was closed", Duration::from_secs(1), || piped.answers());
}

#[test]
fn strangers_who_speak_nonsense_do_not_fill_the_log() {
    let (cluster, log) = one_with_a_log();
    let sentinel = &cluster.sentinels[0];
    for number in 0..2000 {
        let mut conn = TcpStream::connect(sentinel.ports.resp_addr()).expect("it listens");
        let nonsense: &[u8] = if number % 2 == 0 { b"*1\r\nnonsense\r\n" } else { b"POST / HTTP/1.1\r\n\r\n" };
        std::io::Write::write_all(&mut conn, nonsense).expect("it takes bytes");
        let _ = conn.read(&mut [0; 256]);
    }
    cluster.timeline.wait_for("the first one is told", SOON, || says(&log, "is disconnected"));
    let text = fs::read_to_string(&log).expect("the log is there");
    let told = text.lines().filter(|line| line.contains("is disconnected")).count();
    assert!(told <= 4, "{told} lines about 2,000 strangers");
}
