//! Questions.

use std::io::Write;

use anyhow::bail;

use super::command::{MasterForm, Target};
use super::{client, json, show, tables, words};
use crate::proto::sentinel::sentinel_client::SentinelClient;
use crate::proto::sentinel::{Consistency, GetMasterRequest, ListDecisionsRequest, ListMastersRequest, ListReplicasRequest, StatusRequest};

type Out<'a> = &'a mut (dyn Write + Send);

pub(super) async fn status(target: &Target, out: Out<'_>) -> anyhow::Result<()> {
    let call = async |channel| client_of(channel).status(StatusRequest::default()).await;
    let (from, answer) = client::ask(target, client::ASK_LIMIT, call).await?;
    show(target, out, || json::status(&answer), || tables::status(&from, &answer))
}

/// One line for scripts, or nothing and an error.
pub(super) async fn master(target: &Target, group: String, form: &MasterForm, stale: bool, out: Out<'_>) -> anyhow::Result<()> {
    let request = GetMasterRequest { group, consistency: consistency(stale) };
    let call = async |channel| client_of(channel).get_master(request.clone()).await;
    let (from, answer) = client::ask(target, client::ASK_LIMIT, call).await?;
    let Some(at) = answer.master.as_ref().and_then(|master| master.address.as_ref()) else { bail!("{from} names no address") };
    let line = || match form {
        MasterForm { host_only: true, .. } => at.host.clone(),
        MasterForm { port_only: true, .. } => at.port.to_string(),
        MasterForm { .. } => words::address(Some(at)),
    };
    show(target, out, || json::one_master(&answer), line)
}

pub(super) async fn masters(target: &Target, stale: bool, out: Out<'_>) -> anyhow::Result<()> {
    let request = ListMastersRequest { consistency: consistency(stale) };
    let call = async |channel| client_of(channel).list_masters(request).await;
    let (_, answer) = client::ask(target, client::ASK_LIMIT, call).await?;
    show(target, out, || json::masters(&answer), || tables::masters(&answer))
}

pub(super) async fn replicas(target: &Target, group: String, stale: bool, out: Out<'_>) -> anyhow::Result<()> {
    let request = ListReplicasRequest { group, consistency: consistency(stale) };
    let call = async |channel| client_of(channel).list_replicas(request.clone()).await;
    let (_, answer) = client::ask(target, client::ASK_LIMIT, call).await?;
    show(target, out, || json::replicas(&answer), || tables::replicas(&answer))
}

pub(super) async fn decisions(target: &Target, group: Option<String>, limit: u32, stale: bool, out: Out<'_>) -> anyhow::Result<()> {
    let request = ListDecisionsRequest { group: group.unwrap_or_default(), limit, consistency: consistency(stale) };
    let call = async |channel| client_of(channel).list_decisions(request.clone()).await;
    let (_, answer) = client::ask(target, client::ASK_LIMIT, call).await?;
    show(target, out, || json::decisions(&answer), || tables::decisions(&answer))
}

pub(super) fn client_of(channel: client::Line) -> SentinelClient<client::Line> {
    SentinelClient::new(channel).max_decoding_message_size(client::ANSWER_BYTES)
}

pub(super) fn consistency(stale: bool) -> i32 {
    if stale { Consistency::Stale } else { Consistency::Linearizable }.into()
}
