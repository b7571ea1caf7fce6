//! Who leads, as far as it may be trusted: openraft's word, checked against fresh acknowledgements.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::core::Core;
use super::error::ReadError;
use super::status::Leadership;
use super::types::Vote;
use crate::base::Mono;
use crate::clock::Moment;

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
        if changes {
            let since = if leadership == Leadership::Unknown { core.clock.mono().0 } else { u64::MAX };
            core.leaderless_since.store(since, Ordering::Relaxed);
        }
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

/// A proof that this sentinel leads, as of the moment before it was asked for.
#[derive(Clone)]
pub struct LeaderProof {
    core: Arc<Core>,
    /// A quorum was asked after this.
    asked: Moment,
    vote: Vote,
}

impl LeaderProof {
    /// Whether it is still worth something: young by every clock, and this sentinel has not heard of another leader or candidate.
    pub fn holds(&self) -> bool {
        self.asked.age_ms() <= self.core.spans.trust_ms && self.core.leads() && self.core.vote() == self.vote
    }
}

impl std::fmt::Debug for LeaderProof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LeaderProof").field("asked", &self.asked).field("vote", &self.vote).finish_non_exhaustive()
    }
}

/// Proves that this sentinel leads by asking a quorum now, whatever was acknowledged before: the clock that would say how long ago may
/// have stood still (a virtual machine that was paused). Its state then holds everything that was committed before the question, so that a
/// decision of a leader in between is not overlooked.
pub(super) async fn confirm(core: &Arc<Core>) -> Result<LeaderProof, ReadError> {
    let asked = core.clock.moment();
    let failed = |reason| ReadError { waited_ms: asked.age_ms(), reason };
    let (index, vote) = core.reads.round_as_leader(core).await.map_err(failed)?;
    match tokio::time::timeout(core.spans.call_within(), core.applied(index)).await {
        Ok(Ok(_)) => Ok(LeaderProof { core: Arc::clone(core), asked, vote }),
        Ok(Err(stopped)) => Err(failed(stopped.to_string())),
        Err(_) => Err(failed(format!("entry {index} is committed, but not applied here yet"))),
    }
}
