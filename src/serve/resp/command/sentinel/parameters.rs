//! SENTINEL CONFIG: the parameters of the sentinels themselves.
//!
//! What should outlive a restart is one entry of the log (`announce-ip` and `announce-port` of this sentinel, the host name
//! switches of all); what concerns this process alone is kept by it. All pairs are read before anything is changed.

use std::net::IpAddr;

use bytes::Bytes;

use super::super::super::client::Client;
use super::super::super::context::RespContext;
use super::super::super::live::RuntimeConfig;
use super::super::super::number::integer;
use super::super::super::reply::{Answer, Reply};
use super::super::echoed;
use super::change;
use crate::base::Secret;
use crate::base::parameters::ParameterChange;
use crate::conf::{LogLevel, NoQuorumReply};
use crate::machine::Command;
use crate::serve::glob;

/// In the order of stock's reply; the last one is ours.
const NAMES: [&str; 8] = [
    "resolve-hostnames",
    "announce-hostnames",
    "announce-ip",
    "announce-port",
    "sentinel-user",
    "sentinel-pass",
    "loglevel",
    "no-quorum-reply",
];
/// Those of them that are kept by this process.
const OWN: [&str; 4] = ["sentinel-user", "sentinel-pass", "loglevel", "no-quorum-reply"];
const SHAPE: &str = "ERR Only SENTINEL CONFIG GET <param> [<param> <param> ...] / SET <param> <value> [<param> <value> ...] are supported.";

pub(super) async fn config(client: &mut Client, words: &[Bytes]) -> Answer {
    match words[2].to_ascii_lowercase().as_slice() {
        b"get" => Ok(Reply::Map(get(client.context(), &words[3..]))),
        b"set" => set(client, &words[3..]).await,
        _ => Err(Reply::error(SHAPE)),
    }
}

/// Whether this sentinel takes host names: as set at run time, or else as its file says.
pub(super) fn resolve_hostnames(context: &RespContext) -> bool {
    context.agreement.state().parameters.resolve_hostnames.unwrap_or(context.resolve_hostnames)
}

fn get(context: &RespContext, patterns: &[Bytes]) -> Vec<(Reply, Reply)> {
    let wanted = |name: &&str| patterns.iter().any(|pattern| glob::matches(&pattern.to_ascii_lowercase(), name.as_bytes()));
    NAMES.into_iter().filter(wanted).map(|name| (Reply::text(name), Reply::bulk(value(context, name)))).collect()
}

fn value(context: &RespContext, name: &str) -> String {
    let state = context.agreement.state();
    let (me, facts, own) = (&context.me, context.live.facts(), state.parameters.of(context.agreement.id()));
    let yes_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    match name {
        "resolve-hostnames" => yes_no(resolve_hostnames(context)),
        "announce-hostnames" => yes_no(state.parameters.announce_hostnames.unwrap_or(context.announce_hostnames)),
        "announce-ip" => own.host(me.announce_ip.as_deref().unwrap_or_default()).to_owned(),
        "announce-port" => own.port(me.announce_port).to_string(),
        "sentinel-user" => facts.credentials.user.unwrap_or_default(),
        // Stock Sentinel shows it in clear to whoever reaches the port.
        "sentinel-pass" => facts.credentials.pass.map_or("", |_| "******").to_owned(),
        "loglevel" => facts.log_level.as_str().to_owned(),
        _ => facts.no_quorum_reply.as_str().to_owned(),
    }
}

/// What one pair asks for.
enum Wish {
    /// One entry of the log.
    Agreed(ParameterChange),
    /// This process alone.
    Own(Box<dyn FnOnce(&mut RuntimeConfig) + Send>),
}

async fn set(client: &mut Client, words: &[Bytes]) -> Answer {
    let (mut agreed, mut own) = (Vec::new(), Vec::new());
    // Two of them are about a password: only names are recorded.
    let named = |word: &Bytes| super::super::lower(word);
    let names: Vec<String> = words.iter().step_by(2).map(named).filter(|name| OWN.contains(&name.as_str())).collect();
    for wish in parse(words)? {
        match wish {
            Wish::Agreed(change) => agreed.push(change),
            Wish::Own(change) => own.push(change),
        }
    }
    if !agreed.is_empty() {
        let context = client.context();
        let command = Command::SetParameters { sentinel: context.agreement.id(), changes: agreed, at: context.clock.wall(), asked: None };
        change::settled(client.propose(command).await?)?;
    }
    if !names.is_empty() {
        client.record(&format!("config set {}", names.join(", ")));
    }
    client.context().live.change(|facts| own.into_iter().for_each(|change| change(facts)));
    Ok(Reply::OK)
}

/// All pairs, or what is wrong with the first that is.
fn parse(words: &[Bytes]) -> Result<Vec<Wish>, Reply> {
    let mut seen: Vec<&'static str> = Vec::new();
    let mut wishes = Vec::new();
    for pair in words.chunks(2) {
        let shown = echoed(&pair[0], 128);
        let name = NAMES.into_iter().find(|name| name.as_bytes().eq_ignore_ascii_case(&pair[0]));
        let name = name.ok_or_else(|| Reply::error(format!("ERR Invalid argument '{shown}' to SENTINEL CONFIG SET")))?;
        if seen.contains(&name) {
            return Err(Reply::error(format!("ERR Duplicate argument '{shown}' to SENTINEL CONFIG SET")));
        }
        seen.push(name);
        let value = pair.get(1).ok_or_else(|| Reply::error(format!("ERR Missing argument '{shown}' value")))?;
        let invalid = || Reply::error(format!("ERR Invalid value '{}' to SENTINEL CONFIG SET '{shown}'", echoed(value, 128)));
        wishes.push(wish(name, value).ok_or_else(invalid)?);
    }
    Ok(wishes)
}

fn wish(name: &'static str, value: &[u8]) -> Option<Wish> {
    let text = std::str::from_utf8(value).ok()?;
    let given = || Some(text.to_owned()).filter(|text| !text.is_empty());
    Some(match name {
        "resolve-hostnames" => Wish::Agreed(ParameterChange::ResolveHostnames(yes_no(text)?)),
        "announce-hostnames" => Wish::Agreed(ParameterChange::AnnounceHostnames(yes_no(text)?)),
        // Stock Sentinel announces an empty address then, and is forgotten by the others.
        "announce-ip" if text.is_empty() => Wish::Agreed(ParameterChange::AnnounceIp(None)),
        "announce-ip" => Wish::Agreed(ParameterChange::AnnounceIp(Some(host(text, true)?))),
        "announce-port" => Wish::Agreed(ParameterChange::AnnouncePort(u16::try_from(integer(value)?).ok()?)),
        "sentinel-user" => {
            let user = given();
            Wish::Own(Box::new(move |facts| facts.credentials.user = user))
        }
        "sentinel-pass" => {
            let pass = given().map(Secret::new);
            Wish::Own(Box::new(move |facts| facts.credentials.pass = pass))
        }
        "loglevel" => {
            let level = LogLevel::from_word(text)?;
            Wish::Own(Box::new(move |facts| facts.log_level = level))
        }
        _ => {
            let reply = NoQuorumReply::from_word(text)?;
            Wish::Own(Box::new(move |facts| facts.no_quorum_reply = reply))
        }
    })
}

fn yes_no(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// An address by number, or by name where names are allowed.
pub(super) fn host(text: &str, names_allowed: bool) -> Option<String> {
    let label = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let name = || names_allowed && (1..=253).contains(&text.len()) && text.bytes().all(label) && !text.starts_with(['-', '.']);
    (text.parse::<IpAddr>().is_ok() || name()).then(|| text.to_owned())
}
