//! Presents to the cluster the groups of this sentinel's configuration file that the log does not know yet.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Parts;
use crate::base::GroupSeed;
use crate::machine::command::Origin;
use crate::machine::{Command, ControlMode, Outcome, State};

/// Pause before a proposal that failed is made again.
const RETRY: Duration = Duration::from_millis(250);

pub(super) async fn run(parts: Parts, seeds: Vec<GroupSeed>, cancel: CancellationToken) {
    tokio::select! {
        () = cancel.cancelled() => {}
        () = present(&parts, &seeds) => {}
    }
}

async fn present(parts: &Parts, seeds: &[GroupSeed]) {
    for seed in seeds {
        let command = Command::ConfigureGroup {
            name: seed.name.clone(),
            master: seed.master.clone(),
            settings: seed.settings.clone(),
            replicas: seed.replicas.clone(),
            epoch: seed.epoch,
            origin: if parts.shadow { Origin::FileInShadow } else { Origin::File },
            at: parts.clock.wall(),
            takes_up: None,
            asked: None,
        };
        say(parts, &command, |state| state.groups.contains_key(&seed.name)).await;
        report_differences(parts, seed);
    }
}

/// Proposes until it is so, or is refused.
async fn say(parts: &Parts, command: &Command, is_so: impl Fn(&State) -> bool) {
    loop {
        // The log may know it already; a linearizable look also waits until this sentinel has caught up.
        match parts.raft.linearizable().await {
            Ok(state) if is_so(&state) => return,
            Ok(_) => match parts.raft.propose(command.clone()).await {
                Ok(committed) => {
                    if let Outcome::Refused(refusal) = committed.outcome {
                        tracing::warn!(entry = command.name(), "not taken from the configuration file: {refusal}");
                    }
                    return;
                }
                Err(error) => tracing::debug!(entry = command.name(), %error, "will be proposed again"),
            },
            Err(error) => tracing::debug!(entry = command.name(), %error, "waiting for a quorum"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Where the log and the file disagree the log wins, and the operator is told.
fn report_differences(parts: &Parts, seed: &GroupSeed) {
    let (state, shadow) = (parts.raft.state(), parts.shadow);
    let Some(group) = state.groups.get(&seed.name) else { return };
    let name = &seed.name;
    if group.master.addr != seed.master {
        tracing::info!(group = %name, file = %seed.master, log = %group.master.addr, "the recorded master is another than the file's; the record counts");
    }
    match (shadow, group.duty) {
        (true, ControlMode::Acts) => tracing::error!(
            group = %name,
            "'sentinel shadow yes' is in this sentinel's file, but another one's file has begun the group without it: the others act. This one will \
             not; put the group into shadow for all with: raft-sentinel stand-down {name}"
        ),
        (true, ControlMode::TookOver { .. }) => tracing::info!(
            group = %name,
            "'sentinel shadow yes' is in this sentinel's file, and an operator has taken the group over since; that counts (remove the line)"
        ),
        (false, ControlMode::Shadow { .. }) => {
            tracing::warn!(group = %name, "the group is in shadow: nothing is carried out (raft-sentinel take-over {name} changes that)");
        }
        (true, ControlMode::Shadow { .. }) | (false, ControlMode::Acts | ControlMode::TookOver { .. }) => {}
    }
    // Secrets that cannot be opened here are told of elsewhere.
    if parts.sealer.open(name, &group.settings).is_ok_and(|settings| settings != seed.settings) {
        tracing::warn!(group = %name, "the agreed settings differ from the file's; the agreed ones count (change them with SENTINEL SET)");
    }
}
