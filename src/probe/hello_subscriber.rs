//! A subscription to the hello channel of one data node.
//!
//! What is heard is reported, and never means that the server is up or down.

use std::convert::Infallible;

use tokio::sync::watch;
use tokio::time::{Duration, Instant, sleep_until};

use super::ProbeSettings;
use super::hello_link::{End, HELLO_PERIOD, HelloLink, Reporter};
use crate::base::hello::HELLO_CHANNEL;
use crate::base::observation::LinkLoss;
use crate::base::{NoChannel, OnChannel};
use crate::redis::wire::{Reply, excerpt};
use crate::redis::{Dialer, Link};

/// How long a link may be silent although it was asked for a sign of life. Stock gives it three periods too.
const SILENCE_LIMIT: Duration = HELLO_PERIOD.saturating_mul(3);

/// The task that listens.
pub(super) struct HelloSubscriber {
    pub(super) dialer: Dialer,
    pub(super) settings: watch::Receiver<ProbeSettings>,
    pub(super) reporter: Reporter,
}

/// What may come next.
enum Next {
    Reply(Result<Reply, LinkLoss>),
    Settings(Result<(), watch::error::RecvError>),
    Time,
}

impl HelloLink for HelloSubscriber {
    async fn link_once(&mut self, limit: Duration) -> Result<Infallible, End> {
        let access = self.settings.borrow_and_update().subscriber();
        let mut link = Link::open(&mut self.dialer, access, limit).await?;
        self.listen(&mut link).await.map_err(End::of_a_link)
    }

    fn reporter(&self) -> &Reporter {
        &self.reporter
    }

    fn unlinked(why: NoChannel) -> OnChannel {
        OnChannel::HelloSubscriber(Err(why))
    }
}

impl HelloSubscriber {
    async fn listen(&mut self, link: &mut Link) -> Result<Infallible, End> {
        link.send(&[vec![link.access().name("SUBSCRIBE"), HELLO_CHANNEL.to_owned()]]).await?;
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
                        return Err(End::ServerAccess);
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
                self.reporter.report(OnChannel::HelloSubscriber(Ok(()))).await?;
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
