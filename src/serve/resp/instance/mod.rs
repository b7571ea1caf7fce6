//! What is told of a master, a replica or a sentinel: stock Sentinel's fields, in stock Sentinel's order, and behind them ours.
//!
//! The record (addresses, epoch, replicas, settings) is what the cluster agrees on; ages, roles and links are what this sentinel sees.

mod master;
mod node;
mod replica;
mod sentinel;

use std::sync::Arc;

use super::context::RespContext;
use super::reply::Reply;
use crate::base::{Addr, FenceSight, Mono, NodeId, WallTime};
use crate::board::Neighbours;
use crate::judge::GroupView;
use crate::machine::{Group, State};
use crate::raft::PeerHealth;
use crate::serve::names::Names;

/// Name and value, in order.
#[derive(Debug, Default)]
struct Fields(Vec<(&'static str, String)>);

impl Fields {
    fn put(&mut self, name: &'static str, value: impl ToString) {
        self.0.push((name, value.to_string()));
    }

    fn put_some(&mut self, name: &'static str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }
}

impl From<Fields> for Reply {
    fn from(fields: Fields) -> Self {
        Self::Map(fields.0.into_iter().map(|(name, value)| (Self::text(name), Self::bulk(value))).collect())
    }
}

/// How the data nodes of a group are told: by `announce-hostnames` as set at run time, or else as this sentinel's file says.
pub(crate) fn names<'a>(context: &RespContext, state: &State, view: &'a GroupView) -> Names<'a> {
    Names { view, announced: state.parameters.announce_hostnames.unwrap_or(context.announce_hostnames) }
}

/// One group at one moment, as it is told to a client.
#[derive(Debug)]
pub(crate) struct InstanceReply<'a> {
    context: &'a RespContext,
    state: &'a State,
    group: &'a Group,
    view: Arc<GroupView>,
    neighbours: Arc<Neighbours>,
    now: Mono,
    wall: WallTime,
}

impl<'a> InstanceReply<'a> {
    /// The group now.
    pub(crate) fn new(context: &'a RespContext, state: &'a State, group: &'a Group) -> Self {
        let view = context.board.group(&group.name).unwrap_or_default();
        let neighbours = context.board.neighbours(&group.name);
        Self { context, state, group, view, neighbours, now: context.clock.mono(), wall: context.clock.wall() }
    }

    /// How the data nodes are told.
    pub(crate) fn names(&self) -> Names<'_> {
        names(self.context, self.state, &self.view)
    }

    /// The master's address, as it is told.
    pub(crate) fn master_addr(&self) -> Addr {
        self.names().told(&self.group.master.addr)
    }

    /// Whether this sentinel sees the recorded master down.
    pub(crate) fn master_is_down(&self) -> bool {
        self.view.is_down(&self.group.master.addr)
    }

    /// Whether stock Sentinel would say so: there is no command link, or no subscription. Only the first can mean down.
    fn disconnected(&self, addr: &Addr) -> bool {
        node::unlinked(self.view.nodes.get(addr)) || self.neighbours.is_deaf_to(addr, self.now)
    }

    /// Ours, behind all of stock's: what the node itself holds of the fence, as last seen; absent if it was not.
    fn put_held(&self, fields: &mut Fields, addr: &Addr) {
        let held = self.view.fence(addr).and_then(FenceSight::held);
        fields.put_some("min-replicas-to-write", held.map(|fence| fence.min_replicas));
        fields.put_some("min-replicas-max-lag", held.map(|fence| fence.max_lag_s));
    }

    /// The master's entry.
    pub(crate) fn master(&self) -> Reply {
        master::fields(self).into()
    }

    /// The replicas' entries; those that do not want to be announced are left out.
    pub(crate) fn replicas(&self) -> Reply {
        let announced = self.group.replicas.keys().filter(|addr| node::announced(&self.view, addr));
        Reply::array(announced.map(|addr| replica::fields(self, addr).into()))
    }

    /// The other sentinels' entries.
    pub(crate) fn sentinels(&self) -> Reply {
        let peers = self.context.agreement.peers();
        let others = self.other_sentinels();
        Reply::array(others.map(|(id, record)| sentinel::fields(self, id, record, peers.get(&id)).into()))
    }

    /// The sentinels that are known beside this one.
    fn other_sentinels(&self) -> impl Iterator<Item = (NodeId, &'a crate::machine::SentinelRecord)> + use<'a> {
        let me = self.context.agreement.id();
        self.state.sentinels.iter().map(|(id, record)| (*id, record)).filter(move |(id, _)| *id != me)
    }
}

/// Whether nothing was heard of a sentinel for as long as the group allows.
pub(crate) fn sentinel_is_down(peer: Option<&PeerHealth>, now: Mono, down_after_ms: u64) -> bool {
    peer.and_then(|peer| peer.last_heard).is_none_or(|heard| now.ms_since(heard) > down_after_ms)
}
