//! Who leads, as far as it may be trusted: openraft's word, checked against fresh acknowledgements.

use std::sync::Arc;

use super::core::Core;
use super::error::ReadError;
use super::read;
use super::status::Leadership;
use crate::base::Mono;

/// Publishes it until this room stops. Wakes when openraft says so and when trust runs out; while nobody is trusted, also for every
/// acknowledgement, every call of a leader and every entry that is applied.
pub(super) async fn watch(core: Arc<Core>) {
    let (mut standing, mut acks, mut heard) = (core.consensus.server_metrics(), core.acks.changes(), core.ear.leader());
    let mut log = core.consensus.data_metrics();
    loop {
        standing.mark_unchanged();
        acks.mark_unchanged();
        heard.mark_unchanged();
        log.mark_unchanged();
        let (leadership, until) = judge(&core);
        publish(&core, leadership);
        let expiry = async {
            match until {
                Some(until) => tokio::time::sleep_until(core.clock.instant(until.plus_ms(1)).into()).await,
                None => std::future::pending().await,
            }
        };
        let trusted = until.is_some();
        tokio::select! {
            () = core.stop.cancelled() => break,
            () = expiry => {}
            changed = standing.changed() => if changed.is_err() { break },
            changed = acks.changed(), if !trusted => if changed.is_err() { break },
            changed = heard.changed(), if !trusted => if changed.is_err() { break },
            changed = log.changed(), if !trusted => if changed.is_err() { break },
        }
    }
    publish(&core, Leadership::Unknown);
}

fn publish(core: &Core, leadership: Leadership) {
    let changed = core.leadership.send_if_modified(|known| {
        let changes = *known != leadership;
        *known = leadership;
        changes
    });
    if changed {
        match leadership {
            Leadership::Leading { term } => tracing::info!(term, "this sentinel leads"),
            Leadership::Following { leader } => tracing::info!(%leader, "following"),
            Leadership::Unknown => tracing::warn!("no leader with a quorum is known"),
        }
    }
}

/// Who leads, and until when that may be believed without news.
fn judge(core: &Core) -> (Leadership, Option<Mono>) {
    let now = core.clock.mono();
    let standing = core.standing();
    let lease_ms = core.spans.lease_ms;
    if standing.leads {
        let fresh = core.acks.quorum(&standing.vote, core.me, &standing.voters, now).filter(|ack| now.ms_since(*ack) <= lease_ms);
        return match fresh.filter(|_| core.has_caught_up(&standing.vote)) {
            Some(ack) => (Leadership::Leading { term: standing.vote.leader_id.term }, Some(ack.plus_ms(lease_ms))),
            None => (Leadership::Unknown, None),
        };
    }
    let heard = *core.ear.leader().borrow();
    match (standing.leader, heard) {
        // A follower campaigns within two leases; until then it may still be the leader's silence that is late.
        (Some(leader), Some((of, at))) if leader == of && now.ms_since(at) <= 2 * lease_ms => {
            (Leadership::Following { leader }, Some(at.plus_ms(2 * lease_ms)))
        }
        _ => (Leadership::Unknown, None),
    }
}

/// Whether this sentinel leads right now: by an acknowledgement that is still young, or by asking. Its state then holds everything that was
/// committed before it led, so that a decision of a leader in between is not overlooked.
pub(super) async fn confirm(core: &Core) -> Result<(), ReadError> {
    let now = core.clock.mono();
    let standing = core.standing();
    if !standing.leads {
        return Err(ReadError { waited_ms: 0, reason: format!("sentinel {} does not lead", core.me) });
    }
    let trusted = core.quorum_ack().is_some_and(|ack| now.ms_since(ack) < core.spans.trust_ms);
    if trusted && core.has_caught_up(&standing.vote) {
        return Ok(());
    }
    let failed = |reason| ReadError { waited_ms: core.clock.mono().ms_since(now), reason };
    let index = read::confirm(core).await.map_err(failed)?;
    match tokio::time::timeout(core.spans.call_within(), core.applied(index)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(stopped)) => Err(failed(stopped.to_string())),
        Err(_) => Err(failed(format!("entry {index} is committed, but not applied here yet"))),
    }
}
