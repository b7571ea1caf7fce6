//! Single words become values. Strictly: stock Sentinel reads numbers with C's `atoi`, so that garbage is 0 and a
//! large number wraps silently; here both are errors that name the word.

use std::fmt::Display;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::base::Addr;

/// What is wrong with a word; the caller knows where it stands.
pub(super) type Problem = String;

/// A word for a message: quoted, without control characters, cut where it gets long.
pub(super) fn shown(word: &str) -> String {
    const CHARS: usize = 64;
    let cut: String = word.chars().take(CHARS).collect();
    let dots = if cut.len() < word.len() { "..." } else { "" };
    format!("'{}{dots}'", cut.escape_debug())
}

/// A whole number: decimal digits only, within the range.
pub(super) fn whole<N: FromStr + PartialOrd + Display>(word: &str, range: &RangeInclusive<N>) -> Result<N, Problem> {
    let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { word.parse::<N>().ok() } else { None };
    number
        .filter(|number| range.contains(number))
        .ok_or_else(|| format!("{} is not a whole number from {} to {}", shown(word), range.start(), range.end()))
}

/// `yes` or `no`, in any case.
pub(super) fn yes_no(word: &str) -> Result<bool, Problem> {
    match word.to_ascii_lowercase().as_str() {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(format!("{} is neither yes nor no", shown(word))),
    }
}

/// A text that may be empty, which means "none".
pub(super) fn optional(word: &str) -> Option<String> {
    Some(word.to_owned()).filter(|text| !text.is_empty())
}

/// Whether the host means every address of this machine.
pub(super) fn is_wildcard(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified())
}

/// `*` is every IPv4 address, `::*` every IPv6 address; anything else is taken as it is.
pub(super) fn listening_host(word: &str) -> &str {
    match word {
        "*" => "0.0.0.0",
        "::*" => "::",
        host => host,
    }
}

/// Where to listen: `host:port`, `[ipv6]:port` or `*:port`.
pub(super) fn listening_addr(word: &str) -> Result<Addr, Problem> {
    host_port(word)
}

/// Where to connect to: `host:port` or `[ipv6]:port`, a port that can be connected to, and not "every address".
pub(super) fn reachable_addr(word: &str) -> Result<Addr, Problem> {
    let addr = host_port(word)?;
    if is_wildcard(addr.host()) {
        return Err(format!("{} means every address of a host; others need one that they can connect to", shown(word)));
    }
    Ok(addr)
}

fn host_port(word: &str) -> Result<Addr, Problem> {
    let expected = "expected host:port or [ipv6]:port with a port from 1 to 65535";
    let every = |prefix: &str, every: &str| word.strip_prefix(prefix).map(|port| format!("{every}{port}"));
    let plain = every("*:", "0.0.0.0:").or_else(|| every("[::*]:", "[::]:"));
    let addr: Addr = plain.as_deref().unwrap_or(word).parse().map_err(|_| format!("{} is not an address; {expected}", shown(word)))?;
    let bare_ipv6 = addr.host().contains(':') && !word.starts_with('[');
    if addr.port() == 0 || bare_ipv6 || !is_host(addr.host()) {
        return Err(format!("{} is not an address; {expected}", shown(word)));
    }
    Ok(addr)
}

/// Whether a text can be a host at all: an address literal, or a name without anything a name cannot have.
pub(super) fn is_host(text: &str) -> bool {
    is_ip(text) || matches!(text, "*" | "::*") || (!text.is_empty() && text.len() <= 253 && is_name(text) && !text.starts_with('-'))
}

fn is_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// Whether a text is an IP address literal (an IPv6 one may name its zone).
pub(super) fn is_ip(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
        || text.split_once('%').is_some_and(|(ip, zone)| !zone.is_empty() && is_name(zone) && ip.parse::<std::net::Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits_in_range_and_nothing_else() {
        assert_eq!(whole("0042", &(0..=100_u16)), Ok(42));
        for word in ["", "-1", "+1", "1e3", "abc", "12abc", "101", "99999999999999999999999", " 1", "０"] {
            assert!(whole(word, &(0..=100_u16)).is_err(), "{word:?} was taken for a number");
        }
    }

    #[test]
    fn a_word_in_a_message_is_short_and_printable() {
        assert_eq!(shown("a\x1b[31m'"), r"'a\u{1b}[31m\''");
        assert!(shown(&"x".repeat(1000)).len() < 80);
    }

    #[test]
    fn addresses_to_listen_on_and_to_reach_differ() {
        assert_eq!(listening_addr("*:1").map(|addr| addr.host().to_owned()), Ok("0.0.0.0".to_owned()));
        assert!(reachable_addr("[::1]:27379").is_ok() && reachable_addr("sentinel-1.sentinels:27379").is_ok());
        for word in ["*:1", "0.0.0.0:1", "[::]:1", "host:0", "host", "::1:27379", "a b:1", "h/x:1", ":1"] {
            assert!(reachable_addr(word).is_err(), "{word:?} was taken for a reachable address");
        }
    }
}
