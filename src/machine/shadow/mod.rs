//! Groups whose decisions are not carried out: what would have been decided, beside what stock Sentinel decided.
//!
//! A group is in one [`ControlMode`], which is part of the record: in shadow no entry of this log can promote anybody, on any sentinel.
//! The votes, the failover and its verdict are as always, but the verdict is noted in an [`Incident`] and nothing comes of it; what
//! stock sentinels are heard to decide is noted in the same incident, and the recorded master follows what is seen on the servers.
//!
//! Here: [`entry`] (what may be said), `duty` (who acts, and what changes that), [`incident`] (both decisions beside each other),
//! `follow` (the record goes where stock went).

mod duty;
pub mod entry;
mod follow;
pub mod incident;

pub use duty::ControlMode;
pub use entry::{ShadowEntry, StockWord};
pub use incident::{Difference, Incident, Ours, StockSide, Told, Verdict};

use super::failover::Stamp;
use super::group::{Applied, Group};
use super::outcome::Refusal;
use crate::base::{Addr, Epoch};

/// A fact about a group that is, or was, in shadow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShadowEvent {
    /// The group's decisions are no longer carried out.
    StoodDown {
        /// The recorded master.
        master: Addr,
    },
    /// The group's decisions are carried out from now on.
    TookOver {
        /// The recorded master.
        master: Addr,
        /// Whether that holds beside sentinels that are not of this cluster.
        despite_stock: bool,
    },
    /// This replica would have been promoted.
    WouldPromote {
        /// The master that would have been replaced.
        master: Addr,
        /// Who would have been its successor.
        chosen: Addr,
    },
    /// Nobody could have been promoted.
    WouldBeBlocked {
        /// The master that would have been replaced.
        master: Addr,
    },
    /// A stock sentinel said something that belongs to a decision.
    StockSaid {
        /// The recorded master at that time.
        master: Addr,
        /// Where that sentinel listens.
        from: Addr,
        /// What it said.
        word: StockWord,
    },
    /// The master was moved by others.
    Followed {
        /// From where.
        from: Addr,
        /// To where.
        to: Addr,
    },
    /// An incident is over.
    Compared {
        /// The epoch of the master that it was about.
        epoch: Epoch,
        /// That master.
        master: Addr,
        /// How the two decisions compare.
        difference: Difference,
        /// What we would have chosen.
        ours: Option<Addr>,
        /// What stock Sentinel chose.
        stock: Option<Addr>,
    },
}

impl Group {
    /// Applies one entry about shadow.
    pub(super) fn shadow(&mut self, entry: &ShadowEntry, stamp: Stamp) -> Result<Applied, Refusal> {
        match entry {
            ShadowEntry::TakeOver { by, despite_stock } => self.take_over(*by, *despite_stock, stamp),
            ShadowEntry::StandDown { by } => self.stand_down(*by, stamp),
            ShadowEntry::Decided { id, choice, by } => self.note_verdict(*id, choice, *by, stamp),
            ShadowEntry::Blocked { id, reasons } => self.note_blocked(*id, reasons, stamp),
            ShadowEntry::StockSaid { epoch, word, from, by } => self.note_stock(*epoch, word, from, *by, stamp),
            ShadowEntry::MasterMoved { epoch, to, identity } => self.master_moved(*epoch, to, identity, stamp),
        }
    }
}
