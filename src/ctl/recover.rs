//! Going on with one sentinel alone, and taking in again those that are there.

use std::io::Write;
use std::time::Duration;

use anyhow::bail;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::change::client_of;
use super::command::Target;
use super::{ask, client, json, show, tables, words};
use crate::proto::admin as pb;
use crate::proto::sentinel::StatusRequest;

/// How long the sentinel may take to lead its group of one.
const LEADS_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub(super) async fn recover(target: &Target, others_are_gone: bool, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    if target.addr.len() != 1 {
        bail!("name exactly the sentinel that is to go on with --addr, the one with the newest log ('raft-sentinel status' at each)");
    }
    let call = async |channel| client_of(channel).recover(pb::RecoverRequest { others_are_gone }).await;
    let (_, begun) = client::ask(target, client::ASK_LIMIT, call).await?;
    let id = begun.node_id;
    await_leading(target, id).await?;
    let mut steps = vec![format!("sentinel {id} goes on as a group of one")];
    for left in &begun.left {
        steps.push(take_in(target, left).await);
    }
    let call = async |channel| client_of(channel).list_members(pb::ListMembersRequest {}).await;
    let (_, listed) = client::ask(target, client::ASK_LIMIT, call).await?;
    let answer = pb::MembershipResponse { steps: steps.clone(), members: listed.members };
    let document = || {
        let mut document = json::members(&answer);
        document["steps"] = json!(steps);
        document
    };
    show(target, out, document, || tables::members(&answer))
}

async fn await_leading(target: &Target, id: u64) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        let call = async |channel| ask::client_of(channel).status(StatusRequest::default()).await;
        let seen = match client::ask(target, client::ASK_LIMIT, call).await {
            Ok((_, status)) if status.leader_id == Some(id) && status.members.len() == 1 => return Ok(()),
            Ok(_) => "it does not lead yet".to_owned(),
            Err(problem) => format!("{problem:#}"),
        };
        if begun.elapsed() > LEADS_WITHIN {
            bail!(
                "sentinel {id} is a group of one, and was not seen to lead it within {} s: {seen}. Look at its log",
                LEADS_WITHIN.as_secs()
            );
        }
        sleep(LOOK_EVERY).await;
    }
}

/// What became of one that was left behind. Its record goes first: it says which data directory it had.
async fn take_in(target: &Target, left: &pb::LeftMember) -> String {
    let (id, at) = (left.id, words::admin_address(left.raft_address.as_ref()));
    // There may be no record.
    let forget = async |channel| client_of(channel).remove_member(pb::RemoveMemberRequest { id, force: false }).await;
    let _ = client::ask(target, client::MEMBERS_LIMIT, forget).await;
    let later = format!("'raft-sentinel members add {id} {at}' and 'raft-sentinel members promote {id}', once it runs with an empty 'dir'");
    if !left.answers {
        return format!("sentinel {id} at {at} does not answer: {later}");
    }
    let request = pb::AddLearnerRequest { id, raft_address: left.raft_address.clone() };
    let add = async |channel| client_of(channel).add_learner(request.clone()).await;
    if let Err(problem) = client::ask(target, client::MEMBERS_LIMIT, add).await {
        return format!("sentinel {id} at {at} was not taken in ({problem:#}): {later}");
    }
    let promote = async |channel| client_of(channel).promote(pb::PromoteRequest { id, force: false }).await;
    match client::ask(target, client::MEMBERS_LIMIT, promote).await {
        Ok(_) => format!("sentinel {id} at {at} is a member again, and votes"),
        Err(problem) => {
            format!("sentinel {id} at {at} is a member again, and does not vote ({problem:#}): 'raft-sentinel members promote {id}'")
        }
    }
}
