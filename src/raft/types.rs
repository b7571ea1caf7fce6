//! The types that openraft is told to work with.

use openraft::{BasicNode, RaftTypeConfig};

use super::runtime::PatientRuntime;
use crate::base::NodeId;
use crate::machine::{Command, Outcome};

openraft::declare_raft_types!(
    /// Our log carries commands and answers with outcomes.
    pub TypeConfig:
        D = Command,
        R = Outcome,
        NodeId = NodeId,
        Node = BasicNode,
        Entry = openraft::Entry<TypeConfig>,
        SnapshotData = Vec<u8>,
        AsyncRuntime = PatientRuntime,
);

/// One entry of the log.
pub type Entry = <TypeConfig as RaftTypeConfig>::Entry;
/// The place of an entry: term, leader and index.
pub type LogId = openraft::LogId<NodeId>;
/// A vote of Raft itself (not of the machine's ballots).
pub type Vote = openraft::Vote<NodeId>;
/// Who belongs to the Raft group.
pub type Membership = openraft::StoredMembership<NodeId, BasicNode>;
/// What a snapshot covers.
pub type SnapshotMeta = openraft::SnapshotMeta<NodeId, BasicNode>;
