//! Which of the data nodes on record this node is.
//!
//! A node is recognised by its port and by its host: the one that it announces, one that it is bound to, or, when it is
//! bound to all, one that this host has. Names are resolved on both sides.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use tokio::net::lookup_host;

use super::decide::Who;
use super::settings::Settings;
use crate::base::Addr;

/// How this node may be known.
#[derive(Debug)]
pub(super) struct Names {
    /// The only address that counts (`--self`).
    told: Option<Addr>,
    /// The ports that it listens on or announces.
    ports: Vec<u16>,
    /// The hosts that it announces or is bound to.
    hosts: Vec<String>,
    /// Whether any address of this host is one of its own.
    any_local: bool,
}

/// Whether a data node on record is this one.
#[derive(Clone, Debug, PartialEq, Eq)]
enum NodeStanding {
    Own,
    Other,
    /// It cannot be told, for this reason.
    Unknown(String),
}

impl Names {
    /// By what it was told, or else by its configuration.
    pub(super) fn new(told: Option<Addr>, settings: &Settings) -> Self {
        let bound = settings.only_on();
        let hosts = settings.announce_host.iter().chain(bound.unwrap_or_default()).cloned().collect();
        Self { told, ports: settings.ports(), hosts, any_local: bound.is_none() }
    }

    /// Which one it is.
    pub(super) async fn who(&self, master: &Addr, replicas: impl Iterator<Item = &Addr>) -> Who {
        let mut standings = vec![(master.clone(), self.standing(master).await)];
        for replica in replicas {
            standings.push((replica.clone(), self.standing(replica).await));
        }
        sum_up(standings)
    }

    async fn standing(&self, recorded: &Addr) -> NodeStanding {
        let (at_port, at_host) = match &self.told {
            Some(told) => (told.port() == recorded.port(), told.host().eq_ignore_ascii_case(recorded.host())),
            None => {
                let named = self.hosts.iter().any(|host| host.eq_ignore_ascii_case(recorded.host()));
                (self.ports.contains(&recorded.port()), named)
            }
        };
        if !at_port {
            return NodeStanding::Other;
        }
        if at_host {
            return NodeStanding::Own;
        }
        let theirs = match resolve(recorded.host()).await {
            Ok(theirs) => theirs,
            Err(why) => return NodeStanding::Unknown(format!("{} cannot be resolved ({why})", recorded.host())),
        };
        if self.told.is_none() && self.any_local && theirs.iter().any(is_local) {
            return NodeStanding::Own;
        }
        let own: Vec<&str> = match &self.told {
            Some(told) => vec![told.host()],
            None => self.hosts.iter().map(String::as_str).collect(),
        };
        for host in own {
            match resolve(host).await {
                Ok(ours) if ours.is_disjoint(&theirs) => {}
                Ok(_) => return NodeStanding::Own,
                Err(why) => return NodeStanding::Unknown(format!("its own name {host} cannot be resolved ({why})")),
            }
        }
        NodeStanding::Other
    }
}

/// The first is the master.
fn sum_up(standings: Vec<(Addr, NodeStanding)>) -> Who {
    let own: Vec<Addr> = standings.iter().filter(|(_, standing)| *standing == NodeStanding::Own).map(|(addr, _)| addr.clone()).collect();
    match standings.first() {
        Some((_, NodeStanding::Own)) if own.len() > 1 => Who::Several(own),
        Some((_, NodeStanding::Own)) => Who::Master,
        Some((_, NodeStanding::Unknown(why))) if own.is_empty() => Who::Unclear(why.clone()),
        Some(_) | None => own.into_iter().next().map_or(Who::Newcomer, Who::Replica),
    }
}

async fn resolve(host: &str) -> Result<BTreeSet<IpAddr>, std::io::Error> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(BTreeSet::from([ip.to_canonical()]));
    }
    Ok(lookup_host((host, 0)).await?.map(|addr| addr.ip().to_canonical()).collect())
}

/// Whether this host has the address. Nothing is sent to find out.
fn is_local(ip: &IpAddr) -> bool {
    if ip.is_unspecified() || ip.is_loopback() {
        return ip.is_loopback();
    }
    // Nobody can bind to an address that the host has not, unless the host allows just that (`ip_nonlocal_bind`, where
    // an address moves between hosts). Then one that is for documentation only can be bound to as well.
    let nobodys = if ip.is_ipv4() { Ipv4Addr::new(192, 0, 2, 1).into() } else { Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into() };
    can_bind(*ip) && (!can_bind(nobodys) || source_towards(*ip) == Some(*ip))
}

fn can_bind(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

/// The address from which this host would speak to `ip`: for one of its own it is that one.
fn source_towards(ip: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = if ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((ip, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ELSEWHERE: &str = "192.0.2.1";

    fn addr(host: &str, port: u16) -> Addr {
        Addr::new(host, port).expect("an address")
    }

    async fn who(told: Option<Addr>, settings: Settings, master: Addr, replicas: &[Addr]) -> Who {
        Names::new(told, &settings).who(&master, replicas.iter()).await
    }

    fn bound(hosts: &[&str]) -> Settings {
        Settings { bind: hosts.iter().map(|host| (*host).to_owned()).collect(), ..Settings::default() }
    }

    #[tokio::test]
    async fn a_node_bound_to_all_is_known_by_any_address_of_its_host() {
        for settings in [Settings::default(), bound(&["*", "::*"]), bound(&["0.0.0.0"])] {
            assert_eq!(who(None, settings.clone(), addr("127.0.0.1", 6379), &[]).await, Who::Master);
            assert_eq!(who(None, settings.clone(), addr("localhost", 6379), &[]).await, Who::Master);
            assert_eq!(who(None, settings.clone(), addr("127.0.0.1", 6380), &[]).await, Who::Newcomer);
            assert_eq!(who(None, settings, addr(ELSEWHERE, 6379), &[]).await, Who::Newcomer);
        }
    }

    #[tokio::test]
    async fn a_node_bound_to_some_addresses_is_known_by_these() {
        let settings = bound(&["127.0.0.2", "::1"]);
        assert_eq!(who(None, settings.clone(), addr("127.0.0.1", 6379), &[]).await, Who::Newcomer, "another one's");
        assert_eq!(who(None, settings.clone(), addr("127.0.0.2", 6379), &[addr(ELSEWHERE, 6379)]).await, Who::Master);
        let replica = addr("::1", 6379);
        assert_eq!(who(None, settings, addr(ELSEWHERE, 6379), std::slice::from_ref(&replica)).await, Who::Replica(replica));
    }

    #[tokio::test]
    async fn what_it_announces_and_what_it_was_told_count() {
        let mut settings = bound(&["127.0.0.1"]);
        settings.announce_host = Some("redis-0.example".to_owned());
        settings.announce_port = 7000;
        assert_eq!(who(None, settings.clone(), addr("Redis-0.example", 7000), &[]).await, Who::Master);
        let told = Some(addr(ELSEWHERE, 1));
        assert_eq!(who(told.clone(), settings.clone(), addr(ELSEWHERE, 1), &[]).await, Who::Master);
        assert_eq!(who(told, settings, addr("127.0.0.1", 6379), &[]).await, Who::Newcomer, "nothing else counts");
    }

    #[test]
    fn addresses_of_this_host_are_told_from_others() {
        for (ip, expected) in [("127.0.0.1", true), ("127.9.9.9", true), ("192.0.2.7", false), ("0.0.0.0", false), ("2001:db8::7", false)] {
            assert_eq!(is_local(&ip.parse().unwrap()), expected, "{ip}");
        }
        assert_eq!(source_towards(Ipv4Addr::LOCALHOST.into()), Some(Ipv4Addr::LOCALHOST.into()));
    }

    #[test]
    fn what_cannot_be_told_is_not_guessed() {
        let (master, replica) = (addr("a", 1), addr("b", 1));
        let unknown = || NodeStanding::Unknown("no such name".to_owned());
        let both = |a, b| sum_up(vec![(master.clone(), a), (replica.clone(), b)]);
        assert_eq!(both(NodeStanding::Own, NodeStanding::Own), Who::Several(vec![master.clone(), replica.clone()]));
        assert_eq!(both(unknown(), NodeStanding::Other), Who::Unclear("no such name".to_owned()));
        assert_eq!(both(unknown(), NodeStanding::Own), Who::Replica(replica.clone()), "a replica's own address settles it");
        assert_eq!(both(NodeStanding::Other, unknown()), Who::Newcomer, "either way it is to follow the master");
        assert_eq!(both(NodeStanding::Own, unknown()), Who::Master);
    }
}
