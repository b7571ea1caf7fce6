//! Answers that wait for the end of a planned change.
//!
//! While a planned change is under way no address is worth an answer: the old master is about to refuse writes, and the new one does not take
//! them yet. A client that asks in these milliseconds (most do: the old master has closed their connections) waits, and is told the new master
//! when that takes writes. The wait is bounded, and what is told after it is the record as ever: true, and confirmed by the same quorum.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout_at};

use super::ReplicatedState;
use crate::base::GroupName;
use crate::machine::{Group, Phase, State};

/// For so long at most an answer waits while nothing is decided: clients that give a sentinel a tenth of a second are common (the examples of
/// redis-py and predis), and the next master may have much to fetch before the writes are paused.
const UNDECIDED: Duration = Duration::from_millis(80);
/// For so long at most it waits in all. An address that is told before the new master takes writes brings errors to all clients.
const IN_ALL: Duration = Duration::from_millis(300);

/// The groups that a question is about.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    /// All that there are.
    All,
    /// The one of this name; none if no group can have the name that was asked for.
    Named(Option<GroupName>),
}

impl Asked {
    /// The question about one group.
    pub(crate) fn named(name: &[u8]) -> Self {
        Self::Named(std::str::from_utf8(name).ok().and_then(|name| GroupName::new(name).ok()))
    }

    /// How long an answer may wait in this state; none if it need not.
    fn limit(&self, state: &State) -> Option<Duration> {
        match self {
            Self::All => state.groups.values().filter_map(|group| limit(group)).max(),
            Self::Named(name) => limit(state.groups.get(name.as_ref()?)?),
        }
    }
}

fn limit(group: &Group) -> Option<Duration> {
    let failover = group.failover.as_ref().filter(|_| group.is_changing_hands())?;
    Some(if matches!(failover.phase, Phase::Draining { .. }) { UNDECIDED } else { IN_ALL })
}

/// How long the news of this group's new master may wait; none if it need not, or nothing is decided yet.
pub(super) fn limit_once_decided(group: &Group) -> Option<Duration> {
    limit(group).filter(|limit| *limit == IN_ALL)
}

/// The state to answer from, once none of the groups is changing hands, or this has lasted for too long.
pub(super) async fn until_announced<A: ReplicatedState + ?Sized>(agreement: &A, confirmed: Arc<State>, asked: &Asked) -> Arc<State> {
    let limit_in = |state: &State| asked.limit(state);
    if limit_in(&confirmed).is_none() {
        return confirmed;
    }
    let (begun, mut events) = (Instant::now(), agreement.events());
    loop {
        // Published before the events of the same entry.
        let newest = agreement.state();
        let Some(end) = limit_in(&newest).map(|limit| begun + limit).filter(|end| Instant::now() < *end) else { return newest };
        match timeout_at(end, events.recv()).await {
            Ok(Ok(_) | Err(RecvError::Lagged(_))) => {}
            Ok(Err(RecvError::Closed)) | Err(_) => return agreement.state(),
        }
    }
}
