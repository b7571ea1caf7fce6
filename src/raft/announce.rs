//! A sentinel presents itself: who it is, and where it answers.

use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::propose::propose;
use crate::base::Addr;
use crate::base::parameters::Announced;
use crate::machine::{Command, SentinelRecord};

const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Before a record is proposed again that a leader of an older release did not take whole.
const OLD_LEADER_PAUSE: Duration = Duration::from_secs(15);
/// From one look at the keys of this sentinel to the next.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Keeps the record in the state true until this room stops.
pub(super) async fn run(core: Arc<Core>, record: SentinelRecord) {
    let mut states = core.states.clone();
    loop {
        // Only members present themselves: one that was removed must not come back by its own word.
        let member = core.standing().members.contains_key(&core.me);
        let (record, known) = {
            let state = states.borrow_and_update();
            // The keys are those of now: the secret file may have changed.
            let key_ids = Some(core.config.sealer.key_ids());
            let record = SentinelRecord { key_ids, ..as_set(&record, &state.parameters.of(core.me)) };
            let known = state.sentinels.get(&core.me) == Some(&record);
            (record, known)
        };
        let mut pause = RETRY_AFTER;
        if member && !known {
            let command = Command::SentinelJoined { id: core.me, record: record.clone() };
            let proposed = tokio::select! {
                () = core.stop.cancelled() => return,
                proposed = propose(&core, command) => proposed,
            };
            match proposed {
                Ok(_) if states.borrow().sentinels.get(&core.me) == Some(&record) => continue,
                // A leader of an older release passes on what it knows of a record, and no more.
                Ok(_) => pause = OLD_LEADER_PAUSE,
                Err(problem) => tracing::debug!(%problem, "this sentinel's addresses are not in the log yet"),
            }
        }
        if known {
            tokio::select! {
                () = core.stop.cancelled() => return,
                changed = states.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        } else {
            let mut leadership = core.leadership.subscribe();
            tokio::select! {
                rested = core.rest(pause) => if !rested { return },
                // Another leader may take it whole.
                _ = leadership.changed() => {}
            }
        }
    }
}

/// What an operator set at run time (SENTINEL CONFIG SET announce-ip) counts more than the file.
fn as_set(file: &SentinelRecord, set: &Announced) -> SentinelRecord {
    let at = |file: &Addr, port| Addr::new(set.host(file.host()), port).unwrap_or_else(|_| file.at_port(port));
    let (resp, grpc) = (at(&file.resp, set.port(file.resp.port())), at(&file.grpc, file.grpc.port()));
    SentinelRecord { resp, grpc, ..file.clone() }
}
