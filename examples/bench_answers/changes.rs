//! What a change costs, beside a bare sync of the same disk.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::kit::{Conn, GROUP};
use crate::target::{Target, Targets};

const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Makes changes in turn on stock, the leader and a follower, and syncs a file in between.
pub(crate) fn measure(targets: &Targets, times: u32) -> anyhow::Result<()> {
    println!("\nOne SENTINEL SET at a time: ours is committed by a quorum and applied, stock's is in the file of one sentinel.");
    println!("The syncs are of a file beside the logs, right after the changes.");
    println!("\n{:<34} {:>9} {:>9}", "", "p50 ms", "p99 ms");
    for target in targets.all() {
        print(&format!("{}: SENTINEL SET", target.role.name()), change(&target, times)?);
    }
    print("write of 512 bytes and fdatasync", sync(targets, times)?);
    Ok(())
}

fn change(target: &Target, times: u32) -> anyhow::Result<Vec<Duration>> {
    let mut conn = Conn::open(target.port, ANSWER_LIMIT)?;
    let mut spans = Vec::new();
    for number in 0..times {
        let value = (60_000 + number).to_string();
        let begun = Instant::now();
        let reply = conn.ask(&["SENTINEL", "SET", GROUP, "failover-timeout", &value])?;
        match reply.error() {
            None => spans.push(begun.elapsed()),
            // The machine was too busy for the leader to keep its quorum; it comes back.
            Some(text) if text.starts_with("NOQUORUM ") => {}
            Some(text) => bail!("{} refuses a change: {text}", target.role.name()),
        }
    }
    Ok(spans)
}

fn sync(targets: &Targets, times: u32) -> io::Result<Vec<Duration>> {
    let file = File::create(targets.disk().join("bare"))?;
    let mut spans = Vec::new();
    for number in 0..times {
        let begun = Instant::now();
        file.write_all_at(&[7; 512], u64::from(number) * 512)?;
        file.sync_data()?;
        spans.push(begun.elapsed());
    }
    Ok(spans)
}

fn print(what: &str, mut spans: Vec<Duration>) {
    spans.sort_unstable();
    let at = |percent: usize| spans.get(spans.len().saturating_sub(1) * percent / 100).map_or(f64::NAN, |span| span.as_secs_f64() * 1000.0);
    println!("{what:<34} {:>9.3} {:>9.3}", at(50), at(99));
}
