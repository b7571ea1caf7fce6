//! Looks at a cluster of ours that many tests take: who leads, what the history says, what a server was told.

use std::collections::BTreeSet;
use std::time::{Duration, UNIX_EPOCH};

use raft_sentinel::proto::sentinel as proto;

use super::GROUP;
use super::cluster::Cluster;
use super::history::{History, address};
use super::sentinel::Sentinel;
use super::server::RedisServer;

const ANSWER_LIMIT: Duration = Duration::from_secs(20);

impl Cluster {
    /// The sentinels that run, by number.
    pub fn running(&mut self) -> Vec<usize> {
        self.sentinels.iter_mut().filter_map(|sentinel| sentinel.is_running().then_some(sentinel.id)).collect()
    }

    /// The sentinel with this number.
    pub fn sentinel(&self, id: usize) -> &Sentinel {
        &self.sentinels[id - 1]
    }

    /// The same, to signal it.
    pub fn sentinel_mut(&mut self, id: usize) -> &mut Sentinel {
        &mut self.sentinels[id - 1]
    }

    /// The recorded master, as the first sentinel names it as soon as it can: on a starved machine its leader may be late.
    pub fn master(&self) -> u16 {
        self.timeline.wait_for("sentinel 1 names a master", ANSWER_LIMIT, || self.sentinels[0].master())
    }

    /// The ports of all servers but `master`.
    pub fn others(&self, master: u16) -> Vec<u16> {
        self.servers.iter().map(|server| server.port).filter(|port| *port != master).collect()
    }

    /// How one sentinel sees the cluster.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn status(&self, id: usize) -> Result<proto::StatusResponse, String> {
        self.sentinel(id).history().status()
    }

    /// Waits until all of `among` say that the same one of them leads.
    pub fn wait_for_leader(&self, among: &[usize], deadline: Duration) -> usize {
        self.timeline.wait_for(&format!("{among:?} have one leader"), deadline, || {
            let named: BTreeSet<Option<u64>> =
                among.iter().map(|id| self.status(*id).map(|status| status.leader_id)).collect::<Result<_, _>>()?;
            let leader = (named.len() == 1).then(|| named.first().copied().flatten()).flatten();
            let leader = leader.and_then(|id| usize::try_from(id).ok()).filter(|id| among.contains(id));
            leader.ok_or_else(|| format!("they name {named:?}"))
        })
    }

    /// A data node as one sentinel sees it.
    ///
    /// # Errors
    /// When the sentinel does not answer or does not know the node.
    pub fn seen(&self, id: usize, port: u16) -> Result<proto::DataNode, String> {
        let status = self.status(id)?;
        let nodes = status.groups.into_iter().filter(|view| view.group == GROUP).flat_map(|view| view.nodes);
        let is_it = |node: &proto::DataNode| address(node.address.as_ref()) == local(port);
        nodes.into_iter().find(is_it).ok_or_else(|| format!("sentinel {id} does not know {port}"))
    }

    /// The recorded master with its votes, as one sentinel has it applied; needs no quorum.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn recorded(&self, id: usize) -> Result<proto::Master, String> {
        let views = self.status(id)?.groups;
        views.into_iter().find(|view| view.group == GROUP).and_then(|view| view.master).ok_or_else(|| "no view of the group".to_owned())
    }

    /// Waits until all of `among` tell the same history of `count` failovers, all of them over; newest first.
    pub fn wait_for_history(&self, among: &[usize], count: usize, deadline: Duration) -> Vec<proto::Decision> {
        let mut clients: Vec<History> = among.iter().map(|id| self.sentinel(*id).history()).collect();
        self.timeline.wait_for(&format!("{among:?} tell one history of {count}, all over"), deadline, || {
            let told: Vec<_> = clients.iter_mut().map(|client| client.decisions(GROUP)).collect::<Result<_, _>>()?;
            let open = told[0].iter().any(|decision| decision.ending.is_none());
            let same = told.iter().all(|history| *history == told[0]);
            if told[0].len() == count && !open && same { Ok(told[0].clone()) } else { Err(format!("{told:#?}")) }
        })
    }

    /// The history as one sentinel tells it as soon as it can, newest first.
    pub fn decisions(&self, id: usize) -> Vec<proto::Decision> {
        let mut client = self.sentinel(id).history();
        self.timeline.wait_for(&format!("sentinel {id} tells its history"), ANSWER_LIMIT, || client.decisions(GROUP))
    }

    /// The ports of the servers that answer and say that they are masters.
    pub fn masters(&self) -> Vec<u16> {
        self.servers.iter().filter(|server| server.role().as_deref() == Some("master")).map(|server| server.port).collect()
    }

    /// Waits until `master` is the only master among the servers that answer, and `others` follow it.
    pub fn wait_until_all_follow(&self, master: u16, others: &[u16], deadline: Duration) {
        self.timeline.wait_for(&format!("{master} is the only master"), deadline, || match self.masters() {
            masters if masters == [master] => Ok(()),
            masters => Err(format!("{masters:?}")),
        });
        others.iter().for_each(|port| self.wait_for_replica(*port, master, deadline));
    }
}

impl RedisServer {
    /// The port that it is told to replicate from, with its link up or not.
    pub fn told_to_follow(&self) -> Option<u16> {
        self.info("replication", "master_port")?.parse().ok()
    }

    /// How often it was told by a command whom to replicate from.
    pub fn orders(&self) -> Option<u64> {
        let text = self.ask(&["INFO", "commandstats"]).ok()?.text()?;
        let calls = |line: &str| -> Option<u64> {
            let rest = line.strip_prefix("cmdstat_replicaof:").or_else(|| line.strip_prefix("cmdstat_slaveof:"))?;
            rest.strip_prefix("calls=")?.split(',').next()?.parse().ok()
        };
        Some(text.lines().filter_map(calls).sum())
    }

    /// How much of the replication history it holds.
    pub fn offset(&self) -> Option<u64> {
        let field = if self.role()? == "master" { "master_repl_offset" } else { "slave_repl_offset" };
        self.info("replication", field)?.parse().ok()
    }

    /// Sets one of its parameters.
    pub fn set(&self, name: &str, value: &str) {
        let reply = self.ask(&["CONFIG", "SET", name, value]);
        assert!(reply.as_ref().is_ok_and(super::Reply::is_ok), "CONFIG SET {name} on {}: {reply:?}", self.name);
    }
}

/// An address on this machine, as answers show it.
pub fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// A moment of the log as a wall time since the Unix epoch.
pub fn wall(moment: Option<&proto::Moment>) -> Duration {
    Duration::from_micros(moment.map_or(0, |moment| moment.at_us))
}

/// The wall time now, since the Unix epoch.
pub fn wall_now() -> Duration {
    UNIX_EPOCH.elapsed().unwrap_or_default()
}
