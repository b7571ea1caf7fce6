//! The ears: a subscription to the hello channel of one data node.
//!
//! What is heard is reported, and never means that the server is up or down.

use tokio::sync::watch;
use tokio::time::{Duration, Instant, sleep, sleep_until};

use super::ProbeSettings;
use super::channel::{Closed, HELLO_PERIOD, RETRY, Reporter, connect_limit, no_channel};
use crate::base::hello::HELLO_CHANNEL;
use crate::base::observation::LinkLoss;
use crate::base::{NoChannel, OnChannel};
use crate::redis::wire::{Reply, excerpt};
use crate::redis::{Dialer, Link};

/// How long a link may be silent although it was asked for a sign of life. Stock gives it three periods too.
const SILENCE_LIMIT: Duration = HELLO_PERIOD.saturating_mul(3);

/// The task that listens.
pub(super) struct Ears {
    pub(super) dialer: Dialer,
    pub(super) settings: watch::Receiver<ProbeSettings>,
    pub(super) reporter: Reporter,
}

/// Why the ears let go of a link.
enum End {
    Loss(NoChannel),
    /// No answer to the attempt to connect.
    TimedOut,
    /// The way in has changed.
    Access,
    Unwanted,
}

impl From<Closed> for End {
    fn from(_: Closed) -> Self {
        Self::Unwanted
    }
}

impl From<LinkLoss> for End {
    fn from(loss: LinkLoss) -> Self {
        Self::Loss(no_channel(loss))
    }
}

/// What may come next.
enum Next {
    Reply(Result<Reply, LinkLoss>),
    Settings(Result<(), watch::error::RecvError>),
    Time,
}

impl Ears {
    /// Listens until nobody wants to know.
    pub(super) async fn run(mut self) {
        let mut timeouts = 0;
        loop {
            let trouble = match self.link_once(connect_limit(timeouts)).await {
                Err(End::Unwanted) => return,
                Err(End::Access) => continue,
                Err(End::TimedOut) => {
                    timeouts += 1;
                    no_channel(LinkLoss::TimedOut)
                }
                Err(End::Loss(trouble)) => {
                    timeouts = 0;
                    trouble
                }
                Ok(never) => match never {},
            };
            if self.reporter.report(OnChannel::Ears(Err(trouble))).await.is_err() {
                return;
            }
            sleep(RETRY).await;
        }
    }

    async fn link_once(&mut self, limit: Duration) -> Result<std::convert::Infallible, End> {
        let access = self.settings.borrow_and_update().subscriber();
        let link = Link::open(&mut self.dialer, access, limit).await;
        let mut link = link.map_err(|loss| if loss == LinkLoss::TimedOut { End::TimedOut } else { loss.into() })?;
        link.send(&[vec![link.access().name("SUBSCRIBE"), HELLO_CHANNEL.to_owned()]]).await?;
        self.listen(&mut link).await
    }

    async fn listen(&mut self, link: &mut Link) -> Result<std::convert::Infallible, End> {
        let mut subscribed = false;
        // Until it is answered, SUBSCRIBE is the question that is open.
        let mut asked = true;
        let mut heard_at = Instant::now();
        loop {
            let wake_at = heard_at + if asked { SILENCE_LIMIT } else { HELLO_PERIOD };
            match self.next(link, wake_at).await {
                Next::Reply(reply) => {
                    self.take(reply?, &mut subscribed).await?;
                    (asked, heard_at) = (false, Instant::now());
                }
                Next::Settings(changed) => {
                    changed.map_err(|_| End::Unwanted)?;
                    if self.settings.borrow_and_update().subscriber() != *link.access() {
                        return Err(End::Access);
                    }
                }
                Next::Time if asked => return Err(LinkLoss::TimedOut.into()),
                Next::Time => {
                    link.send(&[vec![link.access().name("PING")]]).await?;
                    (asked, heard_at) = (true, Instant::now());
                }
            }
        }
    }

    async fn next(&mut self, link: &mut Link, wake_at: Instant) -> Next {
        tokio::select! {
            biased;
            reply = link.next() => Next::Reply(reply),
            changed = self.settings.changed() => Next::Settings(changed),
            () = sleep_until(wake_at) => Next::Time,
        }
    }

    /// Anything is a sign of life; an error to SUBSCRIBE is a refusal.
    async fn take(&self, reply: Reply, subscribed: &mut bool) -> Result<(), End> {
        if let (Reply::Error(text), false) = (&reply, *subscribed) {
            return Err(End::Loss(NoChannel { refused: true, why: excerpt(text) }));
        }
        let Reply::Array(words) = reply else { return Ok(()) };
        match &words[..] {
            [Reply::Bulk(kind), Reply::Bulk(_), Reply::Number(_)] if kind == "subscribe" => {
                *subscribed = true;
                self.reporter.report(OnChannel::Ears(Ok(()))).await?;
            }
            [Reply::Bulk(kind), Reply::Bulk(channel), Reply::Bulk(text)] if kind == "message" && channel == HELLO_CHANNEL => {
                let what = text.parse().map_or(OnChannel::Malformed, |hello| OnChannel::Hello(Box::new(hello)));
                self.reporter.report(what).await?;
            }
            _ => {}
        }
        Ok(())
    }
}
