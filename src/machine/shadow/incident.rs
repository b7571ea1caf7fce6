//! One outage of a master: what we would have done about it, beside what stock Sentinel did.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ShadowEvent, StockWord};
use crate::base::{Addr, Epoch, NodeId, limits};
use crate::machine::ballot::DownVote;
use crate::machine::choice::{Choice, Ineligible};
use crate::machine::event::Event;
use crate::machine::failover::{FailoverId, Stamp};
use crate::machine::group::{Applied, Group};
use crate::machine::outcome::{Outcome, Refusal};

/// One outage, or one change of the master without an outage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// The epoch of the master that it is about.
    pub epoch: Epoch,
    /// That master.
    pub master: Addr,
    /// The first thing that belongs to it.
    pub opened: Stamp,
    /// What we saw and would have done.
    pub ours: Ours,
    /// What stock sentinels were heard to say.
    pub stock: StockSide,
    /// The new master, where others made one.
    pub moved_to: Option<Addr>,
    /// When it was over; none while it is not.
    pub closed: Option<Stamp>,
}

/// Our side of an incident.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ours {
    /// Who saw the master down and on what grounds: when the votes reached the quorum, or as they stood at the end.
    pub votes: BTreeMap<NodeId, DownVote>,
    /// How many were needed.
    pub quorum: u32,
    /// When the votes reached the quorum.
    pub down: Option<Stamp>,
    /// When they no longer did.
    pub up: Option<Stamp>,
    /// Who would have been promoted.
    pub verdict: Option<Verdict>,
    /// Why nobody could be, when that was last found.
    pub blocked: Option<Vec<(Addr, Ineligible)>>,
}

/// A decision that was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Who, among whom, and why.
    pub choice: Choice,
    /// The sentinel that would have decided.
    pub by: NodeId,
    /// When.
    pub at: Stamp,
}

/// Stock's side of an incident: the first time that each thing was heard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockSide {
    /// `+odown`.
    pub down: Option<Told>,
    /// `-odown`.
    pub up: Option<Told>,
    /// `+try-failover`.
    pub tried: Option<Told>,
    /// `+selected-slave`.
    pub chosen: Option<Told>,
    /// `-failover-abort-...`; the newest.
    pub aborted: Option<Told>,
    /// `+switch-master`.
    pub switched: Option<Told>,
}

/// Something that a stock sentinel was heard to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// What.
    pub word: StockWord,
    /// Where that sentinel listens.
    pub from: Addr,
    /// The sentinel of ours that heard it.
    pub by: NodeId,
    /// When it heard it, by its own wall clock.
    pub at: Stamp,
}

/// How the two decisions compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// It is not over.
    Open,
    /// Both would have promoted the same replica.
    SameChoice,
    /// Both would have promoted a replica, but not the same.
    OtherChoice,
    /// Stock Sentinel changed the master; we had not decided by then.
    OnlyStock,
    /// We would have changed the master; stock Sentinel did not.
    OnlyOurs,
    /// The master was held to be down, and neither changed it.
    Neither,
}

impl Difference {
    /// All of them that an incident can end with.
    pub const ENDS: [Self; 5] = [Self::SameChoice, Self::OtherChoice, Self::OnlyStock, Self::OnlyOurs, Self::Neither];

    /// Its name in metrics and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::SameChoice => "same_choice",
            Self::OtherChoice => "other_choice",
            Self::OnlyStock => "only_stock",
            Self::OnlyOurs => "only_ours",
            Self::Neither => "neither",
        }
    }
}

impl Incident {
    fn new(group: &Group, opened: Stamp) -> Self {
        Self {
            epoch: group.epoch,
            master: group.master.addr.clone(),
            opened,
            ours: Ours { quorum: group.settings.quorum, ..Ours::default() },
            stock: StockSide::default(),
            moved_to: None,
            closed: None,
        }
    }

    /// Whom we would have promoted.
    pub fn our_choice(&self) -> Option<&Addr> {
        self.ours.verdict.as_ref().map(|verdict| &verdict.choice.chosen)
    }

    /// Whom stock Sentinel made the master. What was seen on the servers counts more than what was heard.
    pub fn stock_choice(&self) -> Option<&Addr> {
        self.moved_to.as_ref().or_else(|| self.stock.switched.as_ref().and_then(|told| told.word.addr()))
    }

    /// When stock Sentinel had chosen, as far as it was heard: at its choice, or else when it sent clients elsewhere.
    pub fn stock_decided(&self) -> Option<Stamp> {
        self.stock.chosen.as_ref().or(self.stock.switched.as_ref()).map(|told| told.at)
    }

    /// How the two decisions compare.
    pub fn difference(&self) -> Difference {
        match (self.our_choice(), self.stock_choice()) {
            _ if self.closed.is_none() => Difference::Open,
            (Some(ours), Some(stock)) if ours == stock => Difference::SameChoice,
            (Some(_), Some(_)) => Difference::OtherChoice,
            (None, Some(_)) => Difference::OnlyStock,
            (Some(_), None) => Difference::OnlyOurs,
            (None, None) => Difference::Neither,
        }
    }

    /// By how many milliseconds our decision came before stock's; negative if it came after.
    pub fn ours_earlier_ms(&self) -> Option<i64> {
        let (ours, stock) = (self.ours.verdict.as_ref()?.at.at.0, self.stock_decided()?.at.0);
        let micros = i64::try_from(stock.abs_diff(ours)).ok()?;
        Some(if stock >= ours { micros / 1000 } else { -(micros / 1000) })
    }
}

impl Group {
    /// The incident that is not over yet.
    pub fn open_incident(&self) -> Option<&Incident> {
        self.incidents.last().filter(|incident| incident.closed.is_none())
    }

    /// The one that is not over yet, or a new one.
    pub(super) fn incident(&mut self, stamp: Stamp) -> &mut Incident {
        if self.open_incident().is_none() {
            if self.incidents.len() >= limits::INCIDENTS_PER_GROUP {
                self.incidents.remove(0);
            }
            let opened = Incident::new(self, stamp);
            self.incidents.push(opened);
        }
        let last = self.incidents.len() - 1;
        &mut self.incidents[last]
    }

    /// Ends the incident that is open, if one is.
    pub(super) fn close_incident(&mut self, moved_to: Option<&Addr>, stamp: Stamp, events: &mut Vec<Event>) {
        if self.open_incident().is_none() {
            return;
        }
        let votes = self.ballot.votes().clone();
        let incident = self.incident(stamp);
        incident.moved_to = moved_to.cloned();
        incident.closed = Some(stamp);
        if incident.ours.down.is_none() {
            incident.ours.votes = votes;
        }
        events.push(Event::Shadow(ShadowEvent::Compared {
            epoch: incident.epoch,
            master: incident.master.clone(),
            difference: incident.difference(),
            ours: incident.our_choice().cloned(),
            stock: incident.stock_choice().cloned(),
        }));
    }

    /// Our votes have just reached the quorum.
    pub(in crate::machine) fn note_shadow_down(&mut self, stamp: Stamp, events: &mut Vec<Event>) {
        if self.open_incident().is_some_and(|incident| incident.ours.up.is_some()) {
            self.close_incident(None, stamp, events);
        }
        let (votes, quorum) = (self.ballot.votes().clone(), self.settings.quorum);
        let ours = &mut self.incident(stamp).ours;
        ours.votes = votes;
        ours.quorum = quorum;
        ours.down = Some(stamp);
    }

    /// Our votes no longer reach the quorum, and nobody was replaced.
    pub(in crate::machine) fn note_shadow_up(&mut self, stamp: Stamp, events: &mut Vec<Event>) {
        if self.open_incident().is_some() {
            self.incident(stamp).ours.up = Some(stamp);
            self.close_if_all_is_well(stamp, events);
        }
    }

    /// The master is up again in everybody's eyes, as far as is known.
    fn close_if_all_is_well(&mut self, stamp: Stamp, events: &mut Vec<Event>) {
        let Some(Incident { ours, stock, .. }) = self.open_incident() else { return };
        let ours_is_well = ours.down.is_none() || ours.up.is_some();
        let failing_over = (stock.tried.is_some() || stock.chosen.is_some()) && stock.aborted.is_none();
        let stock_is_well = (stock.down.is_none() || stock.up.is_some()) && !failing_over && stock.switched.is_none();
        if ours_is_well && stock_is_well {
            self.close_incident(None, stamp, events);
        }
    }

    pub(super) fn note_verdict(&mut self, id: FailoverId, choice: &Choice, by: NodeId, stamp: Stamp) -> Result<Applied, Refusal> {
        self.check_shadow_step(id)?;
        let chosen = &choice.chosen;
        if !self.replicas.contains_key(chosen) {
            return Err(Refusal::NotAReplica(chosen.clone()));
        }
        if !choice.candidates.iter().any(|candidate| candidate.addr == *chosen && candidate.ineligible.is_none()) {
            return Err(Refusal::NotEligible(chosen.clone()));
        }
        let master = self.master.addr.clone();
        let ours = &mut self.incident(stamp).ours;
        if ours.verdict.is_some() {
            return Ok((Outcome::Unchanged, vec![]));
        }
        ours.verdict = Some(Verdict { choice: choice.clone(), by, at: stamp });
        ours.blocked = None;
        if let Some(failover) = &mut self.failover {
            failover.blocked = None;
        }
        Ok((Outcome::Done, vec![Event::Shadow(ShadowEvent::WouldPromote { master, chosen: chosen.clone() })]))
    }

    pub(super) fn note_blocked(&mut self, id: FailoverId, reasons: &[(Addr, Ineligible)], stamp: Stamp) -> Result<Applied, Refusal> {
        self.check_shadow_step(id)?;
        let master = self.master.addr.clone();
        let ours = &mut self.incident(stamp).ours;
        if ours.verdict.is_some() || ours.blocked.as_deref() == Some(reasons) {
            return Ok((Outcome::Unchanged, vec![]));
        }
        ours.blocked = Some(reasons.to_vec());
        if let Some(failover) = &mut self.failover {
            failover.blocked = Some(reasons.to_vec());
        }
        Ok((Outcome::Done, vec![Event::Shadow(ShadowEvent::WouldBeBlocked { master })]))
    }

    fn check_shadow_step(&self, id: FailoverId) -> Result<(), Refusal> {
        if !self.in_shadow() {
            return Err(Refusal::NotInShadow);
        }
        match &self.failover {
            Some(failover) if failover.id == id => Ok(()),
            Some(_) | None => Err(Refusal::NotInThatPhase),
        }
    }

    /// What a stock sentinel said. Who says it again, or later, changes nothing.
    pub(super) fn note_stock(&mut self, epoch: Epoch, word: &StockWord, from: &Addr, by: NodeId, stamp: Stamp) -> Result<Applied, Refusal> {
        if !self.in_shadow() {
            return Err(Refusal::NotInShadow);
        }
        let told = Told { word: word.clone(), from: from.clone(), by, at: stamp };
        if let StockWord::Switched(to) = word
            && *to == self.master.addr
        {
            return Ok((self.note_belated_switch(told), vec![]));
        }
        self.check_epoch(epoch)?;
        if *word == StockWord::Up && self.open_incident().is_none() {
            return Ok((Outcome::Unchanged, vec![]));
        }
        let master = self.master.addr.clone();
        if !self.incident(stamp).stock.note(told) {
            return Ok((Outcome::Unchanged, vec![]));
        }
        let mut events = vec![Event::Shadow(ShadowEvent::StockSaid { master, from: from.clone(), word: word.clone() })];
        self.close_if_all_is_well(stamp, &mut events);
        Ok((Outcome::Done, events))
    }

    /// The servers showed the change before a stock sentinel spoke of it.
    fn note_belated_switch(&mut self, told: Told) -> Outcome {
        match self.incidents.last_mut() {
            Some(last) if last.moved_to.as_ref() == told.word.addr() && last.stock.switched.is_none() => {
                last.stock.switched = Some(told);
                Outcome::Done
            }
            Some(_) | None => Outcome::Unchanged,
        }
    }
}

impl StockSide {
    /// True if it was not known yet.
    fn note(&mut self, told: Told) -> bool {
        let place = match &told.word {
            StockWord::Down => &mut self.down,
            StockWord::Up => &mut self.up,
            StockWord::Tried => &mut self.tried,
            StockWord::Chosen(_) => &mut self.chosen,
            StockWord::Aborted(_) => &mut self.aborted,
            StockWord::Switched(_) => &mut self.switched,
        };
        let known = place.as_ref().is_some_and(|known| !matches!(told.word, StockWord::Aborted(_)) || known.word == told.word);
        if !known {
            *place = Some(told);
        }
        !known
    }

    /// Whether something is known already, so that it need not be said once more.
    pub fn knows(&self, word: &StockWord) -> bool {
        match word {
            StockWord::Down => self.down.is_some(),
            StockWord::Up => self.up.is_some(),
            StockWord::Tried => self.tried.is_some(),
            StockWord::Chosen(_) => self.chosen.is_some(),
            StockWord::Aborted(_) => self.aborted.as_ref().is_some_and(|told| told.word == *word),
            StockWord::Switched(_) => self.switched.is_some(),
        }
    }
}
