//! Which script runs when. Pure: moments are arguments, processes are somebody else's.

use std::collections::BTreeMap;

use crate::base::Mono;

/// Bounds and times; the defaults are stock Sentinel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Scripts that may be in the queue, running ones included.
    pub queued: usize,
    /// Scripts that may run at once.
    pub at_once: usize,
    /// Runs of one script for one event.
    pub runs: u32,
    /// How long a run may take.
    pub run_ms: u64,
    /// Pause after the first run; doubles with each further one.
    pub retry_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { queued: 256, at_once: 16, runs: 10, run_ms: 60_000, retry_ms: 30_000 }
    }
}

/// One entry of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RunEnd {
    /// The signal it died of; 0 if of none.
    pub(super) signal: i32,
    /// Its exit code; 0 if it died of a signal.
    pub(super) code: i32,
}

impl RunEnd {
    /// What stock Sentinel's child exits with when there is nothing it could run.
    pub(super) const CANNOT_EXECUTE: Self = Self { signal: 0, code: 2 };
    /// What stock Sentinel reports when the system gives it no process; it counts as a signal, so it is tried again.
    pub(super) const NO_PROCESS: Self = Self { signal: 99, code: 0 };

    const fn is_good(self) -> bool {
        self.signal == 0 && self.code == 0
    }

    /// A script asks for another run by exiting with 1; one that was killed did not get to say.
    const fn asks_again(self) -> bool {
        self.signal != 0 || self.code == 1
    }
}

/// What comes of the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunVerdict {
    /// It is done.
    Done,
    /// It runs again.
    Again {
        /// After this pause.
        in_ms: u64,
    },
    /// It is given up.
    Failed,
}

/// An entry as shown to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Path and arguments.
    pub argv: Vec<String>,
    /// Runs begun so far.
    pub runs: u32,
    /// Whether it runs.
    pub standing: RunStanding,
}

/// Whether a script runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStanding {
    /// It runs.
    Running {
        /// Its process; none for the moment in which it is being started.
        pid: Option<u32>,
        /// For how long.
        for_ms: u64,
    },
    /// It waits.
    Scheduled {
        /// It is due after this; 0 if it only waits for others to end.
        in_ms: u64,
    },
}

#[derive(Debug)]
enum RunPhase {
    Scheduled { at: Mono },
    Running { pid: Option<u32>, since: Mono },
}

#[derive(Debug)]
struct ScriptEntry {
    argv: Vec<String>,
    runs: u32,
    phase: RunPhase,
}

/// The queue, oldest first.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) limits: Limits,
    entries: BTreeMap<Ticket, ScriptEntry>,
    next: Ticket,
}

impl Queue {
    pub(super) const fn new(limits: Limits) -> Self {
        Self { limits, entries: BTreeMap::new(), next: Ticket(0) }
    }

    /// Puts a script at the end; the oldest one that does not run makes room if there is none, and is returned.
    pub(super) fn add(&mut self, argv: Vec<String>, now: Mono) -> Option<Vec<String>> {
        self.entries.insert(self.next, ScriptEntry { argv, runs: 0, phase: RunPhase::Scheduled { at: now } });
        self.next.0 += 1;
        if self.entries.len() <= self.limits.queued {
            return None;
        }
        let oldest = self.entries.iter().find(|(_, entry)| !entry.is_running()).map(|(ticket, _)| *ticket)?;
        self.entries.remove(&oldest).map(|entry| entry.argv)
    }

    /// The oldest script that is due, if another may run. It counts as running from now on.
    pub(super) fn start(&mut self, now: Mono) -> Option<(Ticket, Vec<String>)> {
        if self.running() >= self.limits.at_once {
            return None;
        }
        let (ticket, entry) = self.entries.iter_mut().find(|(_, entry)| entry.due_at().is_some_and(|at| at <= now))?;
        entry.runs += 1;
        entry.phase = RunPhase::Running { pid: None, since: now };
        Some((*ticket, entry.argv.clone()))
    }

    /// It runs as this process.
    pub(super) fn started(&mut self, ticket: Ticket, process: u32) {
        if let Some(ScriptEntry { phase: RunPhase::Running { pid, .. }, .. }) = self.entries.get_mut(&ticket) {
            *pid = Some(process);
        }
    }

    /// Its run is over.
    pub(super) fn ended(&mut self, ticket: Ticket, end: RunEnd, now: Mono) -> RunVerdict {
        let limits = self.limits;
        let Some(entry) = self.entries.get_mut(&ticket) else { return RunVerdict::Done };
        if end.asks_again() && entry.runs < limits.runs {
            let in_ms = pause_ms(limits.retry_ms, entry.runs);
            entry.phase = RunPhase::Scheduled { at: now.plus_ms(in_ms) };
            return RunVerdict::Again { in_ms };
        }
        self.entries.remove(&ticket);
        if end.is_good() { RunVerdict::Done } else { RunVerdict::Failed }
    }

    /// When to ask [`Queue::start`] again; none if only the end of a run or a new entry can change anything.
    pub(super) fn wake_at(&self) -> Option<Mono> {
        if self.running() >= self.limits.at_once {
            return None;
        }
        self.entries.values().filter_map(ScriptEntry::due_at).min()
    }

    pub(super) fn running(&self) -> usize {
        self.entries.values().filter(|entry| entry.is_running()).count()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// All entries, oldest first.
    pub(super) fn pending(&self, now: Mono) -> Vec<Pending> {
        let shown = |entry: &ScriptEntry| Pending {
            argv: entry.argv.clone(),
            runs: entry.runs,
            standing: match entry.phase {
                RunPhase::Running { pid, since } => RunStanding::Running { pid, for_ms: now.ms_since(since) },
                RunPhase::Scheduled { at } => RunStanding::Scheduled { in_ms: at.ms_since(now) },
            },
        };
        self.entries.values().map(shown).collect()
    }
}

impl ScriptEntry {
    const fn is_running(&self) -> bool {
        match self.phase {
            RunPhase::Running { .. } => true,
            RunPhase::Scheduled { .. } => false,
        }
    }

    const fn due_at(&self) -> Option<Mono> {
        match self.phase {
            RunPhase::Running { .. } => None,
            RunPhase::Scheduled { at } => Some(at),
        }
    }
}

/// After run number `runs`, which is 1 or more.
fn pause_ms(first_ms: u64, runs: u32) -> u64 {
    first_ms.saturating_mul(1_u64.checked_shl(runs.saturating_sub(1)).unwrap_or(u64::MAX))
}
