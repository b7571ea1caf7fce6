//! A user and a password in a header: HTTP's Basic scheme (RFC 7617), which gRPC carries as metadata.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Bytes of a header that are looked at.
const HEADER_BYTES: usize = 8 * 1024;

/// What a client says of itself. `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Basic {
    pub(crate) user: Vec<u8>,
    pub(crate) password: Vec<u8>,
}

impl Basic {
    /// Reads an `authorization` header; none where it is of another scheme, or malformed.
    pub(crate) fn parse(header: &[u8]) -> Option<Self> {
        if header.len() > HEADER_BYTES {
            return None;
        }
        let (scheme, rest) = header.split_at_checked(6)?;
        if !scheme.eq_ignore_ascii_case(b"basic ") {
            return None;
        }
        let pair = STANDARD.decode(rest.trim_ascii()).ok()?;
        // The name holds no colon, the password may.
        let colon = pair.iter().position(|byte| *byte == b':')?;
        Some(Self { user: pair[..colon].to_vec(), password: pair[colon + 1..].to_vec() })
    }
}

impl fmt::Debug for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Basic({}:******)", String::from_utf8_lossy(&self.user).escape_debug())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_read_as_the_rfc_has_it() {
        let read = |header: &str| Basic::parse(header.as_bytes()).map(|basic| (basic.user, basic.password));
        let pair = |user: &str, password: &str| Some((user.as_bytes().to_vec(), password.as_bytes().to_vec()));
        assert_eq!(read("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), pair("Aladdin", "open sesame"));
        assert_eq!(read("basic  b3BzOmE6Yg=="), pair("ops", "a:b"));
        assert_eq!(read("Basic Og=="), pair("", ""));
        for wrong in ["", "Basic", "Basic ", "Basic ?", "Basic b3Bz", "Bearer b3BzOmE6Yg==", "Basicb3BzOmE6Yg=="] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(read(&format!("Basic {}", "A".repeat(HEADER_BYTES))), None);
        assert!(!format!("{:?}", Basic::parse(b"Basic b3BzOmE6Yg==")).contains("a:b"));
    }
}
