//! Changes.

use std::io::Write;
use std::time::Duration;

use anyhow::bail;
use serde_json::json;

use super::command::{How, Members, Settings, Target};
use super::{client, json, recover, show, tables, words};
use crate::base::Addr;
use crate::proto::admin as pb;
use crate::proto::admin::admin_client::AdminClient;
use crate::proto::admin::switchover_response::Outcome;

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
        Members::Promote { id, force, target } => {
            let call = async |channel| client_of(channel).promote(pb::PromoteRequest { id, force }).await;
            (target.clone(), client::ask(&target, client::MEMBERS_LIMIT, call).await?.1)
        }
        Members::Recover { others_are_gone, target } => return recover::recover(&target, others_are_gone, out).await,
        Members::Lead { id, target } => {
            let call = async |channel| client_of(channel).hand_over(pb::HandOverRequest { id }).await;
            (target.clone(), client::ask(&target, client::MEMBERS_LIMIT, call).await?.1)
        }
        Members::Remove { id, force, target } => {
            let call = async |channel| client_of(channel).remove_member(pb::RemoveMemberRequest { id, force }).await;
            (target.clone(), client::ask(&target, client::MEMBERS_LIMIT, call).await?.1)
        }
        Members::Move { id, raft_addr, force, target } => {
            let request = pb::MoveMemberRequest { id, raft_address: Some(address(&raft_addr)), force };
            let call = async |channel| client_of(channel).move_member(request.clone()).await;
            (target.clone(), client::ask(&target, client::MEMBERS_LIMIT, call).await?.1)
        }
        Members::Replace { old, new, raft_addr, force, target } => {
            let request = pb::ReplaceMemberRequest { old_id: old, new_id: new, new_raft_address: Some(address(&raft_addr)), force };
            let call = async |channel| client_of(channel).replace_member(request.clone()).await;
            (target.clone(), client::ask(&target, client::MEMBERS_LIMIT, call).await?.1)
        }
    };
    show(&target, out, || json::members(&answer), || tables::members(&answer))
}

pub(super) async fn failover(target: &Target, group: String, how: How, out: Out<'_>) -> anyhow::Result<()> {
    let manner = match (how.force, how.coordinated) {
        (true, _) => pb::FailoverManner::Force,
        (false, true) => pb::FailoverManner::Coordinated,
        (false, false) => pb::FailoverManner::Plain,
    };
    let request = pb::RequestFailoverRequest {
        group: group.clone(),
        epoch: None,
        manner: manner.into(),
        target: how.to.as_ref().map(address),
        accept_loss: how.accept_loss,
    };
    let call = async |channel| client_of(channel).request_failover(request.clone()).await;
    let (_, answer) = client::ask(target, client::ASK_LIMIT, call).await?;
    let text = || {
        let what = if how.force { "forced, with whatever loss it brings" } else { "started" };
        format!(
            "A failover of {group} towards epoch {} is {what} (log entry {}). How it goes: raft-sentinel decisions {group}",
            answer.epoch, answer.revision
        )
    };
    show(target, out, || json!({ "group": group, "epoch": answer.epoch, "revision": answer.revision }), text)
}

/// Fails unless the master changed, so that a script can go by the exit code.
pub(super) async fn switchover(target: &Target, group: String, to: Option<Addr>, wait_s: u32, out: Out<'_>) -> anyhow::Result<()> {
    let wait_ms = wait_s.saturating_mul(1000);
    let request = pb::SwitchoverRequest { group: group.clone(), target: to.as_ref().map(address), epoch: None, wait_ms };
    let call = async |channel| client_of(channel).switchover(request.clone()).await;
    let limit = client::ASK_LIMIT + Duration::from_millis(wait_ms.into());
    let (_, answer) = client::ask(target, limit, call).await?;
    let (outcome, master) = (answer.outcome(), words::admin_address(answer.master.as_ref()));
    let document = || {
        json!({
            "group": group, "epoch": answer.epoch, "revision": answer.revision, "outcome": words::switchover(outcome),
            "reason": Some(&answer.reason).filter(|reason| !reason.is_empty()), "master": master,
        })
    };
    let told = match outcome {
        Outcome::Switched => format!("The master of {group} is {master} now (epoch {}); no write was lost.", answer.epoch),
        Outcome::Aborted => format!("Nothing changed, the master of {group} is {master}: {}.", answer.reason),
        Outcome::UnderWay => format!("After {wait_s} s it is still under way. How it goes: raft-sentinel decisions {group}"),
        Outcome::Superseded => {
            format!("The new master was found down before it was seen to be one; the next failover of {group} has taken over.")
        }
        Outcome::Unspecified => "The sentinel does not say what came of it.".to_owned(),
    };
    if outcome != Outcome::Switched {
        if target.json {
            show(target, out, document, String::new)?;
        }
        bail!("{told}");
    }
    show(target, out, document, || told)
}

pub(super) async fn set(target: &Target, group: String, settings: Settings, out: Out<'_>) -> anyhow::Result<()> {
    let options = pb::GroupOptions {
        quorum: settings.quorum,
        down_after_ms: settings.down_after_milliseconds,
        crash_down_after_ms: settings.crash_down_after_milliseconds,
        failover_timeout_ms: settings.failover_timeout,
        parallel_syncs: settings.parallel_syncs,
        master_reboot_down_after_ms: settings.master_reboot_down_after_period,
        promotion_policy: settings.promotion_policy,
        fence_max_lag_s: settings.fence_max_lag,
        replica_forget_after_ms: settings.replica_forget_after,
        replicas_fixed: settings.replicas_fixed,
        max_replicas: settings.max_replicas,
        ..pb::GroupOptions::default()
    };
    let request = pb::SetOptionsRequest { group: group.clone(), options: Some(options) };
    let call = async |channel| client_of(channel).set_options(request.clone()).await;
    let (_, answer) = client::ask(target, client::ASK_LIMIT, call).await?;
    let text = || {
        let what = if answer.changed { "are changed" } else { "were so already" };
        format!("The settings of {group} {what} (log entry {}).", answer.revision)
    };
    show(target, out, || json!({ "group": group, "revision": answer.revision, "changed": answer.changed }), text)
}

pub(super) async fn seal_secrets(target: &Target, out: Out<'_>) -> anyhow::Result<()> {
    let call = async |channel| client_of(channel).seal_secrets(pb::SealSecretsRequest {}).await;
    let (_, answer) = client::ask(target, client::ASK_LIMIT, call).await?;
    let text = || {
        let anew = if answer.groups.is_empty() {
            "nothing had to be changed".to_owned()
        } else {
            format!("sealed anew: {}", answer.groups.join(", "))
        };
        format!("All secrets are sealed with the key {} ({anew}). No other secret is needed any more to read them.", answer.key_id)
    };
    show(target, out, || json!({ "key_id": answer.key_id, "sealed_anew": answer.groups }), text)
}

pub(super) fn client_of(channel: client::Line) -> AdminClient<client::Line> {
    AdminClient::new(channel)
}

fn address(addr: &Addr) -> pb::Address {
    pb::Address { host: addr.host().to_owned(), port: u32::from(addr.port()) }
}
