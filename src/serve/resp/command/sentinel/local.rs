//! What concerns this sentinel alone.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::super::super::client::Client;
use super::super::super::context::RespContext;
use super::super::super::reply::{Answer, Reply};
use super::{group, local_state};
use crate::base::Addr;
use crate::hooks::{Pending, RunStanding};
use crate::judge::GroupView;

pub(super) fn myid(client: &mut Client, _: &[Bytes]) -> Answer {
    Ok(Reply::bulk(client.context().agreement.sentinel_id().as_str()))
}

pub(super) fn flushconfig(_: &mut Client, _: &[Bytes]) -> Answer {
    Ok(Reply::OK)
}

pub(super) fn pending_scripts(client: &mut Client, _: &[Bytes]) -> Answer {
    Ok(Reply::array(client.context().hooks.pending().into_iter().map(pending_script)))
}

fn pending_script(script: Pending) -> Reply {
    let (flags, pid, time, ms) = match script.standing {
        RunStanding::Running { pid, for_ms } => ("running", pid.unwrap_or(0), "run-time", for_ms),
        RunStanding::Scheduled { in_ms } => ("scheduled", 0, "run-delay", in_ms),
    };
    let pair = |name: &'static str, value: String| (Reply::text(name), Reply::bulk(value));
    Reply::Map(vec![
        (Reply::text("argv"), Reply::array(script.argv.iter().map(Reply::bulk))),
        pair("flags", flags.to_owned()),
        pair("pid", pid.to_string()),
        pair(time, ms.to_string()),
        pair("retry-num", script.runs.to_string()),
    ])
}

pub(super) fn info_cache(client: &mut Client, words: &[Bytes]) -> Answer {
    let state = local_state(client);
    let context = client.context();
    let names: BTreeSet<&Bytes> = words[2..].iter().collect();
    let known = names.into_iter().filter_map(|name| group(&state, name).ok());
    let pairs = known.flat_map(|group| {
        let view = context.board.group(&group.name).unwrap_or_default();
        let reports = group.data_nodes().map(|addr| cached(context, &view, addr));
        [Reply::bulk(group.name.as_str()), Reply::array(reports)]
    });
    Ok(Reply::array(pairs))
}

fn cached(context: &RespContext, view: &GroupView, addr: &Addr) -> Reply {
    match view.nodes.get(addr).and_then(|node| node.report.as_ref()) {
        None => Reply::array([Reply::Int(0), Reply::Null]),
        Some((at, report)) => {
            let age_ms = i64::try_from(context.clock.mono().ms_since(*at)).unwrap_or(i64::MAX);
            Reply::array([Reply::Int(age_ms), Reply::bulk(&*report.raw)])
        }
    }
}
