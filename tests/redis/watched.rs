//! A probe and what it has reported.

use std::time::Duration;

use raft_sentinel::base::observation::{NodeObservation, NodeReport, Observed};
use raft_sentinel::base::{Addr, GroupSettings, Secret};
use raft_sentinel::clock::Clock;
use raft_sentinel::probe::{self, Probe, ProbeSettings};
use raft_sentinel::redis::{Act, AskError};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// A probe, its inbox, and the clock by which it reports.
pub(crate) struct Watched {
    pub(crate) probe: Probe,
    pub(crate) inbox: mpsc::Receiver<NodeObservation>,
    pub(crate) clock: Clock,
}

/// Settings with a limit of a second, so PINGs go out every 100 ms.
pub(crate) fn settings(down_after_ms: u64) -> ProbeSettings {
    ProbeSettings::of(&GroupSettings { down_after_ms, ..GroupSettings::default() }, "test")
}

pub(crate) fn with_password(user: Option<&str>, pass: &str) -> ProbeSettings {
    let mut settings = settings(1000);
    settings.access.auth_user = user.map(str::to_owned);
    settings.access.auth_pass = Some(Secret::new(pass));
    settings
}

pub(crate) fn watch(addr: Addr, settings: ProbeSettings) -> Watched {
    let (out, inbox) = mpsc::channel(64);
    let clock = Clock::default();
    let mut probe = probe::spawn(addr, settings, clock, out);
    probe.arm();
    Watched { probe, inbox, clock }
}

impl Watched {
    /// The next thing seen.
    pub(crate) async fn next(&mut self) -> NodeObservation {
        timeout(Duration::from_secs(10), self.inbox.recv()).await.expect("something is seen in time").expect("the probe lives")
    }

    /// What is seen up to and with the first thing that fits.
    pub(crate) async fn until(&mut self, what: &str, fits: impl Fn(&Observed) -> bool) -> Vec<NodeObservation> {
        let mut seen = Vec::new();
        let found = timeout(Duration::from_secs(10), async {
            loop {
                let next = self.next().await;
                let done = fits(&next.what);
                seen.push(next);
                if done {
                    return;
                }
            }
        });
        let found = found.await.is_ok();
        assert!(found, "{what} was not seen, but: {:?}", brief(&seen));
        seen
    }

    /// Why a promotion comes to nothing within this time.
    pub(crate) async fn fails_to_promote(&self, limit: Duration, why: &str) -> AskError {
        let hands = self.probe.hands().expect("it was given hands");
        hands.act(Act::Promote { fence: None }, limit).await.expect_err(why)
    }

    pub(crate) async fn report(&mut self, what: &str, fits: impl Fn(&NodeReport) -> bool) -> NodeReport {
        let seen = self.until(what, |sight| matches!(sight, Observed::Report(report) if fits(report))).await;
        match seen.into_iter().last().map(|seen| seen.what) {
            Some(Observed::Report(report)) => *report,
            other => panic!("{other:?}"),
        }
    }
}

/// What was seen, without the texts of INFO.
pub(crate) fn brief(seen: &[NodeObservation]) -> Vec<String> {
    let text =
        |sight: &Observed| if let Observed::Report(report) = sight { format!("Report({:?})", report.role()) } else { format!("{sight:?}") };
    seen.iter().map(|seen| format!("{} ms {}", seen.at.0 / 1000, text(&seen.what))).collect()
}
