//! From an address to a TCP stream, or the reason why there is none.

use std::io::{Error, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::lack::lack_of;
use crate::base::Addr;
use crate::base::observation::{LinkLoss, LocalLack};

/// Connects to one address, again and again.
///
/// A resolver that hangs occupies a thread that cannot be called back. A question to it is therefore never repeated while
/// the last one is open: the next attempt goes on waiting for the same answer.
#[derive(Debug)]
pub struct Dialer {
    addr: Addr,
    asking: Option<JoinHandle<Result<Vec<SocketAddr>, Error>>>,
    /// Where the server was last reached.
    reached: Option<IpAddr>,
}

impl Dialer {
    /// A dialer for this address.
    pub const fn new(addr: Addr) -> Self {
        Self { addr, asking: None, reached: None }
    }

    /// The address.
    pub const fn addr(&self) -> &Addr {
        &self.addr
    }

    /// Connects within `limit`. A name is resolved anew each time, and all that it stands for is tried in order.
    ///
    /// # Errors
    /// Why there is no connection; with several addresses, what the last one said. [`LinkLoss::Refused`] only if all of them refuse, and
    /// the name still stands for the host at which the server was last reached: that nobody listens on another host says nothing of it.
    pub async fn dial(&mut self, limit: Duration) -> Result<TcpStream, LinkLoss> {
        let deadline = Instant::now() + limit;
        let mut targets = self.resolve(deadline).await?;
        // A name may stand for several servers, in another order each time: the one that was reached is the one that is meant.
        targets.sort_by_key(|target| Some(target.ip()) != self.reached);
        let nowhere = LinkLoss::Unresolved(format!("'{}' stands for no address", self.addr.host()));
        match reach(&targets, deadline).await {
            Ok(stream) => {
                self.reached = stream.peer_addr().ok().map(|peer| peer.ip());
                Ok(stream)
            }
            Err(loss) => Err(self.of_this_server(loss.unwrap_or(nowhere), &targets)),
        }
    }

    fn of_this_server(&self, loss: LinkLoss, targets: &[SocketAddr]) -> LinkLoss {
        match (self.reached, targets.first()) {
            (Some(reached), Some(now)) if loss == LinkLoss::Refused && targets.iter().all(|target| target.ip() != reached) => {
                let name = self.addr.host();
                LinkLoss::Other(format!(
                    "'{name}' stands for {} now, where nobody listens; the server was last reached at {reached}",
                    now.ip()
                ))
            }
            _ => loss,
        }
    }

    async fn resolve(&mut self, deadline: Instant) -> Result<Vec<SocketAddr>, LinkLoss> {
        if let Ok(ip) = self.addr.host().parse() {
            return Ok(vec![SocketAddr::new(ip, self.addr.port())]);
        }
        if self.addr.is_opaque() {
            return Err(LinkLoss::Unresolved(format!("'{}' is not an address: forget it, or name the node by one", self.addr.host())));
        }
        let (host, port) = (self.addr.host().to_owned(), self.addr.port());
        let asking = self.asking.get_or_insert_with(|| tokio::spawn(async move { Ok(lookup_host((host, port)).await?.collect()) }));
        let answer = timeout_at(deadline, asking).await;
        let unresolved = |why: String| LinkLoss::Unresolved(format!("'{}': {why}", self.addr.host()));
        let Ok(answer) = answer else { return Err(unresolved("the resolver does not answer".to_owned())) };
        self.asking = None;
        let found = answer.map_err(|error| unresolved(error.to_string()))?;
        // A resolver that gets no descriptor says that the name is not known, or not now.
        found.map_err(|error| lacking().map_or_else(|| unresolved(error.to_string()), LinkLoss::Local))
    }
}

/// The first of these addresses that takes a connection, or what speaks most against the death of the server: where all refuse, nobody
/// is there; while one of them is silent the server may be, and one that this host could not ask is not known at all. An address of a kind that this host does not have (IPv6, say) says nothing.
async fn reach(targets: &[SocketAddr], deadline: Instant) -> Result<TcpStream, Option<LinkLoss>> {
    let (mut trouble, mut refused, mut not_ours, mut lack) = (None, None, None, None);
    for (tried, &target) in targets.iter().enumerate() {
        // An equal share of what is left for each, so that one that says nothing does not hide the others.
        let share = deadline.saturating_duration_since(Instant::now()) / u32::try_from(targets.len() - tried).unwrap_or(u32::MAX);
        match timeout(share, connect(target)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => refused = Some(loss_of(&error)),
            Ok(Err(error)) if error.kind() == ErrorKind::AddrNotAvailable => not_ours = Some(loss_of(&error)),
            Ok(Err(error)) if lack_of(&error).is_some() => lack = Some(loss_of(&error)),
            Ok(Err(error)) => trouble = Some(loss_of(&error)),
            Err(_) => trouble = Some(LinkLoss::TimedOut),
        }
    }
    Err(lack.or(trouble).or(refused).or(not_ours))
}

/// What this host lacks at this moment for any connection.
fn lacking() -> Option<LocalLack> {
    TcpSocket::new_v4().err().as_ref().and_then(lack_of)
}

async fn connect(target: SocketAddr) -> Result<TcpStream, Error> {
    let socket = if target.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_nodelay(true)?;
    // Only a second line of defence: whoever uses a link asks often enough to notice silence.
    socket.set_keepalive(true)?;
    socket.connect(target).await
}

/// What an error of a socket says about the other side.
///
/// A certificate that is not good, ours or theirs, is a matter of credentials: there is a server, and we cannot judge it.
pub(super) fn loss_of(error: &Error) -> LinkLoss {
    if let Some(problem) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return LinkLoss::Credentials(format!("TLS: {problem}"));
    }
    if let Some(lack) = lack_of(error) {
        return LinkLoss::Local(lack);
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => LinkLoss::Refused,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => LinkLoss::Closed,
        ErrorKind::TimedOut => LinkLoss::TimedOut,
        _ => LinkLoss::Other(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_free_port_refuses_and_a_wrong_name_does_not_resolve() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("loopback works").port();
        let limit = Duration::from_secs(5);
        assert_eq!(Dialer::new(Addr::new("127.0.0.1", port).expect("an address")).dial(limit).await.err(), Some(LinkLoss::Refused));
        let loss = Dialer::new(Addr::new("no-such-name.invalid", port).expect("an address")).dial(limit).await.err();
        assert!(matches!(&loss, Some(LinkLoss::Unresolved(why)) if why.contains("no-such-name")), "{loss:?}");
    }

    #[tokio::test]
    async fn that_nobody_listens_where_a_name_leads_now_says_nothing_of_the_server_that_it_led_to() {
        let dialer = |reached: Option<[u8; 4]>| Dialer {
            addr: Addr::new("redis-0.redis", 6379).expect("an address"),
            asking: None,
            reached: reached.map(IpAddr::from),
        };
        let now = [SocketAddr::from(([10, 0, 0, 2], 6379))];
        let loss = dialer(Some([10, 0, 0, 1])).of_this_server(LinkLoss::Refused, &now);
        assert!(matches!(&loss, LinkLoss::Other(why) if why.contains("10.0.0.2") && why.contains("10.0.0.1")), "{loss:?}");
        assert_eq!(dialer(Some([10, 0, 0, 2])).of_this_server(LinkLoss::Refused, &now), LinkLoss::Refused);
        assert_eq!(dialer(None).of_this_server(LinkLoss::Refused, &now), LinkLoss::Refused);
        assert_eq!(dialer(Some([10, 0, 0, 1])).of_this_server(LinkLoss::TimedOut, &now), LinkLoss::TimedOut);
    }

    #[tokio::test]
    async fn it_is_remembered_where_the_server_was_reached() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback works");
        let port = listener.local_addr().expect("it is bound").port();
        let mut dialer = Dialer::new(Addr::new("localhost", port).expect("an address"));
        dialer.dial(Duration::from_secs(5)).await.expect("it listens");
        assert_eq!(dialer.reached, Some(IpAddr::from([127, 0, 0, 1])));
    }

    #[tokio::test]
    async fn a_server_of_several_addresses_is_gone_only_if_all_of_them_refuse() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("loopback works").port();
        let refuses = SocketAddr::from(([127, 0, 0, 1], port));
        // No TCP connection leads to a multicast address, and nobody refuses one.
        let says_nothing = SocketAddr::from(([224, 0, 0, 1], port));
        let tried = async |targets: &[SocketAddr]| reach(targets, Instant::now() + Duration::from_millis(200)).await.err().flatten();
        assert_eq!(tried(&[refuses, refuses]).await, Some(LinkLoss::Refused));
        for targets in [[says_nothing, refuses], [refuses, says_nothing]] {
            let loss = tried(&targets).await;
            assert!(loss.is_some() && loss != Some(LinkLoss::Refused), "{targets:?}: {loss:?}");
        }
    }
}
