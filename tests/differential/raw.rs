//! Replies as they come: unlike the kit's, with every type of RESP3 kept apart.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Raw {
    Simple(String),
    Error(String),
    Int(i64),
    Bulk(String),
    Verbatim(String),
    /// The bytes of "nothing": three kinds of them.
    Nil(&'static str),
    /// `*`, `%`, `~` or `>` and what is in it; a map's keys and values alternate.
    Many(char, Vec<Raw>),
}

/// How a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Resp2,
    Resp3,
    /// As lines that people type, all of them at once.
    Inline,
}

/// A connection.
pub(crate) struct Line {
    stream: BufReader<TcpStream>,
}

impl Line {
    pub(crate) fn open(port: u16, manner: Manner) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut line = Self { stream: BufReader::new(stream) };
        if manner == Manner::Resp3 {
            line.ask(&["HELLO".to_owned(), "3".to_owned()]);
        }
        line
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    /// One request as an array of words, and its reply.
    pub(crate) fn ask(&mut self, words: &[String]) -> Raw {
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        words.iter().for_each(|word| bytes.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes()));
        self.send(&bytes);
        self.read().unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    pub(crate) fn read(&mut self) -> io::Result<Raw> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end_matches("\r\n");
        let (kind, rest) = line.split_at(1);
        let number = || rest.parse::<i64>().unwrap_or_else(|_| panic!("no number: {line:?}"));
        Ok(match kind {
            "+" => Raw::Simple(rest.to_owned()),
            "-" => Raw::Error(rest.to_owned()),
            ":" => Raw::Int(number()),
            "_" => Raw::Nil("_"),
            "$" if number() < 0 => Raw::Nil("$-1"),
            "*" if number() < 0 => Raw::Nil("*-1"),
            "$" => Raw::Bulk(self.bytes(number())?),
            "=" => Raw::Verbatim(self.bytes(number())?),
            "%" => self.many('%', 2 * number())?,
            "*" | "~" | ">" => self.many(kind.chars().next().unwrap(), number())?,
            _ => panic!("not RESP: {line:?}"),
        })
    }

    fn bytes(&mut self, count: i64) -> io::Result<String> {
        let mut bytes = vec![0; usize::try_from(count).unwrap() + 2];
        self.stream.read_exact(&mut bytes)?;
        bytes.truncate(bytes.len() - 2);
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn many(&mut self, kind: char, count: i64) -> io::Result<Raw> {
        (0..count).map(|_| self.read()).collect::<io::Result<_>>().map(|items| Raw::Many(kind, items))
    }
}

/// Splits a line of the list of questions: blanks separate, `""` is an empty word, `_` in quotes stands for itself.
pub(crate) fn words(question: &str) -> Vec<String> {
    question.split_ascii_whitespace().map(|word| if word == "\"\"" { String::new() } else { word.to_owned() }).collect()
}
