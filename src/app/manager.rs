//! What a service manager is told: READY, STATUS, STOPPING and the signs of life of `WatchdogSec`; and the pid file.

use std::env;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::conf::Supervised;
use crate::raft::Raft;

/// The service manager, if there is one. What it is told is lost without a word where it does not listen.
pub(super) struct Manager(Option<UnixDatagram>);

impl Manager {
    /// Finds the manager that started this process.
    pub(super) fn find(supervised: Supervised) -> Self {
        let socket = match supervised {
            Supervised::No => return Self(None),
            Supervised::Auto | Supervised::Systemd => env::var_os("NOTIFY_SOCKET"),
        };
        let Some(path) = socket else {
            if supervised == Supervised::Systemd {
                tracing::warn!(
                    "supervised systemd: NOTIFY_SOCKET is not set, so nobody is told of the start; is this a unit of Type=notify?"
                );
            }
            return Self(None);
        };
        let connected = address(path.as_bytes()).and_then(|address| {
            let socket = UnixDatagram::unbound()?;
            socket.connect_addr(&address)?;
            // A manager that does not read must not hold us up.
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        Self(connected.inspect_err(|error| tracing::warn!("cannot reach the service manager at {}: {error}", path.display())).ok())
    }

    fn tell(&self, message: &str) {
        if let Some(socket) = &self.0
            && let Err(error) = socket.send(message.as_bytes())
        {
            tracing::debug!("cannot tell the service manager: {error}");
        }
    }

    /// The listeners are open.
    pub(super) fn ready(&self) {
        self.tell("READY=1\nSTATUS=Ready to accept connections\n");
    }

    /// The end has begun.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=Stopping\n");
    }

    /// Gives signs of life, as long as the consensus answers too, until `cancel` is cancelled. Ends at once where none are wanted.
    ///
    /// A sentinel whose consensus hangs looks alive and decides nothing: better that it is started again.
    pub(super) async fn stay_alive(&self, raft: &Raft, cancel: CancellationToken) {
        let Some(period) = watchdog_period().filter(|_| self.0.is_some()) else { return };
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if tokio::time::timeout(period, raft.is_responsive()).await.unwrap_or(false) {
                self.tell("WATCHDOG=1\n");
            } else {
                tracing::error!("the consensus does not answer: no sign of life is given to the service manager");
            }
        }
    }
}

/// A name that begins with `@` is one of Linux's abstract names.
fn address(path: &[u8]) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt;
    match path.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path)),
    }
}

/// A third of the manager's patience; none if it has no watchdog, or if that is for another process.
fn watchdog_period() -> Option<Duration> {
    let for_us = env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
    let patience_us: u64 = env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    (for_us && patience_us > 0).then(|| Duration::from_micros((patience_us / 3).max(1000)))
}

/// The pid file, while this process runs.
pub(super) struct PidFile(Option<PathBuf>);

impl PidFile {
    /// Writes it, if one is wanted. As in Redis, a file that cannot be written is a warning.
    pub(super) fn write(path: Option<&Path>) -> Self {
        let written = path.filter(|path| match std::fs::write(path, format!("{}\n", std::process::id())) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!("cannot write the pid file {}: {error}", path.display());
                false
            }
        });
        Self(written.map(Path::to_owned))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // It may have been removed already, which is what is wanted.
            let _ = std::fs::remove_file(path);
        }
    }
}
