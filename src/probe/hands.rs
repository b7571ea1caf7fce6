//! The hands: a second link, kept ready for acts.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::ProbeSettings;
use crate::base::Addr;
use crate::base::observation::LinkLoss;
use crate::redis::{Act, ActReport, AskError, Dialer, Link};

/// Acts that may wait for one server. More are held back at their source.
const ACTS_WAITING: usize = 16;
/// How long an idle link goes unchecked. A link that leads nowhere must be found before it is needed.
const CHECK_PERIOD: Duration = Duration::from_secs(1);

/// Acts on one data node, one after the other. Cheap to clone; all clones are one pair.
///
/// An act begins within microseconds when the link is up, as it is while the server lives. When it is not, the act itself
/// makes one within its limit. A link on which an act was not answered in time is given up, since its answer would be taken
/// for the next one's.
#[derive(Clone, Debug)]
pub struct Hands {
    acts: mpsc::Sender<Order>,
}

#[derive(Debug)]
struct Order {
    act: Act,
    deadline: Instant,
    answer: oneshot::Sender<Result<ActReport, AskError>>,
}

/// The task behind [`Hands`].
pub(super) struct Arms {
    orders: mpsc::Receiver<Order>,
    settings: watch::Receiver<ProbeSettings>,
    dialer: Dialer,
    link: Option<Link>,
}

/// A pair of hands and the task that moves them.
pub(super) fn hands(addr: Addr, settings: watch::Receiver<ProbeSettings>) -> (Hands, Arms) {
    let (acts, orders) = mpsc::channel(ACTS_WAITING);
    (Hands { acts }, Arms { orders, settings, dialer: Dialer::new(addr), link: None })
}

impl Hands {
    /// Does something to the server within `limit`, and reports what the server is afterwards.
    ///
    /// # Errors
    /// [`AskError`]. After [`AskError::Lost`] it may have been done, or be done later by a server that hangs now: look, and repeat.
    pub async fn act(&self, act: Act, limit: Duration) -> Result<ActReport, AskError> {
        let (answer, answered) = oneshot::channel();
        let deadline = Instant::now() + limit;
        let stopped = || AskError::NoLink(LinkLoss::Other("the probe of this server was stopped".to_owned()));
        match timeout_at(deadline, self.acts.send(Order { act, deadline, answer })).await {
            Ok(Ok(())) => {
                answered.await.unwrap_or_else(|_| Err(AskError::Lost(LinkLoss::Other("the probe of this server was stopped".to_owned()))))
            }
            Ok(Err(_)) => Err(stopped()),
            Err(_) => Err(AskError::NoLink(LinkLoss::TimedOut)),
        }
    }
}

impl Arms {
    /// Works until the probe is dropped.
    pub(super) async fn run(mut self) {
        let mut retry_at = Instant::now();
        loop {
            let settings = self.settings.borrow_and_update().clone();
            self.link.take_if(|link| *link.access() != settings.access);
            if self.link.is_none() && retry_at <= Instant::now() {
                retry_at = Instant::now() + settings.retry_pause();
                self.reach(&settings).await;
            }
            let wake_at = if self.link.is_some() { Instant::now() + CHECK_PERIOD } else { retry_at };
            tokio::select! {
                biased;
                order = self.orders.recv() => match order {
                    Some(order) => self.obey(order).await,
                    None => return,
                },
                changed = self.settings.changed() => if changed.is_err() { return },
                () = ended(&mut self.link) => self.link = None,
                () = sleep_until(wake_at) => self.check(settings.silence_limit()).await,
            }
        }
    }

    /// Makes a link in the background; an order that comes meanwhile is not kept waiting for longer than one attempt.
    async fn reach(&mut self, settings: &ProbeSettings) {
        self.link = Link::open(&mut self.dialer, settings.access.clone(), settings.connect_limit()).await.ok();
    }

    async fn obey(&mut self, order: Order) {
        let result = self.perform(&order.act, order.deadline).await;
        if matches!(result, Err(AskError::Lost(_))) {
            self.link = None;
        }
        // Whoever asked may have left.
        let _ = order.answer.send(result);
    }

    async fn perform(&mut self, act: &Act, deadline: Instant) -> Result<ActReport, AskError> {
        let left = || deadline.saturating_duration_since(Instant::now());
        if left().is_zero() {
            return Err(AskError::NoLink(LinkLoss::TimedOut));
        }
        let link = match &mut self.link {
            Some(link) => link,
            none => {
                let access = self.settings.borrow().access.clone();
                none.insert(Link::open(&mut self.dialer, access, left()).await.map_err(AskError::NoLink)?)
            }
        };
        link.act(act, left()).await
    }

    async fn check(&mut self, limit: Duration) {
        if let Some(link) = &mut self.link
            && link.ping(limit).await.is_err()
        {
            self.link = None;
        }
    }
}

/// Waits for the end of an idle link; for ever if there is none.
async fn ended(link: &mut Option<Link>) {
    match link {
        // Anything said unasked is as good as an end: what follows could not be told apart.
        Some(link) => drop(link.next().await),
        None => std::future::pending().await,
    }
}
