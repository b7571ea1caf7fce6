//! The runs as lines, and their ratios.

use std::time::Duration;

use crate::host::Host;
use crate::load::Run;
use crate::target::Role;

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Report {
    host: Host,
    runs: Vec<Run>,
}

impl Report {
    pub(crate) const fn new(host: Host) -> Self {
        Self { host, runs: Vec::new() }
    }

    pub(crate) fn print_head(&self) {
        let Host { cpu, cores, kernel, redis, raft_sentinel, optimised } = &self.host;
        println!(
            "SENTINEL GET-MASTER-ADDR-BY-NAME, as fast as answers come; one thread asks. Three sentinels each; ours confirm every answer."
        );
        println!("{}Redis {redis}; {cores} x {cpu}; Linux {kernel}", raft_sentinel.iter().map(|v| format!("{v}; ")).collect::<String>());
        println!(
            "Clients and all sentinels share these cores: who asks, and the two others of ours, take time from the one that is asked."
        );
        if !optimised {
            println!("NOT an optimised build: build with --release before you believe these numbers.");
        }
        println!(
            "\n{:>5} {:>5}  {:<24} {:>10} {:>9} {:>9} {:>14} {:>12} {:>8}",
            "conns", "round", "sentinel", "answers/s", "p50 ms", "p99 ms", "CPU µs/answer", "of all three", "asking"
        );
    }

    pub(crate) fn print_run(&mut self, round: u32, run: Run) {
        let per_answer =
            |cpu: Option<Duration>| cpu.map_or_else(|| "?".to_owned(), |cpu| format!("{:.1}", micros(cpu) / count(run.answers)));
        let asking = run.asking.map_or_else(|| "?".to_owned(), |busy| format!("{:.0} %", busy * 100.0));
        print!("{:>5} {round:>5}  {:<24} {:>10.0}", run.load.connections, run.role.name(), run.rate());
        print!(" {:>9.3} {:>9.3}", micros(run.p50) / 1000.0, micros(run.p99) / 1000.0);
        print!(" {:>14} {:>12} {asking:>8}", per_answer(run.cpu), per_answer(run.trio_cpu));
        println!("{}", if run.refused > 0 { format!("  ({} without a quorum)", run.refused) } else { String::new() });
        self.runs.push(run);
    }

    /// What ours reach of stock's rate, by the medians of the rounds.
    pub(crate) fn print_ratios(&self, connections: u16) {
        let Some(stock) = self.median(Role::Stock, connections) else { return };
        for role in [Role::Leader, Role::Follower] {
            if let Some(ours) = self.median(role, connections) {
                println!("{connections:>5}        {:<24} {:>9.0} % of stock's answers/s", role.name(), ours / stock * 100.0);
            }
        }
    }

    fn median(&self, role: Role, connections: u16) -> Option<f64> {
        let runs = self.runs.iter().filter(|run| run.role == role && run.load.connections == connections);
        let mut rates: Vec<f64> = runs.map(Run::rate).collect();
        rates.sort_by(f64::total_cmp);
        let (low, high) = (rates.get(rates.len().checked_sub(1)? / 2)?, rates.get(rates.len() / 2)?);
        Some(f64::midpoint(*low, *high))
    }
}

impl Run {
    /// Answers a second.
    fn rate(&self) -> f64 {
        count(self.answers) / self.took.as_secs_f64()
    }
}

fn micros(span: Duration) -> f64 {
    span.as_secs_f64() * 1e6
}

#[expect(clippy::cast_precision_loss, reason = "a few million at most")]
fn count(number: u64) -> f64 {
    number as f64
}
