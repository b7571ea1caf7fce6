//! Groups in shadow: both decisions beside each other.

use super::{address, decisions, masters, moment};
use crate::machine::shadow::{StockSide, Told};
use crate::machine::{ControlMode, Difference, Group, Incident, Stamp};
use crate::proto::sentinel as pb;

/// A group with what happened to it in shadow, newest first.
pub(in super::super) fn group(master: pb::Master, group: &Group) -> pb::ShadowGroup {
    pb::ShadowGroup { master: Some(master), incidents: group.incidents.iter().rev().map(incident).collect() }
}

pub(super) const fn duty(duty: ControlMode) -> (pb::Duty, Option<Stamp>) {
    match duty {
        ControlMode::Acts => (pb::Duty::Acts, None),
        ControlMode::Shadow { since } => (pb::Duty::Shadow, Some(since)),
        ControlMode::TookOver { since, despite_stock: false, .. } => (pb::Duty::TookOver, Some(since)),
        ControlMode::TookOver { since, despite_stock: true, .. } => (pb::Duty::TookOverDespiteOthers, Some(since)),
    }
}

fn incident(incident: &Incident) -> pb::Incident {
    let ours = &incident.ours;
    let verdict = ours.verdict.as_ref();
    pb::Incident {
        epoch: incident.epoch.0,
        master: Some(address(&incident.master)),
        opened: Some(moment(incident.opened)),
        closed: incident.closed.map(moment),
        difference: difference(incident.difference()).into(),
        ours_earlier_ms: incident.ours_earlier_ms(),
        ours: Some(pb::OurSide {
            votes: Some(pb::MasterDown { votes: decisions::shown_votes(&ours.votes), quorum: ours.quorum }),
            down: ours.down.map(moment),
            up: ours.up.map(moment),
            choice: verdict.map(|verdict| decisions::chosen(&verdict.choice, verdict.by)),
            decided: verdict.map(|verdict| moment(verdict.at)),
            blocked: masters::obstacles(ours.blocked.as_deref().unwrap_or_default()),
        }),
        stock: Some(stock(&incident.stock)),
        moved_to: incident.moved_to.as_ref().map(address),
    }
}

const fn difference(difference: Difference) -> pb::Difference {
    match difference {
        Difference::Open => pb::Difference::Open,
        Difference::SameChoice => pb::Difference::SameChoice,
        Difference::OtherChoice => pb::Difference::OtherChoice,
        Difference::OnlyStock => pb::Difference::OnlyStock,
        Difference::OnlyOurs => pb::Difference::OnlyOurs,
        Difference::Neither => pb::Difference::Neither,
    }
}

fn stock(side: &StockSide) -> pb::StockSide {
    let told = |told: &Option<Told>| told.as_ref().map(event);
    pb::StockSide {
        down: told(&side.down),
        up: told(&side.up),
        tried: told(&side.tried),
        chosen: told(&side.chosen),
        aborted: told(&side.aborted),
        switched: told(&side.switched),
    }
}

fn event(told: &Told) -> pb::StockEvent {
    pb::StockEvent {
        name: told.word.event().to_owned(),
        node: told.word.addr().map(address),
        from: Some(address(&told.from)),
        heard_by: told.by.0,
        at: Some(moment(told.at)),
    }
}
