//! The files of one deployment beside each other.

use clap::Parser as _;
use raft_sentinel::conf::SecretIds;
use raft_sentinel::conf::cli::{Cli, Command};

/// The file of sentinel `id` of three.
fn usual(id: u64) -> String {
    format!(
        "dir /tmp\nraft secret-file secret\nraft node-id {id}\nraft peer 1 10.0.0.1:27379\nraft peer 2 10.0.0.2:27379\nraft peer 3 10.0.0.3:27379\n\
         sentinel monitor mymaster 10.0.0.11 6379 2\nsentinel auth-pass mymaster hunter2\n"
    )
}

/// What `check` says of these files, and whether it is content. The files are called 1.conf, 2.conf, ...
fn check(texts: &[String]) -> (bool, String) {
    let dir = tempfile::tempdir().unwrap();
    let files = (1..=texts.len()).map(|number| dir.path().join(format!("{number}.conf")));
    let mut line = vec!["raft-sentinel".into(), "check".into()];
    for (file, text) in files.zip(texts) {
        std::fs::write(&file, text).unwrap();
        line.push(file.into_os_string());
    }
    let Command::Check(check) = Cli::try_parse_from(line).unwrap_or_else(|error| panic!("{error}")).command else { panic!("not a check") };
    let report = check.run(|config| Ok(config.raft.secret_file.as_ref().map(|path| ids(&path.display().to_string()))));
    (report.is_ok(), report.to_string().replace(&format!("{}/", dir.path().display()), ""))
}

/// In these tests the name of a secret file names its secrets.
fn ids(path: &str) -> SecretIds {
    let all: Vec<String> = path.split('+').map(ToOwned::to_owned).collect();
    SecretIds { current: all[0].clone(), all }
}

/// Two usual files, of which the second is changed.
fn changed(from: &str, to: &str) -> (bool, String) {
    let second = usual(2);
    assert!(second.contains(from), "{from} is not in the usual file");
    check(&[usual(1), second.replace(from, to)])
}

#[test]
fn files_that_fit_are_ok() {
    let (ok, said) = check(&[usual(1), usual(2), usual(3)]);
    assert!(ok && said.lines().all(|line| line.starts_with("OK: ")), "{said}");
}

#[test]
fn what_would_break_the_group_is_a_conflict() {
    let mine = "a".repeat(40);
    for (from, to, expected) in [
        (
            "peer 3 10.0.0.3:27379",
            "peer 3 10.0.0.4:27379",
            "the raft peer lines differ: peer 3 is 10.0.0.3:27379 in 1.conf and 10.0.0.4:27379 in 2.conf",
        ),
        ("raft peer 3 10.0.0.3:27379\n", "", "the raft peer lines differ: peer 3 is 10.0.0.3:27379 in 1.conf and missing in 2.conf"),
        ("node-id 2", "node-id 1", "1.conf and 2.conf both have raft node-id 1"),
        ("dir /tmp", "dir /tmp\nraft cluster-id blue", "1.conf has the cluster-id none, 2.conf blue"),
        (
            "dir /tmp",
            "dir /tmp\nraft tls yes\ntls-cert-file a\ntls-key-file b\ntls-ca-cert-file c",
            "1.conf says raft tls no, 2.conf yes: these sentinels cannot talk to each other",
        ),
        ("dir /tmp", "dir /tmp\nraft listen 10.0.0.3:27379", "2.conf: node 2 listens on 10.0.0.3:27379, where all look for raft peer 3"),
        ("dir /tmp", "dir /tmp\nraft advertise 10.0.0.1:27379", "2.conf: node 2 advertises 10.0.0.1:27379, where all look for raft peer 1"),
        (
            "dir /tmp",
            "dir /tmp\nraft heartbeat-ms 100\nraft election-timeout-ms 300 600",
            "raft heartbeat-ms 100 in 2.conf is too slow for raft election-timeout-ms 150 in 1.conf",
        ),
        ("10.0.0.11 6379", "10.0.0.12 6379", "the master of mymaster is 10.0.0.11:6379 in 1.conf (epoch 0) and 10.0.0.12:6379 in 2.conf"),
        ("hunter2", "hunter3", "auth-pass of mymaster is not the same in 1.conf and 2.conf"),
    ] {
        let (ok, said) = changed(from, to);
        assert!(
            !ok && said.contains(&format!("conflict: {expected}")) || said.contains("lines differ: ") && said.contains(expected),
            "{said}"
        );
        assert!(!said.contains("hunter"), "a password is told: {said}");
    }
    let seeded = |id| format!("{}sentinel myid {mine}\n", usual(id));
    let (ok, said) = check(&[seeded(1), seeded(2)]);
    assert!(!ok && said.contains("conflict: 1.conf and 2.conf have the same 'sentinel myid'"), "{said}");
}

#[test]
fn what_is_only_odd_is_noted() {
    for (from, to, expected) in [
        ("6379 2", "6379 3", "quorum of mymaster is 2 in 1.conf and 3 in 2.conf"),
        (
            "dir /tmp",
            "dir /tmp\nsentinel down-after-milliseconds mymaster 5",
            "down-after-milliseconds of mymaster is 30000 in 1.conf and 5",
        ),
        ("dir /tmp", "dir /tmp\nrequirepass s3cret", "requirepass is not the same in 1.conf and 2.conf"),
        ("dir /tmp", "dir /tmp\nraft election-timeout-ms 150 400", "1.conf and 2.conf differ in raft heartbeat-ms"),
        ("dir /tmp", "dir /tmp\nraft listen 10.0.0.2:4000", "listens on 10.0.0.2:4000, but 'raft peer 2' is 10.0.0.2:27379"),
        ("dir /tmp", "dir /tmp\nsentinel monitor other 10.0.0.20 6379 2", "other is in 2.conf, but not in 1.conf"),
    ] {
        let (ok, said) = changed(from, to);
        assert!(ok && said.contains("note: ") && said.contains(expected), "{said}");
        assert!(!said.contains("s3cret"), "a password is told: {said}");
    }
    let (ok, said) = changed("dir /tmp", "dir /tmp\nraft listen 0.0.0.0:27379");
    assert!(ok && !said.contains("note: "), "every address of the host is where it is looked for: {said}");
}

#[test]
fn a_newcomer_needs_only_the_name_of_the_cluster() {
    let named = |id| format!("{}raft cluster-id blue\n", usual(id));
    let newcomer =
        "dir /tmp\nraft secret-file secret\nraft node-id 4\nraft cluster-id blue\nraft listen 10.0.0.4:27379\nraft peer 1 10.0.0.1:27379\n"
            .to_owned();
    let (ok, said) = check(&[named(1), newcomer.clone()]);
    assert!(ok && said.contains("note: the raft peer lines differ"), "{said}");
    let (ok, said) = check(&[usual(1), newcomer.replace("raft cluster-id blue\n", "")]);
    assert!(!ok && said.contains("conflict: the raft peer lines differ"), "{said}");
}

#[test]
fn a_file_that_cannot_be_read_is_left_out() {
    let (ok, said) = check(&[usual(1), "nonsense\n".to_owned(), usual(1)]);
    assert!(!ok && said.contains("error: ") && said.contains("1.conf and 3.conf both have raft node-id 1"), "{said}");
}

#[test]
fn secrets_fit_when_each_holds_what_the_other_dials_with() {
    let conflicts = [
        ("raft secret-file secret\n", "raft secret-file other\n", "1.conf dials with the secret secret, which 2.conf does not hold"),
        ("raft secret-file secret\n", "raft secret-file other+secret\n", "2.conf dials with the secret other, which 1.conf does not hold"),
        ("raft secret-file secret\n", "raft tls no\nraft insecure yes\n", "1.conf has a raft secret-file, 2.conf has none"),
    ];
    for (from, to, expected) in conflicts {
        let (ok, said) = changed(from, to);
        assert!(!ok && said.contains(expected), "{said}");
    }
    // While the secret is introduced, those that have it let the others in.
    let (ok, said) = check(&[usual(1) + "raft insecure yes\n", usual(2).replace("raft secret-file secret\n", "raft insecure yes\n")]);
    assert!(ok && said.contains("fine while the secret is being introduced"), "{said}");
    let (ok, said) = changed("raft secret-file secret\n", "raft secret-file secret+next\n");
    assert!(ok && !said.contains("secret"), "{said}");
    let files = ["old+next", "next+old"].map(|secrets| usual(1).replace("secret-file secret", &format!("secret-file {secrets}")));
    let (ok, said) = check(&[files[0].clone(), files[1].replace("node-id 1", "node-id 2")]);
    assert!(ok && said.contains("fine while the secret is being replaced"), "{said}");
}

#[test]
fn all_that_is_wrong_with_a_file_is_told_at_once() {
    let text = usual(1).replace("dir /tmp", "dir /tmp\nnonsense 1\nport x").replace(
        "sentinel monitor mymaster 10.0.0.11 6379 2",
        "sentinel monitor mymaster 10.0.0.11 99999 2\nsentinel down-after-milliseconds other 5",
    );
    let (ok, said) = check(&[text]);
    assert!(!ok);
    for expected in ["1.conf:2: ", "1.conf:3: port: 'x'", "Invalid port number.", "No 'sentinel monitor' line names 'other'"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert_eq!(said.lines().filter(|line| line.starts_with("error: ")).count(), 4, "what follows from another mistake is not told: {said}");
}

#[test]
fn what_will_not_work_is_found_before_it_happens() {
    let with = |more: &str| check(&[usual(1) + more]).1;
    assert!(with("sentinel monitor other 0.0.0.0 6379 2\n").contains("0.0.0.0:6379 of other is no server's address"));
    let shared = "sentinel known-replica mymaster 10.0.0.12 6379\nsentinel monitor other 10.0.0.12 6379 2\n";
    assert!(with(shared).contains("10.0.0.12:6379 is a server of other and of mymaster"));
    assert!(with("sentinel monitor other 10.0.0.13 6379 4\n").contains("the quorum of other is 4"));
}
