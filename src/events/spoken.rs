//! An event as everybody is told it.

use crate::base::{Addr, Epoch, GroupName, LogIndex, WallTime};

use super::wording::{Wording, one_line};

/// How much an event matters, in stock Sentinel's grades.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something that an operator would want to be told of.
    Warning,
    /// A step on the way.
    Notice,
    /// A detail.
    Verbose,
}

impl Level {
    /// Its name in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Notice => "notice",
            Self::Verbose => "verbose",
        }
    }
}

/// How an event is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// All sentinels are told of it: it follows from the entry at `index`, which was proposed at `at`.
    Agreed {
        /// The entry.
        index: LogIndex,
        /// The moment stamped into it.
        at: WallTime,
    },
    /// This sentinel saw it, or did it.
    Local,
}

/// Clients are sent to another master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    /// The epoch of the new master.
    pub epoch: Epoch,
    /// Where clients were sent before.
    pub from: Addr,
    /// Where they are sent now.
    pub to: Addr,
}

/// An event in stock Sentinel's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// Its name, which is its channel.
    pub channel: &'static str,
    /// Its text: one line.
    pub payload: String,
    /// How much it matters.
    pub level: Level,
    /// The group whose master, replica or sentinel it is about; none for events about this process.
    pub group: Option<GroupName>,
    /// Whether subscribers, scripts and webhooks hear it; the others are for the log only.
    pub published: bool,
    /// How it is known.
    pub origin: Origin,
    /// The change of master that it tells, if it is one.
    pub switch: Option<Switch>,
}

impl Spoken {
    /// An event about this process, such as a script that failed. Never handed to scripts, which it could only multiply.
    pub fn about_this_process(channel: &'static str, payload: &str) -> Self {
        let (payload, level) = (one_line(payload), Level::Warning);
        Self { channel, payload, level, group: None, published: true, origin: Origin::Local, switch: None }
    }

    /// Whether scripts and webhooks of its group are told of it: stock's rule is a warning with an instance.
    pub fn calls_out(&self) -> bool {
        self.published && self.level == Level::Warning && self.group.is_some()
    }

    pub(super) fn new(wording: Wording, group: Option<GroupName>, origin: Origin) -> Self {
        let Wording { channel, payload, level, published, switch } = wording;
        Self { channel, payload, level, group, published, origin, switch }
    }
}
