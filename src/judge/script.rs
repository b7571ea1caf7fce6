//! A data node that is down because a script keeps it busy is told to end the script, as stock Sentinel does.
//!
//! Redis refuses that where the script has written: then it is for an operator to choose.

use super::group_judge::Judge;
use super::intent::Ask;
use crate::base::Addr;

impl Judge {
    /// Once for each time that it goes down.
    pub(super) fn end_scripts(&mut self) {
        let due = |addr: &&Addr| self.view.nodes[*addr].wants_script_killed();
        let due: Vec<Addr> = self.view.nodes.keys().filter(due).cloned().collect();
        for addr in due {
            if self.ask(&addr, Ask::KillScript) {
                self.note_script_kill(&addr, true);
            }
        }
    }

    /// Whether it was told so; not if that came to nothing.
    pub(super) fn note_script_kill(&mut self, addr: &Addr, sent: bool) {
        if let Some(node) = self.view.nodes.get_mut(addr) {
            node.script_kill_sent = sent;
        }
    }
}
