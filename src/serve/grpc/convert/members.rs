//! The sentinels: Raft's membership, what they said of themselves, and how they look from here.

use std::collections::BTreeMap;

use super::address;
use crate::base::{Addr, GroupName, Hello, Mono, NodeId};
use crate::board::{Board, Foreign};
use crate::machine::{SentinelRecord, State};
use crate::proto::{admin, sentinel as pb};
use crate::raft::{Left, Member, PeerHealth, RaftStatus, StateCompared};

/// Members are asked for a sign of life about once a second.
const LATELY_MS: u64 = 3500;

/// A member with all that is known of it.
struct KnownMember<'a> {
    member: &'a Member,
    leader: bool,
    record: Option<&'a SentinelRecord>,
    last_heard_age_ms: Option<u64>,
    refused: String,
    state: Option<StateCompared>,
}

fn known<'a>(
    raft: &'a RaftStatus,
    state: &'a State,
    peers: &'a BTreeMap<NodeId, PeerHealth>,
    now: Mono,
) -> impl Iterator<Item = KnownMember<'a>> {
    raft.members.iter().map(move |member| {
        let peer = peers.get(&member.id);
        let heard = peer.and_then(|peer| peer.last_heard).map(|at| now.ms_since(at));
        KnownMember {
            member,
            leader: raft.leader == Some(member.id),
            record: state.sentinels.get(&member.id),
            last_heard_age_ms: if member.id == raft.id { Some(0) } else { heard },
            refused: peer.and_then(|peer| peer.refused.clone().or_else(|| elsewhere(member, peer, now))).unwrap_or_default(),
            state: peer.and_then(|peer| peer.state),
        }
    })
}

/// What may be the matter with a member that calls and does not answer where it is looked for. It cannot say where it is: who hears no leader records nothing.
fn elsewhere(member: &Member, peer: &PeerHealth, now: Mono) -> Option<String> {
    let lately = |at: Option<Mono>| at.is_some_and(|at| now.ms_since(at) <= LATELY_MS);
    let elsewhere = lately(peer.last_heard) && !lately(peer.last_answered);
    elsewhere.then(|| {
        format!(
            "calls, and does not answer at {}: it is cut off one way, or it has moved ('raft-sentinel members move {} HOST:PORT')",
            member.addr, member.id
        )
    })
}

/// For clients.
pub(in super::super) fn public(raft: &RaftStatus, state: &State, peers: &BTreeMap<NodeId, PeerHealth>, now: Mono) -> Vec<pb::Member> {
    let shown = |known: KnownMember<'_>| pb::Member {
        id: known.member.id.0,
        raft_address: Some(address(&known.member.addr)),
        voter: known.member.voter,
        leader: known.leader,
        sentinel_id: known.record.map(|record| record.sentinel_id.to_string()).unwrap_or_default(),
        resp_address: known.record.map(|record| address(&record.resp)),
        grpc_address: known.record.map(|record| address(&record.grpc)),
        last_heard_age_ms: known.last_heard_age_ms,
        refused: known.refused,
        state_compared_index: known.state.map(|compared| compared.index.0),
        state_differs: known.state.is_some_and(|compared| !compared.same),
    };
    self::known(raft, state, peers, now).map(shown).collect()
}

/// Those who are no members but watch the same data nodes.
pub(in super::super) fn foreign(board: &Board, group: &GroupName, now: Mono) -> Vec<pb::ForeignSentinel> {
    let subscription = |hello: &Hello| match board.subscription(group, &hello.sentinel).map(|known| known.fares.clone()) {
        None => String::new(),
        Some(Ok(())) => "listening".to_owned(),
        Some(Err(why)) => why,
    };
    let shown = |Foreign { hello, last_heard, locked, .. }: &Foreign| pb::ForeignSentinel {
        sentinel_id: hello.sentinel.to_string(),
        address: Some(address(&hello.sender)),
        last_heard_age_ms: now.ms_since(*last_heard),
        group: hello.group.clone(),
        master: Some(address(&hello.master)),
        epoch: hello.epoch.0,
        current_epoch: hello.current_epoch.0,
        subscription: subscription(hello),
        locked: *locked,
    };
    board.neighbours(group).foreign.values().map(shown).collect()
}

/// For operators.
pub(in super::super) fn admin(raft: &RaftStatus, state: &State, peers: &BTreeMap<NodeId, PeerHealth>, now: Mono) -> Vec<admin::Member> {
    let shown = |known: KnownMember<'_>| admin::Member {
        id: known.member.id.0,
        raft_address: Some(admin_address(&known.member.addr)),
        voter: known.member.voter,
        leader: known.leader,
        grpc_address: known.record.map(|record| admin_address(&record.grpc)),
        last_heard_age_ms: known.last_heard_age_ms,
        refused: known.refused,
    };
    self::known(raft, state, peers, now).map(shown).collect()
}

/// One that was left behind.
pub(in super::super) fn left(left: &Left) -> admin::LeftMember {
    admin::LeftMember { id: left.id.0, raft_address: Some(admin_address(&left.addr)), answers: left.answers }
}

fn admin_address(addr: &Addr) -> admin::Address {
    admin::Address { host: addr.host().to_owned(), port: u32::from(addr.port()) }
}
