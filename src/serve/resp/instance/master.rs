//! The entry of a master: fields 1 to 25, then ours.

use super::{Fields, InstanceReply, node};
use crate::base::observation::Role;
use crate::machine::{Cause, Failover, Group, Phase};
use crate::serve::fence::complaint;

/// All fields.
pub(super) fn fields(portrait: &InstanceReply<'_>) -> Fields {
    let group = portrait.group;
    let mut fields = node::fields(
        portrait,
        node::Shown {
            name: group.name.to_string(),
            addr: &group.master.addr,
            role: Role::Master,
            run_id: group.master.identity.as_ref().map(|identity| &identity.run_id),
            flags: flags(portrait),
            failover_state: unsettled(group).map(|failover| failover_state(&failover.phase)),
            objectively_down_ms: objectively_down_ms(portrait),
        },
    );
    let settings = &group.settings;
    fields.put("config-epoch", group.epoch);
    fields.put("num-slaves", group.replicas.len());
    fields.put("num-other-sentinels", portrait.other_sentinels().count());
    fields.put("quorum", settings.quorum);
    fields.put("failover-timeout", settings.failover_timeout_ms);
    fields.put("parallel-syncs", settings.parallel_syncs);
    fields.put_some("notification-script", settings.notification_script.as_ref());
    fields.put_some("client-reconfig-script", settings.client_reconfig_script.as_ref());
    put_fence(&mut fields, portrait);
    put_readiness(&mut fields, portrait);
    fields
}

/// What would come of the loss of the master, as this sentinel sees it.
fn put_readiness(fields: &mut Fields, portrait: &InstanceReply<'_>) {
    let readiness = &portrait.view.readiness;
    fields.put("failover-ready", readiness.would.as_str());
    fields.put_some("failover-next", readiness.next.as_ref().map(|next| portrait.names().told(next)));
    let reasons = readiness.reasons();
    fields.put_some("failover-obstacle", (!reasons.is_empty()).then_some(&reasons));
}

/// Ours, behind all of stock's, since tools go by place: what promotions wait for, and how it stands with the fence.
fn put_fence(fields: &mut Fields, portrait: &InstanceReply<'_>) {
    let (group, settings) = (portrait.group, &portrait.group.settings);
    fields.put("promotion-policy", settings.promotion_policy.as_str());
    fields.put("effective-promotion-policy", group.effective_policy().as_str());
    fields.put("fence-armed", if group.is_armed() { "yes" } else { "no" });
    fields.put("fence-status", complaint(group, Some(&portrait.view)).unwrap_or_else(|| "ok".to_owned()));
    fields.put("fence-min-replicas", group.wanted_fence().map_or(0, |wanted| wanted.min_replicas));
    fields.put("fence-known-replicas", group.known_replicas());
    fields.put("fence-max-lag", settings.fence_max_lag_s);
    fields.put("fence-covered", group.fence.map_or(0, |fence| fence.covered));
    fields.put("wait-replicas", group.wait_replicas());
    fields.put("replica-forget-after", settings.forget_after_ms());
    fields.put("replicas-fixed", if settings.replicas_fixed { "yes" } else { "no" });
    fields.put("max-replicas", settings.room_for_replicas());
    portrait.put_held(fields, &group.master.addr);
}

fn flags(portrait: &InstanceReply<'_>) -> Vec<&'static str> {
    let group = portrait.group;
    let failover = unsettled(group);
    let requested = failover.is_some_and(|failover| matches!(failover.cause, Cause::Requested { .. }));
    let all = [
        (portrait.master_is_down(), "s_down"),
        (group.objectively_down(), "o_down"),
        (true, "master"),
        (portrait.disconnected(&group.master.addr), "disconnected"),
        (failover.is_some(), "failover_in_progress"),
        (requested, "force_failover"),
        (node::is_told_to_end_its_script(&portrait.view, &group.master.addr), "script_kill_sent"),
    ];
    all.into_iter().filter(|(on, _)| *on).map(|(_, flag)| flag).collect()
}

/// The failover in progress, as long as it concerns the master itself.
///
/// Stock Sentinel shows the flag on the old address only, never on the new one, and clients pass over a master that has it. Here the
/// record changes with the decision: once the new master is seen to be one, what is left to do is about the replicas.
fn unsettled(group: &Group) -> Option<&Failover> {
    group.failover.as_ref().filter(|failover| match failover.phase {
        Phase::Choosing | Phase::Detaching | Phase::Draining { .. } | Phase::Promoting => true,
        Phase::Following { .. } => false,
    })
}

const fn failover_state(phase: &Phase) -> &'static str {
    match phase {
        Phase::Choosing | Phase::Detaching | Phase::Draining { .. } => "select_slave",
        Phase::Promoting => "wait_promotion",
        Phase::Following { .. } => "reconf_slaves",
    }
}

/// Since the vote that made up the quorum, by the wall clocks of the sentinels.
fn objectively_down_ms(portrait: &InstanceReply<'_>) -> Option<u64> {
    let group = portrait.group;
    let mut cast: Vec<_> = group.ballot.votes().values().map(|vote| vote.cast.at).collect();
    cast.sort_unstable();
    let decisive = usize::try_from(group.settings.quorum).ok()?.checked_sub(1)?;
    cast.get(decisive).map(|at| portrait.wall.micros_since(*at) / 1000)
}
