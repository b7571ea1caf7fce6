//! The hands: a second link, kept ready for acts.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::ProbeSettings;
use crate::base::Addr;
use crate::base::observation::LinkLoss;
use crate::redis::wire::Reply;
use crate::redis::{Act, ActReport, AskError, Dialer, Link};

/// Acts that may wait for one server. More are held back at their source.
const ACTS_WAITING: usize = 16;
/// How long an idle link goes unchecked. A link that leads nowhere must be found before it is needed.
const CHECK_PERIOD: Duration = Duration::from_secs(1);
/// How long an act waits for the answer to such a check before it takes a fresh link.
const SETTLE_LIMIT: Duration = Duration::from_millis(200);
/// How often the patience of an attempt to connect doubles while attempts time out: a server that hangs accepts each of them.
const PATIENCE_DOUBLINGS: u32 = 3;

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
    link: Option<IdleLink>,
    timeouts: u32,
}

/// A link that is kept ready.
struct IdleLink {
    link: Link,
    check_at: Instant,
    /// Since when a PING has not been answered.
    checking_since: Option<Instant>,
}

/// What may come next.
enum Next {
    Order(Option<Order>),
    Settings(Result<(), watch::error::RecvError>),
    Linked(Result<Link, LinkLoss>),
    Said(Result<Reply, LinkLoss>),
    Time,
}

/// A pair of hands and the task that moves them.
pub(super) fn hands(addr: Addr, settings: watch::Receiver<ProbeSettings>) -> (Hands, Arms) {
    let (acts, orders) = mpsc::channel(ACTS_WAITING);
    (Hands { acts }, Arms { orders, settings, dialer: Dialer::new(addr), link: None, timeouts: 0 })
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
            self.link.take_if(|idle| *idle.link.access() != settings.access);
            match self.next(&settings, retry_at).await {
                Next::Order(Some(order)) => self.obey(order).await,
                Next::Order(None) | Next::Settings(Err(_)) => return,
                Next::Settings(Ok(())) => {}
                Next::Linked(link) => {
                    retry_at = Instant::now() + settings.retry_pause();
                    self.keep(link);
                }
                Next::Said(said) => self.hear(said.is_ok()),
                Next::Time => self.check(settings.silence_limit()).await,
            }
        }
    }

    /// An order goes before everything else: even an attempt to connect is given up for it, since the order makes its own.
    async fn next(&mut self, settings: &ProbeSettings, retry_at: Instant) -> Next {
        let Self { orders, settings: changes, dialer, link, timeouts } = self;
        let check_at = link.as_ref().map(|idle| idle.check_at);
        let limit = settings.connect_limit() * (1 << (*timeouts).min(PATIENCE_DOUBLINGS));
        let link_or_reply = async {
            match link {
                Some(idle) => Next::Said(idle.link.next().await),
                None => {
                    sleep_until(retry_at).await;
                    Next::Linked(Link::open(dialer, settings.access.clone(), limit).await)
                }
            }
        };
        tokio::select! {
            biased;
            order = orders.recv() => Next::Order(order),
            changed = changes.changed() => Next::Settings(changed),
            next = link_or_reply => next,
            () = sleep_until(check_at.unwrap_or(retry_at)), if check_at.is_some() => Next::Time,
        }
    }

    fn keep(&mut self, link: Result<Link, LinkLoss>) {
        self.timeouts = if matches!(link, Err(LinkLoss::TimedOut)) { self.timeouts.saturating_add(1) } else { 0 };
        self.link = link.ok().map(IdleLink::new);
    }

    /// A reply on an idle link answers our PING; anything else is as good as its end, since what follows could not be told apart.
    fn hear(&mut self, reply: bool) {
        match &mut self.link {
            Some(idle) if reply && idle.checking_since.is_some() => idle.rest(),
            _ => self.link = None,
        }
    }

    async fn check(&mut self, limit: Duration) {
        if let Some(idle) = &mut self.link
            && !idle.check(limit).await
        {
            self.link = None;
        }
    }

    async fn obey(&mut self, order: Order) {
        let result = self.perform(&order.act, order.deadline).await;
        match &mut self.link {
            // Credentials are shown once, at the beginning of a link: the next attempt begins a fresh one.
            Some(_) if matches!(result, Err(AskError::Lost(_) | AskError::Credentials(_))) => self.link = None,
            Some(idle) => idle.rest(),
            None => {}
        }
        // Whoever asked may have left.
        let _ = order.answer.send(result);
    }

    async fn perform(&mut self, act: &Act, deadline: Instant) -> Result<ActReport, AskError> {
        let left = || deadline.saturating_duration_since(Instant::now());
        if left().is_zero() {
            return Err(AskError::NoLink(LinkLoss::TimedOut));
        }
        let usable = match &mut self.link {
            Some(idle) => idle.settle(left().min(SETTLE_LIMIT)).await,
            None => false,
        };
        if !usable {
            let access = self.settings.borrow().access.clone();
            let link = Link::open(&mut self.dialer, access, left()).await;
            self.link = None;
            self.link = Some(IdleLink::new(link.map_err(AskError::NoLink)?));
        }
        match &mut self.link {
            Some(idle) => idle.link.act(act, left()).await,
            None => Err(AskError::NoLink(LinkLoss::Closed)),
        }
    }
}

impl IdleLink {
    fn new(link: Link) -> Self {
        Self { link, check_at: Instant::now() + CHECK_PERIOD, checking_since: None }
    }

    /// It was heard just now.
    fn rest(&mut self) {
        self.check_at = Instant::now() + CHECK_PERIOD;
        self.checking_since = None;
    }

    /// Asks for a sign of life, or looks whether one is overdue; false when the link is of no use.
    async fn check(&mut self, limit: Duration) -> bool {
        if self.checking_since.is_some() {
            return false;
        }
        let now = Instant::now();
        self.checking_since = Some(now);
        self.check_at = now + limit;
        self.link.send(&[vec![self.link.access().name("PING")]]).await.is_ok()
    }

    /// Waits for the sign of life that is still due, so that the next reply is the act's; false when there is none in time.
    async fn settle(&mut self, limit: Duration) -> bool {
        if self.checking_since.is_none() {
            return true;
        }
        let answered = timeout(limit, self.link.next()).await.is_ok_and(|reply| reply.is_ok());
        self.checking_since = None;
        answered
    }
}
