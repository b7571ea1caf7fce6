//! Secrets are sealed before they are proposed: on the way to the leader, in the log and in snapshots they are not in clear text.
//!
//! Not before every member can open what is sealed: an entry that a member of an older release cannot read would stop it, and a password
//! that a member cannot open takes its eyes. Each says in its record which keys it has, and only with a key that all have told of is anything
//! sealed; while there is none, secrets stay in clear text, and the log names who lacks the key. A leader seals what was agreed on in clear
//! text before, and seals anew what is sealed with another key than its current one, once every member has that key: so a secret file is
//! replaced in steps, and the old secret is of no use when the last of them is done.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::core::Core;
use super::error::ProposeError;
use super::propose::propose;
use super::status::Leadership;
use crate::base::{GroupName, LogIndex, Mono, NodeId, StoredSecret, StoredWebhook};
use crate::machine::{Command, Group, State};
use crate::secret::{CannotOpen, Key, Keys, Sealing};

/// A member that has not presented itself for so long since this process started does not run; nothing waits for it.
const PRESENTED_WITHIN_MS: u64 = 10_000;
const ROUND: Duration = Duration::from_secs(1);

/// The same trouble is told of again after this long.
const TELL_EVERY_MS: u64 = 60_000;

/// Whether secrets can be sealed now, and with what.
#[derive(Debug)]
enum SealReadiness<'a> {
    /// A member's release does not know sealed text.
    OldMember,
    /// A member may be about to present itself.
    Unknown,
    /// There is no key that all who presented themselves have told of: who lacks the current one.
    NoCommonKey(Vec<NodeId>),
    /// They can.
    Ready {
        /// A key that all who presented themselves have: the current one, if that is one.
        key: &'a Key,
        /// Whether all members have presented themselves, and have the current key.
        all_have_current: bool,
    },
}

/// What was told of last, and when: the same is not told in every round.
#[derive(Debug, Default)]
pub(super) struct LastTold(Mutex<Option<(String, Mono)>>);

impl LastTold {
    /// Whether it is time to tell this: it is new, or was told a while ago.
    fn is_due(&self, what: &str, now: Mono) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.as_ref().is_none_or(|(told, at)| told != what || now.ms_since(*at) >= TELL_EVERY_MS);
        if due {
            *last = Some((what.to_owned(), now));
        }
        due
    }
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
        SealReadiness::OldMember => Ok(command),
        SealReadiness::Unknown => Err(ProposeError::NoLeader(
            "not all sentinels have presented themselves yet, and secrets wait for that to be sealed".to_owned(),
        )),
        SealReadiness::NoCommonKey(lacking) => {
            tell_of_lack(core, &keys, &lacking);
            Ok(command)
        }
        SealReadiness::Ready { key, .. } => Ok(sealed(command, key)),
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

fn readiness<'a>(core: &Core, keys: &'a Keys) -> SealReadiness<'a> {
    let (state, members) = (core.states.borrow().clone(), core.standing().members);
    let told: Vec<_> = members.keys().map(|id| (*id, state.sentinels.get(id).map(|record| record.key_ids.as_deref()))).collect();
    weigh(keys, &told, core.clock.mono().ms_since(core.began) < PRESENTED_WITHIN_MS)
}

/// A member, its record if it has presented itself, and the keys in that if its release knows of them.
type KeysOf<'a> = (NodeId, Option<Option<&'a [String]>>);

/// Whether secrets can be sealed, by what the members have told; `waits` while one without a record may still present itself.
fn weigh<'a>(keys: &'a Keys, members: &[KeysOf<'_>], waits: bool) -> SealReadiness<'a> {
    let unknown = members.is_empty() || members.iter().any(|(_, record)| record.is_none());
    let presented: Vec<_> = members.iter().filter_map(|(id, record)| Some((*id, (*record)?))).collect();
    if presented.iter().any(|(_, ids)| ids.is_none()) {
        return SealReadiness::OldMember;
    }
    if unknown && waits {
        return SealReadiness::Unknown;
    }
    let without = |key: &Key| -> Vec<NodeId> {
        let name = key.id().to_string();
        presented.iter().filter(|(_, ids)| ids.is_none_or(|ids| !ids.contains(&name))).map(|(id, _)| *id).collect()
    };
    let lacking = without(keys.current());
    match keys.all().iter().find(|key| without(key).is_empty()) {
        Some(key) if !presented.is_empty() => SealReadiness::Ready { key, all_have_current: !unknown && lacking.is_empty() },
        _ => SealReadiness::NoCommonKey(lacking),
    }
}

fn tell_of_lack(core: &Core, keys: &Keys, lacking: &[NodeId]) {
    let names = lacking.iter().map(NodeId::to_string).collect::<Vec<_>>().join(", ");
    if core.lack_told.is_due(&names, core.clock.mono()) {
        tracing::warn!(key = %keys.current().id(), sentinels = names,
            "passwords and webhooks are not sealed, and go into the log in clear text: these sentinels have not told that they have the key; \
             give each of them the same 'raft secret-file'");
    }
}

/// Keeps the secrets of all groups sealed while this sentinel leads.
pub(super) async fn run(core: Arc<Core>) {
    let (mut told, failed) = (false, LastTold::default());
    while core.rest(ROUND).await {
        let Some(keys) = core.config.sealer.keys() else { continue };
        if !matches!(*core.leadership.borrow(), Leadership::Leading { .. }) {
            continue;
        }
        let (key, anew) = match readiness(&core, &keys) {
            SealReadiness::Ready { key, all_have_current } => (key, all_have_current),
            SealReadiness::OldMember if !std::mem::replace(&mut told, true) => {
                tracing::warn!("secrets are in clear text in the log: a member of an older release could not read sealed ones; upgrade it");
                continue;
            }
            SealReadiness::NoCommonKey(lacking) => {
                tell_of_lack(&core, &keys, &lacking);
                continue;
            }
            SealReadiness::OldMember | SealReadiness::Unknown => continue,
        };
        told = false;
        // While not all have the current key only what is in clear text is sealed: what they can open stays.
        match reseal(&core, key, anew).await {
            Ok(sealed) if !sealed.groups.is_empty() => {
                tracing::info!(key = %sealed.key, groups = sealed.groups.len(), "sealed the secrets of groups")
            }
            Ok(_) => {}
            Err(why) if failed.is_due(&why, core.clock.mono()) => tracing::warn!("secrets could not be sealed: {why}; it is tried again"),
            Err(_) => {}
        }
    }
}

/// Seals all secrets with the current key, whoever leads.
pub(super) async fn reseal_all(core: &Core) -> Result<Resealed, String> {
    let keys = core.config.sealer.keys().ok_or("this sentinel has no secret file (raft secret-file), and so no key")?;
    match readiness(core, &keys) {
        SealReadiness::Ready { key, all_have_current: true } => reseal(core, key, true).await,
        SealReadiness::OldMember => Err("a member's release does not know sealed text; upgrade it first".to_owned()),
        SealReadiness::Unknown | SealReadiness::NoCommonKey(_) | SealReadiness::Ready { .. } => Err(format!(
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

/// Seals what is in clear text with this key, and `anew` what is sealed with another. What cannot be sealed keeps nothing else from it.
async fn reseal(core: &Core, key: &Key, anew: bool) -> Result<Resealed, String> {
    let state: Arc<State> = core.states.borrow().clone();
    let mut done = Resealed { key: key.id().to_string(), groups: Vec::new() };
    let mut failed = Vec::new();
    for group in state.groups.values() {
        let (command, unopened) = sealed_anew(core, group, key, anew, state.applied);
        failed.extend(unopened.iter().map(ToString::to_string));
        let Some(command) = command else { continue };
        match propose(core, command).await {
            Ok(_) => done.groups.push(group.name.clone()),
            Err(error) => failed.push(format!("{}: {error}", group.name)),
        }
    }
    if failed.is_empty() { Ok(done) } else { Err(failed.join("; ")) }
}

/// The entry that seals the secrets of a group with this key, none if they are, and the secrets that cannot be opened for that.
fn sealed_anew(core: &Core, group: &Group, key: &Key, anew: bool, seen: LogIndex) -> (Option<Command>, Vec<CannotOpen>) {
    let (sealer, sealing, id) = (&core.config.sealer, Sealing::new(key, &group.name), key.id().to_string());
    let due = |sealed_with: Option<&str>| sealed_with.is_none_or(|with| anew && with != id);
    let mut unopened = Vec::new();
    let pass = group.settings.auth_pass.as_ref().filter(|pass| due(pass.key()));
    let auth_pass = pass.and_then(|pass| {
        let mut pass = StoredSecret::from(sealer.open_password(&group.name, pass).map_err(|why| unopened.push(why)).ok()?);
        sealing.password(&mut pass);
        Some(pass)
    });
    let url = group.settings.notification_webhook.as_ref().filter(|url| due(url.key()));
    let notification_webhook = url.and_then(|url| {
        let mut url = StoredWebhook::from(sealer.open_webhook(&group.name, url).map_err(|why| unopened.push(why)).ok()?);
        sealing.webhook(&mut url);
        Some(url)
    });
    let any = auth_pass.is_some() || notification_webhook.is_some();
    let command = || Command::SecretsSealed { group: group.name.clone(), seen, auth_pass, notification_webhook, at: core.clock.wall() };
    (any.then(command), unopened)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails may panic")]
mod tests {
    use super::*;

    const ONE: &str = "one 0123456789abcdef 0123456789abcdef";
    const TWO: &str = "two fedcba9876543210 fedcba9876543210";

    fn keys(secrets: &[&str]) -> Keys {
        Keys::new(&secrets.iter().map(|secret| secret.as_bytes()).collect::<Vec<_>>()).unwrap()
    }

    fn ids(secrets: &[&str]) -> Vec<String> {
        secrets.iter().map(|secret| keys(&[secret]).current().id().to_string()).collect()
    }

    /// What is sealed with, and whether with that all is sealed anew; none if nothing is sealed.
    fn weighed(ours: &[&str], theirs: &[Option<Option<&[&str]>>], waits: bool) -> Result<(String, bool), String> {
        let told: Vec<_> = theirs.iter().map(|record| record.map(|known| known.map(ids))).collect();
        let members: Vec<KeysOf<'_>> =
            (1..).map(NodeId).zip(&told).map(|(id, record)| (id, record.as_ref().map(|known| known.as_deref()))).collect();
        match weigh(&keys(ours), &members, waits) {
            SealReadiness::Ready { key, all_have_current } => Ok((key.id().to_string(), all_have_current)),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn nothing_is_sealed_with_a_key_that_a_member_lacks() {
        let (one, two) = (ids(&[ONE]).remove(0), ids(&[TWO]).remove(0));
        for (ours, theirs, lacking) in [
            (&[ONE][..], [Some(Some(&[ONE][..])), Some(Some(&[][..])), Some(Some(&[][..]))], "NoCommonKey([NodeId(2), NodeId(3)])"),
            (&[ONE], [Some(Some(&[ONE])), Some(Some(&[TWO])), Some(Some(&[ONE]))], "NoCommonKey([NodeId(2)])"),
            (&[ONE], [Some(Some(&[ONE])), Some(None), None], "OldMember"),
        ] {
            assert_eq!(weighed(ours, &theirs, false), Err(lacking.to_owned()));
        }
        let all = Some(Some(&[ONE][..]));
        assert_eq!(weighed(&[ONE], &[all, all, all], false), Ok((one.clone(), true)));
        assert_eq!(weighed(&[TWO, ONE], &[Some(Some(&[TWO, ONE])), all, all], false), Ok((one.clone(), false)), "the one before");
        let both = Some(Some(&[ONE, TWO][..]));
        assert_eq!(weighed(&[TWO, ONE], &[both, both, both], false), Ok((two, true)));
        assert_eq!(weighed(&[ONE], &[all, all, None], true), Err("Unknown".to_owned()));
        assert_eq!(weighed(&[ONE], &[all, all, None], false), Ok((one, false)), "one that does not run is not waited for");
        assert_eq!(weighed(&[ONE], &[], false), Err("NoCommonKey([])".to_owned()), "before any is known");
    }

    #[test]
    fn the_same_trouble_is_told_once_a_minute() {
        let told = LastTold::default();
        let due = |what: &str, ms| told.is_due(what, Mono::from_ms(ms));
        assert_eq!(
            [due("2", 0), due("2", 1000), due("2, 3", 2000), due("2, 3", 61_000), due("2, 3", 62_000)],
            [true, false, true, false, true]
        );
    }
}
