//! RESP2 as a client speaks it: commands out, replies in. Knows bytes only.

use bytes::{Buf, BytesMut};

use crate::base::limits;

/// Bytes in one line: a status, an error, a number or the head of something longer.
const LINE_BYTES: usize = 8 * 1024;
/// How large a reply may be.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Elements of one array.
    pub elements: usize,
    /// Bytes of one whole reply.
    pub bytes: usize,
    /// Arrays in arrays.
    pub depth: usize,
}

/// The bounds for a data node. The longest array that one is asked for is the answer to EXEC, with that to CONFIG GET in it.
const DATA_NODE: Bounds = Bounds { elements: 64, bytes: limits::INFO_BYTES + 64 * 1024, depth: 3 };

const _: () = assert!(LINE_BYTES * DATA_NODE.elements < DATA_NODE.bytes, "an array of lines must fit a reply");

/// One reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// `+text`
    Status(String),
    /// `-text`
    Error(String),
    /// `:number`
    Number(i64),
    /// `$length` and the text, decoded leniently: a server may say anything.
    Bulk(String),
    /// `$-1` or `*-1`
    Nil,
    /// `*count` and the elements
    Array(Vec<Reply>),
}

impl Reply {
    /// The server's words, if it is an error.
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Error(text) => Some(text),
            Self::Status(_) | Self::Number(_) | Self::Bulk(_) | Self::Nil | Self::Array(_) => None,
        }
    }
}

/// Why bytes are not a reply that we accept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadWire {
    /// Not RESP at all.
    #[error("the answer is not Redis protocol: it has '{0}' where a reply begins")]
    NotRedis(String),
    /// A number that is none.
    #[error("the answer has a bad number '{0}'")]
    BadNumber(String),
    /// Something longer than we accept.
    #[error("the answer has {what} over the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How much is accepted.
        limit: usize,
    },
    /// A length that is not followed by the text and a line end.
    #[error("a text in the answer does not end where it says")]
    BadEnd,
}

/// Adds one command to `out`.
pub fn encode<S: AsRef<str>>(words: &[S], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        let word = word.as_ref();
        out.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
}

/// Takes one whole reply from the front of `inbox`, or nothing while it is incomplete.
///
/// Parsing starts over with each call; the limits keep that cheap, since long texts are skipped by their length.
///
/// # Errors
/// [`BadWire`]; the link cannot be used afterwards.
pub fn decode(inbox: &mut BytesMut) -> Result<Option<Reply>, BadWire> {
    decode_within(inbox, DATA_NODE)
}

/// The same within other bounds than those for a data node.
///
/// # Errors
/// [`BadWire`]; the link cannot be used afterwards.
pub fn decode_within(inbox: &mut BytesMut, bounds: Bounds) -> Result<Option<Reply>, BadWire> {
    let mut reader = Reader { bytes: inbox, at: 0, bounds };
    let Some(reply) = reader.reply(0)? else {
        return if inbox.len() > bounds.bytes { Err(too_large("a reply in bytes", bounds.bytes)) } else { Ok(None) };
    };
    let used = reader.at;
    inbox.advance(used);
    Ok(Some(reply))
}

/// At most 80 characters of what a server said, without control characters: fit for a log line.
pub fn excerpt(text: &str) -> String {
    let mut shown: String = text.chars().take(80).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(80).is_some() {
        shown.push_str("...");
    }
    shown
}

const fn too_large(what: &'static str, limit: usize) -> BadWire {
    BadWire::TooLarge { what, limit }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    bounds: Bounds,
}

impl Reader<'_> {
    fn reply(&mut self, depth: usize) -> Result<Option<Reply>, BadWire> {
        // Refused by the first byte already, so that a stranger need not send a line end to be recognised.
        if let Some(kind) = self.bytes.get(self.at)
            && !b"+-:$*".contains(kind)
        {
            return Err(BadWire::NotRedis(excerpt(&String::from_utf8_lossy(&self.bytes[self.at..self.bytes.len().min(self.at + 40)]))));
        }
        let Some(line) = self.line()? else { return Ok(None) };
        let (kind, rest) = line.split_at(1);
        match kind {
            "+" => Ok(Some(Reply::Status(rest.to_owned()))),
            "-" => Ok(Some(Reply::Error(rest.to_owned()))),
            ":" => Ok(Some(Reply::Number(number(rest)?))),
            "$" => self.bulk(number(rest)?),
            _ => self.array(number(rest)?, depth),
        }
    }

    /// The next line without its end. Starts with one of the five marks.
    fn line(&mut self) -> Result<Option<String>, BadWire> {
        let rest = &self.bytes[self.at..];
        let window = &rest[..rest.len().min(LINE_BYTES)];
        let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") else {
            return if rest.len() >= LINE_BYTES { Err(too_large("a line in bytes", LINE_BYTES)) } else { Ok(None) };
        };
        self.at += end + 2;
        Ok(Some(String::from_utf8_lossy(&rest[..end]).into_owned()))
    }

    fn bulk(&mut self, length: i64) -> Result<Option<Reply>, BadWire> {
        let Some(length) = size(length, limits::INFO_BYTES, "a text in bytes")? else { return Ok(Some(Reply::Nil)) };
        let rest = &self.bytes[self.at..];
        if rest.len() < length + 2 {
            return Ok(None);
        }
        if &rest[length..length + 2] != b"\r\n" {
            return Err(BadWire::BadEnd);
        }
        self.at += length + 2;
        Ok(Some(Reply::Bulk(String::from_utf8_lossy(&rest[..length]).into_owned())))
    }

    fn array(&mut self, count: i64, depth: usize) -> Result<Option<Reply>, BadWire> {
        let Some(count) = size(count, self.bounds.elements, "an array in elements")? else { return Ok(Some(Reply::Nil)) };
        if depth == self.bounds.depth {
            return Err(too_large("arrays in arrays in depth", self.bounds.depth));
        }
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            let Some(element) = self.reply(depth + 1)? else { return Ok(None) };
            elements.push(element);
        }
        Ok(Some(Reply::Array(elements)))
    }
}

fn number(text: &str) -> Result<i64, BadWire> {
    text.parse().map_err(|_| BadWire::BadNumber(excerpt(text)))
}

/// A length: none for the -1 of a missing value.
fn size(length: i64, limit: usize, what: &'static str) -> Result<Option<usize>, BadWire> {
    match usize::try_from(length) {
        Ok(length) if length <= limit => Ok(Some(length)),
        Ok(_) => Err(too_large(what, limit)),
        Err(_) if length == -1 => Ok(None),
        Err(_) => Err(BadWire::BadNumber(length.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(bytes: &[u8]) -> Result<Option<Reply>, BadWire> {
        decode(&mut BytesMut::from(bytes))
    }

    #[test]
    fn replies_of_every_kind_are_read() {
        let exec = b"*5\r\n+OK\r\n-ERR no\r\n:-7\r\n$5\r\nab\r\nc\r\n*2\r\n$-1\r\n*0\r\n";
        let expected = Reply::Array(vec![
            Reply::Status("OK".into()),
            Reply::Error("ERR no".into()),
            Reply::Number(-7),
            Reply::Bulk("ab\r\nc".into()),
            Reply::Array(vec![Reply::Nil, Reply::Array(vec![])]),
        ]);
        assert_eq!(all(exec), Ok(Some(expected)));
        for end in 0..exec.len() {
            assert_eq!(all(&exec[..end]), Ok(None), "the first {end} bytes are no whole reply");
        }
    }

    #[test]
    fn a_reply_leaves_what_follows_it() {
        let mut inbox = BytesMut::from(&b"+PONG\r\n+PO"[..]);
        assert_eq!(decode(&mut inbox), Ok(Some(Reply::Status("PONG".into()))));
        assert_eq!(&inbox[..], b"+PO");
    }

    #[test]
    fn hostile_sizes_are_refused_before_memory_is_spent() {
        for bytes in
            [&b"$999999999999\r\n"[..], b"*999999999\r\n", b"$-2\r\n", b"*1\r\n*1\r\n*1\r\n*1\r\n", b"$2\r\nabc\r\n", b":x\r\n", b"HTTP"]
        {
            assert!(all(bytes).is_err(), "{bytes:?} was accepted");
        }
        assert!(all(&vec![b'+'; LINE_BYTES]).is_err(), "an endless line was accepted");
        let flood =
            [&b"*64\r\n"[..], &format!("${0}\r\n{1}\r\n", limits::INFO_BYTES, "x".repeat(limits::INFO_BYTES)).into_bytes().repeat(2)]
                .concat();
        assert!(all(&flood).is_err(), "a reply over the limit was accepted");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), proptest::sample::select(b"+-:$*\r\n0123".to_vec())], 0..200)) {
            let _ = all(&bytes);
        }

        #[test]
        fn words_come_out_as_they_went_in(words in proptest::collection::vec(".{0,20}", 1..6)) {
            let mut out = Vec::new();
            encode(&words, &mut out);
            prop_assert_eq!(all(&out), Ok(Some(Reply::Array(words.into_iter().map(Reply::Bulk).collect()))));
        }
    }
}
