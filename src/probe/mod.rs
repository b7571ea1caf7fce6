//! Monitor, control, subscriber and publisher of hellos on one data node: a link to it for each.
//!
//! The monitor (`monitor`) pings, asks for INFO, and reports each thing seen as a [`NodeObservation`]; `control` keeps a second link
//! ready, so that an act needs no connect and never waits behind a PING that a busy server has not answered. The subscriber (`hello_subscriber`)
//! and the publisher (`hello_publisher`) are on the server's hello channel; what they report goes another way and never means up or down.
//! Now and then `rights` tries which orders the server would refuse.
//! Nothing is decided here: not whether a node is down, nor what to do about it. Used by `agent`, one [`Probe`] for each node.
//!
//! A probe begins with eyes and nothing else: all that they say changes nothing. Ears only listen. What changes a
//! server (hands) or is heard on it (voice) must be given to a probe, and can be taken away again; a probe without them cannot
//! touch its server, whoever asks it to.
//!
//! All follow the server at once: the end of a link is noticed when the system knows of it, not at the next PING. They stop
//! when the [`Probe`] is dropped.

mod control;
mod hello_link;
mod hello_publisher;
mod hello_subscriber;
mod monitor;
mod poll_schedule;
mod redial;
mod rights;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::AbortHandle;

use crate::base::observation::NodeObservation;
use crate::base::paces::Paces;
use crate::base::{Addr, GroupSettings};
use crate::clock::Clock;
use crate::redis::{Dialect, Dialer, ServerAccess};

pub use control::ControlHandle;
pub use hello_link::HelloChannel;

/// How to look at a data node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeSettings {
    /// How to get in.
    pub access: ServerAccess,
    /// What CLIENT LIST shows of a link that only listens.
    pub subscriber_name: String,
    /// From one PING to the next.
    pub ping_period_ms: u64,
    /// From one INFO to the next, from one hello to the next, and the longest time from one PING to the next.
    pub paces: Paces,
    /// Whether the server is asked for its fence (`CONFIG GET`) whenever it is asked for INFO in turn.
    pub watch_fence: bool,
    /// The limit after which silence is taken for death. Decides only how long a link may be silent before a fresh one is tried.
    pub down_after_ms: u64,
}

impl ProbeSettings {
    /// What a group's settings mean for its probes. CLIENT LIST there shows `client_name` with stock's endings.
    pub fn of(settings: &GroupSettings, client_name: impl Into<String>) -> Self {
        let client_name = client_name.into();
        Self {
            access: ServerAccess::of(settings, format!("{client_name}-cmd")),
            subscriber_name: format!("{client_name}-pubsub"),
            ping_period_ms: settings.ping_period_ms(),
            paces: Paces::default(),
            watch_fence: false,
            down_after_ms: settings.down_after_ms,
        }
    }

    /// How to get in to listen.
    fn subscriber(&self) -> ServerAccess {
        ServerAccess { client_name: self.subscriber_name.clone(), ..self.access.clone() }
    }

    /// How long to wait at least between attempts to connect: a server that restarts is seen within 100 ms.
    fn retry_pause(&self) -> Duration {
        Duration::from_millis((self.ping_period_ms / 2).clamp(20, 100))
    }

    /// How long one attempt to connect may take. Short, since a lost SYN is repeated by the system after a second at best.
    fn connect_limit(&self) -> Duration {
        Duration::from_millis((self.down_after_ms / 2).clamp(500, 1000))
    }

    /// How long a link may leave a PING unanswered before a fresh link is tried.
    fn silence_limit(&self) -> Duration {
        Duration::from_millis((self.down_after_ms / 2).clamp(500, 15_000))
    }
}

/// Monitor and control of one data node. Dropping it stops them.
#[derive(Debug)]
pub struct Probe {
    addr: Addr,
    settings: watch::Sender<ProbeSettings>,
    looks: Arc<Notify>,
    hands: Option<(ControlHandle, [AbortHandle; 2])>,
    hello_publisher: Option<AbortHandle>,
    clock: Clock,
    out: mpsc::Sender<NodeObservation>,
    tasks: Vec<AbortHandle>,
}

/// Starts to look at `addr` and to report to `out`, with eyes alone. Must be called inside the runtime.
///
/// When `out` is full the probe waits, and reads on afterwards; when it is closed the probe stops.
pub fn spawn(addr: Addr, settings: ProbeSettings, clock: Clock, out: mpsc::Sender<NodeObservation>) -> Probe {
    let (settings, followed) = watch::channel(settings);
    let looks = Arc::new(Notify::new());
    let eyes = monitor::Monitor::new(addr.clone(), followed, Arc::clone(&looks), clock, out.clone());
    let tasks = vec![tokio::spawn(eyes.run()).abort_handle()];
    Probe { addr, settings, looks, hands: None, hello_publisher: None, clock, out, tasks }
}

impl Probe {
    /// The data node.
    pub const fn addr(&self) -> &Addr {
        &self.addr
    }

    /// Asks for INFO now. The report is of a moment after this call; calls before it was asked share one.
    pub fn look(&self) {
        self.looks.notify_one();
    }

    /// Goes on with other settings. The links are made anew if the way in has changed.
    pub fn settings(&self, new: ProbeSettings) {
        self.settings.send_if_modified(|current| {
            let changed = *current != new;
            *current = new;
            changed
        });
    }

    /// Listens on the hello channel of the node.
    pub fn listen(&mut self, channel: &HelloChannel) {
        let (dialer, settings) = (Dialer::new(self.addr.clone()), self.settings.subscribe());
        let hello_subscriber = hello_subscriber::HelloSubscriber { dialer, settings, reporter: self.reporter(channel) };
        self.tasks.push(tokio::spawn(hello_link::keep_linked(hello_subscriber)).abort_handle());
    }

    /// Says on the hello channel of the node what the channel's claim is; nothing new if it does already.
    pub fn speak(&mut self, channel: &HelloChannel) {
        if self.hello_publisher.is_none() {
            let (dialer, settings) = (Dialer::new(self.addr.clone()), self.settings.subscribe());
            let hello_publisher =
                hello_publisher::HelloPublisher { dialer, settings, claim: channel.claim.clone(), reporter: self.reporter(channel) };
            self.hello_publisher = Some(tokio::spawn(hello_link::keep_linked(hello_publisher)).abort_handle());
        }
    }

    /// Gives the probe hands, over a link of their own that is kept ready; nothing new if it has some. From then on it reports, too, what the
    /// server would refuse them.
    pub fn arm(&mut self) {
        if self.hands.is_none() {
            let dialect = Dialect::default();
            let (hands, arms) = control::hands(self.addr.clone(), self.settings.subscribe(), dialect.clone());
            let rights = rights::RightsCheck {
                dialer: Dialer::new(self.addr.clone()),
                settings: self.settings.subscribe(),
                dialect,
                clock: self.clock,
                out: self.out.clone(),
            };
            self.hands = Some((hands, [tokio::spawn(arms.run()).abort_handle(), tokio::spawn(rights.run()).abort_handle()]));
        }
    }

    /// Takes hands and voice away: what they have not begun, they will not do.
    pub fn disarm(&mut self) {
        let hands = self.hands.take().map(|(_, tasks)| tasks);
        for task in hands.into_iter().flatten().chain(self.hello_publisher.take()) {
            task.abort();
        }
    }

    /// The control of this node, if it was given one. It ends with the probe.
    pub fn hands(&self) -> Option<ControlHandle> {
        self.hands.as_ref().map(|(hands, _)| hands.clone())
    }

    fn reporter(&self, channel: &HelloChannel) -> hello_link::Reporter {
        hello_link::Reporter { group: channel.group.clone(), addr: self.addr.clone(), clock: self.clock, out: channel.out.clone() }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.disarm();
        for task in &self.tasks {
            task.abort();
        }
    }
}
