//! A subscription to the events of one stock sentinel.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::HeardWord;
use super::word::{CHANNELS, read};
use crate::agent::Parts;
use crate::base::observation::LinkLoss;
use crate::base::{Addr, Credentials, GroupName, SentinelId};
use crate::redis::wire::Reply;
use crate::redis::{Dialer, Link, ServerAccess};

/// How long an attempt to connect may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// From the end of one link to the next attempt.
const RETRY: Duration = Duration::from_millis(500);
/// After so much silence it is asked for a sign of life; after as much again the link is given up.
const SILENCE: Duration = Duration::from_secs(5);

/// The task that listens to one stock sentinel for one group.
pub(super) struct StockListener {
    pub(super) parts: Parts,
    pub(super) group: GroupName,
    pub(super) sentinel: SentinelId,
    pub(super) addr: Addr,
    /// The name by which it knows the master.
    pub(super) theirs: String,
    pub(super) words: mpsc::Sender<HeardWord>,
}

impl StockListener {
    /// Listens until it is cancelled.
    pub(super) async fn run(self) {
        let mut dialer = Dialer::new(self.addr.clone());
        let mut credentials = self.parts.stock_credentials.clone();
        loop {
            let shown = credentials.borrow_and_update().clone();
            let why = tokio::select! {
                // Those that were shown on this link are no longer what is to be shown. Once nobody can change them, they stay.
                Ok(()) = credentials.changed() => continue,
                ended = self.link_once(&mut dialer, shown) => match ended {
                    Err(why) => why,
                    Ok(never) => match never {},
                },
            };
            self.show(Err(why));
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn link_once(&self, dialer: &mut Dialer, credentials: Credentials) -> Result<Infallible, String> {
        let mut link = Link::open(dialer, self.access(credentials), CONNECT_LIMIT).await.map_err(|loss| phrase(&loss))?;
        let subscribe = std::iter::once("SUBSCRIBE").chain(CHANNELS).map(ToOwned::to_owned).collect();
        link.send(&[subscribe]).await.map_err(|loss| phrase(&loss))?;
        let mut asked = true;
        loop {
            match timeout(SILENCE, link.next()).await {
                Ok(reply) => {
                    self.take(reply.map_err(|loss| phrase(&loss))?).await?;
                    asked = false;
                }
                Err(_) if asked => return Err("no answer in time".to_owned()),
                Err(_) => {
                    link.send(&[vec!["PING".to_owned()]]).await.map_err(|loss| phrase(&loss))?;
                    asked = true;
                }
            }
        }
    }

    /// Credentials are shown to those only whom the file names: everybody who may publish can name an address.
    fn access(&self, credentials: Credentials) -> ServerAccess {
        let Credentials { user, pass } = if self.parts.foreign.trusts(&self.addr) { credentials } else { Credentials::default() };
        let access =
            ServerAccess { auth_user: user, auth_pass: pass, client_name: self.parts.client_name.clone(), ..ServerAccess::default() };
        access.over(self.parts.tls.clone())
    }

    async fn take(&self, reply: Reply) -> Result<(), String> {
        let at = self.parts.clock.wall();
        match reply {
            Reply::Error(text) => Err(format!("it refuses SUBSCRIBE: {text}")),
            Reply::Array(words) => match &words[..] {
                [Reply::Bulk(kind), Reply::Bulk(_), Reply::Number(_)] if kind == "subscribe" => {
                    self.show(Ok(()));
                    Ok(())
                }
                [Reply::Bulk(kind), Reply::Bulk(channel), Reply::Bulk(text)] if kind == "message" => {
                    self.hear(channel, text, at).await;
                    Ok(())
                }
                _ => Ok(()),
            },
            Reply::Status(_) | Reply::Bulk(_) | Reply::Number(_) | Reply::Nil => Ok(()),
        }
    }

    async fn hear(&self, channel: &str, text: &str, at: crate::base::WallTime) {
        tracing::debug!(group = %self.group, from = %self.addr, "stock says {channel} {text}");
        if let Some(word) = read(channel, text, &self.theirs) {
            let heard = HeardWord { group: self.group.clone(), from: self.addr.clone(), word, at };
            // An error means that this sentinel is stopping.
            let _ = self.words.send(heard).await;
        }
    }

    fn show(&self, fares: Result<(), String>) {
        super::show(&self.parts, &self.group, &self.sentinel, &self.addr, fares);
    }
}

fn phrase(loss: &LinkLoss) -> String {
    match loss {
        LinkLoss::Refused => "connection refused".to_owned(),
        LinkLoss::Closed => "connection closed".to_owned(),
        LinkLoss::TimedOut => "no answer in time".to_owned(),
        LinkLoss::Local(lack) => lack.as_str().to_owned(),
        LinkLoss::Unresolved(why) | LinkLoss::Credentials(why) | LinkLoss::Other(why) => why.clone(),
    }
}
