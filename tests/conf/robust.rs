//! Whatever the bytes, the answer comes, and soon.

use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use raft_sentinel::conf;

/// Words that lead deep into the parser.
const WORDS: &[&str] = &[
    "sentinel",
    "monitor",
    "raft",
    "peer",
    "grpc",
    "http",
    "listen",
    "m",
    "127.0.0.1",
    "6379",
    "2",
    "yes",
    "no",
    "port",
    "bind",
    "-::1",
    "*",
    "user",
    "default",
    "on",
    "nopass",
    "#",
    "\"",
    "'",
    "\\x",
    "\n",
    "known-replica",
    "auth-pass",
    "rename-command",
    "config-epoch",
    "include",
    "node-id",
    "1",
    "1.2.3.4:5",
    "election-timeout-ms",
    "99999999999999999999",
    "-1",
    "\u{1F600}",
    "\0",
    "--",
    "off",
    "down-after-milliseconds",
];

fn parse(text: &[u8]) -> String {
    match conf::parse(Path::new("s.conf"), text, &[]) {
        Ok(config) => format!("{config:?}"),
        Err(error) => error.to_string(),
    }
}

proptest! {
    #[test]
    fn any_bytes_are_answered(text in proptest::collection::vec(any::<u8>(), 0..2048)) {
        parse(&text);
    }

    #[test]
    fn any_words_are_answered(
        lines in proptest::collection::vec(proptest::collection::vec(proptest::sample::select(WORDS), 0..6), 0..12),
        monitored in any::<bool>(),
    ) {
        let mut text: String = lines.iter().map(|words| words.join(" ") + "\n").collect();
        if monitored {
            text.push_str("sentinel monitor m 127.0.0.1 6379 2\nraft node-id 1\nraft peer 1 1.2.3.4:5\n");
        }
        parse(text.as_bytes());
    }

    #[test]
    fn a_message_is_one_screen_of_printable_text(word in "\\PC{0,5000}") {
        let said = parse(format!("port {word}").as_bytes());
        prop_assert!(said.len() < 2000 && !said.contains('\x1b'));
    }
}

#[test]
fn a_large_file_is_read_quickly() {
    let mut text = String::from("raft node-id 1\nraft peer 1 127.0.0.1:27379\n");
    for group in 0..4000 {
        text += &format!("sentinel monitor group-{group} 10.0.0.1 6379 2\nsentinel down-after-milliseconds group-{group} 500\n");
        for replica in 0..10 {
            text += &format!("sentinel known-replica group-{group} 10.0.1.{replica} 6379\n");
        }
    }
    let start = Instant::now();
    let config = conf::parse(Path::new("s.conf"), text.as_bytes(), &[]).unwrap();
    assert_eq!(config.groups.len(), 4000);
    // It takes well under a second; the bound is wide because the machine may be busy.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?} for {} bytes", start.elapsed(), text.len());

    text += &"sentinel monitor more 10.0.0.1 6379 2\n".repeat(2);
    assert!(parse(text.as_bytes()).contains("Duplicate master name."));
    let many: String = (0..5000).map(|group| format!("sentinel monitor g{group} 10.0.0.1 1 1\n")).collect();
    assert!(parse(many.as_bytes()).contains("too many masters; at most 4096"));
}

#[test]
fn one_endless_line_is_answered() {
    assert!(parse(&[b'a'; 4_000_000]).len() < 2000);
    assert!(parse("port ".repeat(500_000).as_bytes()).contains("'port' takes 1 argument(s), not 499999"));
}
