//! Says hello on one data node, over a link of its own.
//!
//! Not over the link of the monitor: a server whose writes are paused (CLIENT PAUSE, as in a planned change of the master)
//! keeps a PUBLISH waiting, and every PING behind it. Stock Sentinel takes such a server for dead.
//!
//! The first hello on a link comes a second after it is made. A PUBLISH to a master is part of its replication history;
//! a replaced master that comes back must be demoted first, or it could not go on where it stopped.

use std::convert::Infallible;

use rand::Rng;
use tokio::sync::watch;
use tokio::time::{Duration, Instant, sleep_until, timeout};

use super::ProbeSettings;
use super::hello_link::{End, HelloLink, Reporter};
use crate::base::hello::HELLO_CHANNEL;
use crate::base::observation::LinkLoss;
use crate::base::paces::Pace;
use crate::base::{HelloTemplate, NoChannel, OnChannel};
use crate::redis::wire::{Reply, excerpt};
use crate::redis::{Dialer, Link};

/// From a new link to the first hello on it.
const FIRST_AFTER: Duration = Duration::from_millis(1000);
/// By how much the period varies, so that sentinels do not speak in step.
const JITTER_MS: u64 = 100;
/// How long a hello may stay unanswered before a fresh link is tried. Until then nothing more is said.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// The task that speaks.
pub(super) struct HelloPublisher {
    pub(super) dialer: Dialer,
    pub(super) settings: watch::Receiver<ProbeSettings>,
    pub(super) claim: watch::Receiver<Option<HelloTemplate>>,
    pub(super) reporter: Reporter,
}

/// What may come while there is nothing to say.
enum Next {
    Reply(Result<Reply, LinkLoss>),
    HelloTemplate(Result<(), watch::error::RecvError>),
    Settings(Result<(), watch::error::RecvError>),
    Time,
}

impl HelloLink for HelloPublisher {
    async fn link_once(&mut self, limit: Duration) -> Result<Infallible, End> {
        let access = self.settings.borrow_and_update().access.clone();
        let mut link = Link::open(&mut self.dialer, access, limit).await?;
        let mut speak_at = Instant::now() + FIRST_AFTER;
        let mut said = self.claim.borrow_and_update().clone();
        loop {
            let claim = self.wait(&mut link, speak_at, said.as_ref()).await?;
            if let Some(claim) = &claim {
                self.say(&mut link, claim).await?;
            }
            // After the answer: a server that wakes from a long sleep is not spoken to twice at once.
            speak_at = Instant::now() + period(self.settings.borrow().paces.ms(Pace::Hello));
            said = claim.or(said);
        }
    }

    fn reporter(&self) -> &Reporter {
        &self.reporter
    }

    fn unlinked(why: NoChannel) -> OnChannel {
        OnChannel::HelloPublisher(Err(why))
    }
}

impl HelloPublisher {
    /// Waits until it is time to speak, or until there is another master to tell of.
    async fn wait(&mut self, link: &mut Link, speak_at: Instant, said: Option<&HelloTemplate>) -> Result<Option<HelloTemplate>, End> {
        loop {
            match self.next(link, speak_at).await {
                Next::Time => return Ok(self.claim.borrow_and_update().clone()),
                Next::HelloTemplate(changed) => {
                    changed.map_err(|_| End::Unwanted)?;
                    let claim = self.claim.borrow_and_update().clone();
                    if let (Some(new), Some(old)) = (&claim, said)
                        && !new.agrees(old)
                    {
                        return Ok(claim);
                    }
                }
                Next::Settings(changed) => {
                    changed.map_err(|_| End::Unwanted)?;
                    if self.settings.borrow_and_update().access != *link.access() {
                        return Err(End::ServerAccess);
                    }
                }
                Next::Reply(Err(loss)) => return Err(loss.into()),
                Next::Reply(Ok(_)) => return Err(LinkLoss::Other("the server said something that nobody asked".to_owned()).into()),
            }
        }
    }

    async fn next(&mut self, link: &mut Link, speak_at: Instant) -> Next {
        tokio::select! {
            biased;
            reply = link.next() => Next::Reply(reply),
            changed = self.settings.changed() => Next::Settings(changed),
            changed = self.claim.changed() => Next::HelloTemplate(changed),
            () = sleep_until(speak_at) => Next::Time,
        }
    }

    /// At most one hello is unanswered at any time.
    async fn say(&self, link: &mut Link, claim: &HelloTemplate) -> Result<(), End> {
        let Some(hello) = claim.hello(&link.local_host()?) else { return Ok(()) };
        link.send(&[vec![link.access().name("PUBLISH"), HELLO_CHANNEL.to_owned(), hello.to_string()]]).await?;
        match timeout(ANSWER_LIMIT, link.next()).await.map_err(|_| End::TimedOut)?? {
            // It takes none now, and will.
            Reply::Error(text) if ["BUSY", "LOADING", "MASTERDOWN"].iter().any(|code| text.starts_with(code)) => Ok(()),
            Reply::Error(text) => Err(End::Loss(NoChannel { refused: true, why: excerpt(&text) })),
            Reply::Status(_) | Reply::Number(_) | Reply::Bulk(_) | Reply::Nil | Reply::Array(_) => {
                Ok(self.reporter.report(OnChannel::HelloPublisher(Ok(()))).await?)
            }
        }
    }
}

fn period(period_ms: u64) -> Duration {
    Duration::from_millis(period_ms + rand::thread_rng().gen_range(0..JITTER_MS))
}
