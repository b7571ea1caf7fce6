//! From replies to bytes, in RESP2 or RESP3.

use bytes::{BufMut, BytesMut};

use super::reply::Reply;

/// The version of the protocol that a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// RESP2: what every connection starts with.
    #[default]
    Two,
    /// RESP3: after `HELLO 3`.
    Three,
}

impl Protocol {
    /// Its number.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Two => 2,
            Self::Three => 3,
        }
    }
}

/// Appends a reply to `out`.
pub(crate) fn write(out: &mut BytesMut, protocol: Protocol, reply: &Reply) {
    let three = protocol == Protocol::Three;
    match reply {
        Reply::Simple(text) => line(out, b'+', text),
        Reply::Error(text) => line(out, b'-', text),
        Reply::Int(number) => header(out, b':', number),
        Reply::Bulk(bytes) => bulk(out, bytes),
        Reply::Verbatim(text) if three => {
            header(out, b'=', text.len() + 4);
            out.put_slice(b"txt:");
            out.put_slice(text.as_bytes());
            out.put_slice(b"\r\n");
        }
        Reply::Verbatim(text) => bulk(out, text.as_bytes()),
        Reply::Null | Reply::NullArray if three => out.put_slice(b"_\r\n"),
        Reply::Null => out.put_slice(b"$-1\r\n"),
        Reply::NullArray => out.put_slice(b"*-1\r\n"),
        Reply::Array(items) => many(out, protocol, b'*', items),
        Reply::Set(items) => many(out, protocol, if three { b'~' } else { b'*' }, items),
        Reply::Push(items) => many(out, protocol, if three { b'>' } else { b'*' }, items),
        Reply::Map(pairs) => {
            if three {
                header(out, b'%', pairs.len());
            } else {
                header(out, b'*', pairs.len() * 2);
            }
            for (key, value) in pairs {
                write(out, protocol, key);
                write(out, protocol, value);
            }
        }
        Reply::Prepared(prepared) => {
            let encode = |reply: &Reply| {
                let mut bytes = BytesMut::new();
                write(&mut bytes, protocol, reply);
                bytes.freeze()
            };
            out.put_slice(prepared.bytes(three, encode));
        }
        Reply::Sequence(replies) => replies.iter().for_each(|reply| write(out, protocol, reply)),
    }
}

fn many(out: &mut BytesMut, protocol: Protocol, kind: u8, items: &[Reply]) {
    header(out, kind, items.len());
    items.iter().for_each(|item| write(out, protocol, item));
}

fn bulk(out: &mut BytesMut, bytes: &[u8]) {
    header(out, b'$', bytes.len());
    out.put_slice(bytes);
    out.put_slice(b"\r\n");
}

/// A line must not end early, or what follows would be taken for another reply.
fn line(out: &mut BytesMut, kind: u8, text: &str) {
    out.put_u8(kind);
    out.extend(text.bytes().map(|byte| if byte == b'\r' || byte == b'\n' { b' ' } else { byte }));
    out.put_slice(b"\r\n");
}

fn header(out: &mut BytesMut, kind: u8, number: impl ToString) {
    out.put_u8(kind);
    out.put_slice(number.to_string().as_bytes());
    out.put_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::super::reply::Prepared;
    use super::*;

    fn written(protocol: Protocol, reply: &Reply) -> String {
        let mut out = BytesMut::new();
        write(&mut out, protocol, reply);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn a_prepared_reply_is_written_like_the_one_that_it_was_made_from() {
        static PAIR: Prepared = Prepared::new(|| Reply::Map(vec![(Reply::text("a"), Reply::Int(1))]));
        for protocol in [Protocol::Two, Protocol::Three, Protocol::Two] {
            assert_eq!(written(protocol, &Reply::Prepared(&PAIR)), written(protocol, &(PAIR.make())));
        }
    }

    #[test]
    fn each_kind_has_its_form_in_each_version() {
        let pair = vec![(Reply::text("a"), Reply::Int(1))];
        for (reply, two, three) in [
            (Reply::OK, "+OK\r\n", "+OK\r\n"),
            (Reply::error("ERR a\r\nb"), "-ERR a  b\r\n", "-ERR a  b\r\n"),
            (Reply::Int(-5), ":-5\r\n", ":-5\r\n"),
            (Reply::text(""), "$0\r\n\r\n", "$0\r\n\r\n"),
            (Reply::Verbatim("ab".to_owned()), "$2\r\nab\r\n", "=6\r\ntxt:ab\r\n"),
            (Reply::Null, "$-1\r\n", "_\r\n"),
            (Reply::NullArray, "*-1\r\n", "_\r\n"),
            (Reply::Array(vec![Reply::Int(1)]), "*1\r\n:1\r\n", "*1\r\n:1\r\n"),
            (Reply::Map(pair), "*2\r\n$1\r\na\r\n:1\r\n", "%1\r\n$1\r\na\r\n:1\r\n"),
            (Reply::Set(vec![]), "*0\r\n", "~0\r\n"),
            (Reply::Push(vec![]), "*0\r\n", ">0\r\n"),
            (Reply::NOTHING, "", ""),
        ] {
            assert_eq!(written(Protocol::Two, &reply), two);
            assert_eq!(written(Protocol::Three, &reply), three);
        }
    }
}
