//! The same trouble for stock Redis Sentinel and for raft-sentinel, side by side.
//!
//! `make compare` plays twelve scenarios (`scenario/`), in turn, with each product: stock `redis-sentinel`, `valkey-sentinel` where it is
//! installed, and raft-sentinel with the policies `available` and `strict`. Each run has a deployment of its own: one master, two
//! replicas, three sentinels with a quorum of two (`stage/`), on real redis-server processes. As root every data node, every sentinel and
//! the application has a host of its own, a network namespace; otherwise all share this host, and the scenarios that cut connections
//! are left out.
//!
//! Both sides are treated alike. All get the same configuration, but for the lines that say who the sentinels are, and are seen
//! only from outside, through the SENTINEL protocol:
//!
//! - Two *applications* (one with `WAIT 1` after each write) ask the sentinels for the master in turn, check it with ROLE, listen to
//!   `+switch-master`, and write a new key every few milliseconds.
//! - Two clients *beside the master* write to its address from its own host, whatever happens.
//! - An *observer*, which no cut concerns, asks every sentinel for the master and every data node for its role, and whether it takes
//!   a write, a hundred times a second.
//!
//! When the trouble is over and everything is whole again, the acknowledged writes are compared with what the master holds. The
//! figures are explained where they are computed (`measure/`), and on the page.
//!
//! Results: a table here, `compare.json`, and `compare.html`, a page that needs nothing else. `--page FILE.json` makes the page of
//! earlier results again; `--table FILE.json` writes them as the table of a Markdown file, between two marker comments.

#[path = "../../tests/kit/mod.rs"]
mod kit;

mod act;
mod cast;
mod client;
mod clock;
mod directory;
mod machine;
mod matrix;
mod measure;
mod observer;
mod product;
mod record;
mod report;
mod results;
mod scenario;
#[path = "../quickstart/signals.rs"]
mod signals;
mod stage;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Parser;

use matrix::Turn;
use product::Product;
use results::{Results, Settings, Told};
use scenario::Scenario;
use stage::{Ground, Spec};

/// Plays the same trouble with stock Redis Sentinel and raft-sentinel, and shows what it did to clients.
#[derive(Debug, Parser)]
struct Args {
    /// Only these scenarios, by name.
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', value_parser = scenario_name)]
    only: Vec<String>,
    /// Only these products.
    #[arg(long, value_name = "PRODUCT,...", value_delimiter = ',', value_enum)]
    product: Vec<Product>,
    /// Runs of each scenario with each product [default: 1 to 3, by what it takes].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    runs: Option<u32>,
    /// down-after-milliseconds of every group.
    #[arg(long, default_value_t = 1000, value_name = "MS", value_parser = clap::value_parser!(u64).range(100..=30_000))]
    down_after: u64,
    /// failover-timeout of every group. Stock Sentinel tries a failed failover again after twice this time.
    #[arg(long, default_value_t = 10_000, value_name = "MS", value_parser = clap::value_parser!(u64).range(1000..))]
    failover_timeout: u64,
    /// Leave the folders of all runs behind, with logs and configuration files.
    #[arg(long)]
    keep: bool,
    /// Where compare.json and compare.html are written.
    #[arg(long, default_value = "target/compare", value_name = "DIR")]
    out: PathBuf,
    /// Run nothing: make the page of these results, beside them.
    #[arg(long, value_name = "FILE.json", conflicts_with = "table")]
    page: Option<PathBuf>,
    /// Run nothing: put the table of these results into the file of --into.
    #[arg(long, value_name = "FILE.json")]
    table: Option<PathBuf>,
    /// The Markdown file that --table writes to, between its marker comments.
    #[arg(long, default_value = "README.md", value_name = "FILE.md")]
    into: PathBuf,
    /// List the scenarios.
    #[arg(long)]
    list: bool,
}

fn scenario_name(text: &str) -> Result<String, String> {
    let known: Vec<&str> = scenario::ALL.iter().map(|scenario| scenario.id).collect();
    if known.contains(&text) { Ok(text.to_owned()) } else { Err(format!("no such scenario; there are {}", known.join(", "))) }
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if args.list {
        scenario::ALL.iter().for_each(|scenario| println!("{:<17} {}. {}", scenario.id, scenario.title, scenario.what));
        return Ok(());
    }
    if let Some(file) = &args.page {
        let page = file.with_extension("html");
        return write(&page, &report::page(&read(file)?)).map(|()| println!("{}", page.display()));
    }
    if let Some(file) = &args.table {
        let text = fs::read_to_string(&args.into).with_context(|| format!("read {}", args.into.display()))?;
        return write(&args.into, &report::with_table(&text, &read(file)?)?);
    }
    compare(&args)
}

fn compare(args: &Args) -> anyhow::Result<()> {
    signals::clean_up_when_interrupted();
    let begun = Instant::now();
    let mut results = Results::default();
    results.products = products(&args.product, &mut results.left_out)?;
    let hosts = Ground::can_have_hosts();
    let scenarios = scenarios(&args.only, &hosts, &mut results.left_out)?;
    if args.keep {
        kit::scratch::keep_all();
    }
    results.settings = Settings { down_after_ms: args.down_after, failover_timeout_ms: args.failover_timeout, hosts: hosts.is_ok() };
    results.machine = machine::describe(&results.products);
    results.scenarios = scenarios.iter().map(|scenario| told(scenario)).collect();
    report::print_head(&results);
    let turns = turns(&scenarios, &results.products, args.runs);
    let settings = results.settings.clone();
    let harvest = matrix::run_all(&turns, &|turn| spec(turn, &settings));
    if harvest.cells.is_empty() {
        bail!("not one run came to its end");
    }
    results.cells = harvest.cells;
    results.left_out.extend(harvest.failed);
    results.took_s = begun.elapsed().as_secs_f64();
    report::print_table(&results);
    fs::create_dir_all(&args.out).with_context(|| format!("create {}", args.out.display()))?;
    let (json, page) = (args.out.join("compare.json"), args.out.join("compare.html"));
    write(&json, &report::json(&results)?)?;
    write(&page, &report::page(&results))?;
    println!("\n{}\n{}", json.display(), page.display());
    Ok(())
}

/// Who takes part: those that were asked for, or all that are there.
fn products(wanted: &[Product], left_out: &mut Vec<(String, String)>) -> anyhow::Result<Vec<Product>> {
    let mut found = Vec::new();
    for product in Product::ALL.into_iter().filter(|product| wanted.is_empty() || wanted.contains(product)) {
        match product.missing() {
            None => found.push(product),
            Some(why) if wanted.contains(&product) => bail!("{}: {why}", product.name()),
            Some(why) => left_out.push((product.name().to_owned(), why)),
        }
    }
    if found.is_empty() { bail!("nobody can take part: {left_out:?}") } else { Ok(found) }
}

fn scenarios(only: &[String], hosts: &Result<(), String>, left_out: &mut Vec<(String, String)>) -> anyhow::Result<Vec<&'static Scenario>> {
    let mut found = Vec::new();
    for scenario in scenario::ALL.iter().filter(|scenario| only.is_empty() || only.iter().any(|id| id == scenario.id)) {
        match hosts {
            Err(why) if scenario.cuts => left_out.push((scenario.id.to_owned(), why.clone())),
            _ => found.push(scenario),
        }
    }
    if found.is_empty() { bail!("no scenario can be played: {left_out:?}") } else { Ok(found) }
}

/// Products take turns within each run, so that a change of the machine's mood meets all of them.
fn turns(scenarios: &[&'static Scenario], products: &[Product], runs: Option<u32>) -> Vec<Turn> {
    let mut turns = Vec::new();
    for scenario in scenarios {
        let of = runs.unwrap_or(scenario.runs);
        for number in 1..=of {
            turns.extend(products.iter().map(|product| Turn { scenario, product: *product, number, of }));
        }
    }
    turns
}

fn spec(turn: &Turn, settings: &Settings) -> Spec {
    let needs = turn.scenario.needs;
    Spec {
        product: turn.product,
        groups: needs.groups,
        together: needs.together,
        priorities: needs.priorities,
        down_after_ms: settings.down_after_ms,
        failover_timeout_ms: settings.failover_timeout_ms,
        with_network: settings.hosts,
    }
}

fn told(scenario: &Scenario) -> Told {
    Told { id: scenario.id.to_owned(), title: scenario.title.to_owned(), what: scenario.what.to_owned() }
}

fn read(file: &Path) -> anyhow::Result<Results> {
    let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not what this program writes", file.display()))
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(file, text).with_context(|| format!("write {}", file.display()))
}
