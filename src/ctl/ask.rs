//! Questions.

use std::io::Write;

use super::command::Target;
use super::{client, json, show, tables};
use crate::proto::sentinel::sentinel_client::SentinelClient;
use crate::proto::sentinel::{Consistency, ListDecisionsRequest, ListMastersRequest, ListReplicasRequest, StatusRequest};

type Out<'a> = &'a mut (dyn Write + Send);

pub(super) async fn status(target: &Target, out: Out<'_>) -> anyhow::Result<()> {
    let call = async |channel| client_of(channel).status(StatusRequest::default()).await;
    let (from, answer) = client::ask(target, client::ASK_LIMIT, call).await?;
    show(target, out, || json::status(&answer), || tables::status(&from, &answer))
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
