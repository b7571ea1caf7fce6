//! Every command, request to reply bytes, in both versions of the protocol.
//!
//! `RAFT_SENTINEL_REWRITE_GOLDEN=1 cargo test` writes the files anew; the change is then reviewed as a diff.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::Ordering;

use super::wire::Wire;
use super::world::{World, world};

/// Their values depend on the moment; so do the lengths of these.
const AGES: [&str; 8] = [
    "last-ok-ping-reply",
    "last-ping-reply",
    "info-refresh",
    "role-reported-time",
    "last-hello-message",
    "s-down-time",
    "o-down-time",
    "last-ping-sent",
];

fn steady(reply: &str) -> String {
    let mut lines: Vec<String> = reply.split("\r\n").map(str::to_owned).collect();
    if lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    for at in 0..lines.len() {
        if AGES.contains(&lines[at].as_str()) && at + 2 < lines.len() {
            lines[at + 1] = "$#".to_owned();
            lines[at + 2] = "#".to_owned();
        }
    }
    lines.iter().fold(String::new(), |text, line| text + "  " + line + "\n")
}

async fn play(world: &World, protocol: u8, script: &str) -> String {
    let mut wire = Wire::open(world.addr).await;
    if protocol == 3 {
        assert!(wire.ask("HELLO 3").await.starts_with("%6\r\n"));
    }
    let mut seen = String::new();
    for line in script.lines() {
        match line {
            "" => {}
            "!no quorum" => world.fake.quorum.store(false, Ordering::SeqCst),
            "!quorum" => world.fake.quorum.store(true, Ordering::SeqCst),
            comment if comment.starts_with('#') => writeln!(seen, "\n{comment}").unwrap(),
            request => {
                let reply = wire.ask(request).await;
                write!(seen, "> {request}\n{}", steady(&reply)).unwrap();
            }
        }
    }
    seen
}

async fn check(protocol: u8) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/resp");
    let script = std::fs::read_to_string(folder.join("requests.txt")).unwrap();
    let seen = play(&world().await, protocol, &script).await;
    let golden = folder.join(format!("replies-resp{protocol}.txt"));
    if std::env::var_os("RAFT_SENTINEL_REWRITE_GOLDEN").is_some() {
        std::fs::write(&golden, &seen).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap();
    for (number, (seen, expected)) in seen.lines().zip(expected.lines()).enumerate() {
        assert_eq!(seen, expected, "{} line {}", golden.display(), number + 1);
    }
    assert_eq!(seen.lines().count(), expected.lines().count());
}

#[tokio::test]
async fn replies_in_resp2() {
    check(2).await;
}

#[tokio::test]
async fn replies_in_resp3() {
    check(3).await;
}

/// A command without a line in `requests.txt` has no test.
#[tokio::test]
async fn every_command_is_played() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/resp");
    let script = std::fs::read_to_string(folder.join("requests.txt")).unwrap().to_ascii_lowercase();
    let world = world().await;
    let names = Wire::open(world.addr).await.ask("COMMAND LIST").await;
    let words = names.split("\r\n").filter(|line| !line.starts_with(['*', '$']) && !line.is_empty());
    let played = |name: &str| {
        let start = name.replace('|', " ");
        script.lines().any(|line| line == start || line.starts_with(&format!("{start} ")))
    };
    let missing: Vec<&str> = words.filter(|name| !played(name)).collect();
    // Played elsewhere: they end the session or the server.
    assert_eq!(missing, ["quit", "shutdown"]);
}
