//! Tells when the disk does not fit what is asked of it: at the start, and whenever that changes.

use std::sync::Arc;
use std::time::Duration;

use super::config::{PROPOSE_WITHIN, ms};
use super::core::Core;

/// How often the figure is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A disk that needs longer for a sync is told of. Stock disks of cloud providers need 1 to 20 ms.
const SLOW: Duration = Duration::from_millis(100);
/// Syncs that a change may have to wait for, one after the other: its own and one that had just begun, for the vote and for the decision.
const SYNCS_OF_A_FAILOVER: u32 = 4;
/// A disk that was slow for a moment is told of once in this time.
const TELL_AGAIN_AFTER_MS: u64 = 60_000;

/// How a disk fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    Well,
    /// Failovers take noticeably longer.
    Slow,
    /// A change may be given up before it is on the disks.
    TooSlow,
}

impl Fit {
    fn of(sync: Duration) -> Self {
        if sync * 2 > PROPOSE_WITHIN / 2 {
            Self::TooSlow
        } else if sync >= SLOW {
            Self::Slow
        } else {
            Self::Well
        }
    }
}

/// Measures the disk, then watches the figure until this room stops.
pub(super) async fn run(core: Arc<Core>) {
    if let Err(problem) = core.log.try_sync().await {
        // The process ends with this reason.
        tracing::debug!(%problem, "the disk could not be measured");
        return;
    }
    let dir = core.config.data_dir.display();
    tracing::info!(sync_us = core.log.sync_takes().as_micros(), %dir, "measured the disk");
    let (mut told, mut told_at) = (Fit::Well, None);
    loop {
        let (sync, now) = (core.log.sync_takes(), core.clock.mono());
        let fit = Fit::of(sync);
        if fit != told && told_at.is_none_or(|at| now.ms_since(at) >= TELL_AGAIN_AFTER_MS) {
            (told, told_at) = (fit, Some(now));
            tell(fit, sync, &dir);
        }
        if !core.rest(LOOK_EVERY).await {
            return;
        }
    }
}

fn tell(fit: Fit, sync: Duration, dir: &dyn std::fmt::Display) {
    let (sync_ms, failover_ms) = (ms(sync), ms(sync * SYNCS_OF_A_FAILOVER));
    match fit {
        Fit::Well => tracing::info!("a sync of {dir} takes {sync_ms} ms: the disk is fast enough again"),
        Fit::Slow => tracing::warn!(
            "a sync of {dir} takes {sync_ms} ms, so a failover takes up to {failover_ms} ms longer while this sentinel leads or is needed for a quorum: put `dir` on a faster disk"
        ),
        Fit::TooSlow => tracing::warn!(
            "a sync of {dir} takes {sync_ms} ms: changes and elections may fail, because they are given up after {} ms. Put `dir` on a faster disk",
            ms(PROPOSE_WITHIN)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_fits_while_a_change_is_well_within_its_limit() {
        for (sync_ms, fit) in [(0, Fit::Well), (99, Fit::Well), (100, Fit::Slow), (500, Fit::Slow), (501, Fit::TooSlow)] {
            assert_eq!(Fit::of(Duration::from_millis(sync_ms)), fit, "{sync_ms} ms");
        }
    }
}
