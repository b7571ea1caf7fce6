//! The removal of a group, which leaves nothing of ours behind on its servers.
//!
//! A fence that nobody looks after stops the writes of a healthy master at the next loss of a replica, and a replica that a failover has
//! taken from its master follows nobody for ever. So the fence is taken back first, by the policy `available` and the leader's own work, and
//! a group whose servers are out of reach, or in the middle of a failover, stays, unless the operator says FORCE.

use std::sync::Arc;
use std::time::Duration;

use super::Agreement;
use crate::base::settings::{PromotionPolicy, SettingChange};
use crate::base::{Addr, FenceSight, GroupName};
use crate::board::Board;
use crate::clock::Clock;
use crate::judge::GroupView;
use crate::machine::{ArmedFence, Asker, Command, Group, Keep};
use crate::raft::{Committed, ProposeError, ReadError};

/// How long the data nodes may take to give the fence back: two rounds of looks, and less than clients wait for an answer.
const TAKEN_BACK_WITHIN: Duration = Duration::from_millis(2500);
/// How often the record is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A group stays.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Unremoved {
    /// It could not be read what is recorded.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A change was not committed.
    #[error(transparent)]
    Propose(#[from] ProposeError),
    /// Something of ours would be left behind.
    #[error("{0}; nothing was removed (FORCE removes the group all the same, and leaves that to you)")]
    Stays(String),
}

/// A removal that an operator asked for.
pub(crate) struct Removal {
    pub(crate) agreement: Arc<dyn Agreement>,
    pub(crate) board: Board,
    pub(crate) clock: Clock,
    pub(crate) group: GroupName,
    pub(crate) asker: Option<Asker>,
    /// Whether it is removed whatever is left behind.
    pub(crate) force: bool,
}

impl Removal {
    /// Removes it, or puts back what was begun. It comes to its end also if whoever asked has left.
    pub(crate) async fn run(self) -> Result<Committed, Unremoved> {
        let ended = tokio::spawn(self.work()).await;
        ended.unwrap_or_else(|_| Err(ProposeError::Stopped("it is stopping".to_owned()).into()))
    }

    async fn work(self) -> Result<Committed, Unremoved> {
        let state = self.agreement.linearizable().await?;
        let Some(group) = state.groups.get(&self.group) else { return Ok(self.remove(None).await?) };
        let view = self.board.group(&self.group).unwrap_or_default();
        if let Some(why) = obstacle(group, &view).filter(|_| !self.force) {
            return Err(Unremoved::Stays(why));
        }
        if group.fence.is_none() || group.failover.is_some() {
            return Ok(self.remove(Some(group)).await?);
        }
        let before = group.settings.promotion_policy;
        self.set_policy(before, PromotionPolicy::Available).await?;
        if let Some(why) = self.wait_until_taken_back().await.filter(|_| !self.force) {
            self.set_policy(PromotionPolicy::Available, before).await?;
            return Err(Unremoved::Stays(why));
        }
        let removed = self.remove(Some(group)).await;
        if removed.is_err() {
            // It may be there still, and is not to be left without its fence. Where it is gone there is nothing to set.
            let _ = self.set_policy(PromotionPolicy::Available, before).await;
        }
        Ok(removed?)
    }

    async fn propose(&self, command: Command) -> Result<Committed, ProposeError> {
        let command = match &self.asker {
            Some(asker) => command.asked_by(asker.clone()),
            None => command,
        };
        self.agreement.propose(command).await
    }

    /// Removes it; what `before` was is kept, so that one that monitors it again takes it up.
    async fn remove(&self, before: Option<&Arc<Group>>) -> Result<Committed, ProposeError> {
        let command = |keep| Command::RemoveGroup { group: self.group.clone(), at: self.clock.wall(), keep, asked: None };
        match self.propose(command(before.map(|before| self.keep(before)))).await {
            // A member of an older release keeps nothing, and none may keep what another does not.
            Err(ProposeError::NotUnderstood(_)) => self.propose(command(None)).await,
            ended => ended,
        }
    }

    fn keep(&self, before: &Group) -> Keep {
        let (state, view) = (self.agreement.state(), self.board.group(&self.group).unwrap_or_default());
        let stays = |addr: &Addr| state.groups.get(&self.group).is_some_and(|now| now.replicas.contains_key(addr));
        let left = before.replicas.iter().filter(|(addr, record)| record.may_hold() && !stays(addr)).count();
        let left = u32::try_from(left).unwrap_or(u32::MAX);
        Keep {
            policy: before.settings.promotion_policy,
            fence: before.fence.map(|fence| ArmedFence { covered: fence.covered.saturating_sub(left), ..fence }),
            down: before.replicas.keys().filter(|addr| view.is_down(addr)).cloned().collect(),
        }
    }

    async fn set_policy(&self, from: PromotionPolicy, to: PromotionPolicy) -> Result<(), ProposeError> {
        if from != to {
            let changes = vec![SettingChange::PromotionPolicy(to)];
            self.propose(Command::SetOptions { group: self.group.clone(), changes, at: self.clock.wall(), asked: None }).await?;
        }
        Ok(())
    }

    /// By force only those that can be reached are waited for.
    fn waits_for(&self, group: &Group) -> bool {
        let view = self.board.group(&self.group).unwrap_or_default();
        let holds = |addr: &Addr| view.live_report(addr).is_some() && !gave_back(&view, addr);
        group.fence.is_some() && (!self.force || group.data_nodes().any(holds))
    }

    /// Waits until the log says that no data node holds the fence; returns who still does, if that does not come.
    async fn wait_until_taken_back(&self) -> Option<String> {
        let taken_back = async {
            while self.agreement.state().groups.get(&self.group).is_some_and(|group| self.waits_for(group)) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(TAKEN_BACK_WITHIN, taken_back).await.err()?;
        let state = self.agreement.state();
        let (group, view) = (state.groups.get(&self.group)?, self.board.group(&self.group).unwrap_or_default());
        let holding: Vec<&Addr> = group.data_nodes().filter(|addr| !gave_back(&view, addr)).collect();
        let whose = if holding.is_empty() { "a data node".to_owned() } else { listed(&holding) };
        Some(format!(
            "{whose} did not give back min-replicas-to-write, which this cluster has set, within {} ms",
            TAKEN_BACK_WITHIN.as_millis()
        ))
    }
}

/// What another's server holds is not ours to take back.
fn gave_back(view: &GroupView, addr: &Addr) -> bool {
    let foreign = view.nodes.get(addr).is_some_and(|node| node.foreign.is_some());
    foreign || view.fence(addr).and_then(FenceSight::held).is_some_and(|held| held.min_replicas == 0)
}

/// Something of ours that would be left behind and cannot be taken back now.
fn obstacle(group: &Group, view: &GroupView) -> Option<String> {
    if let Some(failover) = &group.failover {
        let detached: Vec<&Addr> = group.data_nodes().filter(|addr| view.is_detached(addr)).collect();
        if !detached.is_empty() {
            return Some(format!("a failover is under way, and {} were taken from their master for it", listed(&detached)));
        }
        if !failover.phase.is_undecided() {
            return Some("a failover is under way, and servers are being pointed at the new master".to_owned());
        }
    }
    group.fence?;
    let away: Vec<&Addr> = group.data_nodes().filter(|addr| view.live_report(addr).is_none()).collect();
    (!away.is_empty()).then(|| {
        format!(
            "{} cannot be reached, and may hold min-replicas-to-write by the doing of this cluster, in its file as well: bring it back, or \
             have it forgotten first (SENTINEL FORGET)",
            listed(&away)
        )
    })
}

fn listed(addrs: &[&Addr]) -> String {
    addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
