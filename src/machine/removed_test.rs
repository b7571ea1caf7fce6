use std::sync::Arc;

use super::*;
use crate::base::{Epoch, Fence, LogIndex, Secret};
use crate::machine::command::Origin;
use crate::machine::{Command, Outcome, invariants};

fn addr(port: u16) -> Addr {
    Addr::new("10.0.0.1", port).expect("an address")
}

fn name(number: usize) -> GroupName {
    GroupName::new(format!("m{number}")).expect("a name")
}

#[derive(Default)]
struct World {
    state: State,
}

impl World {
    fn apply(&mut self, command: &Command) -> Outcome {
        let before = self.state.clone();
        let outcome = self.state.apply(LogIndex(before.applied.0 + 1), command).0;
        invariants::check_step(&before, &self.state).expect("it holds");
        outcome
    }

    fn monitor(&mut self, number: usize, master: u16, takes_up: Option<LogIndex>) -> &Group {
        let settings = GroupSettings { quorum: 3, ..GroupSettings::default() };
        let replicas = vec![addr(2), addr(3)];
        let (name, master, epoch, at) = (name(number), addr(master), Epoch::default(), WallTime::default());
        let group = name.clone();
        self.apply(&Command::ConfigureGroup {
            name,
            master,
            settings,
            replicas,
            epoch,
            origin: Origin::Operator,
            at,
            takes_up,
            asked: None,
        });
        &self.state.groups[&group]
    }

    /// A group with a past: strict, armed, with a password and a vote.
    fn with_a_past() -> Self {
        let mut world = Self::default();
        world.monitor(0, 1, None);
        let group = Arc::make_mut(world.state.groups.get_mut(&name(0)).expect("it is there"));
        group.epoch = Epoch(7);
        group.settings.promotion_policy = PromotionPolicy::Strict;
        group.settings.auth_pass = Some(Secret::new("hunter2").into());
        let fence = Fence { min_replicas: 1, max_lag_s: 2 };
        world.apply(&Command::FenceArmed { group: name(0), epoch: Epoch(7), fence, replicas: 2, at: WallTime::default() });
        world
    }

    /// As an operator's removal does: the fence is given back by another policy first.
    fn remove(&mut self, down: Vec<Addr>) -> LogIndex {
        let group = &self.state.groups[&name(0)];
        let keep = Keep { policy: group.settings.promotion_policy, fence: group.fence, down };
        Arc::make_mut(self.state.groups.get_mut(&name(0)).expect("it is there")).settings.promotion_policy = PromotionPolicy::Available;
        self.apply(&Command::RemoveGroup { group: name(0), at: WallTime::default(), keep: Some(keep), asked: None });
        self.state.applied
    }
}

#[test]
fn the_same_group_goes_on_where_it_was() {
    let mut world = World::with_a_past();
    let before = world.state.groups[&name(0)].clone();
    let entry = world.remove(Vec::new());
    assert!(!format!("{:?}", world.state.removed).contains("hunter2"));
    let kept = world.state.removed_lately(&name(0), &addr(1), WallTime(59_999_000)).expect("a moment ago");
    assert_eq!(kept.entry(), entry);
    assert!(world.state.removed_lately(&name(0), &addr(1), WallTime(60_000_000)).is_none(), "too long ago");
    assert!(world.state.removed_lately(&name(0), &addr(9), WallTime::default()).is_none(), "other servers");
    assert_eq!(kept.settings(GroupSettings::default()).promotion_policy, PromotionPolicy::Strict);
    let replica = world.state.removed_lately(&name(0), &addr(2), WallTime::default()).expect("one of its servers");
    assert_eq!(replica.replicas(&addr(2)), [addr(1), addr(3)]);
    let group = world.monitor(0, 1, Some(entry)).clone();
    assert_eq!((group.epoch, group.created, &group.master), (Epoch(7), before.created, &before.master));
    assert_eq!((group.settings.quorum, &group.settings.auth_pass), (3, &None), "stock's options are those that were given");
    assert_eq!(
        group.fence.map(|fence| (fence.min_replicas, fence.wait_replicas, fence.covered)),
        Some((0, 1, 1)),
        "nothing holds it, and what it covered counts"
    );
    assert!(world.state.removed.is_empty());
    assert!(world.state.retired.is_empty());
}

#[test]
fn a_replica_that_was_down_is_gone_and_may_have_held_what_was_confirmed() {
    let mut world = World::with_a_past();
    let entry = world.remove(vec![addr(3)]);
    let group = world.monitor(0, 1, Some(entry));
    assert_eq!(group.replicas.keys().cloned().collect::<Vec<_>>(), [addr(2)]);
    assert_eq!(group.fence.map(|fence| fence.covered), Some(0));
}

#[test]
fn another_master_or_another_removal_begins_anew() {
    for (master, entry_off) in [(2, 0), (1, 1)] {
        let mut world = World::with_a_past();
        let entry = world.remove(Vec::new());
        let group = world.monitor(0, master, Some(LogIndex(entry.0 - entry_off)));
        assert_eq!((group.epoch, group.fence, group.settings.quorum), (Epoch(8), None, 3), "{master}");
        assert!(world.state.removed.is_empty());
    }
}

#[test]
fn only_some_are_kept_and_the_oldest_goes_first() {
    let mut world = World::default();
    for number in 0..limits::REMOVED_GROUPS + 3 {
        world.monitor(number, 1, None);
        let keep = Keep { policy: PromotionPolicy::Auto, fence: None, down: Vec::new() };
        world.apply(&Command::RemoveGroup { group: name(number), at: WallTime::default(), keep: Some(keep), asked: None });
    }
    assert_eq!(world.state.removed.len(), limits::REMOVED_GROUPS);
    assert!(!world.state.removed.contains_key(&name(2)) && world.state.removed.contains_key(&name(3)));
}
