//! `announce-hostnames`: the address by which a data node is told that is recorded by a name.
//!
//! As in stock Sentinel, names are for this side alone unless they are announced: clients are told the address at which this sentinel
//! reached the server last. Where it never did, the name is all there is.

use std::net::IpAddr;

use crate::base::Addr;
use crate::judge::GroupView;
use crate::machine::Group;

/// How the data nodes of one group are told.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// What this sentinel sees of them.
    pub view: &'a GroupView,
    /// Whether names are told as they are recorded.
    pub announced: bool,
}

impl Names<'_> {
    /// The address that clients are told.
    pub fn told(&self, addr: &Addr) -> Addr {
        let named = !addr.is_opaque() && addr.host().parse::<IpAddr>().is_err();
        let ip = || self.view.nodes.get(addr).and_then(|node| node.last_ip.as_ref());
        let reached = || ip().and_then(|ip| Addr::new(ip.as_str(), addr.port()).ok());
        if named && !self.announced { reached().unwrap_or_else(|| addr.clone()) } else { addr.clone() }
    }

    /// The recorded address of what a client names as it was told.
    pub fn recorded(&self, group: &Group, told: &Addr) -> Addr {
        let mut nodes = group.data_nodes();
        if nodes.any(|node| node == told) {
            return told.clone();
        }
        group.data_nodes().find(|node| self.told(node) == *told).unwrap_or(told).clone()
    }

    /// The data nodes that are told by another address than the recorded one.
    pub fn differing(&self, group: &Group) -> Vec<(Addr, Addr)> {
        let pairs = group.data_nodes().map(|node| (node.clone(), self.told(node)));
        pairs.filter(|(recorded, told)| recorded != told).collect()
    }
}
