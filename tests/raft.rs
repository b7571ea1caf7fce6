//! Three sentinels' Raft rooms in one process, over real connections and real disks, with a network that can be cut.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "raft/cluster.rs"]
mod cluster;
#[path = "raft/forming.rs"]
mod forming;
#[path = "raft/handover.rs"]
mod handover;
#[path = "raft/identity.rs"]
mod identity;
#[path = "raft/leader_loss.rs"]
mod leader_loss;
#[path = "raft/members.rs"]
mod members;
#[path = "raft/partition.rs"]
mod partition;
#[path = "raft/proxy.rs"]
mod proxy;
#[path = "raft/restart.rs"]
mod restart;
#[path = "raft/rewound.rs"]
mod rewound;
#[path = "raft/timing.rs"]
mod timing;
