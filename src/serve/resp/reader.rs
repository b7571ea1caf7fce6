//! From bytes to requests, in one pass: what has been looked at is never looked at again, however the bytes arrive.

use bytes::{Buf, Bytes, BytesMut};

use super::bounds;
use super::inline;
use super::number::integer;
use crate::base::limits;

/// One request: the command's name and its arguments. Never empty.
pub(crate) type Words = Vec<Bytes>;

/// Bytes that are no request. The connection is closed after the text was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Protocol error: {0}")]
pub(crate) struct ProtocolError(String);

/// What a client may send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    words: usize,
    word_bytes: usize,
    request_bytes: usize,
    stranger: bool,
}

impl Allowance {
    /// A stranger, who has not authenticated yet, gets less.
    pub(crate) const fn new(stranger: bool) -> Self {
        if stranger {
            Self {
                words: limits::RESP_WORDS_UNAUTHENTICATED,
                word_bytes: limits::RESP_WORD_BYTES_UNAUTHENTICATED,
                request_bytes: bounds::REQUEST_BYTES_UNAUTHENTICATED,
                stranger,
            }
        } else {
            Self { words: limits::RESP_WORDS, word_bytes: limits::RESP_WORD_BYTES, request_bytes: bounds::REQUEST_BYTES, stranger }
        }
    }
}

/// A request of which some words are still to come.
#[derive(Debug)]
struct Unfinished {
    words: Words,
    words_left: usize,
    bytes: usize,
    /// The length of the next word, once its header has been read.
    word_bytes: Option<usize>,
}

/// Collects the bytes of one client.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    buffer: BytesMut,
    /// How far the buffer has been searched for the end of a line.
    searched: usize,
    unfinished: Option<Unfinished>,
}

impl Reader {
    /// Where the next bytes go.
    ///
    /// Room is made in large steps: words share the buffer they came in, so that a buffer for each word would cost a multiple of
    /// what the client sent.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        if self.buffer.capacity() - self.buffer.len() < 64 {
            self.buffer.reserve(bounds::READ_BYTES);
        }
        &mut self.buffer
    }

    /// The bytes that are held for a request that is not whole yet.
    pub(crate) fn held(&self) -> usize {
        self.buffer.len() + self.unfinished.as_ref().map_or(0, |unfinished| unfinished.bytes)
    }

    /// The next whole request; none until more bytes have come.
    pub(crate) fn next(&mut self, allowance: Allowance) -> Result<Option<Words>, ProtocolError> {
        loop {
            if self.unfinished.is_some() {
                return self.next_words(allowance);
            }
            let Some(first) = self.buffer.first() else { return Ok(None) };
            if *first == b'*' {
                let Some(line) = self.line("too big mbulk count string")? else { return Ok(None) };
                let count = word_count(&line[1..], allowance)?;
                if count > 0 {
                    self.unfinished = Some(Unfinished { words: Vec::new(), words_left: count, bytes: 0, word_bytes: None });
                }
            } else {
                let Some(line) = self.line("too big inline request")? else { return Ok(None) };
                let words = inline::split(&line).map_err(|_| ProtocolError("unbalanced quotes in request".to_owned()))?;
                match words.len() {
                    0 => {}
                    count if count > allowance.words => return Err(ProtocolError("too big inline request".to_owned())),
                    _ => return Ok(Some(words)),
                }
            }
        }
    }

    fn next_words(&mut self, allowance: Allowance) -> Result<Option<Words>, ProtocolError> {
        let Some(mut unfinished) = self.unfinished.take() else { return Ok(None) };
        while unfinished.words_left > 0 {
            match self.word(&mut unfinished, allowance)? {
                Some(word) => {
                    unfinished.words.push(word);
                    unfinished.words_left -= 1;
                }
                None => {
                    self.unfinished = Some(unfinished);
                    return Ok(None);
                }
            }
        }
        Ok(Some(unfinished.words))
    }

    fn word(&mut self, unfinished: &mut Unfinished, allowance: Allowance) -> Result<Option<Bytes>, ProtocolError> {
        let length = match unfinished.word_bytes {
            Some(length) => length,
            None => {
                let Some(line) = self.line("too big bulk count string")? else { return Ok(None) };
                let length = word_length(&line, allowance)?;
                unfinished.bytes += length;
                if unfinished.bytes > allowance.request_bytes {
                    return Err(ProtocolError("too big request".to_owned()));
                }
                unfinished.word_bytes = Some(length);
                length
            }
        };
        if self.buffer.len() < length + 2 {
            return Ok(None);
        }
        let word = self.buffer.split_to(length).freeze();
        // Redis skips two bytes unseen, and takes what follows a wrong length for requests. We close instead.
        if !self.buffer.starts_with(b"\r\n") {
            return Err(ProtocolError("invalid bulk length".to_owned()));
        }
        self.buffer.advance(2);
        unfinished.word_bytes = None;
        Ok(Some(word))
    }

    /// Takes a line without its end out of the buffer; none until the end has come.
    fn line(&mut self, too_long: &str) -> Result<Option<Bytes>, ProtocolError> {
        let end = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n').map(|at| at + self.searched);
        self.searched = 0;
        if end.unwrap_or(self.buffer.len()) > limits::RESP_LINE_BYTES {
            return Err(ProtocolError(too_long.to_owned()));
        }
        let Some(end) = end else {
            self.searched = self.buffer.len();
            return Ok(None);
        };
        let line = self.buffer.split_to(end).freeze();
        self.buffer.advance(1);
        Ok(Some(line.strip_suffix(b"\r").map_or_else(|| line.clone(), |stripped| line.slice_ref(stripped))))
    }
}

fn word_count(text: &[u8], allowance: Allowance) -> Result<usize, ProtocolError> {
    let count = integer(text).ok_or_else(|| ProtocolError("invalid multibulk length".to_owned()))?;
    match usize::try_from(count) {
        Err(_) => Ok(0),
        Ok(count) if count <= allowance.words => Ok(count),
        Ok(count) if allowance.stranger && count <= limits::RESP_WORDS => Err(ProtocolError("unauthenticated multibulk length".to_owned())),
        Ok(_) => Err(ProtocolError("invalid multibulk length".to_owned())),
    }
}

fn word_length(line: &[u8], allowance: Allowance) -> Result<usize, ProtocolError> {
    let text = match line {
        [b'$', text @ ..] => text,
        [other, ..] => return Err(ProtocolError(format!("expected '$', got '{}'", shown(*other)))),
        [] => return Err(ProtocolError("expected '$', got '\\r'".to_owned())),
    };
    let invalid = || ProtocolError("invalid bulk length".to_owned());
    let length = usize::try_from(integer(text).ok_or_else(invalid)?).map_err(|_| invalid())?;
    if length <= allowance.word_bytes {
        Ok(length)
    } else if allowance.stranger && length <= limits::RESP_WORD_BYTES {
        Err(ProtocolError("unauthenticated bulk length".to_owned()))
    } else {
        Err(invalid())
    }
}

fn shown(byte: u8) -> char {
    if byte.is_ascii_graphic() || byte == b' ' { char::from(byte) } else { '?' }
}

#[cfg(test)]
#[path = "reader_test.rs"]
mod tests;

#[cfg(test)]
#[path = "flood_test.rs"]
mod flood;
