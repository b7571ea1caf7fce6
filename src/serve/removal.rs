//! The removal of a group, which leaves nothing of ours behind on its servers.
//!
//! A fence that nobody looks after stops the writes of a healthy master at the next loss of a replica, and a replica that a failover has
//! taken from its master follows nobody for ever. So the fence is taken back first, by the policy `available` and the leader's own work, and
//! a group whose servers are out of reach, or in the middle of a failover, stays, unless the operator says FORCE.

use std::sync::Arc;
use std::time::Duration;

use super::ReplicatedState;
use crate::base::settings::{PromotionPolicy, SettingChange};
use crate::base::{Addr, GroupName};
use crate::board::Board;
use crate::clock::Clock;
use crate::judge::{GroupView, RemovalStep};
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
    pub(crate) agreement: Arc<dyn ReplicatedState>,
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
        match self.first_step(group) {
            RemovalStep::Stays(why) => return Err(Unremoved::Stays(why)),
            RemovalStep::Ends => return Ok(self.remove(Some(group)).await?),
            RemovalStep::TakesBack => {}
        }
        let before = group.settings.promotion_policy;
        self.set_policy(before, PromotionPolicy::Available).await?;
        let held = self.wait_until_taken_back().await.filter(|_| !self.force);
        if let Some(why) = held.or_else(|| self.in_the_way_now()) {
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

    fn view(&self) -> Arc<GroupView> {
        self.board.group(&self.group).unwrap_or_default()
    }

    fn first_step(&self, group: &Group) -> RemovalStep {
        self.view().removal_step(group, self.force)
    }

    /// A failover may have begun while the fence was taken back.
    fn in_the_way_now(&self) -> Option<String> {
        match self.first_step(self.agreement.state().groups.get(&self.group)?) {
            RemovalStep::Stays(why) => Some(why),
            RemovalStep::Ends | RemovalStep::TakesBack => None,
        }
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

    fn is_held(&self, group: &Group) -> bool {
        self.view().holds_up_removal(group, self.force)
    }

    /// Waits until the log says that no data node holds the fence; returns who still does, if that does not come.
    async fn wait_until_taken_back(&self) -> Option<String> {
        let taken_back = async {
            while self.agreement.state().groups.get(&self.group).is_some_and(|group| self.is_held(group)) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(TAKEN_BACK_WITHIN, taken_back).await.err()?;
        let state = self.agreement.state();
        let (group, view) = (state.groups.get(&self.group)?, self.view());
        let holding: Vec<String> = group.data_nodes().filter(|addr| !view.gave_back(addr)).map(ToString::to_string).collect();
        let whose = if holding.is_empty() { "a data node".to_owned() } else { holding.join(", ") };
        Some(format!(
            "{whose} did not give back min-replicas-to-write, which this cluster has set, within {} ms",
            TAKEN_BACK_WITHIN.as_millis()
        ))
    }
}
