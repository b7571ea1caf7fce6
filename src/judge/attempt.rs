//! The failover that this sentinel leads, as it looks from here.

use std::collections::BTreeMap;

use super::catch_up::CatchUp;
use super::cut_again::CutAgain;
use super::switchover::WritePause;
use crate::base::{Addr, Mono};
use crate::machine::FailoverId;

/// The failover that is being led, as it looks from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FailoverAttempt {
    pub(super) id: FailoverId,
    /// When this sentinel first led it.
    pub(super) first: Mono,
    /// When this sentinel began to lead it, without a lapse since.
    pub(super) since: Mono,
    /// When its candidates were last looked at.
    pub(super) looked: Mono,
    /// Since when each of the replicas that have left the old master has been seen to have.
    pub(super) left: BTreeMap<Addr, Mono>,
    /// Since when enough replicas have been detached.
    pub(super) quorum_at: Option<Mono>,
    /// Since when the old master has answered this sentinel again.
    pub(super) returned: Option<Mono>,
    /// The replica that lends its data to the preferred one.
    pub(super) loan: Option<CatchUp>,
    /// The pause of the old master's writes.
    pub(super) pause: Option<WritePause>,
    /// Whether the old master closes its connections once more.
    pub(super) cut_again: CutAgain,
}
