//! What a server was when something was decided about it, as far as the decision depends on that.

use super::observation::{NodeReport, RoleReport};
use super::{Addr, ReplId, RunId};

/// A server's process, its data's name, and whom it follows.
///
/// A decision about a server is as old as the report that it was made by. An operator, another process at the same address, or another
/// sentinel may have changed the server since: what was right for what it was may destroy what it is. So whoever acts on a server compares
/// the two first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its process.
    pub run_id: RunId,
    /// The replication history that it holds.
    pub replid: ReplId,
    /// Whom it follows; none if it is a master.
    pub follows: Option<Addr>,
}

impl Standing {
    /// The standing that a report shows.
    pub fn of(report: &NodeReport) -> Self {
        let follows = match &report.role {
            RoleReport::Master { .. } => None,
            RoleReport::Replica(replica) => Some(replica.master.clone()),
        };
        Self { run_id: report.run_id.clone(), replid: report.replid.clone(), follows }
    }

    /// How the server differs from this by now, in words for an operator; none if it is what it was.
    pub fn change(&self, now: &Self) -> Option<String> {
        if self.run_id != now.run_id {
            return Some("another process is at its address by now".to_owned());
        }
        if self.follows != now.follows {
            return Some(match &now.follows {
                None => "it is a master by now".to_owned(),
                Some(master) if *master == Addr::nobody() => "it follows nobody by now".to_owned(),
                Some(master) => format!("it follows {master} by now"),
            });
        }
        (self.replid != now.replid).then(|| "its data has another replication id by now".to_owned())
    }
}
