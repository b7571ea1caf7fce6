//! How one sight changes what is believed of a data node. The only writer of [`NodeView`], but for `down_since`.

use std::sync::Arc;

use super::foreign::installation;
use super::view::{Home, Link, NodeView};
use crate::base::observation::{InvalidReply, LinkLoss, NodeReport, Observed, ValidReply};
use crate::base::{Mono, Refusals};

impl NodeView {
    /// Takes in what was seen at `at`.
    pub fn note(&mut self, what: Observed, at: Mono) {
        if !matches!(what, Observed::Unlinked(LinkLoss::Local(_))) {
            self.end_lack(at);
        }
        match what {
            Observed::Linked => {
                self.link = Link::Up { since: at };
                // A new link proves nothing: a stopped server's kernel accepts connections too. A PING follows.
                self.waiting_since = self.waiting_since.or(Some(at));
            }
            Observed::Reached(ip) => {
                self.last_ip = Some(ip.clone());
                self.ip = Some(ip);
            }
            Observed::Unlinked(loss) => self.note_loss(loss, at),
            Observed::Pinged => self.waiting_since = self.waiting_since.or(Some(at)),
            Observed::Valid(reply) => self.note_valid(reply, at),
            Observed::Invalid(reply) => self.note_invalid(reply, at),
            Observed::Report(report) => self.note_report(*report, at),
            Observed::BadReport(_) => {}
            Observed::Fence(sight) => self.fence = Some((at, sight)),
            Observed::Rewritten(result) => self.rewritten = Some((at, result)),
            Observed::ClientsKilled(result) => self.keeps_clients = result.err(),
            Observed::Refusals(refusals) => self.refusals = refusals,
        }
    }

    /// Does not count the `ms` milliseconds in which this sentinel was not awake to hear the node, and keeps no more than
    /// `at_most_ms` of the silence before.
    pub fn forgive_silence(&mut self, ms: u64, at_most_ms: u64, now: Mono) {
        let earliest = Mono(now.0.saturating_sub(at_most_ms * 1000));
        self.counts_from = self.counts_from.plus_ms(ms).max(earliest).min(now);
        // A server that refused us before may be back: the crash limit starts over.
        if let Link::Down { since, .. } = &mut self.link {
            *since = now;
        }
    }

    /// Does not count `ms` milliseconds of silence, in which this sentinel was late itself.
    pub fn excuse_silence(&mut self, ms: u64, now: Mono) {
        self.counts_from = self.counts_from.plus_ms(ms).min(now);
        if let Link::Down { since, .. } = &mut self.link {
            *since = since.plus_ms(ms).min(now);
        }
    }

    /// This host can ask again. The time in which it could not is no silence of the server.
    fn end_lack(&mut self, at: Mono) {
        if let Some(since) = self.lacking_since.take() {
            self.excuse_silence(at.ms_since(since), at);
            self.cannot_judge = None;
        }
    }

    fn note_loss(&mut self, loss: LinkLoss, at: Mono) {
        self.ip = None;
        match &loss {
            // It answered, so it lives; we only may not ask.
            LinkLoss::Credentials(text) => {
                self.cannot_judge = Some(text.clone());
                self.counts_from = at;
            }
            LinkLoss::Local(lack) => {
                self.cannot_judge = Some(lack.as_str().to_owned());
                self.lacking_since = self.lacking_since.or(Some(at));
            }
            // Nobody is there to refuse our credentials any more.
            LinkLoss::Refused | LinkLoss::TimedOut => self.cannot_judge = None,
            LinkLoss::Closed | LinkLoss::Unresolved(_) | LinkLoss::Other(_) => {}
        }
        self.unreached |= matches!(loss, LinkLoss::TimedOut | LinkLoss::Unresolved(_) | LinkLoss::Other(_));
        let since = match self.link {
            Link::Down { since, .. } => since,
            Link::Untried | Link::Up { .. } => at,
        };
        self.link = Link::Down { since, loss };
    }

    fn note_valid(&mut self, reply: ValidReply, at: Mono) {
        self.waiting_since = None;
        self.last_reply = at;
        self.last_valid = at;
        self.busy = false;
        self.error = None;
        self.counts_from = at;
        self.cannot_judge = None;
        self.loading_since = match reply {
            ValidReply::Loading => self.loading_since.or(Some(at)),
            ValidReply::Pong | ValidReply::MasterDown => None,
        };
    }

    fn note_invalid(&mut self, reply: InvalidReply, at: Mono) {
        self.waiting_since = None;
        self.last_reply = at;
        self.busy = reply == InvalidReply::Busy;
        self.error = None;
        match reply {
            InvalidReply::Credentials(text) => {
                self.cannot_judge = Some(text);
                self.counts_from = at;
            }
            InvalidReply::Busy => self.cannot_judge = None,
            InvalidReply::Other(text) => {
                self.cannot_judge = None;
                self.error = Some(text);
            }
        }
    }

    fn note_report(&mut self, report: NodeReport, at: Mono) {
        let same_role = self.role() == Some(report.role());
        if !same_role {
            self.role_since = at;
        }
        if self.report.as_ref().is_none_or(|(_, before)| before.run_id != report.run_id) {
            self.process_since = at;
            // Another process may have another file.
            self.rewritten = None;
            self.keeps_clients = None;
            self.refusals = Refusals::new();
        }
        if let Some((_, before)) = self.report.as_ref().filter(|(_, before)| before.run_id != report.run_id) {
            self.home = match installation(before) == installation(&report) {
                // Another's server that restarts is another's still.
                true if !self.unreached && self.foreign.is_none() => Home::Same,
                true => Home::Unknown,
                false => Home::Other,
            };
        }
        self.unreached = false;
        self.report = Some((at, Arc::new(report)));
    }
}
