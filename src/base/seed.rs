//! A group as a configuration file names it.

use super::{Addr, Epoch, GroupName, GroupSettings};

/// A group as a configuration file names it: what to start from where the log does not know the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSeed {
    /// Its name.
    pub name: GroupName,
    /// Where its master listens.
    pub master: Addr,
    /// Its settings.
    pub settings: GroupSettings,
    /// Replicas that a stock Sentinel had found.
    pub replicas: Vec<Addr>,
    /// The epoch that a stock Sentinel had reached.
    pub epoch: Epoch,
}
