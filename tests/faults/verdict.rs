//! What is checked for the history of each scenario, and the numbers of its row.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::answers::{Misfit, Reign};
use crate::clients::Ack;
use crate::kit::RedisServer;

/// After the heal a client that follows the sentinels writes again within this time.
pub(crate) const SERVICE_LIMIT: Duration = Duration::from_secs(8);
const KEYS_PER_QUESTION: usize = 500;

/// What happened.
pub(crate) struct Story {
    /// The master of each epoch, in order.
    pub(crate) reigns: Vec<Reign>,
    /// Acknowledged writes, by time.
    pub(crate) acks: Vec<Ack>,
    /// The clients that follow the sentinels where nothing is cut off.
    pub(crate) followers: BTreeSet<usize>,
    /// From when to when there was a fault; at least one such time.
    pub(crate) faults: Vec<(Instant, Instant)>,
    /// When which server was suspended: between these two moments it did nothing.
    pub(crate) suspended: Vec<(u16, Instant, Instant)>,
}

/// What is found about it.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// From the first fault to the first decision after it.
    pub(crate) decided: Option<Duration>,
    /// How many decisions there were.
    pub(crate) failovers: usize,
    /// The longest time in which no follower could write.
    pub(crate) gap: Duration,
    /// From the heal to the first write of a follower.
    pub(crate) back: Option<Duration>,
    /// From the heal until there was one master, followed by all servers and named by all sentinels.
    pub(crate) settled: Duration,
    /// Writes that were taken by others than the master.
    pub(crate) strays: Vec<Stray>,
    pub(crate) acked: usize,
    pub(crate) confirmed: usize,
    /// Acknowledged writes that the last master lacks, confirmed ones not included.
    pub(crate) plain_lost: usize,
    /// Confirmed writes that the last master lacks.
    pub(crate) confirmed_lost: Vec<Ack>,
    pub(crate) answers: Result<usize, Misfit>,
    /// What is wrong with the sequence of epochs.
    pub(crate) epochs: Result<(), String>,
}

/// A write taken by a server that was not the master, or no longer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stray {
    pub(crate) ack: Ack,
    /// It was not taken before this moment.
    pub(crate) taken: Instant,
    /// How long that is after the first write of the master.
    pub(crate) late: Duration,
    /// Whether there was a fault at that moment; if not, it was just gone.
    pub(crate) during_fault: bool,
}

/// When a fault is gone, Redis itself leaves a moment in which the fence is open. A master that was suspended does what it finds in its
/// buffers before it notices that its replicas left. And an acknowledgement of a replica that the network held back counts as fresh
/// when it arrives, until what the replica sent behind it, the end of its connection, arrives too. WAIT confirms none of that.
pub(crate) const RESIDUE_OF_CUT: Duration = Duration::from_millis(250);
/// The same where the end of the connection never comes: the longest lag (1 s), a second until Redis looks again, and the margin of a busy machine.
pub(crate) const RESIDUE_OF_LATE_ACK: Duration = Duration::from_millis(2500);
/// The same for a master that was suspended, with what it has to do when it wakes up.
pub(crate) const RESIDUE_OF_STOP: Duration = Duration::from_millis(1500);

impl Story {
    /// The writes that anybody took for certain between the first one of a master and the first one of its successor, but for that master.
    pub(crate) fn strays(&self) -> Vec<Stray> {
        let mut strays = Vec::new();
        for (number, reign) in self.reigns.iter().enumerate() {
            let next = self.reigns.get(number + 1);
            let Some(first) = self.first_of(reign) else { continue };
            let end = next.and_then(|next| self.first_of(next));
            let taken = self.acks.iter().map(|ack| (ack, self.taken(ack)));
            for (ack, taken) in taken.filter(|(_, taken)| *taken > first && end.is_none_or(|end| *taken < end)) {
                let by_successor = next.is_some_and(|next| ack.port == next.port && next.decided.is_none_or(|at| ack.acked > at));
                if ack.port != reign.port && !by_successor {
                    let during_fault = self.faults.iter().any(|(from, to)| *from <= taken && taken < *to);
                    strays.push(Stray { ack: *ack, taken, late: taken - first, during_fault });
                }
            }
        }
        strays
    }

    /// The earliest moment at which the write may have been done.
    fn taken(&self, ack: &Ack) -> Instant {
        let mut spans = self.suspended.iter().filter(|(port, from, to)| *port == ack.port && *from < ack.sent && ack.sent < *to);
        spans.next().map_or(ack.sent, |(_, _, to)| *to).min(ack.acked)
    }

    /// When the first write that this master took was acknowledged.
    fn first_of(&self, reign: &Reign) -> Option<Instant> {
        self.acks.iter().find(|ack| ack.port == reign.port && reign.decided.is_none_or(|at| ack.sent > at)).map(|ack| ack.acked)
    }

    /// When the first fault struck.
    fn struck(&self) -> Instant {
        self.faults[0].0
    }

    /// When all faults were gone.
    fn healed(&self) -> Instant {
        self.faults[self.faults.len() - 1].1
    }

    fn by_followers(&self) -> impl Iterator<Item = &Ack> {
        self.acks.iter().filter(|ack| self.followers.contains(&ack.client))
    }

    /// The longest time without a write of a follower since the first fault.
    pub(crate) fn gap(&self) -> Duration {
        let mut last = self.struck();
        let mut longest = Duration::ZERO;
        for ack in self.by_followers().filter(|ack| ack.acked > self.struck()) {
            longest = longest.max(ack.acked - last);
            last = ack.acked;
        }
        longest
    }

    /// From the heal to the first write of a follower.
    pub(crate) fn back(&self) -> Option<Duration> {
        self.by_followers().find(|ack| ack.sent > self.healed()).map(|ack| ack.acked - self.healed())
    }

    /// From the first fault to the first decision after it.
    pub(crate) fn decided(&self) -> Option<Duration> {
        self.reigns.iter().filter_map(|reign| reign.decided).find(|at| *at > self.struck()).map(|at| at - self.struck())
    }
}

impl Verdict {
    /// Everything that the strict policy promises not to happen. When the faults are gone, Redis may leave this much of a residue.
    pub(crate) fn complaints(&self, residue: Duration) -> Vec<String> {
        let mut found = self.complaints_but_for_strays();
        let during: Vec<&Stray> = self.strays.iter().filter(|stray| stray.during_fault).collect();
        if let (Some(first), Some(last)) = (during.first(), during.last()) {
            found.push(format!("{} writes were taken by servers that were not the master, from {first} to {last}", during.len()));
        } else if self.overlap() > residue {
            found.push(format!("after the faults two masters took writes for {:?}, Redis leaves no more than {residue:?}", self.overlap()));
        }
        found
    }

    /// The same but for writes on a deposed master that WAIT did not confirm.
    pub(crate) fn complaints_but_for_strays(&self) -> Vec<String> {
        let mut found = self.complaints_of_any_policy();
        if let Some(ack) = self.confirmed_lost.first() {
            let lost = self.confirmed_lost.len();
            found.push(format!("{lost} writes that WAIT had confirmed are lost, the first is {} on {}", ack.key(), ack.port));
        }
        found.extend(self.strays.iter().find(|stray| stray.ack.confirmed).map(|stray| format!("WAIT confirmed {stray}")));
        found
    }

    /// What must hold whatever a promotion waits for.
    pub(crate) fn complaints_of_any_policy(&self) -> Vec<String> {
        let mut found = Vec::new();
        found.extend(self.answers.as_ref().err().map(|misfit| format!("the answers are not linearizable: {misfit}")));
        found.extend(self.epochs.as_ref().err().cloned());
        match self.back {
            Some(back) if back <= SERVICE_LIMIT => {}
            other => found.push(format!("after the heal a client could write again after {other:?}, {SERVICE_LIMIT:?} are allowed")),
        }
        found
    }

    /// How long two masters took writes.
    pub(crate) fn overlap(&self) -> Duration {
        let (first, last) = (self.strays.iter().map(|stray| stray.taken).min(), self.strays.iter().map(|stray| stray.ack.acked).max());
        first.zip(last).map(|(first, last)| last - first).unwrap_or_default()
    }
}

/// A decision as one sentinel tells it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decided {
    pub(crate) reign: Reign,
    pub(crate) revision: u64,
    /// The same moment as in `reign`, as it was told.
    pub(crate) at_us: u64,
}

/// All sentinels tell one sequence, oldest first, of epochs without a gap, which leads to this master.
///
/// # Errors
/// With what they tell.
pub(crate) fn check_epochs(histories: &[Vec<Decided>], last_master: u16) -> Result<(), String> {
    let told = |history: &[Decided]| -> Vec<(u64, u16, u64, u64)> {
        history.iter().map(|decided| (decided.reign.epoch, decided.reign.port, decided.revision, decided.at_us)).collect()
    };
    let all: Vec<_> = histories.iter().map(|history| told(history)).collect();
    let same = all.iter().all(|other| *other == all[0]);
    let no_gap = (1..).zip(&all[0]).all(|(number, (epoch, ..))| *epoch == number);
    let ordered = all[0].windows(2).all(|pair| pair[0].2 < pair[1].2);
    let leads_there = all[0].last().is_none_or(|(_, port, ..)| *port == last_master);
    if same && no_gap && ordered && leads_there {
        return Ok(());
    }
    Err(format!("the decisions (epoch, master, revision, moment) are not one sequence that leads to {last_master}: {all:?}"))
}

/// The keys among these that `server` lacks or holds with another value.
pub(crate) fn missing(acks: &[Ack], server: &RedisServer) -> Vec<Ack> {
    let mut conn = server.conn(Duration::from_secs(5)).unwrap_or_else(|e| panic!("connect to {}: {e}", server.name));
    let mut missing = Vec::new();
    for some in acks.chunks(KEYS_PER_QUESTION) {
        let keys: Vec<String> = some.iter().map(Ack::key).collect();
        let words: Vec<&str> = std::iter::once("MGET").chain(keys.iter().map(String::as_str)).collect();
        let reply = conn.ask(&words).unwrap_or_else(|e| panic!("MGET on {}: {e}", server.name));
        assert_eq!(reply.items().len(), some.len(), "MGET on {}: {reply}", server.name);
        let held = keys.iter().zip(reply.items()).map(|(key, value)| value.text().as_ref() == Some(key));
        missing.extend(some.iter().zip(held).filter(|(_, held)| !held).map(|(ack, _)| *ack));
    }
    missing
}

/// The widths of the columns of the table.
const COLUMNS: [(&str, usize); 12] = [
    ("policy", 9),
    ("failovers", 9),
    ("decided", 7),
    ("no write", 8),
    ("back", 6),
    ("settled", 7),
    ("overlap", 7),
    ("strays", 6),
    ("acked", 6),
    ("lost", 5),
    ("by WAIT", 7),
    ("lost", 5),
];
const NAME: usize = 52;

impl Verdict {
    /// Its row of the table; times are milliseconds.
    pub(crate) fn row(&self, name: &str, policy: &str) -> String {
        let ms = |span: Option<Duration>| span.map_or("-".to_owned(), |span| span.as_millis().to_string());
        let cells = [
            policy.to_owned(),
            self.failovers.to_string(),
            ms(self.decided),
            ms(Some(self.gap)),
            ms(self.back),
            ms(Some(self.settled)),
            ms(Some(self.overlap())),
            self.strays.len().to_string(),
            self.acked.to_string(),
            self.plain_lost.to_string(),
            self.confirmed.to_string(),
            self.confirmed_lost.len().to_string(),
        ];
        let cells: Vec<String> = cells.iter().zip(COLUMNS).map(|(cell, (_, width))| format!("{cell:>width$}")).collect();
        format!("{name:<NAME$} {} {}", cells.join(" "), if self.answers.is_ok() { "" } else { " answers do not fit" }).trim_end().to_owned()
    }
}

/// The line above the rows.
fn head() -> String {
    let cells: Vec<String> = COLUMNS.iter().map(|(title, width)| format!("{title:>width$}")).collect();
    format!("{:<NAME$} {}", "scenario (times in ms)", cells.join(" "))
}

/// Where tables and reports lie: `target/tmp/faults`.
fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults");
    fs::create_dir_all(&folder).unwrap_or_else(|e| panic!("create {}: {e}", folder.display()));
    folder
}

/// Adds a row to the table of this run, and shows it.
pub(crate) fn publish(row: &str) {
    println!("{}\n{row}", head());
    let table = folder().join("table.txt");
    // One write for each row: scenarios run beside each other.
    let add = || {
        let mut file = File::options().create(true).append(true).open(&table)?;
        let head = if file.metadata()?.len() == 0 { head() + "\n" } else { String::new() };
        file.write_all(format!("{head}{row}\n").as_bytes())
    };
    add().unwrap_or_else(|e| panic!("write to {}: {e}", table.display()));
}

/// Keeps what happened in one scenario, and shows it where the test runner shows output: if the test fails.
pub(crate) fn keep_report(name: &str, policy: &str, report: &str) {
    println!("{report}");
    let word = |c: char| if c.is_alphanumeric() { c } else { '-' };
    let file = folder().join(format!("{} {name}.log", policy).chars().map(|c| if c == '.' { c } else { word(c) }).collect::<String>());
    fs::write(&file, report).unwrap_or_else(|e| panic!("write {}: {e}", file.display()));
}

impl fmt::Display for Stray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}, {} ms after the first write of the master", self.ack.key(), self.ack.port, self.late.as_millis())
    }
}

/// How many writes each server took, for reports.
pub(crate) fn shares(acks: &[Ack]) -> BTreeMap<u16, usize> {
    acks.iter().fold(BTreeMap::new(), |mut shares, ack| {
        *shares.entry(ack.port).or_default() += 1;
        shares
    })
}
