//! The monitor of a data node: one link, its questions, and what is seen through it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::ProbeSettings;
use super::poll_schedule::{Periods, PollSchedule, Query};
use super::redial::Redial;
use crate::base::Addr;
use crate::base::observation::{InvalidReply, LinkLoss, NodeObservation, Observed};
use crate::base::paces::Pace;
use crate::clock::Clock;
use crate::redis::wire::Reply;
use crate::redis::{Dialer, Link, ServerAccess, request};

/// How often the patience with silence doubles, while fresh links to a server that accepts them stay silent too.
///
/// Such a server hangs: each fresh link waits in its queue, and the last of them is answered as soon as it wakes.
const PATIENCE_DOUBLINGS: u32 = 5;

/// Longest pause before a server that is gone is dialled again.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The task that looks.
pub(super) struct Monitor {
    dialer: Dialer,
    settings: watch::Receiver<ProbeSettings>,
    looks: Arc<Notify>,
    clock: Clock,
    out: mpsc::Sender<NodeObservation>,
    silent_links: u32,
    redial: Redial,
    /// Since when the server has refused our credentials on this link.
    refused_since: Option<Instant>,
}

/// Why the monitor let go of a link.
enum LinkEnd {
    /// The link ended.
    Loss(LinkLoss),
    /// The way in has changed.
    ServerAccess,
    /// Nobody wants to know any more.
    Unwanted,
}

/// What may come next on a link.
enum Next {
    Reply(Result<Reply, LinkLoss>),
    Look,
    Settings(Result<(), watch::error::RecvError>),
    Time,
}

/// The judge's inbox is closed.
struct InboxClosed;

impl From<InboxClosed> for LinkEnd {
    fn from(_: InboxClosed) -> Self {
        Self::Unwanted
    }
}

impl Monitor {
    pub(super) fn new(
        addr: Addr,
        settings: watch::Receiver<ProbeSettings>,
        looks: Arc<Notify>,
        clock: Clock,
        out: mpsc::Sender<NodeObservation>,
    ) -> Self {
        Self { dialer: Dialer::new(addr), settings, looks, clock, out, silent_links: 0, redial: Redial::default(), refused_since: None }
    }

    /// Looks until nobody wants to know.
    pub(super) async fn run(mut self) {
        let mut short_lived = 0;
        loop {
            let begun = Instant::now();
            let loss = match self.link_once().await {
                LinkEnd::Unwanted => return,
                LinkEnd::ServerAccess => continue,
                LinkEnd::Loss(loss) => loss,
            };
            let limit = self.now_settings().retry_pause();
            short_lived = if begun.elapsed() < limit && loss == LinkLoss::Closed { short_lived + 1 } else { 0 };
            if self.emit(Observed::Unlinked(loss)).await.is_err() {
                return;
            }
            let longer = self.redial.pause(Instant::now(), limit, LONGEST_PAUSE);
            sleep_until(begun + pause(short_lived, limit)).await;
            if longer > limit {
                tokio::select! {
                    () = sleep_until(begun + longer) => {}
                    () = self.looks.notified() => {}
                }
            }
        }
    }

    /// Connects and looks until that ends.
    async fn link_once(&mut self) -> LinkEnd {
        let settings = self.now_settings();
        let limit = settings.connect_limit();
        let mut link = match Link::connect(&mut self.dialer, settings.access, limit).await {
            Ok(link) => link,
            Err(loss) => return LinkEnd::Loss(loss),
        };
        self.redial.linked();
        if self.emit(Observed::Linked).await.is_err() {
            return LinkEnd::Unwanted;
        }
        if let Some(ip) = link.peer_ip().filter(|ip| *ip != self.dialer.addr().host())
            && self.emit(Observed::Reached(ip)).await.is_err()
        {
            return LinkEnd::Unwanted;
        }
        match self.watch(&mut link).await {
            Err(end) => end,
            Ok(never) => match never {},
        }
    }

    async fn watch(&mut self, link: &mut Link) -> Result<std::convert::Infallible, LinkEnd> {
        let greetings = link.introduce().await.map_err(LinkEnd::Loss)?;
        let mut schedule = PollSchedule::new(Instant::now(), greetings);
        self.refused_since = None;
        loop {
            let settings = self.now_settings();
            if settings.access != *link.access() {
                return Err(LinkEnd::ServerAccess);
            }
            let periods = Periods {
                ping: Duration::from_millis(settings.ping_period_ms.min(settings.paces.ms(Pace::Ping))),
                info: Duration::from_millis(settings.paces.ms(Pace::Info)),
                fence: settings.watch_fence,
            };
            self.ask(link, &mut schedule, periods).await?;
            let silence = settings.silence_limit() * (1 << self.silent_links.min(PATIENCE_DOUBLINGS));
            match self.next(link, schedule.wake_at(periods, silence)).await {
                Next::Reply(reply) => {
                    let refusal = self.note(&mut schedule, reply.map_err(LinkEnd::Loss)?).await?;
                    self.give_up_refused(refusal, settings.silence_limit())?;
                }
                Next::Look => schedule.look(),
                Next::Settings(changed) => changed.map_err(|_| LinkEnd::Unwanted)?,
                Next::Time => self.notice_silence(&schedule, silence)?,
            }
        }
    }

    async fn ask(&self, link: &mut Link, schedule: &mut PollSchedule, periods: Periods) -> Result<(), LinkEnd> {
        let questions = schedule.ask(Instant::now(), periods);
        if questions.is_empty() {
            return Ok(());
        }
        let commands: Vec<_> = questions.iter().filter_map(|&question| command(question, link.access())).collect();
        let at = self.clock.mono();
        link.send(&commands).await.map_err(LinkEnd::Loss)?;
        if questions.contains(&Query::Ping) {
            self.emit_at(NodeObservation { addr: self.dialer.addr().clone(), at, what: Observed::Pinged }).await?;
        }
        Ok(())
    }

    async fn next(&mut self, link: &mut Link, wake_at: Instant) -> Next {
        tokio::select! {
            biased;
            reply = link.next() => Next::Reply(reply),
            changed = self.settings.changed() => Next::Settings(changed),
            () = self.looks.notified() => Next::Look,
            () = sleep_until(wake_at) => Next::Time,
        }
    }

    /// Reports a reply, and hands out the words in which it refused our credentials, if it did.
    async fn note(&mut self, schedule: &mut PollSchedule, reply: Reply) -> Result<Option<String>, LinkEnd> {
        let at = self.clock.mono();
        self.silent_links = 0;
        let what = match schedule.heard(Instant::now()) {
            Some(Query::Greeting) => return Ok(None),
            Some(Query::Ping) => request::weigh_ping(&reply).map_or_else(Observed::Invalid, Observed::Valid),
            Some(Query::Info) => match request::read_info(&reply) {
                Ok(report) => Observed::Report(Box::new(report)),
                Err(error) => Observed::BadReport(error.to_string()),
            },
            Some(Query::Fence) => Observed::Fence(request::read_fence(&reply)),
            None => return Err(LinkEnd::Loss(LinkLoss::Other("the server said something that nobody asked".to_owned()))),
        };
        if matches!(what, Observed::Valid(_)) {
            self.refused_since = None;
        }
        let refusal = if let Observed::Invalid(InvalidReply::Credentials(text)) = &what { Some(text.clone()) } else { None };
        self.emit_at(NodeObservation { addr: self.dialer.addr().clone(), at, what }).await?;
        Ok(refusal)
    }

    /// Gives a link up on which our credentials have been refused for a while: on a fresh one they are shown again, to a server
    /// that may have learned them since.
    fn give_up_refused(&mut self, refusal: Option<String>, limit: Duration) -> Result<(), LinkEnd> {
        let Some(text) = refusal else { return Ok(()) };
        let since = *self.refused_since.get_or_insert_with(Instant::now);
        if since.elapsed() < limit { Ok(()) } else { Err(LinkEnd::Loss(LinkLoss::Credentials(text))) }
    }

    /// Gives a link up that has been silent for too long. It may lead nowhere since a partition, which the system would find
    /// out only after many minutes.
    fn notice_silence(&mut self, schedule: &PollSchedule, silence: Duration) -> Result<(), LinkEnd> {
        if schedule.silent_since().is_some_and(|since| since + silence <= Instant::now()) {
            self.silent_links = self.silent_links.saturating_add(1);
            return Err(LinkEnd::Loss(LinkLoss::TimedOut));
        }
        Ok(())
    }

    fn now_settings(&mut self) -> ProbeSettings {
        self.settings.borrow_and_update().clone()
    }

    async fn emit(&self, what: Observed) -> Result<(), InboxClosed> {
        self.emit_at(NodeObservation { addr: self.dialer.addr().clone(), at: self.clock.mono(), what }).await
    }

    async fn emit_at(&self, seen: NodeObservation) -> Result<(), InboxClosed> {
        self.out.send(seen).await.map_err(|_| InboxClosed)
    }
}

/// From the beginning of one attempt to the next, so that a link that lasted is followed by another at once.
///
/// A dying server closes its links a moment before its port, which then takes one more connection: after a link that was
/// closed young the next attempt comes soon, to learn that the port refuses. A port that accepts and closes for ever is
/// tried less and less often.
fn pause(short_lived: u32, limit: Duration) -> Duration {
    match short_lived {
        0 => limit,
        n => limit.min(Duration::from_millis(1 << n.min(10))),
    }
}

fn command(question: Query, access: &ServerAccess) -> Option<Vec<String>> {
    match question {
        Query::Ping => Some(vec![access.name("PING")]),
        Query::Info => Some(vec![access.name("INFO")]),
        Query::Fence => Some(access.command("CONFIG", &["GET", "min-replicas-*"])),
        Query::Greeting => None,
    }
}
