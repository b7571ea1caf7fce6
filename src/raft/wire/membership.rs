//! Who belongs to the group.

use std::collections::{BTreeMap, BTreeSet};

use openraft::BasicNode;

use super::Malformed;
use crate::base::{Addr, NodeId, limits};
use crate::proto::peer;

/// openraft's membership without its place in the log.
type Membership = openraft::Membership<NodeId, BasicNode>;

pub(in crate::raft) fn membership_to_wire(membership: &Membership) -> peer::Membership {
    let set = |voters: &BTreeSet<NodeId>| peer::VoterSet { ids: voters.iter().map(|id| id.0).collect() };
    let node = |(id, node): (&NodeId, &BasicNode)| peer::Node { id: id.0, addr: node.addr.clone() };
    peer::Membership { configs: membership.get_joint_config().iter().map(set).collect(), nodes: membership.nodes().map(node).collect() }
}

pub(in crate::raft) fn membership_from_wire(membership: peer::Membership) -> Result<Membership, Malformed> {
    if membership.nodes.len() > limits::MEMBERS {
        return Err(Malformed(format!("{} members, {} are allowed", membership.nodes.len(), limits::MEMBERS)));
    }
    let mut nodes = BTreeMap::new();
    for node in membership.nodes {
        if let Err(problem) = node.addr.parse::<Addr>() {
            return Err(Malformed(format!("the address of member {}: {problem}", node.id)));
        }
        nodes.insert(NodeId(node.id), BasicNode { addr: node.addr });
    }
    let configs: Vec<BTreeSet<NodeId>> = membership.configs.into_iter().map(|set| set.ids.into_iter().map(NodeId).collect()).collect();
    if configs.is_empty() || configs.len() > 2 || configs.iter().any(BTreeSet::is_empty) {
        return Err(Malformed("a membership must have one set of voters, or two, and none empty".to_owned()));
    }
    if let Some(stranger) = configs.iter().flatten().find(|id| !nodes.contains_key(id)) {
        return Err(Malformed(format!("voter {stranger} has no address")));
    }
    Ok(Membership::new(configs, nodes))
}
