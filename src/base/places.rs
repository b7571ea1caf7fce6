//! Places in a network: which addresses an operator names in a list, and which nobody else may make this process call.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::fmt;
use std::str::FromStr;

use super::Addr;

/// One word of a list: an IP address, a range of them (`10.0.0.0/8`), or a host name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// All addresses that share so many leading bits with this one.
    Range(IpAddr, u8),
    /// A name, in lower case.
    Name(String),
}

/// Why a word is no [`Place`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an IP address, a range such as 10.0.0.0/8, or a host name")]
pub struct BadPlace;

impl Place {
    /// Whether the address is in the range; a name has none.
    pub fn holds(&self, ip: IpAddr) -> bool {
        match (self, ip.to_canonical()) {
            (Self::Range(IpAddr::V4(range), bits), IpAddr::V4(ip)) => {
                same_bits(u128::from(range.to_bits()), u128::from(ip.to_bits()), 32 - u32::from(*bits))
            }
            (Self::Range(IpAddr::V6(range), bits), IpAddr::V6(ip)) => same_bits(range.to_bits(), ip.to_bits(), 128 - u32::from(*bits)),
            (Self::Range(..) | Self::Name(_), _) => false,
        }
    }

    /// Whether a host as it was written, name or literal, is meant.
    pub fn names(&self, host: &str) -> bool {
        match (self, literal(host)) {
            (Self::Name(name), None) => name.eq_ignore_ascii_case(host),
            (Self::Range(..), Some(ip)) => self.holds(ip),
            (Self::Name(_), Some(_)) | (Self::Range(..), None) => false,
        }
    }
}

const fn same_bits(a: u128, b: u128, ignored: u32) -> bool {
    // Shifting by all bits is no shift at all; then every address is the same.
    match (a ^ b).checked_shr(ignored) {
        Some(rest) => rest == 0,
        None => true,
    }
}

impl FromStr for Place {
    type Err = BadPlace;

    fn from_str(text: &str) -> Result<Self, BadPlace> {
        let (host, bits) = match text.split_once('/') {
            Some((host, bits)) => (host, Some(bits.parse::<u8>().map_err(|_| BadPlace)?)),
            None => (text, None),
        };
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        match (bare.parse::<IpAddr>().map(|ip| ip.to_canonical()), bits) {
            (Ok(ip), bits) => {
                let all = if ip.is_ipv4() { 32 } else { 128 };
                let bits = bits.unwrap_or(all);
                if bits <= all { Ok(Self::Range(ip, bits)) } else { Err(BadPlace) }
            }
            (Err(_), None) if is_name(host) => Ok(Self::Name(host.to_ascii_lowercase())),
            (Err(_), _) => Err(BadPlace),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range(ip, bits) if *bits == if ip.is_ipv4() { 32 } else { 128 } => write!(f, "{ip}"),
            Self::Range(ip, bits) => write!(f, "{ip}/{bits}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Digits and dots alone are an address that is none, not a name.
fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !text.is_empty()
        && text.len() <= super::limits::HOST_BYTES
        && text.bytes().all(fits)
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// The address that a host is, if it is no name. The zone of an IPv6 address is left out.
pub fn literal(host: &str) -> Option<IpAddr> {
    host.split('%').next().unwrap_or(host).parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

/// Whether two addresses are the same in other words: another spelling of an IP address, or of a name.
pub fn is_same(a: &Addr, b: &Addr) -> bool {
    let same_host = || match (literal(a.host()), literal(b.host())) {
        (Some(a), Some(b)) => a == b,
        (None, None) => a.host().trim_end_matches('.').eq_ignore_ascii_case(b.host().trim_end_matches('.')),
        _ => false,
    };
    a.port() == b.port() && same_host()
}

/// What kind of place an address is, as far as it matters to a process that is asked to call there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Another host, or this one by an address that others use, too.
    Host,
    /// This host alone.
    Loopback,
    /// Where hosts keep what is only for themselves (link-local, the metadata of a cloud), or no single host at all.
    Reserved,
}

/// Metadata services of clouds outside the link-local ranges: Alibaba, Oracle, Azure's platform address, and AWS over IPv6.
const METADATA_V4: [Ipv4Addr; 3] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192), Ipv4Addr::new(168, 63, 129, 16)];
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254);
/// Translations of IPv4 (RFC 6052, RFC 3056): the address inside counts.
const NAT64: u128 = 0x0064_ff9b << 96;

/// What kind of place it is.
pub fn reach(ip: IpAddr) -> Reach {
    match ip.to_canonical() {
        IpAddr::V4(ip) if ip.is_loopback() => Reach::Loopback,
        IpAddr::V4(ip) => {
            let nowhere = ip.octets()[0] == 0 || ip.is_multicast() || ip.is_broadcast();
            if nowhere || ip.is_link_local() || METADATA_V4.contains(&ip) { Reach::Reserved } else { Reach::Host }
        }
        IpAddr::V6(ip) if ip.is_loopback() => Reach::Loopback,
        IpAddr::V6(ip) => match embedded(ip) {
            Some(inner) => reach(IpAddr::V4(inner)),
            None if ip.is_unspecified() || ip.is_multicast() || ip.is_unicast_link_local() || ip == METADATA_V6 => Reach::Reserved,
            None => Reach::Host,
        },
    }
}

/// The IPv4 address that an IPv6 one stands for: compatible (`::a.b.c.d`), NAT64 or 6to4.
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = ip.to_bits();
    let low = Ipv4Addr::from_bits((bits & 0xffff_ffff) as u32);
    if bits >> 32 == NAT64 >> 32 || (bits >> 32 == 0 && bits > 1) {
        Some(low)
    } else if bits >> 112 == 0x2002 {
        Some(Ipv4Addr::from_bits((bits >> 80) as u32))
    } else {
        None
    }
}

/// Where sentinels of others may be, by this sentinel's own file. Hellos alone prove nothing and name any address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForeignPlaces {
    /// `sentinel foreign-sentinels`: only these places; none is anywhere, and an empty list is nowhere.
    pub listed: Option<Vec<Place>>,
    /// `sentinel known-sentinel`: those that a stock Sentinel had found before this file became ours.
    pub known: Vec<Addr>,
    /// `sentinel resolve-hostnames`: whether a sentinel may be known by a name.
    pub by_name: bool,
}

impl ForeignPlaces {
    /// Whether the file itself names this sentinel: it is worth a call before others, and `sentinel-pass` may be shown to it.
    pub fn trusts(&self, addr: &Addr) -> bool {
        self.known.contains(addr) || self.listed.iter().flatten().any(|place| place.names(addr.host()))
    }

    /// Why an address that a hello names is not called; none if it may be. `here` is where the hello was heard.
    pub fn refusal(&self, addr: &Addr, here: &Addr) -> Option<&'static str> {
        if addr.port() == 0 {
            return Some("which is no address");
        }
        if self.trusts(addr) {
            return None;
        }
        if self.listed.is_some() {
            return Some("which 'sentinel foreign-sentinels' does not list");
        }
        match literal(addr.host()) {
            Some(ip) => refusal_of(ip, here),
            None if self.by_name => None,
            None => Some("a name; only 'sentinel resolve-hostnames yes' lets a hello name one"),
        }
    }
}

/// The same for the address itself, which a name may stand for.
pub fn refusal_of(ip: IpAddr, here: &Addr) -> Option<&'static str> {
    match reach(ip) {
        Reach::Host => None,
        Reach::Loopback if literal(here.host()).is_some_and(|ip| reach(ip) == Reach::Loopback) || here.host() == "localhost" => None,
        Reach::Loopback => Some("which is this host's own, although the hello was heard on another"),
        Reach::Reserved => Some("which is link-local, reserved or a cloud's own"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails may panic")]
mod tests {
    use super::*;

    #[test]
    fn the_same_address_in_other_words_is_the_same() {
        let same = |a: (&str, u16), b: (&str, u16)| is_same(&Addr::new(a.0, a.1).unwrap(), &Addr::new(b.0, b.1).unwrap());
        assert!(same(("10.0.0.1", 1), ("::ffff:10.0.0.1", 1)) && same(("fe80::1", 1), ("FE80:0::1", 1)));
        assert!(same(("sentinel-1.here", 1), ("Sentinel-1.HERE.", 1)));
        assert!(!same(("10.0.0.1", 1), ("10.0.0.1", 2)) && !same(("10.0.0.1", 1), ("10.0.0.2", 1)) && !same(("a", 1), ("10.0.0.1", 1)));
    }

    #[test]
    fn places_are_addresses_ranges_and_names() {
        for (place, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
            ("0.0.0.0/0", "192.0.2.1", "::1"),
            ("fd00::/8", "fd12::1", "fe80::1"),
            ("[2001:db8::1]", "2001:db8::1", "2001:db8::2"),
            ("::ffff:10.0.0.1", "10.0.0.1", "10.0.0.2"),
            ("hooks.example.com", "HOOKS.example.com", "example.com"),
        ] {
            let place: Place = place.parse().unwrap();
            assert!(place.names(inside) && !place.names(outside), "{place}");
        }
        assert!("10.0.0.0/8".parse::<Place>().unwrap().holds("::ffff:10.1.1.1".parse().unwrap()), "an IPv4 address in IPv6's clothes");
        for bad in ["", "10.0.0.0/33", "10.0.0", "a/8", "::/129", "a b", "1.2.3.4.5"] {
            assert_eq!(bad.parse::<Place>(), Err(BadPlace), "{bad}");
        }
    }

    #[test]
    fn what_is_for_a_host_alone_is_known_in_every_spelling() {
        for (ip, kind) in [
            ("127.0.0.1", Reach::Loopback),
            ("127.9.9.9", Reach::Loopback),
            ("::1", Reach::Loopback),
            ("::ffff:127.0.0.1", Reach::Loopback),
            ("64:ff9b::7f00:1", Reach::Loopback),
            ("169.254.169.254", Reach::Reserved),
            ("::ffff:169.254.169.254", Reach::Reserved),
            ("64:ff9b::a9fe:a9fe", Reach::Reserved),
            ("2002:a9fe:a9fe::1", Reach::Reserved),
            ("::169.254.169.254", Reach::Reserved),
            ("fe80::1", Reach::Reserved),
            ("100.100.100.200", Reach::Reserved),
            ("fd00:ec2::254", Reach::Reserved),
            ("0.0.0.0", Reach::Reserved),
            ("0.1.2.3", Reach::Reserved),
            ("::", Reach::Reserved),
            ("224.0.0.1", Reach::Reserved),
            ("255.255.255.255", Reach::Reserved),
            ("10.0.0.1", Reach::Host),
            ("2001:db8::1", Reach::Host),
            ("fd00:ec2::1", Reach::Host),
        ] {
            assert_eq!(reach(ip.parse().unwrap()), kind, "{ip}");
        }
    }

    #[test]
    fn a_hello_names_what_the_file_lets_it_name() {
        let (here, there) = (Addr::new("10.0.0.5", 6379).expect("an address"), |host: &str| Addr::new(host, 26379).expect("an address"));
        let open = ForeignPlaces { known: vec![there("192.0.2.7")], ..ForeignPlaces::default() };
        assert_eq!(open.refusal(&there("10.0.0.9"), &here), None);
        for refused in ["127.0.0.1", "169.254.169.254", "metadata.internal"] {
            assert!(open.refusal(&there(refused), &here).is_some(), "{refused}");
        }
        assert_eq!(open.refusal(&there("127.0.0.1"), &Addr::new("127.0.0.1", 6379).expect("an address")), None, "all on one host");
        assert!(open.refusal(&Addr::new("10.0.0.9", 0).expect("an address"), &here).is_some());
        assert!(
            open.trusts(&there("192.0.2.7"))
                && !open.trusts(&Addr::new("192.0.2.7", 1).expect("an address"))
                && !open.trusts(&there("10.0.0.9"))
        );
        let listed = ForeignPlaces { listed: Some(vec!["169.254.0.0/16".parse().unwrap()]), ..ForeignPlaces::default() };
        assert_eq!(listed.refusal(&there("169.254.1.1"), &here), None, "an operator knows the network");
        assert!(listed.refusal(&there("10.0.0.9"), &here).is_some() && listed.trusts(&there("169.254.1.1")));
        let nowhere = ForeignPlaces { listed: Some(Vec::new()), ..ForeignPlaces::default() };
        assert!(nowhere.refusal(&there("10.0.0.9"), &here).is_some());
        assert_eq!(ForeignPlaces { by_name: true, ..ForeignPlaces::default() }.refusal(&there("s1.example"), &here), None);
    }
}
