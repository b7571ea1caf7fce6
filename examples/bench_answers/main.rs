//! How many answers a second: linearizable ones of raft-sentinel beside the plain ones of stock Redis Sentinel.
//!
//! Clients ask `SENTINEL GET-MASTER-ADDR-BY-NAME` as fast as answers come: each connection has one question under way (or
//! `--pipeline N`). Both trios run all the time and are asked in turn. Stock answers from memory; ours only after a
//! quorum has confirmed, in a round that began after the question came, that nothing newer was decided.
//!
//! One thread asks, as redis-benchmark does. On a machine with few cores it takes from the servers what they could
//! use, and the three sentinels of ours take from each other; so the table also says how much processor time an answer cost.
//!
//! Then changes: `SENTINEL SET` on the leader and on a follower (one committed entry) beside stock's (a rewritten file), beside a bare
//! write and sync on the same disk.

#[path = "../../tests/kit/mod.rs"]
mod kit;

mod changes;
mod cpu;
#[path = "../bench_failover/host.rs"]
mod host;
mod load;
mod report;
mod target;

use std::time::Duration;

use anyhow::anyhow;
use clap::Parser;

use load::Load;
use report::Report;
use target::Targets;

/// Measures how fast sentinels answer, and what a change costs.
#[derive(Debug, Parser)]
struct Args {
    /// How many connections ask at once; may be given more than once.
    #[arg(long, value_name = "N", default_values_t = [1, 50, 500], value_parser = clap::value_parser!(u16).range(1..=5000))]
    connections: Vec<u16>,
    /// Questions that each connection has under way.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pipeline: u16,
    /// How long each is asked.
    #[arg(long, value_name = "S", default_value_t = 2.0, value_parser = seconds)]
    seconds: f64,
    /// How often all of it is done.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How many changes are made in each place; 0 for none.
    #[arg(long, default_value_t = 300)]
    changes: u32,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.1..=60.0).contains(&seconds) { Ok(seconds) } else { Err("from 0.1 to 60".to_owned()) }
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    kit::sentinel::find_our_binary().map_err(|missing| anyhow!(missing))?;
    let mut report = Report::new(host::describe(true));
    report.print_head();
    let targets = Targets::start();
    for connections in &args.connections {
        for round in 1..=args.rounds {
            for target in targets.all() {
                let load = Load { connections: *connections, pipeline: args.pipeline, span: Duration::from_secs_f64(args.seconds) };
                report.print_run(round, load::run(&target, load)?);
            }
        }
        report.print_ratios(*connections);
    }
    if args.changes > 0 {
        changes::measure(&targets, args.changes)?;
    }
    Ok(())
}
