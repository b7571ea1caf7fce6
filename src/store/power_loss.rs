//! Power losses and failing disks, simulated under the engine: what was synced stays, of what was not any part may.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use openraft::{CommittedLeaderId, EntryPayload};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use redb::StorageBackend;

use super::codec;
use super::commit_watermark::Marked;
use super::engine::{Engine, MetaKey, Op};
use super::verify::{self, Binding, RecoveredLog};
use crate::base::{ClusterId, Incarnation, LogIndex, NodeId, WallTime};
use crate::machine::{Command, State};
use crate::raft::types::{Entry, LogId, SnapshotMeta, Vote};

const SECTOR: usize = 512;

/// What was asked of the disk.
#[derive(Clone, Debug)]
enum DiskStep {
    Write(u64, Vec<u8>),
    Resize(u64),
    Sync,
}

/// A disk in memory that remembers all that was asked of it, and may break.
#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<Platter>>);

#[derive(Debug, Default)]
struct Platter {
    bytes: Vec<u8>,
    steps: Vec<DiskStep>,
    /// Fails everything once so many steps were made.
    breaks_after: Option<usize>,
}

impl Platter {
    fn step(&mut self, step: DiskStep) -> io::Result<()> {
        if self.breaks_after.is_some_and(|limit| self.steps.len() >= limit) {
            return Err(io::Error::other("the disk broke"));
        }
        apply(&mut self.bytes, &step, |_| true);
        self.steps.push(step);
        Ok(())
    }
}

/// Applies one step; of a write only the sectors that `survives` picks.
fn apply(bytes: &mut Vec<u8>, step: &DiskStep, mut survives: impl FnMut(usize) -> bool) {
    match step {
        DiskStep::Write(offset, data) => {
            let start = usize::try_from(*offset).unwrap();
            for (number, sector) in data.chunks(SECTOR).enumerate().filter(|(number, _)| survives(*number)) {
                let at = start + number * SECTOR;
                let end = at + sector.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[at..end].copy_from_slice(sector);
            }
        }
        DiskStep::Resize(len) => bytes.resize(usize::try_from(*len).unwrap(), 0),
        DiskStep::Sync => {}
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let platter = self.0.lock().unwrap();
        let start = usize::try_from(offset).unwrap();
        let held = platter.bytes.get(start..start + out.len()).ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        out.copy_from_slice(held);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.lock().unwrap().step(DiskStep::Resize(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.lock().unwrap().step(DiskStep::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap().step(DiskStep::Write(offset, data.to_vec()))
    }
}

impl Disk {
    fn holding(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Platter { bytes, ..Platter::default() })))
    }

    /// What a power loss after `steps` steps may leave.
    fn after_power_loss(&self, steps: usize, dice: &mut StdRng) -> Vec<u8> {
        let platter = self.0.lock().unwrap();
        let made = &platter.steps[..steps];
        let synced = made.iter().rposition(|step| matches!(step, DiskStep::Sync)).unwrap_or(0);
        let mut bytes = Vec::new();
        let share = dice.gen_range(0..=4);
        for (number, step) in made.iter().enumerate() {
            apply(&mut bytes, step, |_| number < synced || dice.gen_range(0..4) < share);
        }
        bytes
    }
}

fn log_id(index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(1, NodeId(1)), index)
}

fn entry(index: u64) -> Entry {
    let command = Command::VotesExpired { voter: NodeId(index), silent_ms: index, at: WallTime(index) };
    Entry { log_id: log_id(index), payload: EntryPayload::Normal(command) }
}

/// The operations of commit number `round`: an entry, at times a vote, a snapshot with a purge, or a truncation.
fn round(round: u64) -> Vec<Op> {
    let write = |index: u64| Op::Append(index, codec::encode(&entry(index)).unwrap());
    let mut ops = vec![write(round)];
    if round.is_multiple_of(3) {
        ops.push(Op::Set(MetaKey::Vote, codec::encode(&Vote::new(round, NodeId(1))).unwrap()));
    }
    if round % 10 == 9 {
        let state = State { applied: LogIndex(round), ..State::default() };
        let meta = SnapshotMeta { last_log_id: Some(log_id(round)), ..SnapshotMeta::default() };
        ops.push(Op::Snapshot(round, codec::encode(&meta).unwrap(), codec::encode(&state).unwrap()));
        ops.push(Op::Purge(round - 4, codec::encode(&log_id(round - 4)).unwrap()));
    }
    if round % 7 == 6 {
        ops.extend([Op::Truncate(round), write(round)]);
    }
    ops
}

/// Commits rounds 0 to `rounds`, and says after how many steps each was acknowledged.
fn live(disk: &Disk, rounds: u64) -> Vec<usize> {
    let mut engine = Engine::over(disk.clone(), Path::new("disk")).unwrap();
    let binding =
        Binding { node_id: NodeId(1), cluster_id: ClusterId::new("c").expect("an id"), incarnation: Incarnation::new("i").expect("an id") };
    engine.commit(&[Op::Set(MetaKey::Binding, codec::encode(&binding).unwrap())]).unwrap();
    let mut acknowledged = vec![disk.0.lock().unwrap().steps.len()];
    for number in 0..rounds {
        if engine.commit(&round(number)).is_err() {
            break;
        }
        acknowledged.push(disk.0.lock().unwrap().steps.len());
    }
    acknowledged
}

fn reopen(bytes: Vec<u8>, marked: &Marked) -> Result<RecoveredLog, String> {
    let mut engine = Engine::over(Disk::holding(bytes), Path::new("disk")).map_err(|error| error.to_string())?;
    verify::read_all(&mut engine, marked).map(|(_, book, _)| book).map_err(|error| error.to_string())
}

/// Checks that the rounds up to `last` are there, or one more: a round that was being committed.
fn check(book: &RecoveredLog, acknowledged: u64) {
    let last = book.last().map_or(0, |last| last.index + 1);
    assert!(last == acknowledged || last == acknowledged + 1, "{acknowledged} rounds were acknowledged, {last} are there");
    assert!(book.entries.iter().all(|(index, found)| *found == entry(*index)));
    let voted = (0..last).rfind(|number| number % 3 == 0).map(|number| Vote::new(number, NodeId(1)));
    assert_eq!(book.vote, voted);
}

#[test]
fn a_commit_costs_one_sync() {
    let disk = Disk::default();
    let acknowledged = live(&disk, 60);
    let platter = disk.0.lock().unwrap();
    for (number, moments) in acknowledged.windows(2).enumerate() {
        let syncs = platter.steps[moments[0]..moments[1]].iter().filter(|step| matches!(step, DiskStep::Sync)).count();
        assert_eq!(syncs, 1, "round {number}");
    }
}

#[test]
fn a_power_loss_at_any_moment_loses_nothing_acknowledged() {
    let disk = Disk::default();
    let acknowledged = live(&disk, 60);
    let steps = disk.0.lock().unwrap().steps.len();
    let seed = rand::random();
    let mut dice = StdRng::seed_from_u64(seed);
    for _ in 0..400 {
        let moment = dice.gen_range(acknowledged[0]..=steps);
        let rounds = acknowledged.iter().filter(|done| **done <= moment).count() as u64;
        // The mark may have been written after the last acknowledged commit, or be as old as anything.
        let marked = Marked { commits: dice.gen_range(0..=rounds), committed: None };
        let book = reopen(disk.after_power_loss(moment, &mut dice), &marked)
            .unwrap_or_else(|problem| panic!("seed {seed}, after {moment} of {steps} steps: {problem}"));
        check(&book, rounds - 1);
    }
}

#[test]
fn a_disk_that_breaks_at_any_moment_loses_nothing_acknowledged() {
    let whole = Disk::default();
    let first = live(&whole, 30)[0];
    let steps = whole.0.lock().unwrap().steps.len();
    for limit in first..steps {
        let disk = Disk::default();
        disk.0.lock().unwrap().breaks_after = Some(limit);
        let acknowledged = live(&disk, 30).len() as u64 - 1;
        let bytes = disk.0.lock().unwrap().bytes.clone();
        let book = reopen(bytes, &Marked::default()).unwrap_or_else(|problem| panic!("broke after {limit} steps: {problem}"));
        check(&book, acknowledged);
    }
}
