//! Where something listens: a host as it was given, and a port.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::limits;

/// The address of a data node or a sentinel.
///
/// The host is kept exactly as it was written (an IPv4 or IPv6 literal without brackets, or a
/// name): names are resolved when a connection is made, never here and never in a decision.
///
/// An address that can be built can be read back: [`Addr::new`] takes only what an address literal or a name can be. The durable form
/// alone is read leniently, because a log of an older release may hold an address that is none: that one is kept as an opaque host,
/// which no connection is ever made to ([`Addr::is_opaque`]).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub struct Addr {
    /// IP literal (IPv6 without brackets) or host name.
    host: String,
    /// TCP port.
    port: u16,
}

/// Why a text is not an [`Addr`]. The text is cut and escaped: it may come from a stranger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not an address: {problem} (expected host:port or [ipv6]:port)")]
pub struct BadAddr {
    text: String,
    problem: &'static str,
}

impl BadAddr {
    fn new(text: &str, problem: &'static str) -> Self {
        Self { text: shown(text), problem }
    }
}

impl Addr {
    /// An address from its parts.
    ///
    /// # Errors
    /// [`BadAddr`] when the host is neither an address literal nor a name: letters, digits, `-`, `_` and `.`, not longer than DNS allows.
    pub fn new(host: impl Into<String>, port: u16) -> Result<Self, BadAddr> {
        let host = host.into();
        match trouble(&host) {
            None => Ok(Self { host, port }),
            Some(problem) => Err(BadAddr::new(&host, problem)),
        }
    }

    /// IP literal (IPv6 without brackets) or host name.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// TCP port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The same host at another port.
    #[must_use]
    pub fn at_port(&self, port: u16) -> Self {
        Self { host: self.host.clone(), port }
    }

    /// Where a replica is sent that is to follow nobody and stay a replica: no server listens on this port.
    pub fn nobody() -> Self {
        Self { host: "127.0.0.1".to_owned(), port: 1 }
    }

    /// What a server names in the place of an address: kept to be shown, and to be told from addresses. What can be none becomes '?'.
    pub fn opaque(host: &str, port: u16) -> Self {
        let plain = |c: char| if c.is_ascii_graphic() && !matches!(c, '[' | ']') { c } else { '?' };
        let mut host: String = host.chars().map(plain).collect();
        host.truncate(limits::HOST_BYTES);
        Self { host: if host.is_empty() { "?".to_owned() } else { host }, port }
    }

    /// Whether this is no address but what a log of an older release had in the place of one. Nothing can listen there.
    pub fn is_opaque(&self) -> bool {
        trouble(&self.host).is_some()
    }

    /// Whether the host is an IP literal rather than a name: no name has a colon, or digits and dots alone.
    pub fn is_literal(&self) -> bool {
        self.host.contains(':') || self.host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    }

    /// The text that `tokio::net::TcpStream::connect` and URLs understand (IPv6 in brackets).
    pub fn authority(&self) -> String {
        if self.host.contains(':') { format!("[{}]:{}", self.host, self.port) } else { format!("{}:{}", self.host, self.port) }
    }

    /// The durable form, of which every text is one: what is no address becomes an opaque host. Reading what was written
    /// gives the same value again.
    fn from_durable(text: &str) -> Self {
        if let Ok(addr) = text.parse() {
            return addr;
        }
        let bracketed = text.strip_prefix('[').and_then(|rest| rest.rsplit_once("]:"));
        let parts = bracketed.or_else(|| text.rsplit_once(':')).and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let (host, port) = parts.unwrap_or((text, 0));
        Self::opaque(host, port)
    }
}

/// A text for a message: without control characters, and cut where it gets long.
pub fn shown(text: &str) -> String {
    const CHARS: usize = 64;
    let cut: String = text.chars().take(CHARS).collect();
    let dots = if cut.len() < text.len() { "..." } else { "" };
    format!("{}{dots}", cut.escape_debug())
}

/// Why a text cannot be a host; none if it can.
fn trouble(host: &str) -> Option<&'static str> {
    let name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if host.is_empty() {
        return Some("no host");
    }
    if host.len() > limits::HOST_BYTES {
        return Some("the host is longer than a name can be");
    }
    if host.contains(':') {
        // An IPv6 literal, with its zone if it has one.
        let (ip, zone) = host.split_once('%').unwrap_or((host, "0"));
        let digits = ip.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'));
        let fits = digits && ip.matches(':').count() >= 2 && !zone.is_empty() && zone.bytes().all(name);
        return (!fits).then_some("the host is neither a name nor an address literal");
    }
    // Programs that are handed a host must not take it for an option.
    if !host.bytes().all(name) || host.starts_with('-') {
        return Some("the host is neither a name nor an address literal");
    }
    None
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

impl From<String> for Addr {
    /// Reads the durable form. What comes from outside is parsed instead.
    fn from(text: String) -> Self {
        Self::from_durable(&text)
    }
}

impl FromStr for Addr {
    type Err = BadAddr;

    fn from_str(text: &str) -> Result<Self, BadAddr> {
        let bad = |problem| BadAddr::new(text, problem);
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => rest.split_once("]:").ok_or_else(|| bad("no closing ']:'"))?,
            None => text.rsplit_once(':').ok_or_else(|| bad("no port"))?,
        };
        if let Some(problem) = trouble(host) {
            return Err(bad(problem));
        }
        let port = port.parse().map_err(|_| bad("the port is not a number from 0 to 65535"))?;
        Ok(Self { host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(addr: &Addr) -> String {
        serde_json::to_string(addr).expect("an address can be written down")
    }

    fn read(json: &str) -> Addr {
        serde_json::from_str(json).expect("every text is the durable form of something")
    }

    #[test]
    fn addresses_survive_a_round_trip() {
        for text in ["127.0.0.1:6379", "redis-0.redis:6379", "[::1]:26379", "[fe80::1%eth0]:1", "a_b:0"] {
            assert_eq!(text.parse::<Addr>().map(|addr| addr.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn bad_addresses_are_refused_with_the_reason() {
        for text in ["localhost", ":6379", "host:port", "host:70000", "[::1]6379", "[:1", "[]:1", "a b:1", "-x:1", "[a]b]:1", "h\u{e9}:1"] {
            assert!(text.parse::<Addr>().is_err(), "{text} was taken for an address");
        }
        let long = "x".repeat(limits::HOST_BYTES + 1);
        for host in ["", "[", "]", "[::1]", "a\nb", "a b", "a,b", "::1%", ":", "-rf", &long] {
            let error = Addr::new(host, 1).expect_err(host).to_string();
            assert!(!error.contains('\n') && error.len() < 300, "{error}");
        }
    }

    #[test]
    fn what_an_older_release_wrote_in_the_place_of_an_address_is_kept_as_one_that_leads_nowhere() {
        for (text, host, port) in [("[:33150", "?", 33150), ("[[:1", "??", 1), ("a b:7", "a?b", 7), ("", "?", 0), ("x\n", "x?", 0)] {
            let addr = Addr::from(text.to_owned());
            assert_eq!((addr.host(), addr.port(), addr.is_opaque()), (host, port, true), "{text:?}");
            assert_eq!(read(&written(&addr)), addr, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_can_be_built_can_be_read_back(host in prop_oneof![".{0,80}", r"[\[\]a-z0-9.:%_-]{0,40}"], port: u16) {
            if let Ok(addr) = Addr::new(host, port) {
                prop_assert!(!addr.is_opaque());
                prop_assert_eq!(addr.to_string().parse::<Addr>(), Ok(addr.clone()));
                prop_assert_eq!(read(&written(&addr)), addr);
            }
        }

        #[test]
        fn every_text_on_a_disk_is_read_and_read_again_as_the_same(text in prop_oneof![".{0,300}", r"[\[\]a-z:%]{0,12}:[0-9]{1,6}"]) {
            let addr = Addr::from(text);
            prop_assert_eq!(&read(&written(&addr)), &addr);
            prop_assert!(addr.to_string().bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }
}
