//! Changes. Each is one entry of the log, for all sentinels: `+OK` means committed and applied here.

use bytes::Bytes;

use super::super::super::client::Client;
use super::super::super::context::RespContext;
use super::super::super::number::integer;
use super::super::super::reply::{Answer, Reply};
use super::super::super::tunables::Meaning;
use super::{argument, group, no_such_master, options, parameters};
use crate::base::{Addr, GroupName, GroupSettings};
use crate::machine::command::Origin;
use crate::machine::{Command, Outcome, Refusal, Removed};
use crate::serve::{adoption, glob};

/// The outcome of a change as a reply.
pub(super) fn settled(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Done | Outcome::Unchanged => Ok(Reply::OK),
        Outcome::Refused(refusal) => Err(refused(&refusal)),
    }
}

/// In stock's words where it has some.
pub(super) fn refused(refusal: &Refusal) -> Reply {
    match refusal {
        Refusal::NoSuchGroup(_) => no_such_master(),
        Refusal::NameTaken { .. } => Reply::error("ERR Duplicate master name."),
        Refusal::FailoverInProgress => Reply::error("INPROG Failover already in progress"),
        Refusal::Retired(_)
        | Refusal::StaleEpoch { .. }
        | Refusal::NotAVoter(_)
        | Refusal::NotInThatPhase
        | Refusal::NotAReplica(_)
        | Refusal::NotNamed(_)
        | Refusal::OtherReplicas { .. }
        | Refusal::TooFewDetached { .. }
        | Refusal::InShadow
        | Refusal::NotInShadow
        | Refusal::StillFenced
        | Refusal::NotEligible(_)
        | Refusal::BadSetting(_)
        | Refusal::TooMany { .. } => Reply::error(format!("ERR refused: {refusal}")),
    }
}

/// What cannot be an address is no node either, whatever is to be done with it.
pub(super) fn bad_host() -> Reply {
    Reply::error("ERR Invalid IP address or hostname specified")
}

pub(super) async fn monitor(client: &mut Client, words: &[Bytes]) -> Answer {
    let [_, _, name, host, port, quorum] = words else { return Err(Reply::error("ERR syntax error")) };
    let quorum = integer(quorum).ok_or_else(|| Reply::error("ERR Invalid quorum"))?;
    let port = integer(port).ok_or_else(|| Reply::error("ERR Invalid port"))?;
    if quorum <= 0 {
        return Err(Reply::error("ERR Quorum must be 1 or greater."));
    }
    let quorum = u32::try_from(quorum).map_err(|_| Reply::error("ERR Invalid quorum"))?;
    let context = client.context();
    let host = std::str::from_utf8(host).ok().and_then(|host| parameters::host(host, parameters::resolve_hostnames(context)));
    let host = host.ok_or_else(bad_host)?;
    let port = u16::try_from(port).ok().filter(|port| *port > 0).ok_or_else(|| Reply::error("ERR Invalid port number."))?;
    let master = Addr::new(host, port).map_err(|_| bad_host())?;
    // Stock Sentinel takes any name, and writes a file that it cannot read again.
    let name = GroupName::new(String::from_utf8_lossy(name)).map_err(|error| Reply::error(format!("ERR {error}")))?;
    // Two that are asked for at once are both taken; then the younger one is held back.
    let settings = starting_settings(context, quorum);
    let state = client.confirmed().await?;
    if let Some(why) = state.taken(&name, &master) {
        return Err(Reply::error(format!("ERR refused: {why}")));
    }
    // Another sentinel may have removed it a moment ago.
    let kept = state.removed_lately(&name, &master, client.context().clock.wall());
    let command = Command::ConfigureGroup {
        name,
        settings: kept.map_or_else(|| settings.clone(), |kept| kept.settings(settings.clone())),
        replicas: kept.map(|kept| kept.replicas(&master)).unwrap_or_default(),
        takes_up: kept.map(Removed::entry),
        master,
        epoch: crate::base::Epoch::default(),
        origin: Origin::Operator,
        at: client.context().clock.wall(),
        asked: None,
    };
    settled(client.propose(command).await?)
}

/// The defaults are those of this sentinel, where a test harness changed them (SENTINEL DEBUG).
fn starting_settings(context: &RespContext, quorum: u32) -> GroupSettings {
    let facts = context.live.facts();
    GroupSettings {
        quorum,
        down_after_ms: facts.tunables.of(Meaning::DownAfter),
        failover_timeout_ms: facts.tunables.of(Meaning::FailoverTimeout),
        promotion_policy: facts.default_promotion_policy,
        ..GroupSettings::default()
    }
}

pub(super) async fn remove(client: &mut Client, words: &[Bytes]) -> Answer {
    let group = known_name(argument(words))?;
    let force = match &words[3..] {
        [] => false,
        [word] if word.eq_ignore_ascii_case(b"force") => true,
        _ => return Err(Reply::error("ERR syntax error")),
    };
    settled(client.remove(group, force).await?)
}

pub(super) async fn set(client: &mut Client, words: &[Bytes]) -> Answer {
    let name = known_name(argument(words))?;
    group(&*client.confirmed().await?, argument(words))?;
    let changes = options::parse(client.context(), &words[3..])?;
    let command = Command::SetOptions { group: name, changes, at: client.context().clock.wall(), asked: None };
    settled(client.propose(command).await?)
}

pub(super) async fn forget(client: &mut Client, words: &[Bytes]) -> Answer {
    let name = known_name(argument(words))?;
    let text = |word: &Bytes| String::from_utf8_lossy(word).into_owned();
    let replica = match &words[3..] {
        [addr] => text(addr).parse().map_err(|error| Reply::error(format!("ERR {error}")))?,
        [host, port] => {
            let port = integer(port).and_then(|port| u16::try_from(port).ok());
            let port = port.ok_or_else(|| Reply::error("ERR Invalid port"))?;
            // What an older release has recorded in the place of an address can be forgotten, and nothing else be done with it.
            let opaque = || Some(Addr::opaque(&text(host), port)).filter(|addr| is_recorded(client, &name, addr));
            Addr::new(text(host), port).ok().or_else(opaque).ok_or_else(bad_host)?
        }
        _ => return Err(Reply::error("ERR syntax error")),
    };
    let replica = super::recorded(client, &name, replica);
    let command = Command::ReplicaForgotten { group: name, replica, at: client.context().clock.wall(), asked: None };
    settled(client.propose(command).await?)
}

fn is_recorded(client: &Client, group: &GroupName, replica: &Addr) -> bool {
    super::local_state(client).groups.get(group).is_some_and(|group| group.replicas.contains_key(replica))
}

/// Names a replica: where the replicas of the group are fixed, no other counts or is promoted.
pub(super) async fn known_replica(client: &mut Client, words: &[Bytes]) -> Answer {
    let name = known_name(argument(words))?;
    let replica = super::recorded(client, &name, replica_named(&words[3..])?);
    let command = Command::ReplicaNamed { group: name, replica, adopts: None, at: client.context().clock.wall(), asked: None };
    settled(client.propose(command).await?)
}

/// Gives up what a server holds that is at an address of the group and shows nothing of it, so that it is made a replica.
pub(super) async fn adopt(client: &mut Client, words: &[Bytes]) -> Answer {
    let name = known_name(argument(words))?;
    let replica = super::recorded(client, &name, replica_named(&words[3..])?);
    let state = client.confirmed().await?;
    let view = client.context().board.group(&name).unwrap_or_default();
    let process = adoption::process_at(group(&state, argument(words))?, &view, &replica);
    let adopts = Some(process.map_err(|why| Reply::error(format!("ERR refused: {why}")))?);
    let command = Command::ReplicaNamed { group: name, replica, adopts, at: client.context().clock.wall(), asked: None };
    settled(client.propose(command).await?)
}

fn replica_named(words: &[Bytes]) -> Result<Addr, Reply> {
    let [host, port] = words else { return Err(Reply::error("ERR syntax error")) };
    let port = integer(port).and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    let port = port.ok_or_else(|| Reply::error("ERR Invalid port"))?;
    Addr::new(String::from_utf8_lossy(host), port).map_err(|_| bad_host())
}

/// Drops only replicas that are down and have left, since stock's way (drop everything and find it again) loses what cannot be found just now.
/// A group in a failover stays as it is, and does not count.
pub(super) async fn reset(client: &mut Client, words: &[Bytes]) -> Answer {
    let state = client.confirmed().await?;
    let pattern = argument(words);
    let mut count = 0;
    for group in state.groups.values().filter(|group| glob::matches(pattern, group.name.as_str().as_bytes())) {
        let command = Command::ResetGroup {
            group: group.name.clone(),
            down: client.context().board.group(&group.name).unwrap_or_default().down_and_gone(group),
            at: client.context().clock.wall(),
            asked: None,
        };
        match client.propose(command).await? {
            Outcome::Done | Outcome::Unchanged => count += 1,
            Outcome::Refused(Refusal::FailoverInProgress | Refusal::NoSuchGroup(_)) => {}
            Outcome::Refused(refusal) => return Err(refused(&refusal)),
        }
    }
    Ok(Reply::Int(count))
}

/// A name that a group may have; others are certainly not monitored.
fn known_name(name: &[u8]) -> Result<GroupName, Reply> {
    let name = std::str::from_utf8(name).map_err(|_| no_such_master())?;
    GroupName::new(name).map_err(|_| no_such_master())
}
