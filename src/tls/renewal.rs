//! Certificates are renewed under a running service: when the files change, new connections use the new ones.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::files::{Stamp, TlsError, stamp};
use crate::base::TlsSettings;

/// How often the files are looked at.
const LOOK_PERIOD: Duration = Duration::from_secs(2);

/// One side's setup, made from files, and made again when they change.
#[derive(Debug)]
pub(super) struct Renewed<C> {
    what: &'static str,
    settings: TlsSettings,
    make: fn(&TlsSettings) -> Result<C, TlsError>,
    current: RwLock<Arc<C>>,
    seen: Mutex<Stamp>,
}

impl<C> Renewed<C> {
    pub(super) fn load(what: &'static str, settings: TlsSettings, make: fn(&TlsSettings) -> Result<C, TlsError>) -> Result<Self, TlsError> {
        // The stamp is taken first: what changes while the files are read is read again.
        let seen = Mutex::new(stamp(&settings));
        let current = RwLock::new(Arc::new(make(&settings)?));
        Ok(Self { what, settings, make, current, seen })
    }

    /// The setup for the next connection.
    pub(super) fn current(&self) -> Arc<C> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Something made from files that may change.
pub trait Renewable: Send + Sync {
    /// Looks at the files, and reads them again if they have changed. Reads files, so not for a task that others wait for.
    ///
    /// Files that cannot be used change nothing: the old ones go on, and an error is logged once for each change.
    fn renew(&self);
}

impl<C: Send + Sync> Renewable for Renewed<C> {
    fn renew(&self) {
        let now = stamp(&self.settings);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return;
        }
        *seen = now;
        let what = self.what;
        match (self.make)(&self.settings) {
            Ok(fresh) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
                tracing::info!("the certificates for {what} have changed and are in use for new connections");
            }
            Err(error) => tracing::error!("the certificates for {what} have changed but cannot be used; the old ones go on: {error}"),
        }
    }
}

/// Looks at the files every few seconds until `cancel` is cancelled.
pub async fn keep_fresh(all: Vec<Arc<dyn Renewable>>, cancel: CancellationToken) {
    let mut ticks = tokio::time::interval(LOOK_PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = ticks.tick() => {}
        }
        for one in &all {
            let one = Arc::clone(one);
            // A panic in there has been reported by the hook; there is nothing to return.
            let _ = tokio::task::spawn_blocking(move || one.renew()).await;
        }
    }
}
