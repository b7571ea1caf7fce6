//! A cluster of Raft rooms on this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use raft_sentinel::base::{Addr, GroupName, GroupSettings, NodeId, WallTime};
use raft_sentinel::clock::Clock;
use raft_sentinel::machine::Command;
use raft_sentinel::machine::command::Origin;
use raft_sentinel::raft::{Leadership, Raft, RaftConfig, StartError};
use tempfile::TempDir;

use crate::proxy::Net;

/// Far more than anything here should take, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Cluster {
    pub(crate) net: Net,
    pub(crate) nodes: BTreeMap<u64, Raft>,
    configs: BTreeMap<u64, RaftConfig>,
    initial: BTreeMap<NodeId, Addr>,
    dir: TempDir,
    tune: fn(&mut RaftConfig),
}

impl Cluster {
    /// `size` nodes, formed, with a leader.
    pub(crate) async fn formed(size: u64) -> Self {
        Self::formed_with(size, |_| {}).await
    }

    pub(crate) async fn formed_with(size: u64, tune: fn(&mut RaftConfig)) -> Self {
        let mut cluster = Self::planned(size, tune).await;
        for id in 1..=size {
            cluster.start(id).await;
        }
        cluster.leader().await;
        cluster
    }

    /// Addresses for `size` nodes; none is started.
    pub(crate) async fn planned(size: u64, tune: fn(&mut RaftConfig)) -> Self {
        if let Ok(filter) = std::env::var("RAFT_TEST_LOG") {
            let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        }
        let dir = tempfile::tempdir().unwrap();
        let mut cluster = Self { net: Net::new(), nodes: BTreeMap::new(), configs: BTreeMap::new(), initial: BTreeMap::new(), dir, tune };
        for id in 1..=size {
            let reached = cluster.net.proxy(id).await;
            cluster.initial.insert(NodeId(id), reached);
        }
        for id in 1..=size {
            cluster.plan(id);
        }
        cluster
    }

    /// A node that is not among the initial members; returns where peers reach it.
    pub(crate) async fn plan_newcomer(&mut self, id: u64) -> Addr {
        let reached = self.net.proxy(id).await;
        self.plan(id);
        reached
    }

    fn plan(&mut self, id: u64) {
        let mut config = RaftConfig::new(NodeId(id), self.disk(id), Addr::new("127.0.0.1", 0).expect("an address"), self.initial.clone());
        (self.tune)(&mut config);
        self.configs.insert(id, config);
    }

    pub(crate) fn disk(&self, id: u64) -> PathBuf {
        self.dir.path().join(id.to_string())
    }

    pub(crate) fn config(&self, id: u64) -> RaftConfig {
        self.configs[&id].clone()
    }

    pub(crate) async fn start(&mut self, id: u64) {
        std::fs::create_dir_all(self.disk(id)).unwrap();
        let raft = self.start_as(id, self.config(id)).await;
        self.nodes.insert(id, raft);
    }

    /// Starts a node on any free port. Somebody else may take the port first; then another one is tried.
    pub(crate) async fn start_as(&self, id: u64, mut config: RaftConfig) -> Raft {
        for _ in 0..20 {
            config.listen = free_addr();
            self.net.route(id, config.listen.clone());
            match Raft::start(config.clone(), Clock::default()).await {
                Ok(raft) => {
                    self.net.learn(raft.incarnation().as_str(), id);
                    return raft;
                }
                Err(StartError::Listen { .. }) => {}
                Err(problem) => panic!("node {id} does not start: {problem}"),
            }
        }
        panic!("no free port for node {id}");
    }

    pub(crate) async fn stop(&mut self, id: u64) {
        let raft = self.nodes.remove(&id).unwrap();
        raft.shutdown().await;
    }

    /// Cuts a node off from all others.
    pub(crate) fn isolate(&self, id: u64) {
        for other in self.configs.keys().filter(|other| **other != id) {
            self.net.cut(id, *other);
        }
    }

    /// The leader that itself and a majority of the running nodes agree on.
    pub(crate) async fn leader(&self) -> u64 {
        self.leader_among(&self.nodes.keys().copied().collect()).await
    }

    pub(crate) async fn leader_among(&self, ids: &BTreeSet<u64>) -> u64 {
        let mut found = 0;
        eventually("a leader that all agree on", || {
            let leading = ids.iter().find(|id| matches!(leadership(&self.nodes[id]), Leadership::Leading { .. }));
            let Some(leader) = leading else { return false };
            found = *leader;
            let follows = |id: &u64| leadership(&self.nodes[id]) == Leadership::Following { leader: NodeId(found) };
            ids.iter().filter(|id| **id != found).all(follows)
        })
        .await;
        found
    }

    pub(crate) async fn follower(&self) -> u64 {
        let leader = self.leader().await;
        *self.nodes.keys().find(|id| **id != leader).unwrap()
    }

    pub(crate) async fn stop_all(&mut self) {
        for id in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.stop(id).await;
        }
    }
}

pub(crate) fn leadership(raft: &Raft) -> Leadership {
    *raft.leadership().borrow()
}

/// Waits for a fact.
pub(crate) async fn eventually(what: &str, mut fact: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !fact() {
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    begun.elapsed()
}

/// A change that is easy to look for.
pub(crate) fn monitor(name: &str) -> Command {
    Command::ConfigureGroup {
        name: GroupName::new(name.replace(' ', "-")).unwrap(),
        master: Addr::new("10.0.0.1", 6379).expect("an address"),
        settings: GroupSettings::default(),
        replicas: Vec::new(),
        epoch: raft_sentinel::base::Epoch(0),
        origin: Origin::Operator,
        at: WallTime(1),
        takes_up: None,
        asked: None,
    }
}

/// A change that can be made any number of times.
pub(crate) fn vote_away(n: u64) -> Command {
    Command::VotesExpired { voter: NodeId(n), silent_ms: n, at: WallTime(n) }
}

fn free_addr() -> Addr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    Addr::new("127.0.0.1", listener.local_addr().unwrap().port()).expect("an address")
}
