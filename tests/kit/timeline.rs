//! What happened and when, and waiting for facts with a deadline.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::process::tail;

/// How often a fact is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);
const TAIL_LINES: usize = 25;

/// The notes of one test. Copies share the notes.
#[derive(Clone, Debug)]
pub struct Timeline {
    start: Instant,
    notes: Arc<Mutex<Notes>>,
}

#[derive(Debug, Default)]
struct Notes {
    lines: Vec<(Instant, String)>,
    logs: Vec<(String, PathBuf)>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { start: Instant::now(), notes: Arc::default() }
    }
}

impl Timeline {
    /// Writes down what just happened.
    pub fn note(&self, what: impl Into<String>) {
        self.with(|notes| notes.lines.push((Instant::now(), what.into())));
    }

    /// From now on the end of this file is part of the report.
    pub fn watch_log(&self, name: &str, path: PathBuf) {
        self.with(|notes| notes.logs.push((name.to_owned(), path)));
    }

    /// Waits until `look` finds the fact, and returns it. Until then `look` says what it sees instead.
    ///
    /// # Panics
    /// After `deadline`, with the whole timeline.
    pub fn wait_for<T>(&self, what: &str, deadline: Duration, mut look: impl FnMut() -> Result<T, String>) -> T {
        let start = Instant::now();
        loop {
            match look() {
                Ok(fact) => {
                    self.note(format!("{what}: yes, after {} ms", start.elapsed().as_millis()));
                    return fact;
                }
                Err(instead) if start.elapsed() >= deadline => {
                    self.note(format!("gave up after {} ms waiting for: {what}", deadline.as_millis()));
                    panic!("waited {} ms for: {what}\nseen instead: {instead}\n{}", deadline.as_millis(), self.report());
                }
                Err(_) => thread::sleep(LOOK_EVERY),
            }
        }
    }

    /// Like [`Timeline::wait_for`] for a fact that is either there or not.
    pub fn wait_until(&self, what: &str, deadline: Duration, mut look: impl FnMut() -> bool) {
        self.wait_for(what, deadline, || if look() { Ok(()) } else { Err("not so".to_owned()) });
    }

    /// Makes sure that the fact holds the whole time, for claims that something does *not* happen.
    ///
    /// # Panics
    /// As soon as it does not, with the whole timeline.
    pub fn holds(&self, what: &str, span: Duration, mut look: impl FnMut() -> Result<(), String>) {
        let start = Instant::now();
        while start.elapsed() < span {
            if let Err(instead) = look() {
                panic!("no longer so after {} ms: {what}\nseen instead: {instead}\n{}", start.elapsed().as_millis(), self.report());
            }
            thread::sleep(LOOK_EVERY);
        }
        self.note(format!("{what}: held for {} ms", span.as_millis()));
    }

    /// All notes, and the end of each log.
    pub fn report(&self) -> String {
        let mut text = String::from("--- timeline ---\n");
        self.with(|notes| {
            for (at, line) in &notes.lines {
                let _ = writeln!(text, "{:>8.3} s  {line}", at.duration_since(self.start).as_secs_f64());
            }
            for (name, path) in &notes.logs {
                let _ = writeln!(text, "--- {name} ({}) ---\n{}", path.display(), tail(path, TAIL_LINES));
            }
        });
        text
    }

    fn with<T>(&self, act: impl FnOnce(&mut Notes) -> T) -> T {
        act(&mut self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
