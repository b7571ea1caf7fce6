//! What the ears and the voice on one data node have in common: what they report, and when they try again.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::base::observation::LinkLoss;
use crate::base::{Addr, Claim, GroupName, Heard, HeardOn, NoChannel, OnChannel};
use crate::clock::Clock;

/// How often a sentinel says hello on each data node: stock's period.
pub(super) const HELLO_PERIOD: Duration = Duration::from_millis(2000);
/// From the end of one link to the next attempt. Nothing hurries here.
pub(super) const RETRY: Duration = Duration::from_millis(1000);
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
    pub claim: watch::Receiver<Option<Claim>>,
    /// Who wants to know what is heard.
    pub out: mpsc::Sender<Heard>,
}

/// Nobody wants to know any more.
pub(super) struct Closed;

/// Reports on the hello channel of one data node.
pub(super) struct Reporter {
    pub(super) group: GroupName,
    pub(super) addr: Addr,
    pub(super) clock: Clock,
    pub(super) out: mpsc::Sender<Heard>,
}

impl Reporter {
    pub(super) async fn report(&self, what: OnChannel) -> Result<(), Closed> {
        let on = HeardOn::DataNode { group: self.group.clone(), addr: self.addr.clone(), what };
        self.out.send(Heard { at: self.clock.mono(), on }).await.map_err(|_| Closed)
    }
}

/// How long the next attempt to connect may take, after so many that timed out.
pub(super) fn connect_limit(timeouts: u32) -> Duration {
    CONNECT_LIMIT * (1 << timeouts.min(PATIENCE_DOUBLINGS))
}

/// The end of a link, for people.
pub(super) fn no_channel(loss: LinkLoss) -> NoChannel {
    let unrefused = |why: &str| NoChannel { refused: false, why: why.to_owned() };
    match loss {
        LinkLoss::Refused => unrefused("connection refused"),
        LinkLoss::Closed => unrefused("connection closed"),
        LinkLoss::TimedOut => unrefused("no answer in time"),
        LinkLoss::Unresolved(why) | LinkLoss::Other(why) => unrefused(&why),
        LinkLoss::Credentials(why) => NoChannel { refused: true, why },
    }
}
