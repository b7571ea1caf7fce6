//! An operator has a group removed: its servers are to be left as they would be without sentinels.

use std::sync::Arc;

use crate::base::settings::{PromotionPolicy, SettingChange};
use crate::base::{Fence, WallTime};
use crate::breach::Breach;
use crate::check::Promise;
use crate::data::{Target, addr};
use crate::judge::RemovalStep;
use crate::machine::Command;
use crate::net::Event;
use crate::run::Run;
use crate::storm::Trouble;

/// As long as the servers may take in reality.
const TAKEN_BACK_WITHIN: u64 = 2_500_000;
/// How often the record is looked at meanwhile, at the sentinel that was asked.
const LOOK_EVERY: u64 = 20_000;

/// How far a removal has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// A sentinel waits until the servers have given back their fence.
    TakesBack { sentinel: usize, life: u32, before: PromotionPolicy, until: u64 },
    /// The group is gone, since this place among the entries that changed a group.
    Gone { snap: usize },
}

impl Run {
    /// Whether the group is gone, as far as a sentinel knows.
    pub(crate) fn is_gone_at(&self, sentinel: usize, team: usize) -> bool {
        matches!(self.teams[team].removal, Some(Stage::Gone { snap }) if self.sentinels[sentinel].applied >= snap)
    }

    pub(crate) fn is_gone(&self, team: usize) -> bool {
        matches!(self.teams[team].removal, Some(Stage::Gone { .. }))
    }

    /// SENTINEL REMOVE, said to a sentinel.
    pub(crate) fn ask_removal(&mut self, team: usize, sentinel: usize) {
        if self.teams[team].removal.is_some() || !self.is_heard(sentinel) {
            return;
        }
        self.catch_up(sentinel);
        let at_once = self.setup.breach == Some(Breach::RemoveAtOnce);
        let step = if at_once { RemovalStep::Ends } else { self.first_step(team, sentinel) };
        self.tell(|| format!("an operator has group {team} removed by sentinel {}: {step:?}", sentinel + 1));
        match step {
            RemovalStep::Stays(_) => {}
            RemovalStep::Ends => self.end_group(team),
            RemovalStep::TakesBack => {
                let before = self.group(team).settings.promotion_policy;
                self.set_policy(team, PromotionPolicy::Available);
                let (life, until) = (self.sentinels[sentinel].life, self.net.now + TAKEN_BACK_WITHIN);
                self.teams[team].removal = Some(Stage::TakesBack { sentinel, life, before, until });
                self.net.after(LOOK_EVERY, Event::Trouble(Trouble::Removal(team)));
            }
        }
    }

    /// A look at a removal under way.
    pub(crate) fn go_on_removing(&mut self, team: usize) {
        let Some(Stage::TakesBack { sentinel, life, before, until }) = self.teams[team].removal else { return };
        // What the sentinel that was asked has begun stays as it is when that ends.
        if self.sentinels[sentinel].life != life || !self.sentinels[sentinel].up {
            self.teams[team].removal = None;
            return;
        }
        let group = Arc::clone(self.group_at(sentinel, team));
        let held = self.sentinels[sentinel].minds[team].judge.view().holds_up_removal(&group, false);
        if held && self.net.now < until {
            self.net.after(LOOK_EVERY, Event::Trouble(Trouble::Removal(team)));
            return;
        }
        self.teams[team].removal = None;
        if !self.is_heard(sentinel) {
            return;
        }
        if held || matches!(self.first_step(team, sentinel), RemovalStep::Stays(_)) {
            self.set_policy(team, before);
        } else {
            self.end_group(team);
        }
    }

    fn first_step(&self, team: usize, sentinel: usize) -> RemovalStep {
        self.sentinels[sentinel].minds[team].judge.view().removal_step(self.group_at(sentinel, team), false)
    }

    fn set_policy(&mut self, team: usize, policy: PromotionPolicy) {
        let (group, at) = (self.teams[team].name.clone(), WallTime(self.net.now));
        let changes = vec![SettingChange::PromotionPolicy(policy)];
        self.order(team, &Command::SetOptions { group, changes, at, asked: None });
    }

    fn end_group(&mut self, team: usize) {
        let (group, at) = (self.teams[team].name.clone(), WallTime(self.net.now));
        self.order(team, &Command::RemoveGroup { group, at, keep: None, asked: None });
    }

    /// The log says that the group is gone. Nothing is promised of its writes any more.
    pub(crate) fn note_removed(&mut self, team: usize) {
        self.teams[team].ledger.void = true;
        self.stats.removed += 1;
        self.teams[team].removal = Some(Stage::Gone { snap: self.snaps.len() });
    }

    /// What a group that is gone has left behind (P6).
    pub(crate) fn check_left_behind(&mut self, team: usize) {
        for node in self.teams[team].nodes.clone() {
            let known = &self.nodes[node];
            let recorded = self.group(team).data_nodes().any(|recorded| *recorded == addr(node));
            if !recorded || known.gone_for_good || known.pretends {
                continue;
            }
            let (fence, follows) = (known.fence, known.follows);
            if fence != Fence::OFF && fence.min_replicas > 0 {
                self.violate(Promise::P6, format!("{} holds {fence:?} of a group that is gone", addr(node).host()));
            }
            if follows == Some(Target::Nobody) {
                self.violate(Promise::P6, format!("{} follows nobody, for a group that is gone", addr(node).host()));
            }
        }
    }
}
