//! `raft-sentinel history`: who asked for which change.

use std::io::Write;

use serde_json::{Value, json};

use super::command::Target;
use super::{change, client, tables, words};
use crate::proto::admin as pb;

type Out<'a> = &'a mut (dyn Write + Send);

pub(super) async fn show(target: &Target, group: Option<String>, limit: u32, stale: bool, out: Out<'_>) -> anyhow::Result<()> {
    let request = pb::HistoryRequest { group: group.unwrap_or_default(), limit, stale };
    let call = async |channel| change::client_of(channel).history(request.clone()).await;
    let (_, answer) = client::ask(target, client::ASK_LIMIT, call).await?;
    super::show(target, out, || document(&answer), || table(&answer))
}

fn table(answer: &pb::HistoryResponse) -> String {
    if answer.requests.is_empty() {
        return "No change that was asked for is remembered.".to_owned();
    }
    let mut table = tables::table(["ENTRY", "WHEN", "GROUP", "CHANGE", "USER", "FROM", "PORT", "SENTINEL"]);
    for request in &answer.requests {
        let by = request.by.clone().unwrap_or_default();
        let group = if request.group.is_empty() { "-" } else { &request.group };
        table.add_row([
            request.revision.to_string(),
            words::moment(request.at_us),
            group.to_owned(),
            request.what.clone(),
            by.user,
            by.address,
            by.port,
            by.sentinel_id.to_string(),
        ]);
    }
    table.to_string()
}

fn document(answer: &pb::HistoryResponse) -> Value {
    let shown = |request: &pb::RequestRecord| {
        let by = request.by.clone().unwrap_or_default();
        json!({
            "revision": request.revision, "at_us": request.at_us, "group": Some(&request.group).filter(|group| !group.is_empty()),
            "what": request.what, "user": by.user, "address": by.address, "port": by.port, "sentinel": by.sentinel_id,
        })
    };
    json!({ "requests": answer.requests.iter().map(shown).collect::<Vec<_>>() })
}
