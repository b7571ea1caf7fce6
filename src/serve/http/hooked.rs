//! What is measured of scripts and webhooks.

use super::families::Family;
use super::scrape::{big, number};
use crate::hooks::Hooks;

/// All metrics of the hooks at this moment.
pub(super) fn families(hooks: &Hooks) -> Vec<Family> {
    let mut all = of_scripts(hooks);
    all.extend(of_webhooks(hooks));
    all
}

fn of_scripts(hooks: &Hooks) -> Vec<Family> {
    let counts = hooks.counts();
    vec![
        Family::gauge("scripts_running", "Scripts that run now").with(number(counts.running)),
        Family::gauge("scripts_queued", "Scripts in the queue, running ones included").with(number(counts.queued)),
        Family::counter("script_runs", "Runs of scripts, since this process started").with(big(counts.runs)),
        Family::counter("scripts_failed", "Scripts that were given up").with(big(counts.failed)),
        Family::counter("scripts_timed_out", "Runs that were killed for taking too long").with(big(counts.timed_out)),
        Family::counter("calls_denied", "Scripts and webhooks that were due and that this sentinel's own file does not allow")
            .with(big(hooks.refused())),
        Family::counter("scripts_dropped", "Scripts that were dropped because the queue was full").with(big(counts.dropped)),
    ]
}

fn of_webhooks(hooks: &Hooks) -> Vec<Family> {
    let mut waiting = Family::gauge("webhook_events_waiting", "Events that wait for the webhook of their group");
    let mut events = Family::counter("webhook_events", "Events for webhooks by what became of them, since this process started");
    for (group, counts) in hooks.letters() {
        waiting.add([("group", group.as_str())], number(counts.waiting));
        for (outcome, times) in [("sent", counts.sent), ("failed", counts.failed), ("dropped", counts.dropped)] {
            events.add([("group", group.as_str()), ("outcome", outcome)], big(times));
        }
    }
    vec![waiting, events]
}
