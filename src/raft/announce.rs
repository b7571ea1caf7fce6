//! A sentinel presents itself: who it is, and where it answers.

use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::propose::propose;
use crate::base::Addr;
use crate::base::parameters::Announced;
use crate::machine::{Command, SentinelRecord};

const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Keeps the record in the state true until this room stops.
pub(super) async fn run(core: Arc<Core>, record: SentinelRecord) {
    let mut states = core.states.clone();
    loop {
        // Only members present themselves: one that was removed must not come back by its own word.
        let member = core.standing().members.contains_key(&core.me);
        let (record, known) = {
            let state = states.borrow_and_update();
            let record = as_set(&record, &state.parameters.of(core.me));
            let known = state.sentinels.get(&core.me) == Some(&record);
            (record, known)
        };
        if member && !known {
            let command = Command::SentinelJoined { id: core.me, record };
            let proposed = tokio::select! {
                () = core.stop.cancelled() => return,
                proposed = propose(&core, command) => proposed,
            };
            if let Err(problem) = proposed {
                tracing::debug!(%problem, "this sentinel's addresses are not in the log yet");
            }
        }
        if known {
            tokio::select! {
                () = core.stop.cancelled() => return,
                changed = states.changed() => if changed.is_err() { return },
            }
        } else if !core.rest(RETRY_AFTER).await {
            return;
        }
    }
}

/// What an operator set at run time (SENTINEL CONFIG SET announce-ip) counts more than the file.
fn as_set(file: &SentinelRecord, set: &Announced) -> SentinelRecord {
    let at = |file: &Addr, port| Addr::new(set.host(file.host()), port).unwrap_or_else(|_| file.at_port(port));
    let (resp, grpc) = (at(&file.resp, set.port(file.resp.port())), at(&file.grpc, file.grpc.port()));
    SentinelRecord { resp, grpc, ..file.clone() }
}
