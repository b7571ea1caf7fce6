//! What became true for all sentinels, as events.

use super::shadow;
use super::spoken::Switch;
use super::wording::{self, Wording, data_node, master, replica};
use crate::base::{Addr, GroupName, NodeId};
use crate::machine::{AbortReason, Choice, Event, FailoverId, FencingProof, Ineligible, LoggedEvent, State};

/// The events of one fact, in stock Sentinel's order. `state` may be newer than the fact; `me` is this sentinel.
pub(super) fn worded(logged: &LoggedEvent, state: &State, me: NodeId) -> Vec<Wording> {
    match (&logged.group, &logged.event) {
        (_, Event::SentinelJoined { id, before }) => sentinel_joined(*id, before.as_ref(), state, me),
        (_, Event::SentinelLeft { id }) => vec![Wording::private("-sentinel", format!("node {id}"))],
        (Some(group), event) => of_group(group, event, state),
        (None, _) => Vec::new(),
    }
}

fn of_group(group: &GroupName, event: &Event, state: &State) -> Vec<Wording> {
    let one = |channel, payload: String| vec![Wording::warning(channel, payload)];
    let minor = |channel, payload: String| vec![Wording::notice(channel, payload)];
    match event {
        Event::GroupAdded { master: addr, quorum } => one("+monitor", format!("{} quorum {quorum}", master(group, addr))),
        Event::GroupRemoved { master: addr } => one("-monitor", master(group, addr)),
        Event::OptionSet { master: addr, option, value } => one("+set", format!("{} {option} {value}", master(group, addr))),
        Event::GroupReset { master: addr } => one("+reset-master", master(group, addr)),
        Event::ReplicaAdded { replica: addr, master } => minor("+slave", replica(group, addr, master)),
        Event::ReplicaForgotten { replica: addr, master, why } => {
            let why = why.as_ref().map(|why| format!(" #{why}")).unwrap_or_default();
            vec![Wording::private("-slave", format!("{}{why}", replica(group, addr, master)))]
        }
        Event::ReplicaCounted { replica: addr, master, counted } => {
            minor(if *counted { "+replica-counted" } else { "-replica-counted" }, replica(group, addr, master))
        }
        Event::FenceArmed { master: addr, fence, replicas } => minor(
            "+fence-armed",
            format!("{} #{} of {replicas} replicas within {} s", master(group, addr), fence.min_replicas, fence.max_lag_s),
        ),
        Event::FenceLoosened { master: addr, held } => {
            one("-fence-armed", format!("{} #{} replicas within {} s", master(group, addr), held.min_replicas, held.max_lag_s))
        }
        Event::FenceDropped { master: addr } => one("-fence", master(group, addr)),
        Event::Restarted { node, master } => minor("+reboot", data_node(group, node, master)),
        Event::VotedDown { voter, epoch, testimony } => {
            let grounds = format!("{} for {} ms", testimony.evidence.as_str(), testimony.silent_ms);
            vec![Wording::private("+vote-down", format!("{group} epoch {epoch} by node {voter}: {grounds}"))]
        }
        Event::VoteWithdrawn { voter, expired } => {
            let how = if *expired { "expired" } else { "taken back" };
            vec![Wording::private("-vote-down", format!("{group} by node {voter}: {how}"))]
        }
        Event::ObjectivelyDown { master: addr, have, need } => one("+odown", format!("{} #quorum {have}/{need}", master(group, addr))),
        Event::ObjectivelyUp { master: addr } => one("-odown", master(group, addr)),
        Event::FailoverStarted { id, master: addr, .. } => started(group, *id, addr),
        Event::Decided { old, choice, .. } => decided(group, old, choice),
        Event::Promoted { master: addr, old, .. } => {
            let recorded = master(group, old);
            vec![
                Wording::warning("+promoted-slave", replica(group, addr, old)),
                Wording::warning("+failover-state-reconf-slaves", recorded),
            ]
        }
        Event::SwitchMaster { epoch, from, to } => switched(group, Switch { epoch: *epoch, from: from.clone(), to: to.clone() }, state),
        Event::ReplicaFollows { replica: addr, master } => minor("+slave-reconf-done", replica(group, addr, master)),
        Event::FailoverEnded { master: addr, .. } => one("+failover-end", master(group, addr)),
        Event::FailoverAborted { master: addr, reason, .. } => one(abort_channel(*reason), master(group, addr)),
        Event::FailoverBlocked { master: addr, reasons, .. } => one("+failover-blocked", blocked(group, addr, reasons)),
        Event::Shadow(event) => shadow::worded(group, event),
        // About sentinels, not about a group.
        Event::SentinelJoined { .. } | Event::SentinelLeft { .. } => Vec::new(),
    }
}

/// With the votes in the log the election is over when the failover starts: the Raft leader runs it.
fn started(group: &GroupName, id: FailoverId, addr: &Addr) -> Vec<Wording> {
    let recorded = master(group, addr);
    vec![
        Wording::warning("+new-epoch", id.epoch.to_string()),
        Wording::warning("+try-failover", recorded.clone()),
        Wording::warning("+elected-leader", recorded.clone()),
        Wording::warning("+failover-state-select-slave", recorded),
    ]
}

fn decided(group: &GroupName, old: &Addr, choice: &Choice) -> Vec<Wording> {
    let chosen = replica(group, &choice.chosen, old);
    let missing = choice.estimated_loss_bytes.map_or_else(|| "unknown".to_owned(), |bytes| format!("{bytes} bytes"));
    let grounds = format!("{chosen} #old master: {}; known to be missing: {missing}", choice.grounds());
    let told = match choice.basis {
        FencingProof::Forced => {
            let open = choice.arms.is_some_and(|arms| arms.min_replicas == 0);
            let open = if open {
                "; it takes writes without a fence until enough replicas follow it: what it takes until then may be lost"
            } else {
                ""
            };
            Wording::warning("+failover-forced", format!("{grounds}{open}"))
        }
        FencingProof::Unfenced
        | FencingProof::Gone
        | FencingProof::SeenOut
        | FencingProof::LagWindow
        | FencingProof::Drained
        | FencingProof::HandedOver { .. } => Wording::private("+failover-basis", grounds),
    };
    vec![
        Wording::warning("+selected-slave", chosen.clone()),
        told,
        Wording::notice("+failover-state-send-slaveof-noone", chosen.clone()),
        Wording::notice("+failover-state-wait-promotion", chosen),
    ]
}

/// The replicas are named anew under their new master, the old master last, since clients build their list from that.
fn switched(group: &GroupName, switch: Switch, state: &State) -> Vec<Wording> {
    let (from, to) = (switch.from.clone(), switch.to.clone());
    let known = state.groups.get(group).map(|group| group.replicas.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let (old, others): (Vec<_>, Vec<_>) = known.into_iter().filter(|addr| *addr != to).partition(|addr| *addr == from);
    let payload = format!("{group} {} {} {} {}", from.host(), from.port(), to.host(), to.port());
    std::iter::once(Wording::warning("+switch-master", payload).that_switches(switch))
        .chain(others.into_iter().chain(old).map(|addr| Wording::notice("+slave", replica(group, &addr, &to))))
        .collect()
}

const fn abort_channel(reason: AbortReason) -> &'static str {
    match reason {
        // Early releases of stock Sentinel had this one; later ones never give up for this reason.
        AbortReason::MasterReturned => "-failover-abort-master-is-back",
        AbortReason::NoGoodReplica => "-failover-abort-no-good-slave",
        AbortReason::MasterDown => "-failover-abort-master-down",
        AbortReason::NotDrained => "-failover-abort-not-drained",
        AbortReason::HeldBack => "-failover-abort-held-back",
        AbortReason::StoodDown => "-failover-abort-stand-down",
        AbortReason::MovedByOthers => "-failover-abort-moved-by-others",
    }
}

fn blocked(group: &GroupName, addr: &Addr, reasons: &[(Addr, Ineligible)]) -> String {
    let reasons: Vec<String> = reasons.iter().map(|(replica, reason)| format!("{replica} {reason}")).collect();
    format!("{} #{}", wording::master(group, addr), reasons.join("; "))
}

/// A sentinel that only moved is told in other words; a new record without a new address is nothing that clients need.
fn sentinel_joined(id: NodeId, before: Option<&Addr>, state: &State, me: NodeId) -> Vec<Wording> {
    let Some(record) = state.sentinels.get(&id).filter(|_| id != me) else { return Vec::new() };
    let (sentinel, at) = (&record.sentinel_id, &record.resp);
    let joined = |name: &GroupName, addr: &Addr| Wording::notice("+sentinel", wording::sentinel(sentinel, at, name, addr));
    let moved = |name: &GroupName, addr: &Addr| {
        let text = format!("{} ip {} port {} for {sentinel}", wording::master(name, addr), at.host(), at.port());
        Wording::notice("+sentinel-address-switch", text)
    };
    let groups = state.groups.iter().map(|(name, group)| (name, &group.master.addr));
    match before {
        None => groups.map(|(name, addr)| joined(name, addr)).collect(),
        Some(before) if before != at => groups.map(|(name, addr)| moved(name, addr)).collect(),
        Some(_) => Vec::new(),
    }
}
