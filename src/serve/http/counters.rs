//! What can only be counted as it happens: failovers by how far they came, since this process started.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast::{self, error::RecvError};

use crate::base::GroupName;
use crate::machine::{Difference, Event, LoggedEvent, ShadowEvent};

/// Failovers of one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Failovers {
    pub(super) started: u64,
    pub(super) decided: u64,
    pub(super) completed: u64,
    pub(super) aborted: u64,
    pub(super) blocked: u64,
    /// Outages in shadow that are over, in the order of [`Difference::ENDS`].
    pub(super) compared: [u64; Difference::ENDS.len()],
}

/// The counts. All clones are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters {
    groups: Arc<Mutex<BTreeMap<GroupName, Failovers>>>,
}

impl Counters {
    /// Counts until there is nothing more to come.
    pub(super) async fn count(self, mut events: broadcast::Receiver<Arc<LoggedEvent>>) {
        loop {
            match events.recv().await {
                Ok(logged) => self.note(&logged),
                // Counting is far faster than committing; what is missed all the same is missing from the counts only.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }

    pub(super) fn read(&self) -> BTreeMap<GroupName, Failovers> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, logged: &LoggedEvent) {
        let Some(group) = &logged.group else { return };
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(logged.event, Event::GroupRemoved { .. }) {
            groups.remove(group);
            return;
        }
        let Some(step) = step(&logged.event) else { return };
        let counts = groups.entry(group.clone()).or_default();
        match step {
            Step::Started => counts.started += 1,
            Step::Decided => counts.decided += 1,
            Step::Completed => counts.completed += 1,
            Step::Aborted => counts.aborted += 1,
            Step::Blocked => counts.blocked += 1,
            Step::Compared(difference) => {
                let ends = Difference::ENDS.iter().zip(&mut counts.compared);
                ends.filter(|(end, _)| **end == difference).for_each(|(_, count)| *count += 1);
            }
        }
    }
}

enum Step {
    Started,
    Decided,
    Completed,
    Aborted,
    Blocked,
    Compared(Difference),
}

const fn step(event: &Event) -> Option<Step> {
    match event {
        Event::FailoverStarted { .. } => Some(Step::Started),
        Event::Decided { .. } => Some(Step::Decided),
        Event::FailoverEnded { .. } => Some(Step::Completed),
        Event::FailoverAborted { .. } => Some(Step::Aborted),
        Event::FailoverBlocked { .. } => Some(Step::Blocked),
        Event::Shadow(ShadowEvent::Compared { difference, .. }) => Some(Step::Compared(*difference)),
        Event::GroupAdded { .. }
        | Event::GroupRemoved { .. }
        | Event::OptionSet { .. }
        | Event::GroupReset { .. }
        | Event::ReplicaAdded { .. }
        | Event::ReplicaForgotten { .. }
        | Event::ReplicaCounted { .. }
        | Event::FenceArmed { .. }
        | Event::FenceLoosened { .. }
        | Event::FenceDropped { .. }
        | Event::Restarted { .. }
        | Event::VotedDown { .. }
        | Event::VoteWithdrawn { .. }
        | Event::ObjectivelyDown { .. }
        | Event::ObjectivelyUp { .. }
        | Event::Promoted { .. }
        | Event::SwitchMaster { .. }
        | Event::ReplicaFollows { .. }
        | Event::Shadow(_)
        | Event::SentinelJoined { .. }
        | Event::SentinelLeft { .. } => None,
    }
}
