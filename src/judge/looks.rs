//! How often a server is looked at while a state lasts.
//!
//! A look is answered within a round trip, and every answer is a step of the judge. A state that asks for a look at every step, without a
//! pause, keeps the server, the link and this process busy with nothing else until the state ends, and some end when an operator comes.

use super::group_judge::Judge;
use super::intent::Intent;
use crate::base::Addr;

impl Judge {
    /// Looks at a server whose newest report is at least this old, and comes back for the next look.
    pub(super) fn look_every(&mut self, addr: &Addr, every_ms: u64) {
        let now = self.now();
        let newest = self.view.nodes.get(addr).and_then(|node| node.report.as_ref()).map(|(at, _)| *at);
        let due = newest.map_or(now, |at| at.plus_ms(every_ms));
        if due > now {
            return self.wake_by(due);
        }
        self.want(Intent::Look(addr.clone()));
        // One that does not answer is asked once: the probe keeps the question open.
        self.wake_by(now.plus_ms(every_ms));
    }

    /// The same for all replicas.
    pub(super) fn look_at_replicas_every(&mut self, every_ms: u64) {
        let replicas: Vec<Addr> = self.world.group.replicas.keys().cloned().collect();
        replicas.iter().for_each(|addr| self.look_every(addr, every_ms));
    }
}
