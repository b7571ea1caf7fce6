//! What concerns this sentinel alone.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::super::super::client::Client;
use super::super::super::context::Context;
use super::super::super::glob;
use super::super::super::reply::{Answer, Reply};
use super::{group, local_state};
use crate::base::Addr;
use crate::hooks::{Pending, Standing};
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
        Standing::Running { pid, for_ms } => ("running", pid.unwrap_or(0), "run-time", for_ms),
        Standing::Scheduled { in_ms } => ("scheduled", 0, "run-delay", in_ms),
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

pub(super) fn debug(_: &mut Client, _: &[Bytes]) -> Answer {
    Err(unsupported("SENTINEL DEBUG"))
}

pub(super) fn simulate_failure(_: &mut Client, _: &[Bytes]) -> Answer {
    Err(unsupported("SENTINEL SIMULATE-FAILURE"))
}

fn unsupported(command: &str) -> Reply {
    Reply::error(format!("ERR {command} is not supported by raft-sentinel {}", env!("CARGO_PKG_VERSION")))
}

pub(super) fn config(client: &mut Client, words: &[Bytes]) -> Answer {
    match words[2].to_ascii_lowercase().as_slice() {
        b"get" => Ok(Reply::Map(config_get(client.context(), &words[3..]))),
        b"set" => Err(Reply::error(format!(
            "ERR SENTINEL CONFIG SET is not supported by raft-sentinel {}; change the configuration file and restart this sentinel",
            env!("CARGO_PKG_VERSION")
        ))),
        _ => Err(Reply::error(
            "ERR Only SENTINEL CONFIG GET <param> [<param> <param> ...] / SET <param> <value> [<param> <value> ...] are supported.",
        )),
    }
}

fn config_get(context: &Context, patterns: &[Bytes]) -> Vec<(Reply, Reply)> {
    let yes_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let parameters = [
        ("resolve-hostnames", yes_no(context.resolve_hostnames)),
        ("announce-hostnames", yes_no(context.announce_hostnames)),
        ("announce-ip", context.me.announce_ip.clone().unwrap_or_default()),
        ("announce-port", context.me.announce_port.to_string()),
        ("sentinel-user", context.sentinel_user.clone().unwrap_or_default()),
        // Stock Sentinel shows it in clear to whoever reaches the port.
        ("sentinel-pass", context.sentinel_pass.as_ref().map_or("", |_| "******").to_owned()),
    ];
    let wanted = |name: &str| patterns.iter().any(|pattern| glob::matches(&pattern.to_ascii_lowercase(), name.as_bytes()));
    parameters.into_iter().filter(|(name, _)| wanted(name)).map(|(name, value)| (Reply::text(name), Reply::bulk(value))).collect()
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

fn cached(context: &Context, view: &GroupView, addr: &Addr) -> Reply {
    match view.nodes.get(addr).and_then(|node| node.report.as_ref()) {
        None => Reply::array([Reply::Int(0), Reply::Null]),
        Some((at, report)) => {
            let age_ms = i64::try_from(context.clock.mono().ms_since(*at)).unwrap_or(i64::MAX);
            Reply::array([Reply::Int(age_ms), Reply::bulk(&*report.raw)])
        }
    }
}
