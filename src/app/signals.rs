//! The signals that this process listens to: two that end it, and one that makes it look at its files again.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::telemetry;
use crate::renewal::Renewable;

/// The signals. From the moment in which this exists none of them kills the process by itself.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal that ends this process; SIGHUP opens the log file again and looks at `renewables` at once.
    pub(super) async fn end(&mut self, renewables: &[Arc<dyn Renewable>]) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hangup.recv() => renew(renewables),
            }
        }
    }
}

fn renew(renewables: &[Arc<dyn Renewable>]) {
    telemetry::reopen();
    tracing::info!(
        "SIGHUP: the log file is opened again, and certificates and secrets are read again where they have changed; the configuration \
         file is read at the next start only"
    );
    let renewables = renewables.to_vec();
    tokio::task::spawn_blocking(move || renewables.iter().for_each(|one| one.renew()));
}
