//! A request typed by a person: words on one line, quoted as in Redis.

use bytes::Bytes;

/// The line's quotes do not pair up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnbalancedQuotes;

/// Splits a line into words. `"..."` knows `\n \r \t \b \a \xHH` and `\` before itself and `"`; `'...'` knows `\'` only.
pub(crate) fn split(line: &[u8]) -> Result<Vec<Bytes>, UnbalancedQuotes> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let mut word = Vec::new();
        rest = take_word(rest, &mut word)?.trim_ascii_start();
        words.push(Bytes::from(word));
    }
    Ok(words)
}

fn take_word<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], UnbalancedQuotes> {
    loop {
        match rest {
            [] | [0, ..] => return Ok(&[]),
            [blank, ..] if blank.is_ascii_whitespace() => return Ok(rest),
            [b'"', quoted @ ..] => return after_quote(take_double_quoted(quoted, word)?),
            [b'\'', quoted @ ..] => return after_quote(take_single_quoted(quoted, word)?),
            [plain, after @ ..] => {
                word.push(*plain);
                rest = after;
            }
        }
    }
}

/// A closing quote ends the word.
fn after_quote(rest: &[u8]) -> Result<&[u8], UnbalancedQuotes> {
    match rest.first() {
        None => Ok(rest),
        Some(blank) if blank.is_ascii_whitespace() => Ok(rest),
        Some(_) => Err(UnbalancedQuotes),
    }
}

fn take_double_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], UnbalancedQuotes> {
    loop {
        match rest {
            [] => return Err(UnbalancedQuotes),
            [b'"', after @ ..] => return Ok(after),
            [b'\\', b'x', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                word.push(hex(*high) * 16 + hex(*low));
                rest = after;
            }
            [b'\\', escaped, after @ ..] => {
                word.push(unescape(*escaped));
                rest = after;
            }
            [plain, after @ ..] => {
                word.push(*plain);
                rest = after;
            }
        }
    }
}

fn take_single_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], UnbalancedQuotes> {
    loop {
        match rest {
            [] => return Err(UnbalancedQuotes),
            [b'\'', after @ ..] => return Ok(after),
            [b'\\', b'\'', after @ ..] => {
                word.push(b'\'');
                rest = after;
            }
            [plain, after @ ..] => {
                word.push(*plain);
                rest = after;
            }
        }
    }
}

const fn unescape(escaped: u8) -> u8 {
    match escaped {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

const fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_in_redis() {
        for (line, words) in [
            ("  PING  ", vec!["PING"]),
            ("", vec![]),
            ("set 'a b' \"c d\"", vec!["set", "a b", "c d"]),
            (r#""\x41\n\"\\" 'it\'s'"#, vec!["A\n\"\\", "it's"]),
            (r#""" x"#, vec!["", "x"]),
            (r#"ab"cd""#, vec!["abcd"]),
        ] {
            let expected: Vec<Bytes> = words.into_iter().map(Bytes::from).collect();
            assert_eq!(split(line.as_bytes()), Ok(expected), "{line}");
        }
        for line in ["\"", "'", "\"a\"b", "'a'b", "\"\\\"", "a \"b"] {
            assert_eq!(split(line.as_bytes()), Err(UnbalancedQuotes), "{line}");
        }
    }
}
