//! What this sentinel heard on the hello channel of a data node.
//!
//! Kept apart from [`observation`](super::observation): nothing that is heard counts in the judgement of a server, adds a
//! sentinel, raises an epoch or moves a master. It only tells who else is there.

use super::hello::Hello;
use super::{Addr, GroupName, Mono};

/// One thing heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelloObservation {
    /// When, by this process's monotonic clock.
    pub at: Mono,
    /// The group for which we listen there.
    pub group: GroupName,
    /// The data node.
    pub addr: Addr,
    /// What it was.
    pub what: OnChannel,
}

/// What can be heard of a data node's hello channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnChannel {
    /// A hello; of ourselves too.
    Hello(Box<Hello>),
    /// A message that is no hello.
    Malformed,
    /// The subscription stands, or does not.
    HelloSubscriber(Result<(), NoChannel>),
    /// Our own hello was taken, or was not.
    HelloPublisher(Result<(), NoChannel>),
}

/// Why there is no subscription, or why our own hello is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoChannel {
    /// Whether the server refuses it; otherwise there is no link.
    pub refused: bool,
    /// The server's or the system's words.
    pub why: String,
}
