//! Groups that were removed a moment ago: operators' loops remove a master and monitor it again, on each sentinel in turn.
//!
//! What stock Sentinel's options were is set anew by such a loop. What stock does not know nobody would set again: the policy of a name would
//! fall back to the default without a word, and its replicas would be unknown until they are found. So the sentinel that was asked to
//! remove a group keeps that for a while, for the same servers under the same name.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::base::places::is_same;
use crate::base::{Addr, GroupName, GroupSettings, Mono};
use crate::judge::GroupView;
use crate::machine::Group;

/// For how long it is kept.
const KEPT_MS: u64 = 60_000;
/// How many names are kept at most.
const NAMES: usize = 64;

/// What is kept of groups that were removed here.
#[derive(Debug, Default)]
pub struct Removed(Mutex<BTreeMap<GroupName, Kept>>);

/// What is kept of one: no password, and nothing that stock's options say.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    at: Mono,
    nodes: Vec<Addr>,
    ours: GroupSettings,
}

impl Removed {
    /// A group is removed at `now`; replicas that are down are not kept, since the loop may be there to be rid of them.
    pub(crate) fn note(&self, group: &Group, view: &GroupView, now: Mono) {
        let nodes = group.data_nodes().filter(|addr| **addr == group.master.addr || !view.is_down(addr)).cloned().collect();
        let ours = with_ours(GroupSettings::default(), &group.settings);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, kept| now.ms_since(kept.at) < KEPT_MS);
        if all.len() < NAMES {
            all.insert(group.name.clone(), Kept { at: now, nodes, ours });
        }
    }

    /// What was kept of that name, if `master` is one of its servers.
    pub(crate) fn take(&self, name: &GroupName, master: &Addr, now: Mono) -> Option<Kept> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name)?;
        let same = kept.nodes.iter().any(|node| is_same(node, master));
        (same && now.ms_since(kept.at) < KEPT_MS).then_some(kept)
    }
}

impl Kept {
    /// The settings of the group that is monitored again.
    pub(crate) fn settings(&self, stock: GroupSettings) -> GroupSettings {
        with_ours(stock, &self.ours)
    }

    /// Its replicas, where `master` is its master.
    pub(crate) fn replicas(&self, master: &Addr) -> Vec<Addr> {
        self.nodes.iter().filter(|node| !is_same(node, master)).cloned().collect()
    }
}

/// The settings with those of `from` that stock Sentinel does not have.
fn with_ours(settings: GroupSettings, from: &GroupSettings) -> GroupSettings {
    GroupSettings {
        promotion_policy: from.promotion_policy,
        fence_max_lag_s: from.fence_max_lag_s,
        crash_down_after_ms: from.crash_down_after_ms,
        replica_forget_after_ms: from.replica_forget_after_ms,
        replicas_fixed: from.replicas_fixed,
        max_replicas: from.max_replicas,
        ..settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::settings::PromotionPolicy;
    use crate::base::{Epoch, LogIndex, WallTime};
    use crate::machine::command::Origin;
    use crate::machine::{Command, State};

    #[test]
    fn what_stock_does_not_know_is_kept_for_the_same_servers_and_for_a_while() {
        let addr = |port| Addr::new("10.0.0.1", port).expect("an address");
        let name = GroupName::new("m").expect("a name");
        let settings = GroupSettings {
            promotion_policy: PromotionPolicy::Strict,
            auth_user: Some("u".to_owned()),
            down_after_ms: 1000,
            ..GroupSettings::default()
        };
        let mut state = State::default();
        let configure = Command::ConfigureGroup {
            name: name.clone(),
            master: addr(1),
            settings,
            replicas: vec![addr(2)],
            epoch: Epoch(0),
            origin: Origin::Operator,
            at: WallTime::default(),
            asked: None,
        };
        state.apply(LogIndex(1), &configure);
        let (removed, view, at) = (Removed::default(), GroupView::default(), Mono::from_ms);
        let note = || removed.note(&state.groups[&name], &view, at(0));
        note();
        let kept = removed.take(&name, &addr(1), at(59_999)).expect("the same master");
        let again = kept.settings(GroupSettings { quorum: 3, ..GroupSettings::default() });
        assert_eq!((again.promotion_policy, again.quorum), (PromotionPolicy::Strict, 3));
        assert_eq!((again.auth_user, again.down_after_ms), (None, 30_000), "stock's options begin anew");
        assert_eq!(kept.replicas(&addr(1)), [addr(2)]);
        note();
        assert_eq!(removed.take(&name, &addr(2), at(1)).map(|kept| kept.replicas(&addr(2))), Some(vec![addr(1)]), "another of its servers");
        note();
        assert!(removed.take(&name, &addr(3), at(1)).is_none(), "other servers");
        note();
        assert!(removed.take(&name, &addr(1), at(60_000)).is_none(), "long ago");
    }
}
