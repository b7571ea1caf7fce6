//! A line becomes words, by Redis's rules.
//!
//! Blanks separate words. A quote may open anywhere in a word; its closing partner must end the word. Within `"..."`
//! the escapes `\n \r \t \b \a \xHH` have their C meaning and `\` before anything else stands for that character;
//! within `'...'` only `\'` is an escape. There are no comments here: a `#` is a character like any other.

/// A quote that never closes, or closes in the middle of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unbalanced quotes")]
pub struct Unbalanced;

/// Splits a line into words. A NUL byte ends the line, as it does for Redis.
///
/// # Errors
/// [`Unbalanced`].
pub fn split(line: &[u8]) -> Result<Vec<Vec<u8>>, Unbalanced> {
    let end = line.iter().position(|byte| *byte == 0).unwrap_or(line.len());
    let mut rest = WordCursor { bytes: &line[..end] };
    let mut words = Vec::new();
    loop {
        rest.skip_blanks();
        if rest.bytes.is_empty() {
            return Ok(words);
        }
        words.push(rest.word()?);
    }
}

/// What C's `isspace` says.
const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

struct WordCursor<'a> {
    bytes: &'a [u8],
}

impl WordCursor<'_> {
    fn take(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn skip_blanks(&mut self) {
        while self.bytes.first().is_some_and(|byte| is_blank(*byte)) {
            self.bytes = &self.bytes[1..];
        }
    }

    fn word(&mut self) -> Result<Vec<u8>, Unbalanced> {
        let mut word = Vec::new();
        while let Some(byte) = self.take() {
            match byte {
                // Vertical tab and form feed part words only where a word could begin: Redis does the same.
                b' ' | b'\t' | b'\n' | b'\r' => return Ok(word),
                b'"' => return self.double_quoted(word),
                b'\'' => return self.single_quoted(word),
                other => word.push(other),
            }
        }
        Ok(word)
    }

    fn double_quoted(&mut self, mut word: Vec<u8>) -> Result<Vec<u8>, Unbalanced> {
        loop {
            match self.take().ok_or(Unbalanced)? {
                b'"' => return self.closed(word),
                b'\\' => word.push(self.escaped()?),
                other => word.push(other),
            }
        }
    }

    fn single_quoted(&mut self, mut word: Vec<u8>) -> Result<Vec<u8>, Unbalanced> {
        loop {
            match self.take().ok_or(Unbalanced)? {
                b'\'' => return self.closed(word),
                b'\\' if self.bytes.first() == Some(&b'\'') => word.extend(self.take()),
                other => word.push(other),
            }
        }
    }

    /// A closing quote ends the word.
    fn closed(&self, word: Vec<u8>) -> Result<Vec<u8>, Unbalanced> {
        if self.bytes.first().is_none_or(|byte| is_blank(*byte)) { Ok(word) } else { Err(Unbalanced) }
    }

    fn escaped(&mut self) -> Result<u8, Unbalanced> {
        Ok(match self.take().ok_or(Unbalanced)? {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 0x08,
            b'a' => 0x07,
            b'x' => self.hex_byte().unwrap_or(b'x'),
            other => other,
        })
    }

    /// The byte that two hex digits stand for; takes nothing when there are none.
    fn hex_byte(&mut self) -> Option<u8> {
        let [high, low, rest @ ..] = self.bytes else { return None };
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let byte = digit(*high)? << 4 | digit(*low)?;
        self.bytes = rest;
        Some(byte)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(line: &str) -> Result<Vec<String>, Unbalanced> {
        Ok(split(line.as_bytes())?.into_iter().map(|word| String::from_utf8_lossy(&word).into_owned()).collect())
    }

    #[test]
    fn blanks_part_words_and_quotes_hold_them_together() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            (" \t\r\n\x0b\x0c ", &[]),
            ("port 26379", &["port", "26379"]),
            ("  a\tb \r\n", &["a", "b"]),
            (r#"dir "/tmp/a b""#, &["dir", "/tmp/a b"]),
            (r#"x "\n\r\t\b\a\\\"\q""#, &["x", "\n\r\t\x08\x07\\\"q"]),
            (r#"x "\x41\x7a\xZZ\x4""#, &["x", "AzxZZx4"]),
            (r"x 'it\'s \n'", &["x", r"it's \n"]),
            (r#"x "" ''"#, &["x", "", ""]),
            (r#"foo"bar" baz"#, &["foobar", "baz"]),
            ("a # b", &["a", "#", "b"]),
            ("a\x0bb", &["a\x0bb"]),
            ("a b\0c d", &["a", "b"]),
        ];
        for (line, expected) in cases {
            assert_eq!(
                words(line).as_deref(),
                Ok(expected.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>().as_slice()),
                "{line:?}"
            );
        }
    }

    #[test]
    fn quotes_must_balance_and_end_the_word() {
        for line in [r#"""#, r#"a "b"#, r#"a "b"c"#, "a 'b", "a 'b'c", r#"a "b\"#, r#"a "b\""#, r"a 'b\'", "'", r#"a"b"c"#] {
            assert_eq!(words(line), Err(Unbalanced), "{line:?}");
        }
    }

    /// Quotes bytes as Redis does when it writes its file.
    fn quoted(word: &[u8]) -> String {
        let mut text = String::from("\"");
        for byte in word {
            match byte {
                b'\\' | b'"' => text.extend(['\\', char::from(*byte)]),
                0x20..=0x7e => text.push(char::from(*byte)),
                other => text.push_str(&format!("\\x{other:02x}")),
            }
        }
        text + "\""
    }

    proptest! {
        #[test]
        fn any_bytes_are_split_or_refused(line in proptest::collection::vec(any::<u8>(), 0..512)) {
            if let Ok(words) = split(&line) {
                prop_assert!(words.iter().map(Vec::len).sum::<usize>() <= line.len());
            }
        }

        #[test]
        fn what_was_quoted_comes_back(words in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..32), 0..8)) {
            let line = words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(split(line.as_bytes()), Ok(words));
        }

        #[test]
        fn plain_words_come_back(words in proptest::collection::vec("[!#-&(-\\[\\]-~]{1,12}", 0..8), blank in "[ \t]{1,3}") {
            let expected: Vec<Vec<u8>> = words.iter().map(|word| word.clone().into_bytes()).collect();
            prop_assert_eq!(split(words.join(&blank).as_bytes()), Ok(expected));
        }
    }
}
