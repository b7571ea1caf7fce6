//! After a planned change the old master closes its connections, and closes them once more.
//!
//! A pool of connections that learns of the change by `+switch-master` (Jedis) comes back to the old address as soon as the pause of the writes has
//! closed its connections, and waits there. It is sent away when it has heard of the new master. One that was slow to hear has come to the old
//! address again by then, and would stay there: the old master lives, and answers as a replica. So it is told twice to follow the new master,
//! which changes nothing but closes what has come.

use super::group_judge::{FailoverAttempt, Judge};
use super::intent::Ask;
use super::repair::deviation;
use crate::base::observation::{NodeReport, RoleReport};
use crate::base::{Addr, Mono};
use crate::machine::{Failover, Group};

/// From the first sight of the announced master to each closing: time for clients to hear the event.
const CUTS_MS: [u64; 2] = [15, 65];
/// How often the old master is looked at once a closing is due, until it has attached.
const LOOK_MS: u64 = 5;
/// For so long at most the change waits for the old master, whose links were closed as well.
const GIVE_UP_MS: u64 = 250;

/// Where that stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum CutAgain {
    /// Nobody was told of the new master yet.
    #[default]
    Untold,
    /// Clients were told at `since`, and the old master has been asked so many times; it is being `asked`.
    Told { since: Mono, cuts: usize, asked: bool },
    /// It is over.
    Done,
}

impl Judge {
    /// Whether the end of a planned change waits for the closings, which are asked for when they are due.
    pub(super) fn is_to_cut_again(&mut self, group: &Group, failover: &Failover, attempt: &FailoverAttempt) -> bool {
        let next = match attempt.cut_again {
            _ if !failover.is_planned() => CutAgain::Done,
            CutAgain::Untold => CutAgain::Told { since: self.now(), cuts: 0, asked: false },
            CutAgain::Told { since, cuts, asked } => self.cut_when_due(group, &failover.old.addr, (since, cuts, asked)),
            CutAgain::Done => CutAgain::Done,
        };
        if let Some(attempt) = &mut self.attempt {
            attempt.cut_again = next;
        }
        let CutAgain::Told { since, cuts, asked } = next else { return false };
        let due = CUTS_MS.get(cuts).map(|after| since.plus_ms(*after)).filter(|due| !asked && self.now() < *due);
        self.wake_by(due.unwrap_or_else(|| since.plus_ms(GIVE_UP_MS)));
        true
    }

    fn cut_when_due(&mut self, group: &Group, old: &Addr, (since, cuts, asked): (Mono, usize, bool)) -> CutAgain {
        let now = self.now();
        let told = |cuts, asked| CutAgain::Told { since, cuts, asked };
        // What is asked for in a failover is not carried out after its end.
        if now.ms_since(since) >= GIVE_UP_MS {
            return CutAgain::Done;
        }
        if asked {
            return if self.asks.is_under_way(old, now) { told(cuts, true) } else { told(cuts + 1, false) };
        }
        let Some(after) = CUTS_MS.get(cuts) else { return CutAgain::Done };
        if now.ms_since(since) < *after {
            return told(cuts, false);
        }
        // Its replication id changes when it attaches, and an order for what it was before would not be carried out.
        let attached = |report: &NodeReport| matches!(&report.role, RoleReport::Replica(replica) if replica.link_up);
        let follows = |report: &NodeReport| attached(report) && deviation(&self.view, group, report).is_none();
        if !self.view.live_report(old).is_some_and(|(_, report)| follows(report)) {
            self.look_every(old, LOOK_MS);
            return told(cuts, false);
        }
        // An order that was carried out is followed by a rest, against orders that are of no use. This one is of use at its time only.
        if !self.asks.is_under_way(old, now) {
            self.asks.end(old.clone(), true, now);
        }
        told(cuts, self.ask(old, Ask::Demote { master: group.master.addr.clone() }))
    }
}
