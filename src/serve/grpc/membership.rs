//! Changes of members: from where the members stand now to the steps that are left, and those steps.
//!
//! Planning is pure and looks at the members each time, so asking again after a failure goes on where it stopped.

use std::collections::BTreeSet;
use std::fmt;

use tonic::Status;

use super::refuse;
use crate::base::{Addr, NodeId};
use crate::machine::Command;
use crate::raft::{Member, MembershipError};
use crate::serve::ClusterAdmin;

/// One step of a change of members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Add this sentinel without a vote, and wait until it has caught up.
    Add(NodeId, Addr),
    /// Exactly these vote from now on.
    SetVoters(BTreeSet<NodeId>),
    /// Remove this member.
    Remove(NodeId),
    /// Forget where this sentinel was.
    Forget(NodeId),
    /// Let this sentinel lead.
    Lead(NodeId),
    /// Look for this member there from now on.
    Move(NodeId, Addr),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add(id, addr) => write!(f, "added sentinel {id} at {addr} as a learner, which has caught up"),
            Self::SetVoters(voters) => {
                let voters: Vec<_> = voters.iter().map(ToString::to_string).collect();
                write!(f, "the voters are {}", voters.join(", "))
            }
            Self::Remove(id) => write!(f, "removed sentinel {id}"),
            Self::Forget(id) => write!(f, "forgot the addresses of sentinel {id}"),
            Self::Lead(id) => write!(f, "sentinel {id} leads"),
            Self::Move(id, addr) => write!(f, "sentinel {id} is looked for at {addr}"),
        }
    }
}

/// Where the members stand, as the leader knows it.
pub(super) struct Members {
    leader: NodeId,
    members: Vec<Member>,
    /// Those whose addresses are in the state.
    presented: BTreeSet<NodeId>,
}

impl Members {
    /// The members as this sentinel knows them, if it leads: a follower's knowledge may be old.
    pub(super) fn of_leader(agreement: &dyn ClusterAdmin) -> Result<Self, Status> {
        let (raft, state) = (agreement.status(), agreement.state());
        if raft.leader != Some(raft.id) {
            return Err(refuse::membership(&MembershipError::NotLeading(raft.leader), &state));
        }
        Ok(Self { leader: raft.id, members: raft.members, presented: state.sentinels.keys().copied().collect() })
    }

    /// A sentinel without a vote.
    pub(super) fn add(&self, id: NodeId, addr: Addr) -> Result<Vec<Step>, Status> {
        if let Some(member) = self.member(id) {
            return if member.addr == addr { Ok(Vec::new()) } else { Err(id_taken(member)) };
        }
        match self.members.iter().find(|member| member.addr == addr) {
            Some(member) => Err(Status::already_exists(format!("{addr} is the address of sentinel {}", member.id))),
            None => Ok(vec![Step::Add(id, addr)]),
        }
    }

    /// A vote for a learner.
    pub(super) fn promote(&self, id: NodeId) -> Result<Vec<Step>, Status> {
        if self.known(id)?.voter {
            return Ok(Vec::new());
        }
        let mut voters = self.voters();
        voters.insert(id);
        Ok(vec![Step::SetVoters(voters)])
    }

    /// Another leader.
    pub(super) fn lead(&self, id: NodeId) -> Result<Vec<Step>, Status> {
        if !self.known(id)?.voter {
            return Err(Status::failed_precondition(format!("sentinel {id} is no voter, so it cannot lead; promote it first")));
        }
        Ok(if id == self.leader { Vec::new() } else { vec![Step::Lead(id)] })
    }

    /// A member that listens elsewhere now.
    pub(super) fn relocate(&self, id: NodeId, addr: Addr) -> Result<Vec<Step>, Status> {
        if self.known(id)?.addr == addr {
            return Ok(Vec::new());
        }
        match self.members.iter().find(|member| member.addr == addr) {
            Some(other) => Err(Status::already_exists(format!("{addr} is the address of sentinel {}", other.id))),
            None => Ok(vec![Step::Move(id, addr)]),
        }
    }

    /// One member less.
    pub(super) fn remove(&self, id: NodeId) -> Result<Vec<Step>, Status> {
        let forget = self.presented.contains(&id).then_some(Step::Forget(id));
        if let (None, Some(forget)) = (self.member(id), &forget) {
            return Ok(vec![forget.clone()]);
        }
        if self.known(id)?.voter && self.voters().len() == 1 {
            return Err(Status::failed_precondition(format!("sentinel {id} is the only voter; add and promote another one first")));
        }
        // A leader that removed itself proposes nothing afterwards; its record goes with it.
        let forget = forget.filter(|_| id != self.leader);
        Ok([Step::Remove(id)].into_iter().chain(forget).collect())
    }

    /// A new sentinel in the place of an old one.
    pub(super) fn replace(&self, old: NodeId, new: NodeId, addr: Addr) -> Result<Vec<Step>, Status> {
        if old == new {
            return Err(Status::invalid_argument(
                "old_id and new_id are the same; a sentinel that lost its disk comes back under a new id",
            ));
        }
        if self.leader == old {
            let advice = "stop it, and ask the sentinel that leads then";
            return Err(Status::failed_precondition(format!("sentinel {old} leads and cannot carry out its own replacement: {advice}")));
        }
        let resumed = self.member(new).is_some_and(|new| new.addr == addr);
        if !resumed {
            self.known(old)?;
        }
        if self.member(old).is_some_and(|old| old.addr == addr) {
            return self.replace_in_place(old, new, addr);
        }
        let mut steps = self.add(new, addr)?;
        let mut voters = self.voters();
        if voters.remove(&old) {
            voters.insert(new);
            steps.push(Step::SetVoters(voters));
        }
        steps.extend(self.member(old).map(|_| Step::Remove(old)));
        steps.extend(self.presented.contains(&old).then_some(Step::Forget(old)));
        Ok(steps)
    }

    /// Two members cannot have one address, so the old one goes before the new one comes. Its process is gone from there already, or nothing would answer as the new one.
    fn replace_in_place(&self, old: NodeId, new: NodeId, addr: Addr) -> Result<Vec<Step>, Status> {
        if let Some(member) = self.member(new) {
            return Err(id_taken(member));
        }
        let mut steps = self.remove(old)?;
        steps.push(Step::Add(new, addr));
        let mut voters = self.voters();
        if voters.remove(&old) {
            voters.insert(new);
            steps.push(Step::SetVoters(voters));
        }
        Ok(steps)
    }

    fn member(&self, id: NodeId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    fn known(&self, id: NodeId) -> Result<&Member, Status> {
        self.member(id).ok_or_else(|| {
            let known: Vec<_> = self.members.iter().map(|member| member.id.to_string()).collect();
            Status::not_found(format!("sentinel {id} is not a member; the members are {}", known.join(", ")))
        })
    }

    fn voters(&self) -> BTreeSet<NodeId> {
        self.members.iter().filter(|member| member.voter).map(|member| member.id).collect()
    }
}

/// Carries out the steps in order, and says what was done.
pub(super) async fn carry_out(agreement: &dyn ClusterAdmin, steps: Vec<Step>, force: bool) -> Result<Vec<String>, Status> {
    let mut done = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        take(agreement, step, force).await.map_err(|status| half_way(status, &done, &steps[at..]))?;
        done.push(step.to_string());
    }
    Ok(done)
}

async fn take(agreement: &dyn ClusterAdmin, step: &Step, force: bool) -> Result<(), Status> {
    let taken = match step {
        Step::Add(id, addr) => agreement.add_learner(*id, addr.clone()).await,
        Step::SetVoters(voters) => agreement.set_voters(voters.clone(), force).await,
        Step::Remove(id) => agreement.remove_member(*id, force).await,
        Step::Move(id, addr) => agreement.move_member(*id, addr.clone(), force).await,
        Step::Lead(id) => agreement.hand_over(*id).await,
        Step::Forget(id) => {
            let committed = agreement.propose(Command::SentinelLeft { id: *id }).await.map_err(|error| refuse::propose(&error))?;
            return refuse::committed(&committed).map(drop);
        }
    };
    taken.map_err(|error| refuse::membership(&error, &agreement.state()))
}

/// An operator must know what was already done when a later step fails, and how to go on.
fn half_way(status: Status, done: &[String], left: &[Step]) -> Status {
    if done.is_empty() {
        return status;
    }
    // The old one is gone, so that the same words would be about a stranger.
    let go_on = match left {
        [Step::Add(id, addr), ..] => format!("go on with 'raft-sentinel members add {id} {addr}' and 'raft-sentinel members promote {id}'"),
        _ => "ask again to go on".to_owned(),
    };
    let message = format!("{}; done before: {}; {go_on}", status.message(), done.join("; "));
    Status::with_metadata(status.code(), message, status.metadata().clone())
}

fn id_taken(member: &Member) -> Status {
    Status::already_exists(format!(
        "sentinel {0} is a member at {1}, and ids are never used twice. If it has moved with its data directory: 'raft-sentinel members move {0} HOST:PORT'; a \
         new one needs another id",
        member.id, member.addr
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sentinel 1 leads; those with `true` vote.
    fn cluster(members: &[(u64, bool)]) -> Members {
        Members {
            leader: NodeId(1),
            members: members.iter().map(|(id, voter)| Member { id: NodeId(*id), addr: at(*id), voter: *voter }).collect(),
            presented: [NodeId(1), NodeId(2), NodeId(3)].into(),
        }
    }

    #[test]
    fn only_another_voter_can_be_made_the_leader() {
        let members = cluster(&[(1, true), (2, true), (3, true), (4, false)]);
        assert_eq!(members.lead(NodeId(2)).expect("a voter"), [Step::Lead(NodeId(2))]);
        assert_eq!(members.lead(NodeId(1)).expect("it leads"), []);
        assert!(members.lead(NodeId(4)).expect_err("a learner").message().contains("promote it first"));
        assert!(members.lead(NodeId(9)).expect_err("a stranger").message().contains("not a member"));
    }

    fn at(id: u64) -> Addr {
        Addr::new(format!("10.0.0.{id}"), 27379).expect("an address")
    }

    #[test]
    fn a_replacement_swaps_the_votes_in_one_change_and_goes_on_where_it_stopped() {
        let (old, new) = (NodeId(3), NodeId(4));
        let plan = |members: &[(u64, bool)]| cluster(members).replace(old, new, at(4)).expect("it can be done");
        let swap = Step::SetVoters([NodeId(1), NodeId(2), new].into());
        let (remove, forget) = (Step::Remove(old), Step::Forget(old));
        let whole = [Step::Add(new, at(4)), swap.clone(), remove.clone(), forget.clone()];
        assert_eq!(plan(&[(1, true), (2, true), (3, true)]), whole);
        assert_eq!(plan(&[(1, true), (2, true), (3, true), (4, false)]), [swap, remove.clone(), forget.clone()]);
        assert_eq!(plan(&[(1, true), (2, true), (3, false), (4, true)]), [remove, forget.clone()]);
        assert_eq!(plan(&[(1, true), (2, true), (4, true)]), [forget]);
    }

    #[test]
    fn a_replacement_at_the_same_address_removes_the_old_one_first_and_says_how_to_go_on() {
        let (old, new, three) = (NodeId(3), NodeId(4), cluster(&[(1, true), (2, true), (3, true)]));
        let steps = three.replace(old, new, at(3)).expect("it can be done");
        let swap = Step::SetVoters([NodeId(1), NodeId(2), new].into());
        assert_eq!(steps, [Step::Remove(old), Step::Forget(old), Step::Add(new, at(3)), swap]);
        let failed = half_way(Status::unavailable("nobody is there"), &["removed sentinel 3".to_owned()], &steps[2..]);
        assert!(failed.message().contains("members add 4 10.0.0.3:27379' and 'raft-sentinel members promote 4'"), "{failed}");
        assert_eq!(three.replace(old, NodeId(2), at(3)).expect_err("a taken id").code(), tonic::Code::AlreadyExists);
    }

    #[test]
    fn one_that_moved_keeps_its_number() {
        let three = cluster(&[(1, true), (2, true), (3, true)]);
        assert_eq!(three.relocate(NodeId(3), at(7)).expect("a member"), [Step::Move(NodeId(3), at(7))]);
        assert_eq!(three.relocate(NodeId(3), at(3)).expect("it is there"), []);
        assert_eq!(three.relocate(NodeId(3), at(2)).expect_err("taken").code(), tonic::Code::AlreadyExists);
        assert_eq!(three.relocate(NodeId(9), at(9)).expect_err("a stranger").code(), tonic::Code::NotFound);
    }

    #[test]
    fn a_leader_that_removes_itself_has_nothing_to_say_afterwards() {
        let three = cluster(&[(1, true), (2, true), (3, true)]);
        assert_eq!(three.remove(NodeId(1)).expect("it may"), [Step::Remove(NodeId(1))]);
        assert_eq!(three.remove(NodeId(2)).expect("it may"), [Step::Remove(NodeId(2)), Step::Forget(NodeId(2))]);
    }

    #[test]
    fn what_would_weaken_the_cluster_is_refused() {
        let three = cluster(&[(1, true), (2, true), (3, true)]);
        let code = |plan: Result<Vec<Step>, Status>| plan.expect_err("it must be refused").code();
        assert_eq!(code(three.replace(NodeId(1), NodeId(4), at(4))), tonic::Code::FailedPrecondition, "the leader");
        assert_eq!(code(three.replace(NodeId(3), NodeId(3), at(3))), tonic::Code::InvalidArgument, "the same id");
        assert_eq!(code(three.replace(NodeId(7), NodeId(8), at(8))), tonic::Code::NotFound, "a stranger");
        assert_eq!(code(three.replace(NodeId(3), NodeId(4), at(2))), tonic::Code::AlreadyExists, "a taken address");
        assert_eq!(code(three.add(NodeId(2), at(5))), tonic::Code::AlreadyExists, "a taken id");
        assert_eq!(code(cluster(&[(1, true), (2, false)]).remove(NodeId(1))), tonic::Code::FailedPrecondition, "the last vote");
        assert_eq!(code(three.promote(NodeId(9))), tonic::Code::NotFound, "a stranger");
        assert_eq!(three.promote(NodeId(2)).expect("it votes already"), []);
    }
}
