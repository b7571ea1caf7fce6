//! Control of a data node: a second link, kept ready for acts.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::ProbeSettings;
use super::redial::Redial;
use crate::base::Addr;
use crate::base::observation::LinkLoss;
use crate::redis::wire::Reply;
use crate::redis::{Act, ActReport, Always, AskError, Dialect, Dialer, Link, Permission, ServerAccess};

/// Acts that may wait for one server. More are held back at their source.
const ACTS_WAITING: usize = 16;
/// How long an idle link goes unchecked. A link that leads nowhere must be found before it is needed.
const CHECK_PERIOD: Duration = Duration::from_secs(1);
/// How long an act waits for the answer to such a check before it takes a fresh link.
const SETTLE_LIMIT: Duration = Duration::from_millis(200);
/// How long the system may go on trying to deliver what was written.
const DELIVERY_LIMIT: Duration = Duration::from_secs(1);
/// Longest pause before a link to a server that is gone is made again. An act does not wait for it.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How much later than its limit an act in progress may say what came of it.
const GRACE: Duration = Duration::from_millis(50);
/// How often the patience of an attempt to connect doubles while attempts time out: a server that hangs accepts each of them.
const PATIENCE_DOUBLINGS: u32 = 3;

/// Acts on one data node, one after the other. Cheap to clone; all clones are one pair.
///
/// An act begins within microseconds when the link is up, as it is while the server lives. When it is not, the act itself
/// makes one within its limit. A link on which an act was not answered in time is given up, since its answer would be taken
/// for the next one's.
#[derive(Clone, Debug)]
pub struct ControlHandle {
    acts: mpsc::Sender<ServerOrder>,
}

struct ServerOrder {
    act: Act,
    deadline: Instant,
    permission: Box<dyn Permission>,
    answer: oneshot::Sender<Result<ActReport, AskError>>,
}

/// The task behind [`ControlHandle`].
pub(super) struct ControlTask {
    orders: mpsc::Receiver<ServerOrder>,
    settings: watch::Receiver<ProbeSettings>,
    dialer: Dialer,
    dialect: Dialect,
    link: Option<IdleLink>,
    timeouts: u32,
    redial: Redial,
}

/// A link that is kept ready.
struct IdleLink {
    link: Link,
    check_at: Instant,
    /// Whether it owes the answer to a sign of life.
    owes: bool,
}

/// What may come next.
enum Next {
    ServerOrder(Option<ServerOrder>),
    Settings(Result<(), watch::error::RecvError>),
    Linked(Result<Box<Link>, LinkLoss>),
    Said(Result<Reply, LinkLoss>),
    Time,
}

/// A pair of hands and the task that moves them.
pub(super) fn hands(addr: Addr, settings: watch::Receiver<ProbeSettings>, dialect: Dialect) -> (ControlHandle, ControlTask) {
    let (acts, orders) = mpsc::channel(ACTS_WAITING);
    let (dialer, redial) = (Dialer::new(addr), Redial::default());
    (ControlHandle { acts }, ControlTask { orders, settings, dialer, dialect, link: None, timeouts: 0, redial })
}

impl ControlHandle {
    /// Does something to the server within `limit`, whoever may be against it, and reports what the server is afterwards.
    ///
    /// # Errors
    /// [`AskError`]. After [`AskError::Lost`] it may have been done, or be done later by a server that hangs now: look, and repeat.
    pub async fn act(&self, act: Act, limit: Duration) -> Result<ActReport, AskError> {
        self.act_by(act, Instant::now() + limit, Box::new(Always)).await
    }

    /// The same by a moment, with a permission that is confirmed once the link is ready: for those who must not act later, however long this
    /// process is stopped in between.
    ///
    /// # Errors
    /// As above.
    pub async fn act_by(&self, act: Act, deadline: Instant, permission: Box<dyn Permission>) -> Result<ActReport, AskError> {
        let (answer, answered) = oneshot::channel();
        let stopped = || LinkLoss::Other("the probe of this server was stopped".to_owned());
        match timeout_at(deadline, self.acts.send(ServerOrder { act, deadline, permission, answer })).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(AskError::NoLink(stopped())),
            Err(_) => return Err(AskError::NoLink(LinkLoss::TimedOut)),
        }
        // The order keeps its limit by itself, unless one before it has a longer one. It is not carried out afterwards.
        match timeout_at(deadline + GRACE, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(AskError::Lost(stopped())),
            Err(_) => Err(AskError::NoLink(LinkLoss::TimedOut)),
        }
    }
}

impl ControlTask {
    /// Works until the probe is dropped.
    pub(super) async fn run(mut self) {
        let mut retry_at = Instant::now();
        loop {
            let settings = self.settings.borrow_and_update().clone();
            self.link.take_if(|idle| *idle.link.access() != settings.access);
            match self.next(&settings, retry_at).await {
                Next::ServerOrder(Some(order)) => self.obey(order).await,
                Next::ServerOrder(None) | Next::Settings(Err(_)) => return,
                Next::Settings(Ok(())) => {}
                Next::Linked(link) => {
                    self.keep(link.map(|link| *link));
                    retry_at = self.retry_at(settings.retry_pause());
                }
                Next::Said(said) => self.hear(&said),
                Next::Time => self.check(settings.silence_limit()).await,
            }
        }
    }

    /// When a link is to be made again, where there is none.
    fn retry_at(&mut self, shortest: Duration) -> Instant {
        let now = Instant::now();
        if self.link.is_some() {
            self.redial.linked();
            return now + shortest;
        }
        now + self.redial.pause(now, shortest, LONGEST_PAUSE)
    }

    /// An order goes before everything else: even an attempt to connect is given up for it, since the order makes its own.
    async fn next(&mut self, settings: &ProbeSettings, retry_at: Instant) -> Next {
        let Self { orders, settings: changes, dialer, dialect, link, timeouts, .. } = self;
        let check_at = link.as_ref().map(|idle| idle.check_at);
        let limit = settings.connect_limit() * (1 << (*timeouts).min(PATIENCE_DOUBLINGS));
        let link_or_reply = async {
            match link {
                Some(idle) => Next::Said(idle.link.next().await),
                None => {
                    sleep_until(retry_at).await;
                    Next::Linked(open(dialer, dialect, settings.access.clone(), limit).await.map(Box::new))
                }
            }
        };
        tokio::select! {
            biased;
            order = orders.recv() => Next::ServerOrder(order),
            changed = changes.changed() => Next::Settings(changed),
            next = link_or_reply => next,
            () = sleep_until(check_at.unwrap_or(retry_at)), if check_at.is_some() => Next::Time,
        }
    }

    fn keep(&mut self, link: Result<Link, LinkLoss>) {
        self.timeouts = if matches!(link, Err(LinkLoss::TimedOut)) { self.timeouts.saturating_add(1) } else { 0 };
        self.link = link.ok().map(IdleLink::new);
    }

    /// A reply on an idle link is one that is owed; anything else is as good as its end, since what follows could not be told apart.
    fn hear(&mut self, said: &Result<Reply, LinkLoss>) {
        match self.link.as_mut().filter(|idle| idle.owes && said.is_ok()) {
            Some(idle) => idle.rest(),
            None => self.link = None,
        }
    }

    /// The link has been idle for long, or owes an answer for too long.
    async fn check(&mut self, limit: Duration) {
        if let Some(idle) = &mut self.link
            && (idle.owes || !idle.check(limit).await)
        {
            self.link = None;
        }
    }

    async fn obey(&mut self, mut order: ServerOrder) {
        let result = self.perform(&order.act, order.deadline, order.permission.as_mut()).await;
        match &mut self.link {
            // Credentials are shown once, at the beginning of a link: the next attempt begins a fresh one.
            Some(_) if matches!(result, Err(AskError::Lost(_) | AskError::NoLink(_) | AskError::Credentials(_))) => self.link = None,
            Some(idle) => idle.rest(),
            None => {}
        }
        // Whoever asked may have left.
        let _ = order.answer.send(result);
    }

    async fn perform(&mut self, act: &Act, deadline: Instant, permission: &mut dyn Permission) -> Result<ActReport, AskError> {
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
            let link = open(&mut self.dialer, &self.dialect, access, left()).await;
            self.link = None;
            self.link = Some(IdleLink::new(link.map_err(AskError::NoLink)?));
            self.redial.linked();
        }
        match &mut self.link {
            Some(idle) => idle.link.act(act, left(), permission).await,
            None => Err(AskError::NoLink(LinkLoss::Closed)),
        }
    }
}

/// A link for acts. What is written to it and not delivered soon must never be.
async fn open(dialer: &mut Dialer, dialect: &Dialect, access: ServerAccess, limit: Duration) -> Result<Link, LinkLoss> {
    let mut link = Link::open_for_acts(dialer, access, limit).await?;
    link.deliver_within(DELIVERY_LIMIT)?;
    link.speak(dialect);
    Ok(link)
}

impl IdleLink {
    fn new(link: Link) -> Self {
        Self { link, check_at: Instant::now() + CHECK_PERIOD, owes: false }
    }

    /// It was heard just now.
    fn rest(&mut self) {
        self.check_at = Instant::now() + CHECK_PERIOD;
        self.owes = false;
    }

    /// Asks for a sign of life, with a limit for the answer; false when the link is of no use.
    async fn check(&mut self, limit: Duration) -> bool {
        self.owes = true;
        self.check_at = Instant::now() + limit;
        let ping = vec![self.link.access().name("PING")];
        self.link.send(&[ping]).await.is_ok()
    }

    /// Waits for the answer that is still owed, so that the next one is the act's; false when there is none in time.
    async fn settle(&mut self, limit: Duration) -> bool {
        !std::mem::take(&mut self.owes) || timeout(limit, self.link.next()).await.is_ok_and(|reply| reply.is_ok())
    }
}
