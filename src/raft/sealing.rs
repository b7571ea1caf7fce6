//! Secrets are sealed before they are proposed: on the way to the leader, in the log and in snapshots they are not in clear text.
//!
//! Not before every member knows sealed text: an entry that a member cannot read would stop it. Each says so in its record, with the names
//! of its keys. A leader seals what was agreed on in clear text before, and seals anew what is sealed with another key than its current
//! one, once every member has that key: so a secret file is replaced in steps, and the old secret is of no use when the last of them is done.

use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::error::ProposeError;
use super::propose::propose;
use super::status::Leadership;
use crate::base::{GroupName, LogIndex, NodeId};
use crate::machine::{Command, Group, State};
use crate::secret::{Key, Keys, Sealing};

/// A member that has not presented itself for so long since this process started does not run; nothing waits for it.
const PRESENTED_WITHIN_MS: u64 = 10_000;
const ROUND: Duration = Duration::from_secs(1);

/// Whether secrets can be sealed now.
enum Readiness {
    /// A member's release does not know sealed text.
    OldMember,
    /// A member may be about to present itself.
    Unknown,
    /// They can.
    Ready {
        /// Whether all members have presented themselves, and have the current key.
        all_have_it: bool,
    },
}

/// What came of sealing all secrets with the current key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// The name of the key.
    pub key: String,
    /// The groups whose secrets were sealed anew.
    pub groups: Vec<GroupName>,
}

/// Seals the secrets of a command, if it has any in clear text and this sentinel has a key.
pub(super) fn seal(core: &Core, command: Command) -> Result<Command, ProposeError> {
    let Some(keys) = core.config.sealer.keys().filter(|_| has_clear_secret(&command)) else { return Ok(command) };
    match readiness(core, &keys) {
        Readiness::OldMember => Ok(command),
        Readiness::Unknown => Err(ProposeError::NoLeader(
            "not all sentinels have presented themselves yet, and secrets wait for that to be sealed".to_owned(),
        )),
        Readiness::Ready { .. } => Ok(sealed(command, key_for_all(core, &keys))),
    }
}

fn has_clear_secret(command: &Command) -> bool {
    match command {
        Command::ConfigureGroup { settings, .. } => settings.secret_keys().any(|key| key.is_none()),
        Command::SetOptions { changes, .. } => changes.iter().any(crate::base::settings::SettingChange::has_clear_secret),
        _ => false,
    }
}

fn sealed(mut command: Command, key: &Key) -> Command {
    match &mut command {
        Command::ConfigureGroup { name, settings, .. } => Sealing::new(key, name).settings(settings),
        Command::SetOptions { group, changes, .. } => Sealing::new(key, group).changes(changes),
        _ => {}
    }
    command
}

fn readiness(core: &Core, keys: &Keys) -> Readiness {
    let (state, members) = (core.states.borrow().clone(), core.standing().members);
    let current = keys.current().id().to_string();
    let (mut unknown, mut lacking) = (members.is_empty(), false);
    for id in members.keys() {
        match state.sentinels.get(id).map(|record| record.key_ids.as_ref()) {
            None => unknown = true,
            Some(None) => return Readiness::OldMember,
            Some(Some(ids)) => lacking |= !ids.contains(&current),
        }
    }
    if unknown && core.clock.mono().ms_since(core.began) < PRESENTED_WITHIN_MS {
        return Readiness::Unknown;
    }
    Readiness::Ready { all_have_it: !unknown && !lacking }
}

/// The first of our keys that all have who presented themselves; the current one if there is none: a sentinel without it says so.
fn key_for_all<'a>(core: &Core, keys: &'a Keys) -> &'a Key {
    let state = core.states.borrow().clone();
    let members = core.standing().members;
    let all_have = |key: &&Key| {
        let id = key.id().to_string();
        let mut records = members.keys().filter_map(|member| state.sentinels.get(member));
        records.all(|record| record.key_ids.as_ref().is_some_and(|ids| ids.contains(&id)))
    };
    keys.all().iter().find(all_have).unwrap_or_else(|| keys.current())
}

/// Keeps the secrets of all groups sealed while this sentinel leads.
pub(super) async fn run(core: Arc<Core>) {
    let mut told = false;
    while core.rest(ROUND).await {
        let Some(keys) = core.config.sealer.keys() else { continue };
        if !matches!(*core.leadership.borrow(), Leadership::Leading { .. }) {
            continue;
        }
        let all = match readiness(&core, &keys) {
            Readiness::Ready { all_have_it } => all_have_it,
            Readiness::OldMember if !std::mem::replace(&mut told, true) => {
                tracing::warn!("secrets are in clear text in the log: a member of an older release could not read sealed ones; upgrade it");
                continue;
            }
            Readiness::OldMember | Readiness::Unknown => continue,
        };
        told = false;
        // With a key that not all have only what is in clear text is sealed: what they can open stays.
        let due = |group: &Group| group.settings.secret_keys().any(|key| key.is_none_or(|id| all && id != keys.current().id().to_string()));
        match reseal(&core, &keys, due).await {
            Ok(sealed) if !sealed.groups.is_empty() => {
                tracing::info!(key = %sealed.key, groups = sealed.groups.len(), "sealed the secrets of groups")
            }
            Ok(_) => {}
            Err(why) => tracing::warn!("secrets could not be sealed: {why}; it is tried again"),
        }
    }
}

/// Seals all secrets with the current key, whoever leads.
pub(super) async fn reseal_all(core: &Core) -> Result<Resealed, String> {
    let keys = core.config.sealer.keys().ok_or("this sentinel has no secret file (raft secret-file), and so no key")?;
    match readiness(core, &keys) {
        Readiness::Ready { all_have_it: true } => reseal(core, &keys, |_| true).await,
        Readiness::OldMember => Err("a member's release does not know sealed text; upgrade it first".to_owned()),
        Readiness::Unknown | Readiness::Ready { .. } => Err(format!(
            "not every member has told that it has the key {}, the first of this sentinel's secret file: {}",
            keys.current().id(),
            holders(core)
        )),
    }
}

/// Which member has which keys, for people.
fn holders(core: &Core) -> String {
    let state = core.states.borrow().clone();
    let told = |id: &NodeId| match state.sentinels.get(id).and_then(|record| record.key_ids.as_ref()) {
        Some(ids) if !ids.is_empty() => format!("sentinel {id} has {}", ids.join(" and ")),
        Some(_) | None => format!("sentinel {id} has told of none"),
    };
    core.standing().members.keys().map(told).collect::<Vec<_>>().join(", ")
}

async fn reseal(core: &Core, keys: &Keys, due: impl Fn(&Group) -> bool) -> Result<Resealed, String> {
    let state: Arc<State> = core.states.borrow().clone();
    let key = keys.current();
    let mut done = Resealed { key: key.id().to_string(), groups: Vec::new() };
    let mut failed = None;
    for group in state.groups.values().filter(|group| due(group)) {
        match sealed_anew(core, group, key, state.applied) {
            Ok(Some(command)) => {
                propose(core, command).await.map_err(|error| error.to_string())?;
                done.groups.push(group.name.clone());
            }
            Ok(None) => {}
            Err(why) => failed = Some(why),
        }
    }
    failed.map_or(Ok(done), Err)
}

/// The entry that seals the secrets of a group with this key; none if they are.
fn sealed_anew(core: &Core, group: &Group, key: &Key, seen: LogIndex) -> Result<Option<Command>, String> {
    let mut settings = core.config.sealer.open(&group.name, &group.settings).map_err(|error| error.to_string())?;
    Sealing::new(key, &group.name).settings(&mut settings);
    if settings == group.settings {
        return Ok(None);
    }
    let (auth_pass, notification_webhook) = (settings.auth_pass, settings.notification_webhook);
    Ok(Some(Command::SecretsSealed { group: group.name.clone(), seen, auth_pass, notification_webhook, at: core.clock.wall() }))
}
