//! A line is split as Redis splits it: asked of a real redis-server, whose inline commands go through the same rules.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use raft_sentinel::conf::words::split;

use crate::live::{free_port, start_server};

/// What redis-server makes of a line: its words, or none if it complains about the quotes.
fn words_of_redis(port: u16, line: &str) -> Option<Vec<Vec<u8>>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut reader = BufReader::new(stream);
    // The first word after the key is ours, so that RPUSH has its argument even when the line is blank.
    reader.get_mut().write_all(format!("DEL k\r\nRPUSH k - {line}\n").as_bytes()).unwrap();
    let mut answers = [String::new(), String::new()];
    for answer in &mut answers {
        reader.read_line(answer).unwrap();
    }
    if answers[1].contains("unbalanced quotes") {
        return None;
    }
    let mut client = redis::Client::open(("127.0.0.1", port)).unwrap().get_connection().unwrap();
    let words: Vec<Vec<u8>> = redis::cmd("LRANGE").arg("k").arg(1).arg(-1).query(&mut client).unwrap();
    assert_eq!(answers[1], format!(":{}\r\n", words.len() + 1), "{line:?}");
    Some(words)
}

#[test]
fn a_line_is_split_as_redis_splits_it() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let _server = start_server(dir.path(), port, &[]);
    let lines = "[ \t\x0b\x0c\"'\\\\xnrtba04fFgé#]{0,14}";
    let mut runner = TestRunner::default();
    let strategy = proptest::string::string_regex(lines).unwrap().prop_filter("ends the inline command", |line| !line.contains('\n'));
    let (mut split_lines, mut refused) = (0, 0);
    for _ in 0..1500 {
        let line = strategy.new_tree(&mut runner).unwrap().current();
        let expected = words_of_redis(port, &line);
        assert_eq!(split(line.as_bytes()).ok(), expected, "{line:?}");
        if expected.is_some() { split_lines += 1 } else { refused += 1 }
    }
    assert!(split_lines > 100 && refused > 100, "{split_lines} split, {refused} refused: the lines say too little");
}
