//! The operators' service: each call is checked, becomes one proposal (or one change of members), and says what came of it.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::convert::{members, options, requests};
use super::guard::Permit;
use super::{Context, failover, membership, refuse};
use crate::base::settings::SettingChange;
use crate::base::{Epoch, GroupName, GroupSettings, LogIndex, NodeId};
use crate::conf::options::{RENAME_DENIED, renames};
use crate::machine::{Asker, Command, Removed, ShadowEntry, command::Origin};
use crate::proto::admin as pb;
use crate::proto::admin::admin_server::Admin;
use crate::serve::removal::{Removal, Unremoved};
use crate::serve::{adoption, audit};

pub(super) struct Service {
    pub(super) ctx: Context,
}

impl Service {
    async fn propose(&self, command: Command, asker: Option<Asker>) -> Result<(LogIndex, bool), Status> {
        let committed = self.ctx.agreement.propose(asked_by(command, asker)).await.map_err(|error| refuse::propose(&error))?;
        refuse::committed(&committed)
    }

    async fn change(&self, command: Command, asker: Option<Asker>) -> Result<Response<pb::ChangeResponse>, Status> {
        let (index, changed) = self.propose(command, asker).await?;
        Ok(Response::new(pb::ChangeResponse { revision: index.0, changed }))
    }

    /// Refuses other names of commands, unless this sentinel's file lets them be changed.
    fn check_renames(&self, changes: &[SettingChange]) -> Result<(), Status> {
        let denied = self.ctx.deny_renames && changes.iter().any(renames);
        if denied { Err(Status::permission_denied(RENAME_DENIED)) } else { Ok(()) }
    }

    /// Refuses where this sentinel hears others around the group. Whoever leads makes sure of it once more, and goes on doing so.
    fn check_alone(&self, group: &GroupName) -> Result<(), Status> {
        let (neighbours, state, now) = (self.ctx.board.neighbours(group), self.ctx.agreement.state(), self.ctx.clock.mono());
        let heard: Vec<String> = neighbours.others(&state.former, now).map(|foreign| foreign.hello.sender.to_string()).collect();
        if heard.is_empty() {
            return Ok(());
        }
        Err(Status::failed_precondition(format!(
            "sentinels that are not of this cluster still watch '{group}' ({}): stop them, or let them forget it (SENTINEL REMOVE), and try \
             again after 10 s; nothing was changed",
            heard.join(", ")
        )))
    }

    fn asker<T>(&self, request: &Request<T>) -> Option<Asker> {
        request.extensions().get::<Permit>().map(|permit| permit.asker(self.ctx.agreement.id()))
    }

    /// Has it recorded that `asker` changed what is no entry. The change is made, or begun: that it could not be recorded does not undo it.
    async fn record(&self, asker: Option<Asker>, words: &str) {
        let Some(asker) = asker.map(|asker| asker.saying(words)) else { return };
        if let Err(error) = audit::record(&*self.ctx.agreement, asker.clone(), self.ctx.clock.wall()).await {
            tracing::warn!("'{words}' by '{}' from {} could not be recorded: {error}", asker.user(), asker.from());
        }
    }

    fn members(&self) -> Vec<pb::Member> {
        let agreement = &self.ctx.agreement;
        members::admin(&agreement.status(), &agreement.state(), &agreement.peers(), self.ctx.clock.mono())
    }

    /// Does what is left to be done to bring the members to where `plan` wants them, and has it recorded that `asker` wanted it.
    async fn change_members(
        &self,
        asker: Option<Asker>,
        words: String,
        force: bool,
        plan: impl FnOnce(&membership::Members) -> Result<Vec<membership::Step>, Status>,
    ) -> Result<Response<pb::MembershipResponse>, Status> {
        let agreement = &self.ctx.agreement;
        let members = membership::Members::of_leader(&**agreement)?;
        let steps = plan(&members)?;
        let words = if force { format!("{words} --force") } else { words };
        // A leader that removed itself records nothing any more.
        let leaves = steps.contains(&membership::Step::Remove(agreement.id()));
        let later = !steps.is_empty() && !leaves;
        if leaves {
            self.record(asker.clone(), &words).await;
        }
        let done = membership::carry_out(&**agreement, steps, force).await;
        if later {
            let unfinished = if done.is_err() { " (not finished)" } else { "" };
            self.record(asker, &format!("{words}{unfinished}")).await;
        }
        let done = done?;
        Ok(Response::new(pb::MembershipResponse { steps: done, members: self.members() }))
    }
}

#[tonic::async_trait]
impl Admin for Service {
    async fn list_members(&self, _: Request<pb::ListMembersRequest>) -> Result<Response<pb::ListMembersResponse>, Status> {
        Ok(Response::new(pb::ListMembersResponse { members: self.members() }))
    }

    async fn add_learner(&self, request: Request<pb::AddLearnerRequest>) -> Result<Response<pb::MembershipResponse>, Status> {
        let (asker, request) = (self.asker(&request), request.into_inner());
        let id = options::member_id("id", request.id)?;
        let addr = options::addr("raft_address", request.raft_address)?;
        self.change_members(asker, format!("members add {id} {addr}"), false, |members| members.add(id, addr)).await
    }

    async fn promote(&self, request: Request<pb::PromoteRequest>) -> Result<Response<pb::MembershipResponse>, Status> {
        let (asker, request) = (self.asker(&request), request.into_inner());
        let id = NodeId(request.id);
        self.change_members(asker, format!("members promote {id}"), request.force, |members| members.promote(id)).await
    }

    async fn remove_member(&self, request: Request<pb::RemoveMemberRequest>) -> Result<Response<pb::MembershipResponse>, Status> {
        let (asker, request) = (self.asker(&request), request.into_inner());
        let id = NodeId(request.id);
        self.change_members(asker, format!("members remove {id}"), request.force, |members| members.remove(id)).await
    }

    async fn move_member(&self, request: Request<pb::MoveMemberRequest>) -> Result<Response<pb::MembershipResponse>, Status> {
        let (asker, request) = (self.asker(&request), request.into_inner());
        let id = NodeId(request.id);
        let addr = options::addr("raft_address", request.raft_address)?;
        self.change_members(asker, format!("members move {id} {addr}"), request.force, |members| members.relocate(id, addr)).await
    }

    async fn replace_member(&self, request: Request<pb::ReplaceMemberRequest>) -> Result<Response<pb::MembershipResponse>, Status> {
        let (asker, request) = (self.asker(&request), request.into_inner());
        let old = NodeId(request.old_id);
        let new = options::member_id("new_id", request.new_id)?;
        let addr = options::addr("new_raft_address", request.new_raft_address)?;
        let words = format!("members replace {old} {new} {addr}");
        self.change_members(asker, words, request.force, |members| members.replace(old, new, addr)).await
    }

    async fn hand_over(&self, request: Request<pb::HandOverRequest>) -> Result<Response<pb::MembershipResponse>, Status> {
        let (asker, id) = (self.asker(&request), NodeId(request.into_inner().id));
        self.change_members(asker, format!("members lead {id}"), false, |members| members.lead(id)).await
    }

    async fn recover(&self, request: Request<pb::RecoverRequest>) -> Result<Response<pb::RecoverResponse>, Status> {
        let (asker, confirmed) = (self.asker(&request), request.into_inner().others_are_gone);
        if !confirmed {
            return Err(Status::failed_precondition(
                "this makes one sentinel a group of its own: what only the others had acknowledged is lost, and none of them may run again with the data \
                 directory that it had. Say that they are gone (others_are_gone, --others-are-gone)",
            ));
        }
        let (ctx, words) = (&self.ctx, "members recover --others-are-gone");
        let asker = asker.unwrap_or_else(|| Asker::new("unknown", "unknown", "grpc", ctx.agreement.id()));
        tracing::warn!("'{words}' by '{}' from {}", asker.user(), asker.from());
        let record = audit::entry(&*ctx.agreement, asker.saying(words), ctx.clock.wall());
        let left = ctx.agreement.recover(record).await.map_err(|error| refuse::membership(&error, &ctx.agreement.state()))?;
        Ok(Response::new(pb::RecoverResponse { node_id: ctx.agreement.id().0, left: left.iter().map(members::left).collect() }))
    }

    async fn monitor_group(&self, request: Request<pb::MonitorGroupRequest>) -> Result<Response<pb::ChangeResponse>, Status> {
        let (asker, request) = (self.asker(&request), request.into_inner());
        let name = options::group_name(&request.name)?;
        let master = options::addr("master", request.master)?;
        if request.quorum == 0 {
            return Err(Status::invalid_argument("quorum must be at least 1"));
        }
        let given = request.options.unwrap_or_default();
        if given.quorum.is_some_and(|quorum| quorum != request.quorum) {
            return Err(Status::invalid_argument("quorum and options.quorum differ"));
        }
        let changes = options::changes(given)?;
        self.check_renames(&changes)?;
        let state = self.ctx.agreement.linearizable().await.map_err(|error| refuse::read(&error))?;
        let kept = state.removed_lately(&name, &master, self.ctx.clock.wall());
        let settings = GroupSettings { quorum: request.quorum, ..GroupSettings::default() };
        // What is said counts more than what was.
        let mut settings = kept.map_or_else(|| settings.clone(), |kept| kept.settings(settings.clone()));
        for change in changes {
            settings.change(&change).map_err(|bad| Status::invalid_argument(bad.to_string()))?;
        }
        if let Some(why) = state.taken(&name, &master) {
            return Err(Status::failed_precondition(why));
        }
        let command = Command::ConfigureGroup {
            replicas: kept.map(|kept| kept.replicas(&master)).unwrap_or_default(),
            takes_up: kept.map(Removed::entry),
            name,
            master,
            settings,
            epoch: Epoch(0),
            origin: Origin::Operator,
            at: self.ctx.clock.wall(),
            asked: None,
        };
        self.change(command, asker).await
    }

    async fn remove_group(&self, request: Request<pb::RemoveGroupRequest>) -> Result<Response<pb::ChangeResponse>, Status> {
        let (asker, request) = (self.asker(&request), request.into_inner());
        let group = options::group_name(&request.group)?;
        let (agreement, board, clock) = (Arc::clone(&self.ctx.agreement), self.ctx.board.clone(), self.ctx.clock);
        match (Removal { agreement, board, clock, group, asker, force: request.force }).run().await {
            Ok(committed) => {
                let (index, changed) = refuse::committed(&committed)?;
                Ok(Response::new(pb::ChangeResponse { revision: index.0, changed }))
            }
            Err(Unremoved::Read(error)) => Err(refuse::read(&error)),
            Err(Unremoved::Propose(error)) => Err(refuse::propose(&error)),
            Err(stays @ Unremoved::Stays(_)) => Err(Status::failed_precondition(stays.to_string())),
        }
    }

    async fn set_options(&self, request: Request<pb::SetOptionsRequest>) -> Result<Response<pb::ChangeResponse>, Status> {
        let (asker, request) = (self.asker(&request), request.into_inner());
        let group = options::group_name(&request.group)?;
        let changes = options::changes(request.options.unwrap_or_default())?;
        if changes.is_empty() {
            return Err(Status::invalid_argument("options: nothing is to be changed"));
        }
        self.check_renames(&changes)?;
        self.change(Command::SetOptions { group, changes, at: self.ctx.clock.wall(), asked: None }, asker).await
    }

    async fn seal_secrets(&self, request: Request<pb::SealSecretsRequest>) -> Result<Response<pb::SealSecretsResponse>, Status> {
        let sealed = self.ctx.agreement.reseal().await.map_err(Status::failed_precondition)?;
        if !sealed.groups.is_empty() {
            self.record(self.asker(&request), "seal the secrets of all groups").await;
        }
        let groups = sealed.groups.iter().map(ToString::to_string).collect();
        Ok(Response::new(pb::SealSecretsResponse { key_id: sealed.key, groups }))
    }

    async fn request_failover(
        &self,
        request: Request<pb::RequestFailoverRequest>,
    ) -> Result<Response<pb::RequestFailoverResponse>, Status> {
        failover::request(&self.ctx, self.asker(&request), request.into_inner()).await
    }

    async fn switchover(&self, request: Request<pb::SwitchoverRequest>) -> Result<Response<pb::SwitchoverResponse>, Status> {
        failover::switchover(&self.ctx, self.asker(&request), request.into_inner()).await
    }

    async fn take_over(&self, request: Request<pb::TakeOverRequest>) -> Result<Response<pb::ChangeResponse>, Status> {
        let (asker, request) = (self.asker(&request), request.into_inner());
        let group = options::group_name(&request.group)?;
        if !request.despite_others {
            self.check_alone(&group)?;
        }
        let entry = ShadowEntry::TakeOver { by: self.ctx.agreement.id(), despite_stock: request.despite_others };
        self.change(Command::Shadow { group, entry, at: self.ctx.clock.wall(), asked: None }, asker).await
    }

    async fn stand_down(&self, request: Request<pb::StandDownRequest>) -> Result<Response<pb::ChangeResponse>, Status> {
        let (asker, request) = (self.asker(&request), request.into_inner());
        let group = options::group_name(&request.group)?;
        let entry = ShadowEntry::StandDown { by: self.ctx.agreement.id() };
        self.change(Command::Shadow { group, entry, at: self.ctx.clock.wall(), asked: None }, asker).await
    }

    async fn forget_replica(&self, request: Request<pb::ForgetReplicaRequest>) -> Result<Response<pb::ChangeResponse>, Status> {
        let (asker, request) = (self.asker(&request), request.into_inner());
        let group = options::group_name(&request.group)?;
        let replica = options::addr("replica", request.replica)?;
        self.change(Command::ReplicaForgotten { group, replica, at: self.ctx.clock.wall(), asked: None }, asker).await
    }

    async fn adopt_replica(&self, request: Request<pb::AdoptReplicaRequest>) -> Result<Response<pb::ChangeResponse>, Status> {
        let (asker, request) = (self.asker(&request), request.into_inner());
        let name = options::group_name(&request.group)?;
        let replica = options::addr("replica", request.replica)?;
        let state = self.ctx.agreement.linearizable().await.map_err(|error| refuse::read(&error))?;
        let group = state.groups.get(&name).ok_or_else(|| refuse::no_such_group(name.as_str()))?;
        let view = self.ctx.board.group(&name).unwrap_or_default();
        let adopts = Some(adoption::process_at(group, &view, &replica).map_err(Status::failed_precondition)?);
        self.change(Command::ReplicaNamed { group: name, replica, adopts, at: self.ctx.clock.wall(), asked: None }, asker).await
    }

    async fn history(&self, request: Request<pb::HistoryRequest>) -> Result<Response<pb::HistoryResponse>, Status> {
        let request = request.into_inner();
        let group = if request.group.is_empty() { None } else { Some(options::group_name(&request.group)?) };
        let agreement = &self.ctx.agreement;
        let state = if request.stale { agreement.state() } else { agreement.linearizable().await.map_err(|error| refuse::read(&error))? };
        let limit = if request.limit == 0 { usize::MAX } else { usize::try_from(request.limit).unwrap_or(usize::MAX) };
        // One that was removed has a history, too.
        let wanted = state.requests.iter().rev().filter(|request| group.is_none() || request.group == group);
        Ok(Response::new(pb::HistoryResponse { requests: wanted.take(limit).map(requests::shown).collect() }))
    }
}

/// The command, with who asked for it.
pub(super) fn asked_by(command: Command, asker: Option<Asker>) -> Command {
    match asker {
        Some(asker) => command.asked_by(asker),
        None => command,
    }
}
