//! Opens the listeners.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::net::TcpListener;

use super::AppError;
use crate::base::Addr;
use crate::conf::Listen;

/// Listens on all addresses for `what`; an optional one that this host does not have is left out.
pub(super) async fn bind(what: &'static str, addresses: &[Listen]) -> Result<Vec<TcpListener>, AppError> {
    let mut listeners = Vec::new();
    for Listen { addr, optional } in addresses {
        match listen(addr, addresses).await {
            Ok(Some(listener)) => listeners.push(listener),
            Ok(None) => {}
            Err(error) if *optional => tracing::debug!(%addr, %error, "not listening for {what} on an optional address"),
            Err(source) => return Err(AppError::Listen { addr: addr.clone(), what, source }),
        }
    }
    Ok(listeners)
}

/// Listens on one address, if there is one.
pub(super) async fn bind_addr(what: &'static str, addr: Option<&Addr>) -> Result<Vec<TcpListener>, AppError> {
    let one: Vec<Listen> = addr.map(|addr| Listen { addr: addr.clone(), optional: false }).into_iter().collect();
    bind(what, &one).await
}

/// `::` takes IPv4 connections as well on Linux, so where both families are wanted in full `::` alone would clash with `0.0.0.0`:
/// it is taken first, and `0.0.0.0` only where there is no IPv6.
async fn listen(addr: &Addr, all: &[Listen]) -> std::io::Result<Option<TcpListener>> {
    let every = |ip: IpAddr| all.iter().any(|other| other.addr.port == addr.port && other.addr.host.parse() == Ok(ip));
    let both = every(Ipv4Addr::UNSPECIFIED.into()) && every(Ipv6Addr::UNSPECIFIED.into());
    let is_v4 = addr.host.parse() == Ok(IpAddr::from(Ipv4Addr::UNSPECIFIED));
    let is_v6 = addr.host.parse() == Ok(IpAddr::from(Ipv6Addr::UNSPECIFIED));
    if both && is_v6 {
        return Ok(None);
    }
    if both && is_v4 {
        let v6 = Addr::new("::", addr.port);
        if let Ok(listener) = TcpListener::bind(v6.authority()).await {
            return Ok(Some(listener));
        }
    }
    TcpListener::bind(addr.authority()).await.map(Some)
}
