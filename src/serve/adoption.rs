//! The adoption of a server that shows nothing of its group: an operator gives up what it holds, so that it is made a replica.
//!
//! What is adopted is the one process that is seen there now. Another one that comes to that address later is another's again.

use crate::base::{Addr, RunId};
use crate::judge::GroupView;
use crate::judge::view::Owner;
use crate::machine::Group;

/// The process at `replica` whose data is given up.
///
/// # Errors
/// Why it cannot be adopted, for people.
pub(crate) fn process_at(group: &Group, view: &GroupView, replica: &Addr) -> Result<RunId, String> {
    if *replica == group.master.addr {
        return Err(format!("{replica} is the recorded master of '{}'", group.name));
    }
    if !group.replicas.contains_key(replica) {
        return Err(format!("{replica} is not an address of '{}'; to have it there, tell it to follow the master (REPLICAOF)", group.name));
    }
    let owner = view.nodes.get(replica).and_then(|node| node.foreign.as_ref());
    if let Some(Owner::Group(other)) = owner {
        return Err(format!("{replica} belongs to '{other}', which acts on it; let that one forget it first (SENTINEL FORGET)"));
    }
    match view.live_report(replica) {
        Some((_, report)) => Ok(report.run_id.clone()),
        None => Err(format!("this sentinel does not reach {replica} now, so it cannot say which server would be adopted; ask another one")),
    }
}
