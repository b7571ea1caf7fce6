//! How long until clients can write again after the master was killed: raft-sentinel beside stock Redis Sentinel.
//!
//! In each round, alternating: a fresh master with two replicas and three sentinels, a client that finds the master
//! through the sentinels and writes all the time, SIGKILL to the master, and the clock runs until the first write that
//! a new master accepts from that client. Everything is seen from outside and is the same for both. For ours, the
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

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::{Parser, ValueEnum};

use kit::Flavour;
use report::Report;

/// Measures the time from the death of a master to the first write on the next one.
#[derive(Debug, Parser)]
struct Args {
    /// Rounds for each of the two.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// The limit, in milliseconds, for both.
    #[arg(long, default_value_t = 1000, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    down_after: u64,
    /// Measure only one of the two.
    #[arg(long)]
    only: Option<Side>,
    /// Also write the results to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Side {
    Ours,
    Stock,
}

impl Side {
    const fn flavour(self) -> Flavour {
        match self {
            Self::Ours => Flavour::Ours,
            Self::Stock => Flavour::Stock,
        }
    }
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let sides = args.only.map_or_else(|| vec![Side::Ours, Side::Stock], |side| vec![side]);
    if sides.contains(&Side::Ours) {
        kit::sentinel::find_our_binary().map_err(|missing| anyhow!(missing))?;
    }
    let mut report = Report::new(args.down_after, host::describe(sides.contains(&Side::Ours)));
    report.print_head();
    for number in 1..=args.rounds {
        for side in &sides {
            let round = round::play(side.flavour(), args.down_after);
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
