//! How long everything took, and what was lost.

use std::time::SystemTime;

use raft_sentinel::proto::sentinel as proto;

use crate::Story;
use crate::log::moment_of;
use crate::paint::{Paint, Tone};

/// What there is to sum up.
pub(crate) struct Summary<'a> {
    pub(crate) story: &'a Story,
    pub(crate) decision: Option<&'a proto::Decision>,
    pub(crate) acknowledged: usize,
    pub(crate) lost: usize,
    pub(crate) unanswered: u64,
}

impl Summary<'_> {
    pub(crate) fn print(&self, paint: Paint) {
        println!("\n{}", paint.show(Tone::Strong, "Summary"));
        if let Some(decision) = self.decision {
            let at = |moment: Option<proto::Moment>| moment.map(|moment| moment_of(moment.at_us));
            let (started, decided, promoted) = (at(decision.started), at(decision.decided), at(decision.promoted));
            print_span("detection", Some(self.story.killed), started, "from the kill to a quorum of votes in the log");
            print_span("decision", started, decided, "from there to the new master in the log");
            print_span("apply", decided, promoted, "from there until it was seen as a master");
        }
        let (last, first) = (self.story.last_before.wall, self.story.first_after.wall);
        print_span("unavailable", Some(last), Some(first), "between the last write before and the first write after");
        let verdict = if self.lost == 0 { Tone::Good } else { Tone::Bad };
        let writes = format!("{} acknowledged, {} lost", self.acknowledged, self.lost);
        println!("  {:<12}{}, {} unanswered", "writes", paint.show(verdict, &writes), self.unanswered);
        if self.lost > 0 {
            println!("{:14}The old master acknowledged them before a replica had them; WAIT is there for writes that matter.", "");
        }
    }
}

fn print_span(name: &str, from: Option<SystemTime>, to: Option<SystemTime>, meaning: &str) {
    if let Some((from, to)) = from.zip(to) {
        let ms = to.duration_since(from).unwrap_or_default().as_secs_f64() * 1000.0;
        println!("  {name:<12}{ms:>9.1} ms  {meaning}");
    }
}
