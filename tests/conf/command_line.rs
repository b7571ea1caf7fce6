//! The command line: what it asks for, and directives that win over the file.

use std::path::{Path, PathBuf};

use clap::{CommandFactory as _, Parser as _};
use raft_sentinel::conf::cli::{Cli, Command, LogFormat, Serve};
use raft_sentinel::conf::{self, ConfError, Config};

use crate::{RAFT, message};

fn with(overrides: &[&str]) -> Result<Config, ConfError> {
    let overrides: Vec<String> = overrides.iter().map(|word| (*word).to_owned()).collect();
    conf::parse(Path::new("s.conf"), format!("port 1000\n{RAFT}").as_bytes(), &overrides)
}

fn serve(line: &str) -> Serve {
    match Cli::try_parse_from(line.split(' ')).map(|cli| cli.command) {
        Ok(Command::Serve(serve)) => serve,
        Ok(Command::Check(_) | Command::Gate(_) | Command::Secret(_) | Command::Ask(_)) => panic!("{line} was taken for something else"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn serve_takes_directives_after_the_file() {
    let asked = serve("raft-sentinel serve /etc/s.conf --port 26380 --sentinel announce-port 5555 --bind 127.0.0.1 -::1");
    assert_eq!((asked.file, asked.log_format), (PathBuf::from("/etc/s.conf"), LogFormat::Human));
    assert_eq!(asked.overrides, ["--port", "26380", "--sentinel", "announce-port", "5555", "--bind", "127.0.0.1", "-::1"]);
    for line in ["raft-sentinel serve --log-format json s.conf --port 1", "raft-sentinel serve s.conf --log-format json --port 1"] {
        let asked = serve(line);
        assert_eq!((asked.log_format, asked.overrides.as_slice()), (LogFormat::Json, &["--port".to_owned(), "1".to_owned()][..]), "{line}");
    }
    assert!(serve("raft-sentinel serve s.conf").overrides.is_empty());
}

#[test]
fn the_gate_leaves_the_words_of_the_server_alone() {
    let line =
        "raft-sentinel gate --group m --sentinel 10.0.0.1:1,10.0.0.2:2 --sentinel 10.0.0.3:3 -- redis-server /r.conf --port 7000 --group x";
    let Ok(Command::Gate(gate)) = Cli::try_parse_from(line.split(' ')).map(|cli| cli.command) else { panic!("not a gate") };
    assert_eq!((gate.group.as_str(), gate.sentinel.len(), gate.timeout), ("m", 3, None));
    assert_eq!(gate.server, ["redis-server", "/r.conf", "--port", "7000", "--group", "x"]);
    for incomplete in ["raft-sentinel gate -- redis-server", "raft-sentinel gate --group m", "raft-sentinel gate --group m redis-server"] {
        assert!(Cli::try_parse_from(incomplete.split(' ')).is_err(), "{incomplete}");
    }
}

#[test]
fn directives_of_the_command_line_win() {
    let config =
        with(&["--port", "2000", "--sentinel", "announce-port", "5555", "--bind", "127.0.0.1", "-::1", "--requirepass", "a #\"b"]).unwrap();
    assert_eq!((config.resp.port, config.sentinel.announce_port), (2000, Some(5555)));
    assert_eq!(config.resp.bind.len(), 2);
    assert_eq!(config.resp.requirepass.map(|secret| secret.expose().to_owned()).as_deref(), Some("a #\"b"));
    assert_eq!(with(&["--port 3000", "--DIR", "/x"]).map(|config| (config.resp.port, config.dir)), Ok((3000, PathBuf::from("/x"))));
    assert_eq!(with(&["--supervised", "systemd", "--daemonize", "no"]).map(|config| config.resp.port), Ok(1000));
}

#[test]
fn mistakes_on_the_command_line_say_so() {
    for (overrides, expected) in [
        (&["--port", "x"][..], "command line: port: 'x' is not a whole number"),
        (&["--port"], "command line: Bad directive or wrong number of arguments. 'port' takes 1 argument(s), not 0"),
        (&["port", "1"], "command line: 'port' after the configuration file; expected --directive value ..."),
        (&["--"], "command line: '--' without a directive"),
        (&["--include", "/nowhere/x"], "command line: Fatal error, can't open config file '/nowhere/x'"),
        (&["--sentinel", "monitor", "m"], "command line: Unrecognized sentinel configuration statement."),
    ] {
        let said = message(with(overrides));
        assert!(said.starts_with(expected), "{overrides:?}: {said}");
    }
}

#[test]
fn check_reports_every_file() {
    let dir = tempfile::tempdir().unwrap();
    let (good, bad) = (dir.path().join("good.conf"), dir.path().join("bad.conf"));
    std::fs::write(&good, format!("{RAFT}sentinel monitor m 127.0.0.1 6379 1\n")).unwrap();
    std::fs::write(&bad, "nonsense\n").unwrap();
    let line = ["raft-sentinel".into(), "check".into(), good.into_os_string(), bad.into_os_string()];
    let Command::Check(check) = Cli::try_parse_from(line).unwrap_or_else(|error| panic!("{error}")).command else { panic!("not a check") };
    let report = check.run(|_| Ok(None));
    assert!(!report.is_ok());
    let text = report.to_string();
    assert!(text.contains("good.conf: node 1 is one of 1 raft peers, monitors m\n"), "{text}");
    assert!(text.contains("note: ") && text.contains("error: ") && text.contains("bad.conf:1: Bad directive"), "{text}");
}

#[test]
fn the_example_in_the_help_text_is_right() {
    let mut command = Cli::command();
    let serve = command.find_subcommand_mut("serve").map(|serve| serve.render_long_help().to_string()).unwrap();
    let example: String = serve
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| !line.starts_with(' '))
        .fold(String::new(), |text, line| text + line + "\n");
    let example = example.split_once("dir ").map(|(_, rest)| format!("dir {rest}")).unwrap();
    let config = conf::parse(Path::new("s.conf"), example.as_bytes(), &[]).unwrap_or_else(|error| panic!("{error}\n{example}"));
    assert_eq!((config.notes, config.groups.len(), config.raft.peers.len()), (vec![], 1, 3));
}
