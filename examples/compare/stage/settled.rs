//! Whether a deployment is whole: who follows whom, and whether the sentinels agree on it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;

use super::{Group, Member, Stage, TRIO};
use crate::kit::resp::Reply;
use crate::product::Product;

const NAMED_LIMIT: Duration = Duration::from_secs(30);

impl Stage {
    /// Whether the data nodes replicate from the first of their group.
    pub(super) fn replicates(&self) -> Result<(), String> {
        self.groups.iter().try_for_each(|group| self.follows(group, group.nodes[0].addr))
    }

    /// Whether all sentinels know all of it, and agree.
    pub(super) fn formed(&self) -> Result<(), String> {
        self.settled()?;
        for (sentinel, group) in self.sentinels.iter().flat_map(|sentinel| self.groups.iter().map(move |group| (sentinel, group))) {
            self.knows_all(sentinel, group)?;
        }
        if self.spec.product == Product::Strict { self.groups.iter().try_for_each(|group| self.fenced(group)) } else { Ok(()) }
    }

    /// Whether each group has one master that all sentinels name, and the others follow it.
    pub(crate) fn settled(&self) -> Result<(), String> {
        for group in &self.groups {
            let named = self.named(group);
            let Some(Ok(master)) = named.first() else { return Err(format!("{}: the sentinels name {named:?}", group.name)) };
            if named.iter().any(|other| other.as_ref() != Ok(master)) {
                return Err(format!("{}: the sentinels name {named:?}", group.name));
            }
            self.follows(group, *master)?;
        }
        Ok(())
    }

    /// The number of the data node that most of the sentinels name. It waits for one that names any: on a busy machine sentinels may have no
    /// leader for a moment.
    pub(crate) fn most_named(&self, group: &Group) -> anyhow::Result<usize> {
        let mut found = None;
        self.wait_for("a sentinel that names a master", NAMED_LIMIT, |stage| {
            let answers = stage.named(group);
            let named: Vec<SocketAddr> = answers.iter().flatten().copied().collect();
            let votes = |addr: &&SocketAddr| named.iter().filter(|other| other == addr).count();
            let most = named.iter().max_by_key(votes);
            found = most.and_then(|most| group.nodes.iter().position(|node| node.addr == *most));
            if found.is_some() { Ok(()) } else { Err(format!("{}: they name {answers:?}", group.name)) }
        })?;
        found.context("what was waited for is there")
    }

    /// What each sentinel names.
    fn named(&self, group: &Group) -> Vec<Result<SocketAddr, String>> {
        let ask = |sentinel: &Member| {
            let reply = self.ask(sentinel, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", &group.name]).map_err(|e| format!("{e:#}"))?;
            addr_in(&reply).ok_or_else(|| reply.to_string())
        };
        self.sentinels.iter().map(ask).collect()
    }

    /// Whether that node is a master and the others of its group follow it.
    fn follows(&self, group: &Group, master: SocketAddr) -> Result<(), String> {
        for node in &group.nodes {
            let text = self.ask(node, &["INFO", "replication"]).map_err(|e| format!("{e:#}"))?.text().unwrap_or_default();
            let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or("?").to_owned();
            let found = [field("role"), field("master_host"), field("master_port"), field("master_link_status")];
            let as_replica = ["slave".to_owned(), master.ip().to_string(), master.port().to_string(), "up".to_owned()];
            if node.addr == master && found[0] != "master" || node.addr != master && found != as_replica {
                return Err(format!("{} ({}) reports {found:?}, and the master is {master}", node.name, node.addr));
            }
        }
        Ok(())
    }

    fn knows_all(&self, sentinel: &Member, group: &Group) -> Result<(), String> {
        let ask = |words: &[&str]| self.ask(sentinel, words).map_err(|e| format!("{e:#}"));
        let seen = ask(&["SENTINEL", "MASTER", &group.name])?;
        let others = (TRIO - 1).to_string();
        for (name, value) in [("flags", "master"), ("num-slaves", others.as_str()), ("num-other-sentinels", others.as_str())] {
            let found = seen.field(name);
            if found.as_deref() != Some(value) {
                return Err(format!("{}: {} of {} is {found:?} rather than {value}", sentinel.name, name, group.name));
            }
        }
        let replicas = ask(&["SENTINEL", "REPLICAS", &group.name])?;
        let healthy = |replica: &&Reply| {
            replica.field("flags").as_deref() == Some("slave") && replica.field("master-link-status").as_deref() == Some("ok")
        };
        let up = replicas.items().iter().filter(healthy).count();
        if up != TRIO - 1 {
            return Err(format!("{} sees {up} healthy replicas of {}", sentinel.name, group.name));
        }
        let quorum = ask(&["SENTINEL", "CKQUORUM", &group.name])?;
        if quorum.error().is_some() { Err(format!("{}: {quorum}", sentinel.name)) } else { Ok(()) }
    }

    /// Whether the master needs a replica to take writes, as policy `strict` sets it up.
    fn fenced(&self, group: &Group) -> Result<(), String> {
        let reply = self.ask(&group.nodes[0], &["CONFIG", "GET", "min-replicas-to-write"]).map_err(|e| format!("{e:#}"))?;
        let armed = reply.field("min-replicas-to-write");
        if armed.as_deref() == Some("0") { Err(format!("the fence of {} is not armed", group.name)) } else { Ok(()) }
    }
}

/// The address in a reply to GET-MASTER-ADDR-BY-NAME.
pub(crate) fn addr_in(reply: &Reply) -> Option<SocketAddr> {
    let [ip, port] = reply.items() else { return None };
    Some(SocketAddr::new(ip.text()?.parse().ok()?, port.text()?.parse().ok()?))
}
