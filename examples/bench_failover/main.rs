//! How long until clients can write again after the master was killed: raft-sentinel beside stock Redis Sentinel.
//!
//! In each round, alternating: a fresh master with two replicas and three sentinels, a client that finds the master
//! through the sentinels and writes all the time, SIGKILL to the master, and the clock runs until the first write that
//! a new master accepts from that client. Everything is seen from outside and is the same for all. For ours, the
//! replicated log says in addition how long each part took.
//!
//! The limit (`down-after-milliseconds`) counts from the last valid reply, which was given *before* the kill. So the
//! time after the limit, taken from outside, is too short by up to one ping period, and may even be negative; for
//! ours, who ping often, that matters. Hence a second measure for ours: from the moment the limit ran out at the
//! sentinel whose vote completed the quorum, to the first write. The ratio uses the larger of the two medians.

#[path = "../../tests/kit/mod.rs"]
mod kit;

mod host;
mod report;
mod round;
mod side;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::Parser;

use report::Report;
use round::Trouble;
use side::Side;

/// Measures the time from the death of a master to the first write on the next one.
#[derive(Debug, Parser)]
struct Args {
    /// Rounds for each.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// The limit, in milliseconds, for all.
    #[arg(long, default_value_t = 1000, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    down_after: u64,
    /// Measure only these.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Side>,
    /// The master hangs (SIGSTOP) instead of being killed: nothing tells that it takes no more writes, as when its host is cut off.
    #[arg(long)]
    hang: bool,
    /// Also write the results to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let sides = if args.only.is_empty() { Side::ALL.to_vec() } else { args.only.clone() };
    let with_ours = sides.iter().any(|side| side.is_ours());
    let trouble = if args.hang { Trouble::Hang } else { Trouble::Kill };
    if with_ours {
        kit::sentinel::find_our_binary().map_err(|missing| anyhow!(missing))?;
    }
    let mut report = Report::new(args.down_after, trouble, host::describe(with_ours));
    report.print_head();
    for number in 1..=args.rounds {
        for side in &sides {
            let round = round::play(*side, trouble, args.down_after);
            report.print_round(number, &round);
            report.rounds.push(round);
        }
    }
    report.print_summary();
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&report.to_json())?;
        fs::write(path, text + "\n").with_context(|| format!("write the results to {}", path.display()))?;
    }
    Ok(())
}
