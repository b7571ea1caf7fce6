//! Changing the members, by an operator's word only. The leader does it, one change at a time.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use openraft::error::{ChangeMembershipError, ClientWriteError, RaftError};
use openraft::{BasicNode, ChangeMembers};
use tokio::time::{Instant, timeout_at};

use super::acks::is_quorum;
use super::core::{Core, Standing};
use super::error::MembershipError;
use super::propose;
use super::recover::{Sign, signs_of};
use super::status::Leadership;
use crate::base::{Addr, NodeId};
use crate::machine::Command;

/// How long one change may take to be committed.
const CHANGE_WITHIN: Duration = Duration::from_secs(5);
/// How long a new member may take to receive the log.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(60);

/// Adds a member that does not vote, and waits until it has the log. A member that is known gets the new address.
pub(super) async fn add_learner(core: &Core, id: NodeId, addr: Addr) -> Result<(), MembershipError> {
    let standing = leading(core)?;
    if let Some((other, _)) = standing.members.iter().find(|(other, at)| **other != id && **at == addr) {
        return Err(MembershipError::Refused(format!("sentinel {other} already listens on {addr}")));
    }
    if id == core.me {
        return Err(MembershipError::Refused(format!("sentinel {id} is this one, and a member already")));
    }
    let node = BasicNode::new(addr.to_string());
    let changes = match standing.members.get(&id) {
        Some(known) if *known != addr => Some(ChangeMembers::SetNodes([(id, node)].into())),
        Some(_) => None,
        None => Some(ChangeMembers::AddNodes([(id, node)].into())),
    };
    if let Some(changes) = changes {
        change(core, changes, true).await?;
    }
    await_catch_up(core, id).await
}

/// Makes exactly these members the voters; those that vote no more stay as learners.
pub(super) async fn set_voters(core: &Core, voters: BTreeSet<NodeId>, force: bool) -> Result<(), MembershipError> {
    let standing = leading(core)?;
    if voters.is_empty() {
        return Err(MembershipError::Refused("a group without voters cannot decide anything".to_owned()));
    }
    if let Some(stranger) = voters.iter().find(|id| !standing.members.contains_key(id)) {
        return Err(MembershipError::Refused(format!("sentinel {stranger} is no member; add it first")));
    }
    for id in voters.difference(&standing.all_voters()) {
        await_catch_up(core, *id).await?;
    }
    if !force {
        majority_answers(core, &voters, &voters).await?;
    }
    change(core, ChangeMembers::ReplaceAllVoters(voters), true).await
}

/// Tells all members where one of them listens now.
pub(super) async fn move_member(core: &Core, id: NodeId, addr: Addr, force: bool) -> Result<(), MembershipError> {
    let standing = leading(core)?;
    match standing.members.get(&id) {
        None => return Err(MembershipError::Refused(format!("sentinel {id} is no member"))),
        Some(known) if *known == addr => return Ok(()),
        Some(_) => {}
    }
    if let Some((other, _)) = standing.members.iter().find(|(other, at)| **other != id && **at == addr) {
        return Err(MembershipError::Refused(format!("sentinel {other} already listens on {addr}")));
    }
    // Nobody has looked at the new address, so the one that moves counts for nothing; the leader itself is where it is.
    let voters = standing.all_voters();
    let others = voters.iter().copied().filter(|voter| *voter != id || id == core.me).collect();
    if !force {
        majority_answers(core, &voters, &others).await?;
    }
    change(core, ChangeMembers::SetNodes([(id, BasicNode::new(addr.to_string()))].into()), true).await
}

/// Refuses a change after which no majority of the voters would answer: it could be neither finished nor undone. Only `counted` are asked.
async fn majority_answers(core: &Core, voters: &BTreeSet<NodeId>, counted: &BTreeSet<NodeId>) -> Result<(), MembershipError> {
    let signs = signs_of(core, counted.iter().copied().filter(|id| *id != core.me)).await;
    let answers = |id: &NodeId| counted.contains(id) && (*id == core.me || matches!(signs.get(id), Some(Sign::Alive(_))));
    let alive: BTreeSet<NodeId> = voters.iter().copied().filter(answers).collect();
    if is_quorum(std::slice::from_ref(voters), &alive) {
        return Ok(());
    }
    Err(MembershipError::Refused(format!(
        "sentinels {} would vote after that, and of these only {} can be counted on now: nothing could be decided any more, not even to undo it. Bring \
         another one back first, or remove or replace one that is gone (--force changes the members all the same)",
        listed(voters),
        if alive.is_empty() { "none".to_owned() } else { listed(&alive) }
    )))
}

fn listed(ids: &BTreeSet<NodeId>) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Removes a member, voter or not, and its record.
pub(super) async fn remove(core: &Core, id: NodeId, force: bool) -> Result<(), MembershipError> {
    let standing = leading(core)?;
    if !standing.members.contains_key(&id) {
        return Err(MembershipError::Refused(format!("sentinel {id} is no member")));
    }
    let voters = standing.all_voters();
    if voters == BTreeSet::from([id]) {
        return Err(MembershipError::Refused(format!("sentinel {id} is the only voter")));
    }
    if voters.contains(&id) && !force {
        let after = voters.iter().copied().filter(|voter| *voter != id).collect();
        majority_answers(core, &after, &after).await?;
    }
    let changes = if voters.contains(&id) { ChangeMembers::RemoveVoters([id].into()) } else { ChangeMembers::RemoveNodes([id].into()) };
    if id == core.me {
        return leave(core, changes).await;
    }
    change(core, changes, false).await?;
    forget(core, id).await
}

/// A leader that removes itself can say nothing afterwards, so its record goes first, and stays away while it is still a member.
async fn leave(core: &Core, changes: ChangeMembers<NodeId, BasicNode>) -> Result<(), MembershipError> {
    core.leaving.store(true, Ordering::Relaxed);
    let left = match forget(core, core.me).await {
        Ok(()) => change(core, changes, false).await,
        Err(problem) => Err(problem),
    };
    if left.is_err() {
        core.leaving.store(false, Ordering::Relaxed);
    }
    left
}

async fn forget(core: &Core, id: NodeId) -> Result<(), MembershipError> {
    let forgotten = propose::propose(core, Command::SentinelLeft { id }).await;
    forgotten.map(drop).map_err(|problem| MembershipError::Unknown(format!("the record of sentinel {id} is still there: {problem}")))
}

pub(super) fn leading(core: &Core) -> Result<Standing, MembershipError> {
    match *core.leadership.borrow() {
        Leadership::Leading { .. } => Ok(core.standing()),
        Leadership::Following { leader } => Err(MembershipError::NotLeading(Some(leader))),
        Leadership::Unknown => Err(MembershipError::NotLeading(None)),
    }
}

async fn change(core: &Core, changes: ChangeMembers<NodeId, BasicNode>, retain: bool) -> Result<(), MembershipError> {
    if core.handing.is_under_way() {
        return Err(MembershipError::Refused("leadership is being handed over; try again".to_owned()));
    }
    tracing::info!(?changes, "changing the members");
    let changed = timeout_at(Instant::now() + CHANGE_WITHIN, core.consensus.change_membership(changes, retain)).await;
    match changed {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to)))) => Err(MembershipError::NotLeading(to.leader_id)),
        Ok(Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(error)))) => Err(MembershipError::Refused(refusal(&error))),
        Ok(Err(RaftError::Fatal(error))) => Err(MembershipError::Unknown(format!("this sentinel cannot work: {error}"))),
        Err(_) => Err(MembershipError::Unknown(format!("no quorum acknowledged the change within {} s", CHANGE_WITHIN.as_secs()))),
    }
}

fn refusal(error: &ChangeMembershipError<NodeId>) -> String {
    match error {
        ChangeMembershipError::InProgress(_) => "another change of members is under way; try again".to_owned(),
        ChangeMembershipError::EmptyMembership(_) => "a group without voters cannot decide anything".to_owned(),
        ChangeMembershipError::LearnerNotFound(unknown) => format!("sentinel {} is no member; add it first", unknown.node_id),
    }
}

/// Waits until the member has all that was in the log when this was called.
async fn await_catch_up(core: &Core, id: NodeId) -> Result<(), MembershipError> {
    let mut metrics = core.consensus.metrics();
    let goal = metrics.borrow().last_log_index;
    let caught_up = metrics.wait_for(|now| {
        let matched = now.replication.as_ref().and_then(|of| of.get(&id)).copied().flatten();
        now.replication.is_none() || matched.map(|log_id| log_id.index) >= goal
    });
    match timeout_at(Instant::now() + CATCH_UP_WITHIN, caught_up).await {
        Ok(Ok(now)) if now.replication.is_some() => Ok(()),
        Ok(_) => Err(MembershipError::Unknown("the leader has changed meanwhile".to_owned())),
        Err(_) => {
            let health = core.peers.health();
            let why = health.get(&id).and_then(|peer| peer.refused.clone()).unwrap_or_else(|| "is it running, and reachable?".to_owned());
            Err(MembershipError::Unknown(format!(
                "sentinel {id} is a learner, but has not received the log within {} s: {why}",
                CATCH_UP_WITHIN.as_secs()
            )))
        }
    }
}
