//! Whether enough sentinels are there, and whether this one sees a master down.

use bytes::Bytes;

use super::super::super::client::Client;
use super::super::super::instance::{names, sentinel_is_down};
use super::super::super::number::integer;
use super::super::super::reply::{Answer, Reply};
use super::{argument, group, local_state};
use crate::base::{Addr, NodeId};
use crate::judge::view::Outlook;

/// Beyond stock: with everybody there it still says, and by an error, that a failover would be blocked.
///
/// Usable are this sentinel and those heard within the master's limit; the majority is that of the voting members.
pub(super) fn ckquorum(client: &mut Client, words: &[Bytes]) -> Answer {
    let state = local_state(client);
    let group = group(&state, argument(words))?;
    let (name, settings) = (&group.name, &group.settings);
    let context = client.context();
    let (me, now, peers) = (context.agreement.id(), context.clock.mono(), context.agreement.peers());
    let usable = |id: &&NodeId| **id == me || !sentinel_is_down(peers.get(*id), now, settings.down_after_ms);
    let usable = state.voters.iter().filter(|id| usable(id)).count();
    let mut obstacles = Vec::new();
    if u32::try_from(usable).unwrap_or(u32::MAX) < settings.quorum {
        obstacles.push("Not enough available Sentinels to reach the specified quorum for this master");
    }
    if usable < state.voters.len() / 2 + 1 {
        obstacles.push("Not enough available Sentinels to reach the majority and authorize a failover");
    }
    if !obstacles.is_empty() {
        return Err(Reply::error(format!("NOQUORUM {usable} usable Sentinels. {}", obstacles.join(". "))));
    }
    let reached = format!("{usable} usable Sentinels. Quorum and failover authorization can be reached");
    let view = context.board.group(name).unwrap_or_default();
    let has_replicas = !group.replicas.is_empty() || view.is_followed(&group.master.addr);
    let readiness = &view.readiness;
    match (readiness.would, readiness.complaint()) {
        // A master that never had a replica is as well as it was set up to be; stock Sentinel says OK.
        (Outlook::No, Some(complaint)) if has_replicas => Err(Reply::error(format!("NOFAILOVER {reached}, but {complaint}"))),
        (_, Some(complaint)) => Ok(Reply::Simple(format!("OK {reached}; {complaint}").into())),
        (_, None) => Ok(Reply::Simple(format!("OK {reached}").into())),
    }
}

/// For tools and stock sentinels that ask. Nobody is ever voted for here: votes are entries of the log.
pub(super) fn is_master_down(client: &mut Client, words: &[Bytes]) -> Answer {
    let not_an_integer = || Reply::error("ERR value is not an integer or out of range");
    let port = integer(&words[3]).ok_or_else(not_an_integer)?;
    integer(&words[4]).ok_or_else(not_an_integer)?;
    let addr = u16::try_from(port).ok().and_then(|port| Addr::new(String::from_utf8_lossy(&words[2]), port).ok());
    let state = local_state(client);
    let context = client.context();
    let seen_down = |addr: &Addr| {
        let views = state.groups.values().filter_map(|group| Some((group, context.board.group(&group.name)?)));
        let mut at_address = views.filter(|(group, view)| names(context, &state, view).recorded(group, addr) == group.master.addr);
        at_address.any(|(group, view)| view.is_down(&group.master.addr))
    };
    let down = addr.is_some_and(|addr| seen_down(&addr));
    Ok(Reply::array([Reply::Int(down.into()), Reply::text("*"), Reply::Int(0)]))
}
