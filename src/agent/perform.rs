//! Carries out one change of role on one data node, and reports what was seen of it.

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::{Parts, held_back};
use crate::base::observation::{NodeObservation, Observed};
use crate::base::{Addr, FenceSight, GroupName, RunId, Standing};
use crate::failpoint;
use crate::judge::{Ask, Input, Permit};
use crate::probe::ControlHandle;
use crate::raft::LeaderProof;
use crate::redis::{Act, ActReport, AskError, Clients, Permission, Step};

/// How long a data node may take to carry out a change of role.
const ACT_LIMIT_MS: u64 = 1000;

/// A change of role to be carried out.
#[derive(Clone, Debug)]
pub(super) struct ActionRequest {
    pub(super) group: GroupName,
    pub(super) node: Addr,
    pub(super) ask: Ask,
    /// The process that it was ordered for, if one was seen there.
    pub(super) process: Option<RunId>,
    /// What permits it: if the log says otherwise by now it must not be done.
    pub(super) permit: Permit,
    /// What the node was when it was judged: if it is something else by now, that is to be judged first.
    pub(super) judged: Option<Standing>,
}

/// Carries out the errand and sends what came of it: first what was seen, then that it has ended.
pub(super) async fn run(
    parts: Parts,
    errand: ActionRequest,
    hands: ControlHandle,
    sights: mpsc::Sender<NodeObservation>,
    results: mpsc::UnboundedSender<Input>,
) {
    let name = errand.ask.name();
    failpoint::pass(&format!("before-ask-{name}"));
    let outcome = attempt(&parts, &errand, &hands).await;
    failpoint::pass(&format!("after-ask-{name}"));
    let well = match outcome {
        Ok(done) => {
            log_outcome(&errand, &done);
            let fence = done.fence.map(|fence| Observed::Fence(FenceSight::Holds(fence)));
            let report = done.node().cloned().map(|report| Observed::Report(Box::new(report)));
            // What a paused server has written is in the report that comes with the pause, or not known.
            let well = report.is_some() || !matches!(errand.ask, Ask::Pause { .. });
            let rewritten =
                done.steps.iter().find(|step| step.step == Step::ConfigRewrite).map(|step| Observed::Rewritten(step.result.clone()));
            let killed = done.killed().map(Observed::ClientsKilled);
            // The file last: a report of another process makes what was known of it void.
            for what in fence.into_iter().chain(report).chain(rewritten).chain(killed) {
                let seen = NodeObservation { addr: errand.node.clone(), at: parts.clock.mono(), what };
                // An error means that the group is no longer monitored; the same goes for the send below.
                let _ = sights.send(seen).await;
            }
            well
        }
        Err(why) => {
            let ActionRequest { group, node, permit, .. } = &errand;
            let next = match errand.ask {
                Ask::Unpause => "its writes go on by themselves when the pause ends",
                _ => "it is tried again if it is still due",
            };
            tracing::warn!(%group, %node, epoch = %permit.epoch, "could not {name} it: {why}; {next}");
            if let AskError::Changed { report, .. } = why {
                let seen = NodeObservation { addr: errand.node.clone(), at: parts.clock.mono(), what: Observed::Report(report) };
                // An error means that the group is no longer monitored.
                let _ = sights.send(seen).await;
            }
            false
        }
    };
    let _ = results.send(Input::Asked { node: errand.node, ask: errand.ask, well });
}

/// Acts only while this sentinel certainly leads and the epoch is still the one it acts for.
///
/// The limit counts from before the check: if this process is stopped in between, the check is worth nothing when it goes on.
async fn attempt(parts: &Parts, errand: &ActionRequest, hands: &ControlHandle) -> Result<ActReport, AskError> {
    let deadline = parts.clock.instant(parts.clock.mono().plus_ms(ACT_LIMIT_MS));
    let due = PermittedAction { parts: parts.clone(), errand: errand.clone(), proof: None };
    // Cheaper than to bother the server and the other sentinels.
    due.check().map_err(AskError::NotPermitted)?;
    hands.act_by(act(&errand.ask), deadline.into(), Box::new(due)).await
}

/// The permission for an errand: this sentinel leads, and the state that a quorum vouches for still says what it is to be done for.
struct PermittedAction {
    parts: Parts,
    errand: ActionRequest,
    proof: Option<LeaderProof>,
}

impl PermittedAction {
    /// Whether the state as applied here permits it.
    fn check(&self) -> Result<(), String> {
        let ActionRequest { group, permit, .. } = &self.errand;
        let state = self.parts.raft.state();
        let group = state.groups.get(group).cloned();
        if let Some(other) = group.as_ref().and_then(|group| held_back::owner(&state, group, &self.errand.node)) {
            return Err(format!("it belongs to '{other}', which acts on it"));
        }
        if group.as_ref().is_some_and(|group| !held_back::may_touch(&self.parts, group)) {
            return Err("the group is in shadow: no server is changed".to_owned());
        }
        if group.as_deref().map(Permit::of) == Some(*permit) {
            return Ok(());
        }
        Err(format!("it was due in epoch {}, and the failover or the epoch is another one by now", permit.epoch))
    }
}

#[async_trait]
impl Permission for PermittedAction {
    async fn confirm(&mut self) -> Result<(), String> {
        let proof = self.parts.raft.confirm_leadership().await;
        self.proof = Some(proof.map_err(|error| format!("it is not certain that this sentinel leads: {error}"))?);
        failpoint::pass(&format!("permitted-{}", self.errand.ask.name()));
        self.check()
    }

    fn process(&self) -> Option<&RunId> {
        self.errand.process.as_ref()
    }

    fn judged(&self) -> Option<&Standing> {
        self.errand.judged.as_ref()
    }

    fn holds(&self) -> bool {
        self.proof.as_ref().is_some_and(LeaderProof::holds) && self.check().is_ok()
    }
}

fn act(ask: &Ask) -> Act {
    match ask {
        Ask::Promote { fence } => Act::Promote { fence: *fence },
        // In a planned change: its clients were closed by the pause, and wait in it.
        Ask::Demote { master } if *master == Addr::nobody() => Act::Follow { master: master.clone(), clients: Clients::Keep },
        Ask::Demote { master } => Act::Follow { master: master.clone(), clients: Clients::Kill },
        Ask::Repoint { master } => Act::Follow { master: master.clone(), clients: Clients::Keep },
        Ask::Detach { fence } => Act::Detach { fence: *fence },
        Ask::ServeCatchUp => Act::ServeCatchUp,
        Ask::Arm(fence) => Act::Arm(*fence),
        Ask::Pause { ms } => Act::Pause { ms: *ms },
        Ask::Unpause => Act::Unpause,
        Ask::KillScript => Act::KillScript,
    }
}

fn log_outcome(errand: &ActionRequest, done: &ActReport) {
    let ActionRequest { group, node, ask, permit, .. } = errand;
    let refused: Vec<String> =
        done.steps.iter().filter_map(|step| step.result.as_ref().err().map(|error| format!("{:?}: {error}", step.step))).collect();
    tracing::info!(%group, %node, epoch = %permit.epoch, refused = refused.join("; "), "asked to {}", ask.name());
    if let Some(Err(why)) = done.killed() {
        tracing::warn!(%group, %node, %why, "the server does not close connections for this cluster (CLIENT KILL): what a deposed sentinel sent it may take effect late");
    }
}
