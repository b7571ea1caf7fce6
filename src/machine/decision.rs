//! What is remembered of a failover: what was decided, and how it ended.

use serde::{Deserialize, Serialize};

use super::cause::{AbortReason, Cause};
use super::choice::Choice;
use super::failover::{FailoverId, Stamp};
use crate::base::{Addr, NodeId};

/// How a failover ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// All was done, but for the replicas named.
    Completed {
        /// Replicas that are still to be pointed at the new master.
        left: Vec<Addr>,
    },
    /// Given up before a decision.
    Aborted(AbortReason),
    /// The new master was found down before the end; the next failover took over.
    Superseded,
}

/// One failover as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Which.
    pub id: FailoverId,
    /// Why it was started.
    pub cause: Cause,
    /// The master that was replaced.
    pub old: Addr,
    /// When it was started.
    pub started: Stamp,
    /// The decision, and who took it; none if it never came to one.
    pub choice: Option<(Choice, NodeId)>,
    /// When it was decided.
    pub decided: Option<Stamp>,
    /// When the chosen replica was seen as a master.
    pub promoted: Option<Stamp>,
    /// When and how it ended.
    pub ended: Option<(Stamp, Ending)>,
}
