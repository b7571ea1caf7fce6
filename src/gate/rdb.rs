//! The header of a snapshot (RDB file): which replication history it is of, how far it goes, and whether it has keys.
//!
//! Only the auxiliary fields at its head are read. What they say was written in the same moment as the data.

use crate::base::ReplId;

/// The mark at the end, before the checksum.
pub(super) const END: u8 = 0xff;
/// After that mark.
pub(super) const CHECKSUM_BYTES: u64 = 8;
const AUXILIARY: u8 = 0xfa;
/// Longest text of a field that is of interest.
const TEXT_BYTES: usize = 64 * 1024;

/// What a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The replication history and the offset in it.
    pub(super) history: Option<(ReplId, u64)>,
    /// Whether the end follows at once; if so, the snapshot is this long.
    pub(super) keyless: Option<u64>,
}

/// The header of a file that begins like this; none if it is no snapshot.
pub(super) fn header(bytes: &[u8]) -> Option<Header> {
    let mut rest = Cursor { bytes: after_magic(bytes)? };
    let (mut history, mut offset) = (None, None);
    loop {
        match rest.byte()? {
            AUXILIARY => {
                let (name, value) = (rest.text()?, rest.text()?);
                match name.as_slice() {
                    b"repl-id" => history = String::from_utf8(value).ok().and_then(|text| ReplId::new(text).ok()),
                    b"repl-offset" => offset = std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok()),
                    _ => {}
                }
            }
            next => {
                let read = bytes.len() - rest.bytes.len();
                let keyless = (next == END).then_some(read as u64 + CHECKSUM_BYTES);
                return Some(Header { history: history.zip(offset), keyless });
            }
        }
    }
}

/// `REDIS0011`; Valkey 9 writes `VALKEY080`.
fn after_magic(bytes: &[u8]) -> Option<&[u8]> {
    let (magic, rest) = bytes.split_at_checked(9)?;
    let version = magic.strip_prefix(b"REDIS").or_else(|| magic.strip_prefix(b"VALKEY"))?;
    version.iter().all(u8::is_ascii_digit).then_some(rest)
}

struct Cursor<'a> {
    bytes: &'a [u8],
}

/// How a text is written.
enum Length {
    /// So many bytes follow.
    Plain(usize),
    /// An integer of so many bytes follows.
    Integer(usize),
    /// It is compressed.
    Compressed,
}

impl Cursor<'_> {
    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn take(&mut self, many: usize) -> Option<&[u8]> {
        let (taken, rest) = self.bytes.split_at_checked(many)?;
        self.bytes = rest;
        Some(taken)
    }

    fn number(&mut self, many: usize) -> Option<usize> {
        let bytes = self.take(many)?;
        usize::try_from(bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))).ok()
    }

    fn length(&mut self) -> Option<Length> {
        let first = self.byte()?;
        let low = usize::from(first & 0x3f);
        Some(match (first >> 6, first) {
            (0, _) => Length::Plain(low),
            (1, _) => Length::Plain(low << 8 | usize::from(self.byte()?)),
            (2, 0x80) => Length::Plain(self.number(4)?),
            (2, 0x81) => Length::Plain(self.number(8)?),
            (3, 0xc0..=0xc2) => Length::Integer(1 << low),
            (3, 0xc3) => Length::Compressed,
            _ => return None,
        })
    }

    fn text(&mut self) -> Option<Vec<u8>> {
        match self.length()? {
            Length::Plain(many) => self.take(many).map(<[u8]>::to_vec),
            Length::Integer(many) => self.integer(many).map(|number| number.to_string().into_bytes()),
            Length::Compressed => {
                let (Length::Plain(packed), Length::Plain(full)) = (self.length()?, self.length()?) else { return None };
                if full > TEXT_BYTES {
                    return None;
                }
                unpack(self.take(packed)?, full)
            }
        }
    }

    /// A signed integer, low byte first.
    fn integer(&mut self, many: usize) -> Option<i32> {
        let bytes = self.take(many)?;
        let sign = if bytes.last()? & 0x80 == 0 { 0 } else { 0xff };
        let mut whole = [sign; 4];
        whole[..many].copy_from_slice(bytes);
        Some(i32::from_le_bytes(whole))
    }
}

/// LZF: runs of literal bytes, and copies of what came before.
fn unpack(packed: &[u8], full: usize) -> Option<Vec<u8>> {
    let mut rest = Cursor { bytes: packed };
    let mut text: Vec<u8> = Vec::with_capacity(full);
    while let Some(control) = rest.byte() {
        let control = usize::from(control);
        if control < 32 {
            text.extend_from_slice(rest.take(control + 1)?);
            continue;
        }
        let more = if control >> 5 == 7 { usize::from(rest.byte()?) } else { 0 };
        let many = (control >> 5) + more + 2;
        let back = ((control & 0x1f) << 8 | usize::from(rest.byte()?)) + 1;
        let start = text.len().checked_sub(back)?;
        if text.len() + many > full {
            return None;
        }
        // Byte by byte: a copy may reach into itself.
        (start..start + many).for_each(|at| text.push(text[at]));
    }
    (text.len() == full).then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "7e1b3fa122db3df935765ababfb44d4ac733bc00";

    fn field(bytes: &mut Vec<u8>, name: &str, value: &[u8]) {
        bytes.push(AUXILIARY);
        bytes.push(u8::try_from(name.len()).unwrap());
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(value);
    }

    fn plain(text: &str) -> Vec<u8> {
        [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
    }

    fn snapshot(offset: &[u8], next: u8) -> Vec<u8> {
        let mut bytes = b"REDIS0010".to_vec();
        field(&mut bytes, "redis-ver", &plain("7.0.15"));
        field(&mut bytes, "used-mem", &[0xc2, 0xc0, 0xfa, 0x0f, 0]);
        field(&mut bytes, "repl-stream-db", &[0xc0, 0]);
        field(&mut bytes, "repl-id", &plain(ID));
        field(&mut bytes, "repl-offset", offset);
        field(&mut bytes, "aof-base", &[0xc0, 0]);
        bytes.push(next);
        bytes
    }

    #[test]
    fn history_and_offset_are_read_however_they_are_written() {
        let long = plain("98765432109876");
        for (written, offset) in
            [(&[0xc0, 100][..], 100), (&[0xc1, 0x39, 0x30], 12345), (&[0xc2, 0, 0, 1, 0], 65536), (&long, 98_765_432_109_876)]
        {
            let header = header(&snapshot(written, 0xfe)).unwrap();
            assert_eq!(header, Header { history: Some((ReplId::new(ID).unwrap(), offset)), keyless: None });
        }
        let empty = snapshot(&[0xc0, 1], END);
        assert_eq!(header(&empty).unwrap().keyless, Some(empty.len() as u64 + 8));
    }

    #[test]
    fn without_its_offset_a_history_says_nothing() {
        let mut bytes = b"VALKEY080".to_vec();
        field(&mut bytes, "repl-id", &plain(ID));
        bytes.push(0xfb);
        assert_eq!(header(&bytes), Some(Header { history: None, keyless: None }));
        assert_eq!(header(&snapshot(&[0xc0, 0xff], 0xfe)).unwrap().history, None, "an offset below zero");
    }

    #[test]
    fn compressed_fields_are_unpacked() {
        // "ab" as it is, then ten bytes copied from two back, into itself.
        let value = [0xc3, 6, 12, 1, b'a', b'b', 0xe0, 1, 1];
        let mut bytes = b"REDIS0010".to_vec();
        field(&mut bytes, "repl-id", &value);
        field(&mut bytes, "repl-offset", &[0xc0, 7]);
        bytes.push(0xfe);
        assert_eq!(header(&bytes).unwrap().history, Some((ReplId::new("abababababab").unwrap(), 7)));
    }

    #[test]
    fn what_is_no_snapshot_is_refused() {
        for bytes in [&b""[..], b"REDIS", b"REDIS00x0\xff", b"*2\r\n$6\r\nSELECT", b"REDIS0010", b"REDIS0010\xfa\xff"] {
            assert_eq!(header(bytes), None, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(tail in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = header(&[b"REDIS0010".as_slice(), &tail].concat());
        }
    }
}
