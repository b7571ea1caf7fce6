//! Lines as they happen, in the order in which they happened.
//!
//! They come from several places, and some bear a moment that is a little past when they arrive. So each is held for
//! a blink, and what is older goes first.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant, SystemTime};

use crate::paint::{Paint, Tone};

const HOLD: Duration = Duration::from_millis(150);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Something that happened.
#[derive(Debug)]
pub(crate) struct Line {
    at: SystemTime,
    who: String,
    what: String,
    tone: Tone,
    below: Vec<String>,
}

impl Line {
    pub(crate) fn new(at: SystemTime, who: impl Into<String>, what: impl Into<String>) -> Self {
        Self { at, who: who.into(), what: what.into(), tone: Tone::Plain, below: Vec::new() }
    }

    pub(crate) const fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }

    /// With lines of detail below it.
    pub(crate) fn below(mut self, lines: Vec<String>) -> Self {
        self.below = lines;
        self
    }
}

/// Prints lines in order, with milliseconds since its clock was started.
#[derive(Debug)]
pub(crate) struct Feed {
    paint: Paint,
    zero: SystemTime,
    inbox: Receiver<Line>,
    outbox: Sender<Line>,
    held: BTreeMap<(SystemTime, u64), Line>,
    arrived: u64,
}

impl Feed {
    pub(crate) fn starting_now(paint: Paint) -> Self {
        let (outbox, inbox) = mpsc::channel();
        Self { paint, zero: SystemTime::now(), inbox, outbox, held: BTreeMap::new(), arrived: 0 }
    }

    /// A way to tell it lines from another thread.
    pub(crate) fn reporter(&self) -> Sender<Line> {
        self.outbox.clone()
    }

    /// Milliseconds count from now. Prints the head of the table.
    pub(crate) fn start_clock(&mut self) -> SystemTime {
        let head = format!("{:>12}  {:<12}{}", "ms", "who", "what");
        println!("{}", self.paint.show(Tone::Quiet, &head));
        self.zero = SystemTime::now();
        self.zero
    }

    pub(crate) fn tell(&mut self, line: Line) {
        self.arrived += 1;
        self.held.insert((line.at, self.arrived), line);
    }

    /// Prints what comes, until `look` finds something; none if it does not in time.
    pub(crate) fn show_until<T>(&mut self, limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        let start = Instant::now();
        loop {
            let found = look();
            if found.is_some() || start.elapsed() >= limit {
                return found;
            }
            if let Ok(line) = self.inbox.recv_timeout(LOOK_EVERY) {
                self.tell(line);
            }
            self.print_older_than(HOLD);
        }
    }

    /// Gives the last lines time to come, and prints them.
    pub(crate) fn finish(&mut self) {
        self.show_until(HOLD * 2, || None::<()>);
        self.print_older_than(Duration::ZERO);
    }

    fn print_older_than(&mut self, age: Duration) {
        let now = SystemTime::now();
        let is_due = |at: SystemTime| now.duration_since(at).is_ok_and(|passed| passed >= age);
        while let Some(entry) = self.held.first_entry().filter(|entry| is_due(entry.key().0)) {
            let line = entry.remove();
            self.print(&line);
        }
    }

    fn print(&self, line: &Line) {
        let ms = match line.at.duration_since(self.zero) {
            Ok(after) => after.as_secs_f64() * 1000.0,
            Err(before) => -before.duration().as_secs_f64() * 1000.0,
        };
        println!("{ms:>+12.1}  {:<12}{}", line.who, self.paint.show(line.tone, &line.what));
        for below in &line.below {
            println!("{:26}{}", "", self.paint.show(Tone::Quiet, below));
        }
    }
}
