//! Opens the listeners.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket, UnixListener, lookup_host};

use super::AppError;
use crate::base::Addr;
use crate::conf::{Listen, RespSettings, UnixSocket};
use crate::serve::resp::Listener;
use crate::tls::ServerTls;

/// Connections that may wait to be accepted, where nothing else is said.
const BACKLOG: u32 = 1024;

/// The ways in to the SENTINEL protocol.
pub(super) async fn doors(resp: &RespSettings, tls: Option<&ServerTls>) -> Result<Vec<Listener>, AppError> {
    let backlog = resp.tcp_backlog.max(1);
    let mut doors: Vec<Listener> =
        bind_with("the SENTINEL protocol", &resp.listen(), backlog).await?.into_iter().map(Listener::Tcp).collect();
    if let Some(tls) = tls {
        let listeners = bind_with("the SENTINEL protocol over TLS", &resp.tls_listen(), backlog).await?;
        doors.extend(listeners.into_iter().map(|listener| Listener::Tls(listener, tls.clone())));
    }
    if let Some(unix) = &resp.unix {
        let listener = unix_socket(unix).map_err(|source| AppError::UnixSocket { path: unix.path.display().to_string(), source })?;
        doors.push(Listener::Unix(listener, Arc::from(unix.path.as_path())));
    }
    Ok(doors)
}

/// A socket that a dead process left behind is replaced; any other file, and a socket that somebody serves, is not.
fn unix_socket(unix: &UnixSocket) -> std::io::Result<UnixListener> {
    if std::fs::symlink_metadata(&unix.path).is_ok_and(|meta| meta.file_type().is_socket()) {
        match std::os::unix::net::UnixStream::connect(&unix.path) {
            Ok(_) => return Err(std::io::ErrorKind::AddrInUse.into()),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => std::fs::remove_file(&unix.path)?,
            Err(error) => return Err(error),
        }
    }
    let listener = UnixListener::bind(&unix.path)?;
    if let Some(mode) = unix.mode {
        std::fs::set_permissions(&unix.path, std::fs::Permissions::from_mode(mode))?;
    }
    Ok(listener)
}

/// Listens on all addresses for `what`; an optional one that this host does not have is left out.
pub(super) async fn bind(what: &'static str, addresses: &[Listen]) -> Result<Vec<TcpListener>, AppError> {
    bind_with(what, addresses, BACKLOG).await
}

async fn bind_with(what: &'static str, addresses: &[Listen], backlog: u32) -> Result<Vec<TcpListener>, AppError> {
    let mut listeners = Vec::new();
    for Listen { addr, optional } in addresses {
        match listen(addr, addresses, backlog).await {
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
async fn listen(addr: &Addr, all: &[Listen], backlog: u32) -> std::io::Result<Option<TcpListener>> {
    let every = |ip: IpAddr| all.iter().any(|other| other.addr.port() == addr.port() && other.addr.host().parse() == Ok(ip));
    let both = every(Ipv4Addr::UNSPECIFIED.into()) && every(Ipv6Addr::UNSPECIFIED.into());
    let is_v4 = addr.host().parse() == Ok(IpAddr::from(Ipv4Addr::UNSPECIFIED));
    let is_v6 = addr.host().parse() == Ok(IpAddr::from(Ipv6Addr::UNSPECIFIED));
    if both && is_v6 {
        return Ok(None);
    }
    if both
        && is_v4
        && let Ok(listener) = listen_at(&every_v6(addr.port())?, backlog).await
    {
        return Ok(Some(listener));
    }
    listen_at(addr, backlog).await.map(Some)
}

fn every_v6(port: u16) -> std::io::Result<Addr> {
    Addr::new("::", port).map_err(std::io::Error::other)
}

async fn listen_at(addr: &Addr, backlog: u32) -> std::io::Result<TcpListener> {
    let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the name stands for no address");
    for target in lookup_host(addr.authority()).await? {
        match listen_on(target, backlog) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn listen_on(target: SocketAddr, backlog: u32) -> std::io::Result<TcpListener> {
    let socket = if target.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A sentinel that starts again must not wait for connections of its former life.
    socket.set_reuseaddr(true)?;
    socket.bind(target)?;
    socket.listen(backlog)
}
