//! The part that subscriber and publisher of hellos on one data node share: their reports, and their next try.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use super::redial::Redial;
use crate::base::observation::LinkLoss;
use crate::base::paces::HELLO_PERIOD_MS;
use crate::base::{Addr, GroupName, HelloObservation, HelloTemplate, NoChannel, OnChannel};
use crate::clock::Clock;

/// How often a sentinel says hello on each data node: stock's period.
pub(super) const HELLO_PERIOD: Duration = Duration::from_millis(HELLO_PERIOD_MS);
/// From the end of one link to the next attempt. Nothing hurries here.
const RETRY: Duration = Duration::from_millis(1000);
/// The same for a server that has been gone for long.
const LONGEST_RETRY: Duration = Duration::from_secs(5);
/// How long an attempt to connect may take at first.
const CONNECT_LIMIT: Duration = Duration::from_millis(1000);
/// How often that limit doubles while attempts time out: a server that hangs accepts each of them, and answers them all when it wakes.
const PATIENCE_DOUBLINGS: u32 = 5;

/// A group's hello channel: what is said there, and where it is told what was heard.
#[derive(Clone, Debug)]
pub struct HelloChannel {
    /// The group.
    pub group: GroupName,
    /// What we say there; none is silence.
    pub claim: watch::Receiver<Option<HelloTemplate>>,
    /// Who wants to know what is heard.
    pub out: mpsc::Sender<HelloObservation>,
}

/// Nobody wants to know any more.
pub(super) struct Closed;

/// Reports on the hello channel of one data node.
pub(super) struct Reporter {
    pub(super) group: GroupName,
    pub(super) addr: Addr,
    pub(super) clock: Clock,
    pub(super) out: mpsc::Sender<HelloObservation>,
}

impl Reporter {
    pub(super) async fn report(&self, what: OnChannel) -> Result<(), Closed> {
        let heard = HelloObservation { at: self.clock.mono(), group: self.group.clone(), addr: self.addr.clone(), what };
        self.out.send(heard).await.map_err(|_| Closed)
    }
}

/// One side of the channel on one data node, with a link of its own: the subscriber, or the publisher.
pub(super) trait HelloLink {
    /// Connects within `limit`, and works until that ends.
    fn link_once(&mut self, limit: Duration) -> impl Future<Output = Result<Infallible, End>> + Send;

    /// Where it reports.
    fn reporter(&self) -> &Reporter;

    /// What is reported while there is no link.
    fn unlinked(why: NoChannel) -> OnChannel;
}

/// Why a side let go of its link.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// There is none, or no longer.
    Loss(NoChannel),
    /// No answer in time; the next attempt to connect may take longer.
    TimedOut,
    /// The way in has changed.
    ServerAccess,
    /// Nobody wants to know any more.
    Unwanted,
}

impl End {
    /// The same after a link that was up: its silence is no reason to give the next attempt to connect more time.
    pub(super) fn of_a_link(self) -> Self {
        match self {
            Self::TimedOut => Self::Loss(no_channel(LinkLoss::TimedOut)),
            Self::Loss(_) | Self::ServerAccess | Self::Unwanted => self,
        }
    }
}

impl From<Closed> for End {
    fn from(_: Closed) -> Self {
        Self::Unwanted
    }
}

impl From<LinkLoss> for End {
    fn from(loss: LinkLoss) -> Self {
        if loss == LinkLoss::TimedOut { Self::TimedOut } else { Self::Loss(no_channel(loss)) }
    }
}

/// Keeps a side at work until nobody wants to know: link after link, each with the report of why there is none in between.
pub(super) async fn keep_linked<S: HelloLink>(mut side: S) {
    let (mut timeouts, mut redial) = (0, Redial::default());
    loop {
        let begun = Instant::now();
        let why = match side.link_once(connect_limit(timeouts)).await {
            Err(End::Unwanted) => return,
            Err(End::ServerAccess) => continue,
            Err(End::TimedOut) => {
                timeouts += 1;
                no_channel(LinkLoss::TimedOut)
            }
            Err(End::Loss(why)) => {
                timeouts = 0;
                why
            }
            Ok(never) => match never {},
        };
        if side.reporter().report(S::unlinked(why)).await.is_err() {
            return;
        }
        if begun.elapsed() > LONGEST_RETRY {
            // There was a link, or an attempt that took long by itself.
            redial.linked();
        }
        sleep(redial.pause(Instant::now(), RETRY, LONGEST_RETRY)).await;
    }
}

/// How long the next attempt to connect may take, after so many that timed out.
fn connect_limit(timeouts: u32) -> Duration {
    CONNECT_LIMIT * (1 << timeouts.min(PATIENCE_DOUBLINGS))
}

/// The end of a link, for people.
fn no_channel(loss: LinkLoss) -> NoChannel {
    let unrefused = |why: &str| NoChannel { refused: false, why: why.to_owned() };
    match loss {
        LinkLoss::Refused => unrefused("connection refused"),
        LinkLoss::Closed => unrefused("connection closed"),
        LinkLoss::TimedOut => unrefused("no answer in time"),
        LinkLoss::Local(lack) => unrefused(lack.as_str()),
        LinkLoss::Unresolved(why) | LinkLoss::Other(why) => unrefused(&why),
        LinkLoss::Credentials(why) => NoChannel { refused: true, why },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_attempt_to_connect_that_had_no_answer_gives_the_next_one_more_time() {
        assert_eq!(End::from(LinkLoss::TimedOut), End::TimedOut);
        let silent = End::from(LinkLoss::TimedOut).of_a_link();
        assert_eq!(silent, End::Loss(NoChannel { refused: false, why: "no answer in time".to_owned() }));
        assert_eq!(End::from(LinkLoss::Refused).of_a_link(), End::from(LinkLoss::Refused));
        assert_eq!([0, 1, 2, 5, 50].map(|timeouts| connect_limit(timeouts).as_secs()), [1, 2, 4, 32, 32]);
    }
}
