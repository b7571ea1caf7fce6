//! Changes.

use std::io::Write;

use serde_json::json;
use tonic::transport::Channel;

use super::command::{Members, Target};
use super::{client, json, show, tables};
use crate::base::Addr;
use crate::proto::admin as pb;
use crate::proto::admin::admin_client::AdminClient;

type Out<'a> = &'a mut (dyn Write + Send);

pub(super) async fn members(command: Members, out: Out<'_>) -> anyhow::Result<()> {
    let (target, answer) = match command {
        Members::List { target } => {
            let call = async |channel| client_of(channel).list_members(pb::ListMembersRequest {}).await;
            let (_, answer) = client::ask(&target, client::ASK_LIMIT, call).await?;
            (target, pb::MembershipResponse { steps: Vec::new(), members: answer.members })
        }
        Members::Add { id, raft_addr, target } => {
            let request = pb::AddLearnerRequest { id, raft_address: Some(address(&raft_addr)) };
            let call = async |channel| client_of(channel).add_learner(request.clone()).await;
            (target.clone(), client::ask(&target, client::MEMBERS_LIMIT, call).await?.1)
        }
        Members::Promote { id, target } => {
            let call = async |channel| client_of(channel).promote(pb::PromoteRequest { id }).await;
            (target.clone(), client::ask(&target, client::MEMBERS_LIMIT, call).await?.1)
        }
        Members::Remove { id, target } => {
            let call = async |channel| client_of(channel).remove_member(pb::RemoveMemberRequest { id }).await;
            (target.clone(), client::ask(&target, client::MEMBERS_LIMIT, call).await?.1)
        }
        Members::Replace { old, new, raft_addr, target } => {
            let request = pb::ReplaceMemberRequest { old_id: old, new_id: new, new_raft_address: Some(address(&raft_addr)) };
            let call = async |channel| client_of(channel).replace_member(request.clone()).await;
            (target.clone(), client::ask(&target, client::MEMBERS_LIMIT, call).await?.1)
        }
    };
    show(&target, out, || json::members(&answer), || tables::members(&answer))
}

pub(super) async fn failover(target: &Target, group: String, out: Out<'_>) -> anyhow::Result<()> {
    let request = pb::RequestFailoverRequest { group: group.clone(), epoch: None };
    let call = async |channel| client_of(channel).request_failover(request.clone()).await;
    let (_, answer) = client::ask(target, client::ASK_LIMIT, call).await?;
    let text = || {
        format!(
            "A failover of {group} towards epoch {} has started (log entry {}). How it goes: raft-sentinel decisions {group}",
            answer.epoch, answer.revision
        )
    };
    show(target, out, || json!({ "group": group, "epoch": answer.epoch, "revision": answer.revision }), text)
}

pub(super) fn client_of(channel: Channel) -> AdminClient<Channel> {
    AdminClient::new(channel)
}

fn address(addr: &Addr) -> pb::Address {
    pb::Address { host: addr.host.clone(), port: u32::from(addr.port) }
}
