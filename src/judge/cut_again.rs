//! After a planned change the old master closes its connections once more.
//!
//! It closes them when it gives up its place, some milliseconds before subscribers hear `+switch-master`. A pool of connections that learns
//! of the change by that event (Jedis) has come back to the old address by then, and would stay there: the old master lives, and answers as
//! a replica. So it is told a second time to follow the new master, which changes nothing but closes what has come meanwhile.

use super::intent::Ask;
use super::mind::{Attempt, Judge};
use super::repair::deviation;
use crate::base::Mono;
use crate::machine::{Cause, Failover, Group};

/// From the first sight of the announced master to the second closing: time for clients to hear the event.
const CUT_AGAIN_MS: u64 = 50;
/// For so long at most the change waits for the old master, whose links were closed as well.
const GIVE_UP_MS: u64 = 250;

/// Where that stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum CutAgain {
    /// Nobody was told of the new master yet.
    #[default]
    Untold,
    /// Clients have been told since then.
    Told(Mono),
    /// The old master is being asked; clients have been told since then.
    Asked(Mono),
    /// It is over.
    Done,
}

impl Judge {
    /// Whether the end of a planned change waits for the second closing, which is asked for when it is due.
    pub(super) fn is_to_cut_again(&mut self, group: &Group, failover: &Failover, attempt: &Attempt) -> bool {
        let (now, old) = (self.now(), &failover.old.addr);
        let planned = matches!(failover.cause, Cause::Requested { .. }) && failover.forced.is_none();
        let next = match attempt.cut_again {
            _ if !planned => CutAgain::Done,
            CutAgain::Untold => CutAgain::Told(now),
            CutAgain::Told(since) | CutAgain::Asked(since) if now.ms_since(since) >= GIVE_UP_MS => CutAgain::Done,
            CutAgain::Told(since) if now.ms_since(since) < CUT_AGAIN_MS => CutAgain::Told(since),
            CutAgain::Told(since) => {
                let follows = self.view.live_report(old).is_some_and(|(_, report)| deviation(&self.view, group, report).is_none());
                let asked = follows && self.ask(old, Ask::Demote { master: group.master.addr.clone() });
                if asked { CutAgain::Asked(since) } else { CutAgain::Told(since) }
            }
            // What is asked for in a failover is not carried out after its end.
            CutAgain::Asked(since) if self.asks.is_under_way(old, now) => CutAgain::Asked(since),
            CutAgain::Asked(_) | CutAgain::Done => CutAgain::Done,
        };
        if let Some(attempt) = &mut self.attempt {
            attempt.cut_again = next;
        }
        let (CutAgain::Told(since) | CutAgain::Asked(since)) = next else { return false };
        let due = since.plus_ms(CUT_AGAIN_MS);
        self.wake_by(if now < due { due } else { since.plus_ms(GIVE_UP_MS) });
        true
    }
}
