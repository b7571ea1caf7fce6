//! Floods of small clients: how fast answers come, and how soon clients can write after the master is killed, quiet and flooded,
//! raft-sentinel beside stock Redis Sentinel.
//!
//! For each flood and each flavour: a fresh master with two replicas and three sentinels, a client that finds the master through the
//! sentinels and writes all the time, and an observer that asks each sentinel for the master over a connection of its own. Then the
//! flood begins, and after a while the master is killed (SIGKILL) with the flood going on. Strangers, servers and sentinels share
//! this machine, so part of what a flood costs is what its sender takes.

#[path = "../../tests/kit/mod.rs"]
mod kit;

mod flood;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use clap::Parser;

use flood::Flood;
use kit::{Conn, Flavour, GROUP, Plan};

/// How long answers are measured before the kill.
const LISTEN: Duration = Duration::from_secs(5);
/// From the start of a flood to the first measured answer.
const SETTLE: Duration = Duration::from_secs(2);
/// How long the observer waits between two questions.
const BETWEEN: Duration = Duration::from_millis(5);
/// How long an answer may take before it counts as none.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a new master is waited for.
const WRITE_LIMIT: Duration = Duration::from_secs(60);

/// Measures answers and failovers under floods.
#[derive(Debug, Parser)]
struct Args {
    /// Only these floods.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Flood>,
    /// Runs of each.
    #[arg(long, default_value_t = 1)]
    runs: u32,
    /// The limit, in milliseconds.
    #[arg(long, default_value_t = 1000, value_name = "MS")]
    down_after: u64,
    /// Leave stock Sentinel out.
    #[arg(long)]
    ours_only: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    kit::sentinel::find_our_binary().map_err(|missing| anyhow!(missing))?;
    let floods = if args.only.is_empty() { Flood::ALL.to_vec() } else { args.only.clone() };
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("cores: {}, load before the first run: {}", std::thread::available_parallelism().map_or(0, usize::from), load.trim());
    println!("{:<34} {:<14} {:>9} {:>9} {:>9} {:>8} {:>14}", "flood", "sentinels", "p50 ms", "p99 ms", "max ms", "failed", "kill to write");
    for flood in floods {
        for flavour in [Flavour::Stock, Flavour::Ours].into_iter().filter(|flavour| !args.ours_only || *flavour == Flavour::Ours) {
            for _ in 0..args.runs {
                if flood.fits(flavour) {
                    println!("{}", play(flood, flavour, args.down_after));
                }
            }
        }
    }
    Ok(())
}

/// One run, from nothing to nothing, as a line.
fn play(flood: Flood, flavour: Flavour, down_after_ms: u64) -> String {
    let plan = Plan { down_after_ms, ..Plan::new(flavour) };
    let plan = if flavour == Flavour::Ours { plan.with_policy("available") } else { plan };
    let mut cluster = flood.prepare(plan).start();
    let writer = cluster.writer();
    let timeline = cluster.timeline.clone();
    timeline.wait_until("the client writes", WRITE_LIMIT, || writer.count() > 500);
    let master = timeline.wait_for("a master is named", WRITE_LIMIT, || cluster.sentinels[0].master());
    let crowd = flood.begin(&cluster);
    std::thread::sleep(SETTLE);
    let stop = Arc::new(AtomicBool::new(false));
    let observers: Vec<_> = cluster.sentinels.iter().map(|sentinel| observe(sentinel.ports.resp, Arc::clone(&stop))).collect();
    std::thread::sleep(LISTEN);
    stop.store(true, Ordering::Relaxed);
    let answers: Vec<Answers> = observers.into_iter().filter_map(|observer| observer.join().ok()).collect();
    let killed = Instant::now();
    cluster.server_mut(master).kill();
    let begun = Instant::now();
    let written = loop {
        if let Some(ack) = writer.first_elsewhere(killed, master) {
            break Some(ack.at.duration_since(killed));
        }
        if begun.elapsed() > WRITE_LIMIT {
            break None;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    drop(crowd);
    let _ = writer.finish();
    line(flood, flavour, &answers, written)
}

/// The answers that one observer got.
#[derive(Default)]
struct Answers {
    ms: Vec<f64>,
    failed: u32,
}

fn observe(port: u16, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<Answers> {
    std::thread::spawn(move || {
        let (mut answers, mut conn) = (Answers::default(), None);
        while !stop.load(Ordering::Relaxed) {
            let begun = Instant::now();
            conn = conn.take().or_else(|| Conn::open(port, PATIENCE).ok());
            let reply = conn.as_mut().and_then(|conn| conn.ask(&["SENTINEL", "get-master-addr-by-name", GROUP]).ok());
            match reply {
                Some(reply) if reply.items().len() == 2 => answers.ms.push(begun.elapsed().as_secs_f64() * 1e3),
                Some(_) => answers.failed += 1,
                None => {
                    answers.failed += 1;
                    conn = None;
                }
            }
            std::thread::sleep(BETWEEN);
        }
        answers
    })
}

fn line(flood: Flood, flavour: Flavour, answers: &[Answers], written: Option<Duration>) -> String {
    let mut ms: Vec<f64> = answers.iter().flat_map(|answers| answers.ms.iter().copied()).collect();
    ms.sort_by(f64::total_cmp);
    let at = |part: usize| ms.get((ms.len() * part / 100).min(ms.len().saturating_sub(1))).copied().unwrap_or(f64::NAN);
    let failed: u32 = answers.iter().map(|answers| answers.failed).sum();
    let written = written.map_or_else(|| "none in 60 s".to_owned(), |after| format!("{:.0} ms", after.as_secs_f64() * 1e3));
    let last = ms.last().copied().unwrap_or(f64::NAN);
    format!("{:<34} {:<14} {:>9.2} {:>9.2} {:>9.2} {failed:>8} {written:>14}", flood.name(), flavour.name(), at(50), at(99), last)
}
