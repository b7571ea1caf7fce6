//! Where something listens: a host as it was given, and a port.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The address of a data node or a sentinel.
///
/// The host is kept exactly as it was written (an IPv4 or IPv6 literal without brackets, or a
/// name): names are resolved when a connection is made, never here and never in a decision.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Addr {
    /// IP literal (IPv6 without brackets) or host name.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// Why a text is not an [`Addr`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not an address: {problem} (expected host:port or [ipv6]:port)")]
pub struct BadAddr {
    text: String,
    problem: &'static str,
}

impl Addr {
    /// An address from its parts; `host` is taken as it is.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    /// Where a replica is sent that is to follow nobody and stay a replica: no server listens on this port.
    pub fn nobody() -> Self {
        Self::new("127.0.0.1", 1)
    }

    /// Whether the host is an IP literal rather than a name: no name has a colon, or digits and dots alone.
    pub fn is_literal(&self) -> bool {
        self.host.contains(':') || self.host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    }

    /// The text that `tokio::net::TcpStream::connect` and URLs understand (IPv6 in brackets).
    pub fn authority(&self) -> String {
        if self.host.contains(':') { format!("[{}]:{}", self.host, self.port) } else { format!("{}:{}", self.host, self.port) }
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.authority())
    }
}

impl From<Addr> for String {
    fn from(addr: Addr) -> Self {
        addr.authority()
    }
}

impl TryFrom<String> for Addr {
    type Error = BadAddr;

    fn try_from(text: String) -> Result<Self, BadAddr> {
        text.parse()
    }
}

impl FromStr for Addr {
    type Err = BadAddr;

    fn from_str(text: &str) -> Result<Self, BadAddr> {
        let bad = |problem| BadAddr { text: text.to_owned(), problem };
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => rest.split_once("]:").ok_or_else(|| bad("no closing ']:'"))?,
            None => text.rsplit_once(':').ok_or_else(|| bad("no port"))?,
        };
        if host.is_empty() {
            return Err(bad("no host"));
        }
        let port = port.parse().map_err(|_| bad("the port is not a number from 0 to 65535"))?;
        Ok(Self::new(host, port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_a_round_trip() {
        for text in ["127.0.0.1:6379", "redis-0.redis:6379", "[::1]:26379"] {
            assert_eq!(text.parse::<Addr>().map(|addr| addr.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn bad_addresses_are_refused_with_the_reason() {
        for text in ["localhost", ":6379", "host:port", "host:70000", "[::1]6379"] {
            assert!(text.parse::<Addr>().is_err(), "{text} was taken for an address");
        }
    }
}
