//! `check` opens the files that the `tls-...` lines name.

use std::path::Path;

use clap::Parser as _;
use raft_sentinel::app::check_named_files;
use raft_sentinel::conf::cli::{Cli, Command};

use crate::RAFT;
use crate::kit::certs::Authority;

/// What `check` says of these lines, and whether it is content.
fn check(dir: &Path, lines: &str) -> (bool, String) {
    let file = dir.join("s.conf");
    std::fs::write(&file, format!("dir {}\n{RAFT}{lines}", dir.display())).unwrap();
    let line = ["raft-sentinel".into(), "check".into(), file.into_os_string()];
    let Command::Check(check) = Cli::try_parse_from(line).unwrap_or_else(|error| panic!("{error}")).command else { panic!("not a check") };
    let report = check.run(check_named_files);
    (report.is_ok(), report.to_string())
}

#[test]
fn certificates_that_cannot_work_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    Authority::new(dir, "ours");
    Authority::new(dir, "theirs");
    std::fs::write(dir.join("empty"), "").unwrap();
    let files = |cert: &str, key: &str, ca: &str| format!("tls-cert-file {cert}\ntls-key-file {key}\ntls-ca-cert-file {ca}\n");
    let good = files("ours-node.crt", "ours-node.key", "ours.crt");
    let uses = ["raft tls yes\n", "grpc tls yes\n", "tls-replication yes\n", "tls-port 7777\n"];
    for wanted in uses {
        let (ok, said) = check(dir, &format!("{good}{wanted}"));
        assert!(ok, "{wanted}: {said}");
    }
    for (files, wanted, expected) in [
        (files("nowhere.crt", "ours-node.key", "ours.crt"), uses[0], "raft tls: cannot read"),
        (files("empty", "ours-node.key", "ours.crt"), uses[1], "holds no certificate"),
        (files("ours-node.crt", "theirs-node.key", "ours.crt"), uses[1], "grpc tls: TLS cannot be set up"),
        (files("ours-node.crt", "ours-node.key", "empty"), uses[2], "tls-replication: "),
        // Each file is good; together they keep everybody out.
        (
            files("theirs-node.crt", "theirs-node.key", "ours.crt"),
            uses[0],
            "raft tls: TLS cannot be set up: our own certificate would be refused",
        ),
    ] {
        let (ok, said) = check(dir, &format!("{files}{wanted}"));
        assert!(!ok && said.contains(expected) && !said.contains("OK:"), "{wanted}{files}: {said}");
    }
    // A certificate for another host is refused where names are looked at.
    let named = format!("{good}raft tls yes\nsentinel tls-verify-hostname yes\n");
    assert!(check(dir, &named).0);
    let (ok, said) = check(dir, &format!("{named}raft advertise 10.9.8.7:27379\n"));
    assert!(!ok && said.contains("not valid for name"), "{said}");
    // Nothing is opened that nothing uses.
    assert!(check(dir, &files("nowhere.crt", "nowhere.key", "nowhere.crt")).0);
}

#[test]
fn tls_without_certificates_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (lines, expected) in [
        ("raft tls yes\n", "raft tls yes needs tls-cert-file and tls-key-file"),
        ("grpc tls yes\n", "grpc tls yes needs tls-cert-file and tls-key-file"),
        ("raft tls yes\ntls-cert-file a\ntls-key-file b\ntls-auth-clients no\n", "raft tls yes needs tls-ca-cert-file or tls-ca-cert-dir"),
        ("grpc tls yes\ntls-cert-file a\ntls-key-file b\n", "grpc tls yes asks clients for certificates"),
    ] {
        let (ok, said) = check(dir.path(), lines);
        assert!(!ok && said.contains(expected), "{lines}: {said}");
    }
}
