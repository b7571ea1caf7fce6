//! A data node of a group, where those of several groups are spoken of.

use super::{Addr, GroupName};

/// One server of one group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Server {
    /// The group.
    pub group: GroupName,
    /// Where the log says that it listens.
    pub addr: Addr,
}

/// How far one sentinel can see, in answer to the question of another that cannot reach some servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// For each server that was asked about: it answered this sentinel after the question.
    pub reached: Vec<bool>,
    /// How many servers of all groups are out of this sentinel's reach.
    pub out_of_reach: u32,
}
