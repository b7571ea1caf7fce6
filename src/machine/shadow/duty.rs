//! Whether a group's decisions are carried out, and what changes that.

use serde::{Deserialize, Serialize};

use super::ShadowEvent;
use crate::base::NodeId;
use crate::machine::cause::AbortReason;
use crate::machine::decision::Ending;
use crate::machine::event::Event;
use crate::machine::failover::{Phase, Stamp};
use crate::machine::group::{Applied, Group};
use crate::machine::outcome::{Outcome, Refusal};

/// Whether what is decided about a group is carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ControlMode {
    /// It is, and nobody had to say so.
    #[default]
    Acts,
    /// It is not: the group is watched beside the sentinels that decide.
    Shadow {
        /// Since when.
        since: Stamp,
    },
    /// It is, since an operator said so.
    TookOver {
        /// Since when.
        since: Stamp,
        /// The sentinel that was asked.
        by: NodeId,
        /// Also while sentinels that are not of this cluster watch it.
        despite_stock: bool,
    },
}

impl ControlMode {
    pub(in crate::machine) fn is_default(&self) -> bool {
        *self == Self::Acts
    }
}

impl Group {
    /// Whether nothing that is decided about it is carried out.
    pub const fn in_shadow(&self) -> bool {
        matches!(self.duty, ControlMode::Shadow { .. })
    }

    /// Whether an operator wants it led even while sentinels that are not of this cluster watch it.
    pub const fn acts_despite_stock(&self) -> bool {
        matches!(self.duty, ControlMode::TookOver { despite_stock: true, .. })
    }

    pub(super) fn take_over(&mut self, by: NodeId, despite_stock: bool, stamp: Stamp) -> Result<Applied, Refusal> {
        match self.duty {
            ControlMode::TookOver { despite_stock: known, .. } if known == despite_stock => return Ok((Outcome::Unchanged, vec![])),
            ControlMode::Acts if !despite_stock => return Ok((Outcome::Unchanged, vec![])),
            ControlMode::Acts | ControlMode::TookOver { .. } | ControlMode::Shadow { .. } => {}
        }
        let was_in_shadow = self.in_shadow();
        self.duty = ControlMode::TookOver { since: stamp, by, despite_stock };
        let mut events = vec![Event::Shadow(ShadowEvent::TookOver { master: self.master.addr.clone(), despite_stock })];
        if was_in_shadow {
            self.close_incident(None, stamp, &mut events);
            self.begin_failover_anew(stamp, &mut events);
        }
        Ok((Outcome::Done, events))
    }

    /// Refused while the servers hold a fence by our doing, and in the middle of a failover: both would be left behind half-done.
    pub(super) fn stand_down(&mut self, by: NodeId, stamp: Stamp) -> Result<Applied, Refusal> {
        let _ = by;
        if self.in_shadow() {
            return Ok((Outcome::Unchanged, vec![]));
        }
        if self.fence.is_some() {
            return Err(Refusal::StillFenced);
        }
        if self.failover.as_ref().is_some_and(|failover| failover.phase != Phase::Choosing) {
            return Err(Refusal::FailoverInProgress);
        }
        self.duty = ControlMode::Shadow { since: stamp };
        let mut events = vec![Event::Shadow(ShadowEvent::StoodDown { master: self.master.addr.clone() })];
        if let Some(id) = self.failover.as_ref().map(|failover| failover.id) {
            self.remember(id, |decision| decision.ended = Some((stamp, Ending::Aborted(AbortReason::StoodDown))));
        }
        self.begin_failover_anew(stamp, &mut events);
        Ok((Outcome::Done, events))
    }

    /// What was begun for the other duty begins once more for this one, if its cause still stands.
    fn begin_failover_anew(&mut self, stamp: Stamp, events: &mut Vec<Event>) {
        self.failover = None;
        if self.objectively_down() {
            self.start_failover_for_votes(stamp, events);
        }
    }
}
