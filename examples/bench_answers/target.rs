//! Who is asked: a trio of stock's, and the leader and a follower of a trio of ours.

use std::time::Duration;

use crate::kit::{Cluster, Flavour, Plan, Sentinel};

const LEADER_LIMIT: Duration = Duration::from_secs(30);

/// Both trios, with a master each.
#[derive(Debug)]
pub(crate) struct Targets {
    stock: Cluster,
    ours: Cluster,
}

/// One sentinel that is asked.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Its name in the table.
    pub(crate) role: Role,
    /// Where it listens.
    pub(crate) port: u16,
    /// Its process.
    pub(crate) pid: u32,
    /// The processes of its whole trio.
    pub(crate) trio: Vec<u32>,
}

/// What a sentinel is at the moment when it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Stock,
    Leader,
    Follower,
}

impl Role {
    /// Its name in the table.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Stock => "redis-sentinel",
            Self::Leader => "raft-sentinel, leader",
            Self::Follower => "raft-sentinel, follower",
        }
    }
}

impl Targets {
    /// Starts both trios and waits until they have formed.
    pub(crate) fn start() -> Self {
        let plan = |flavour| Plan { replicas: 1, down_after_ms: 5000, ..Plan::new(flavour) };
        let (stock, ours) = (plan(Flavour::Stock).launch(), plan(Flavour::Ours).launch());
        stock.wait_until_formed();
        ours.wait_until_formed();
        Self { stock, ours }
    }

    /// All that are to be asked, in turn. Who leads is looked up anew.
    pub(crate) fn all(&self) -> [Target; 3] {
        let ids: Vec<usize> = self.ours.sentinels.iter().map(|sentinel| sentinel.id).collect();
        let leader = self.ours.wait_for_leader(&ids, LEADER_LIMIT);
        let follower = ids.into_iter().find(|id| *id != leader).expect("there are three");
        [
            target(Role::Stock, &self.stock, &self.stock.sentinels[0]),
            target(Role::Leader, &self.ours, self.ours.sentinel(leader)),
            target(Role::Follower, &self.ours, self.ours.sentinel(follower)),
        ]
    }

    /// The folder that all data directories of ours are in.
    pub(crate) fn disk(&self) -> &std::path::Path {
        self.ours.scratch.path()
    }
}

fn target(role: Role, cluster: &Cluster, sentinel: &Sentinel) -> Target {
    let trio = cluster.sentinels.iter().filter_map(Sentinel::pid).collect();
    Target { role, port: sentinel.ports.resp, pid: sentinel.pid().expect("it runs"), trio }
}
