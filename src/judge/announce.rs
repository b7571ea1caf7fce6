//! In a planned change the new master is announced once it takes writes.
//!
//! The announcement is the entry that confirms the promotion: subscribers hear `+switch-master` by it, and `serve` lets go the answers that it
//! holds back until then. A master with a fence refuses writes until enough replicas have attached to it, a few milliseconds after its promotion. A
//! failover of a dead master is announced at once all the same: its clients wait for an address.

use super::group_judge::Judge;
use crate::base::observation::RoleReport;
use crate::machine::{Failover, Group};

/// For so long at most the announcement waits. The change does not end without replicas: they are pointed at the new master as long as it lasts.
const WAIT_MS: u64 = 300;
/// How often the new master is looked at meanwhile.
const LOOK_MS: u64 = 2;

impl Judge {
    /// Whether the announcement of the new master, which is seen to be one, waits for its replicas.
    pub(super) fn is_to_take_writes_first(&mut self, group: &Group, failover: &Failover) -> bool {
        let Some(fence) = group.masters_fence().filter(|_| failover.is_planned()) else { return false };
        let (now, master) = (self.now(), &group.master.addr);
        let Some(node) = self.view.nodes.get(master) else { return false };
        let report = node.report.as_ref().map(|(_, report)| &report.role);
        // A server that counts nobody has no fence in force, and refuses nothing.
        let refuses = matches!(report, Some(RoleReport::Master { good_replicas: Some(good), .. }) if *good < fence.min_replicas);
        let until = node.role_since.max(self.master_since).plus_ms(WAIT_MS);
        if !refuses || now >= until {
            return false;
        }
        self.look_every(master, LOOK_MS);
        self.wake_by(until);
        true
    }
}
