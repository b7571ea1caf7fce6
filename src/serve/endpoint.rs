//! One end of a client's connection, whatever port it came to.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use crate::admission::Source;

/// One end of a client's connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// An address, [`canonical`](crate::admission::canonical).
    Ip(SocketAddr),
    /// A socket in the file system, which has no other end.
    Unix(Arc<Path>),
}

impl Endpoint {
    /// Where it comes from, as far as counting goes.
    pub(crate) fn source(&self) -> Source {
        match self {
            Self::Ip(addr) => Source::of(*addr),
            Self::Unix(_) => Source::Here,
        }
    }

    /// Whether it is on this host for certain.
    pub fn is_here(&self) -> bool {
        match self {
            Self::Ip(addr) => addr.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(addr) => addr.fmt(f),
            Self::Unix(path) => write!(f, "{}:0", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_sockets_in_the_file_system_are_here() {
        for addr in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(Endpoint::Ip(addr.parse().expect("an address")).is_here(), "{addr}");
        }
        for addr in ["10.0.0.1:1", "[2001:db8::1]:1", "[::ffff:10.0.0.1]:1"] {
            assert!(!Endpoint::Ip(addr.parse().expect("an address")).is_here(), "{addr}");
        }
        let unix = Endpoint::Unix(Path::new("/run/s").into());
        assert!(unix.is_here());
        assert_eq!(unix.to_string(), "/run/s:0");
    }
}
