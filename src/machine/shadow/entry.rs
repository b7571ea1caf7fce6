//! What may be said about shadow: entries of the log, so a durable format like [`Command`](crate::machine::Command).

use serde::{Deserialize, Serialize};

use crate::base::{Addr, Epoch, NodeId};
use crate::machine::choice::{Choice, Ineligible};
use crate::machine::failover::FailoverId;
use crate::machine::group::Identity;

/// One entry about a group in shadow, or about its way in or out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShadowEntry {
    /// An operator wants the group's decisions carried out.
    TakeOver {
        /// The sentinel that was asked.
        by: NodeId,
        /// Also while sentinels that are not of this cluster watch it.
        #[serde(default)]
        despite_stock: bool,
    },
    /// An operator wants nothing carried out any more.
    StandDown {
        /// The sentinel that was asked.
        by: NodeId,
    },
    /// The verdict: who would have been promoted. Nobody is.
    Decided {
        /// The failover that it ends in thought.
        id: FailoverId,
        /// Who would have been chosen, among whom, and why.
        choice: Choice,
        /// The sentinel that would have decided.
        by: NodeId,
    },
    /// Nobody could be promoted, for these reasons.
    Blocked {
        /// The failover.
        id: FailoverId,
        /// A reason for every replica.
        reasons: Vec<(Addr, Ineligible)>,
    },
    /// A stock sentinel was heard to say something that belongs to a decision. The first to say so counts.
    StockSaid {
        /// The epoch, in this log, of the master that it is about.
        epoch: Epoch,
        /// What it said.
        word: StockWord,
        /// Where that sentinel listens.
        from: Addr,
        /// The sentinel of ours that heard it.
        by: NodeId,
    },
    /// Others made this replica the master: the record follows what was seen of it.
    MasterMoved {
        /// The epoch of the master that it replaces.
        epoch: Epoch,
        /// The new master.
        to: Addr,
        /// What was seen of it.
        identity: Identity,
    },
}

impl ShadowEntry {
    /// The entry's name, for logs and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::TakeOver { .. } => "take-over",
            Self::StandDown { .. } => "stand-down",
            Self::Decided { .. } => "shadow-decided",
            Self::Blocked { .. } => "shadow-blocked",
            Self::StockSaid { .. } => "stock-said",
            Self::MasterMoved { .. } => "master-moved",
        }
    }
}

/// What a stock sentinel said, as far as it belongs to a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StockWord {
    /// `+odown`: enough of them see the master down.
    Down,
    /// `-odown`: no longer.
    Up,
    /// `+try-failover`: one of them wants to lead a failover.
    Tried,
    /// `+selected-slave`: it chose this replica.
    Chosen(Addr),
    /// `-failover-abort-...`: it gave up; the event's name says why.
    Aborted(String),
    /// `+switch-master`: clients are sent to this address.
    Switched(Addr),
}

impl StockWord {
    /// The name of stock Sentinel's event.
    pub fn event(&self) -> &str {
        match self {
            Self::Down => "+odown",
            Self::Up => "-odown",
            Self::Tried => "+try-failover",
            Self::Chosen(_) => "+selected-slave",
            Self::Aborted(event) => event,
            Self::Switched(_) => "+switch-master",
        }
    }

    /// The address that it names, if it names one.
    pub const fn addr(&self) -> Option<&Addr> {
        match self {
            Self::Chosen(addr) | Self::Switched(addr) => Some(addr),
            Self::Down | Self::Up | Self::Tried | Self::Aborted(_) => None,
        }
    }
}
