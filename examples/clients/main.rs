//! Client libraries through the death of a master, a switchover and a first sentinel that is cut off, with our sentinels and with stock ones.
//!
//! Each library has a driver below `drivers/`: a small program that writes through the library, as it comes, for ever, and prints a
//! line of JSON for each write. A round is one deployment (a master, two replicas, three sentinels, each in a host of its own), some
//! drivers that write at the same time, and one thing that happens. The longest pause is the longest time between two writes that
//! were acknowledged, from just before the act to the end of the watch; an error is what the library's user saw.
//!
//! The clients sit at the network's observer: whoever is cut off from the others still answers them.

#[path = "../../tests/kit/mod.rs"]
mod kit;

mod library;
mod prepare;
mod report;
mod round;
mod told;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::Parser;

use kit::Flavour;
use kit::net::Net;
use library::{ELSEWHERE, Library, all};
use report::Report;
use round::Act;

/// Takes client libraries through failovers, beside stock Sentinel.
#[derive(Debug, Parser)]
struct Args {
    /// Only libraries whose name contains one of these.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    only: Vec<String>,
    /// Only these acts.
    #[arg(long, value_delimiter = ',')]
    acts: Vec<Act>,
    /// Rounds of each act for each library; the table shows the median of the pauses and the sum of the errors.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// So many libraries share a deployment: fewer disturb each other less.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=50))]
    together: u32,
    /// The promotion policy of our group.
    #[arg(long, default_value = "auto")]
    policy: String,
    /// Also write the results to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    kit::sentinel::find_our_binary().map_err(|missing| anyhow!(missing))?;
    // The observer of a network is who reaches a sentinel that is cut off from all others.
    Net::new(&["probe"]).map_err(|why| anyhow!("a first sentinel can be cut off in a network of its own only: {why}"))?;
    let acts = if args.acts.is_empty() { Act::ALL.to_vec() } else { args.acts.clone() };
    let wanted = |library: &Library| args.only.is_empty() || args.only.iter().any(|part| library.name.contains(part.as_str()));
    let mut report = Report::default();
    let mut here = Vec::new();
    for library in all().into_iter().filter(wanted) {
        match prepare::ready(&library) {
            Ok(()) => here.push(library),
            Err(why) => report.absent.push((library.name.to_owned(), why)),
        }
    }
    report.absent.extend(ELSEWHERE.iter().map(|(name, why)| ((*name).to_owned(), (*why).to_owned())));
    for number in 1..=args.rounds {
        for some in here.chunks(args.together as usize) {
            for act in &acts {
                for flavour in [Flavour::Ours, Flavour::Stock] {
                    let names: Vec<&str> = some.iter().map(|library| library.name).collect();
                    eprintln!("round {number}: {}, {}: {}", act.name(), flavour.name(), names.join(", "));
                    report.measured.extend(round::play(flavour, *act, some, &args.policy)?);
                }
            }
        }
    }
    print!("{}", report.table());
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&report.to_json())?;
        fs::write(path, text + "\n").with_context(|| format!("write the results to {}", path.display()))?;
    }
    Ok(())
}
