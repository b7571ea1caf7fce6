//! Lines on the terminal.

use super::numbers::{COLUMNS, spread};
use crate::results::Results;

/// What is about to be done, on what.
pub(crate) fn print_head(results: &Results) {
    let machine = &results.machine;
    println!("{} on Redis {}", machine.programs(), machine.redis);
    println!("{} x {}; Linux {}; {}", machine.cores, machine.cpu, machine.kernel, machine.date);
    let hosts = if results.settings.hosts { "every member on a host of its own (network namespaces)" } else { "all on this host" };
    let (limit, timeout) = (results.settings.down_after_ms, results.settings.failover_timeout_ms);
    println!("1 master, 2 replicas, 3 sentinels, quorum 2, down-after-milliseconds {limit}, failover-timeout {timeout}; {hosts}.");
    if !machine.optimised {
        println!("NOT an optimised build: build with --release before you believe these numbers.");
    }
    for (what, why) in &results.left_out {
        println!("Left out: {what}: {why}");
    }
    println!();
}

/// All figures: the median, and the worst in brackets where it differs.
pub(crate) fn print_table(results: &Results) {
    print!("\n{:<17} {:<25}", "median (worst)", "");
    COLUMNS.iter().for_each(|column| print!(" {:>19}", column.title));
    println!();
    for scenario in &results.scenarios {
        let mut name = scenario.id.as_str();
        for product in &results.products {
            let Some(cell) = results.cell(&scenario.id, *product) else { continue };
            print!("{name:<17} {:<25}", product.name());
            name = "";
            for column in &COLUMNS {
                let (median, worst) = spread(cell, column);
                print!(" {:>19}", worst.map_or(median.clone(), |worst| format!("{median} ({worst})")));
            }
            println!("{}", if cell.unsettled() > 0 { "  not settled" } else { "" });
        }
    }
    let (low, high) = results.loads();
    println!("\n{:.0} s in all; load average of the machine {low:.1} to {high:.1}", results.took_s);
}
