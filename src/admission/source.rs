//! Where a connection comes from, as far as counting goes.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// One end of a connection as it is shown, counted and matched: a socket for both families tells of an IPv4 client as `::ffff:10.0.0.1`.
pub fn canonical(end: SocketAddr) -> SocketAddr {
    SocketAddr::new(end.ip().to_canonical(), end.port())
}

/// A source of connections. All addresses of one IPv6 network of 64 bits are one: whoever has one of them has them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// This host: loopback, or a socket in the file system.
    Here,
    /// An IPv4 address, or the first address of an IPv6 network.
    Ip(IpAddr),
}

impl Source {
    /// The source of a TCP connection.
    pub fn of(peer: SocketAddr) -> Self {
        Self::of_ip(peer.ip())
    }

    /// The source that an address belongs to.
    pub fn of_ip(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            ip if ip.is_loopback() => Self::Here,
            IpAddr::V6(ip) => Self::Ip(Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64)).into()),
            ip @ IpAddr::V4(_) => Self::Ip(ip),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here => f.write_str("this host"),
            Self::Ip(IpAddr::V6(net)) => write!(f, "{net}/64"),
            Self::Ip(ip @ IpAddr::V4(_)) => ip.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_counted_by_who_can_have_them() {
        let of = |text: &str| Source::of_ip(text.parse().expect("an address"));
        assert_eq!(of("127.0.0.9"), Source::Here);
        assert_eq!(of("::ffff:127.0.0.1"), Source::Here);
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::2:3"), "one network of 64 bits");
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("2001:db8::5").to_string(), "2001:db8::/64");
    }
}
