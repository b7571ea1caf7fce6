//! The orders that a server would refuse: tried now and then, over a link that is made for it, so that no order waits behind that.

use std::time::Duration;

use rand::Rng;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::ProbeSettings;
use crate::base::observation::{LinkLoss, NodeObservation, Observed};
use crate::base::{Addr, Refusals};
use crate::clock::Clock;
use crate::redis::{Dialect, Dialer, Link};

/// From one trial to the next.
const PERIOD: Duration = Duration::from_secs(10);
/// The same while something is refused: an operator who allows it wants to see that it helped.
const PERIOD_REFUSED: Duration = Duration::from_secs(4);
/// After a trial that came to nothing, or once the way in has changed.
const RETRY: Duration = Duration::from_secs(1);
/// How long a trial may take. One that a paused or busy server keeps waiting says nothing of rights.
const LIMIT: Duration = Duration::from_millis(500);

/// The task that tries.
pub(super) struct RightsCheck {
    pub(super) dialer: Dialer,
    pub(super) settings: watch::Receiver<ProbeSettings>,
    pub(super) dialect: Dialect,
    pub(super) clock: Clock,
    pub(super) out: mpsc::Sender<NodeObservation>,
}

impl RightsCheck {
    /// Tries until nobody wants to know.
    pub(super) async fn run(mut self) {
        loop {
            let began = Instant::now();
            let pause = match self.try_once().await {
                Ok(Some(refusals)) => {
                    let pause = if refusals.is_empty() { PERIOD } else { PERIOD_REFUSED };
                    let seen = NodeObservation { addr: self.addr().clone(), at: self.clock.mono(), what: Observed::Refusals(refusals) };
                    if self.out.send(seen).await.is_err() {
                        return;
                    }
                    pause
                }
                Ok(None) | Err(_) => PERIOD_REFUSED,
            };
            let access = self.settings.borrow_and_update().access.clone();
            let varied = pause.mul_f64(rand::thread_rng().gen_range(0.9..1.1));
            tokio::select! {
                () = sleep_until(began + varied) => {}
                gone = self.other_access(&access) => {
                    if gone {
                        return;
                    }
                    sleep(RETRY).await;
                }
            }
        }
    }

    const fn addr(&self) -> &Addr {
        self.dialer.addr()
    }

    async fn try_once(&mut self) -> Result<Option<Refusals>, LinkLoss> {
        let access = self.settings.borrow_and_update().access.clone();
        let mut link = Link::open(&mut self.dialer, access, LIMIT).await?;
        link.speak(&self.dialect);
        link.try_rights(LIMIT).await
    }

    /// Waits until the way in is another one; true where nobody will change it any more.
    async fn other_access(&mut self, known: &crate::redis::ServerAccess) -> bool {
        loop {
            if self.settings.changed().await.is_err() {
                return true;
            }
            if self.settings.borrow_and_update().access != *known {
                return false;
            }
        }
    }
}
