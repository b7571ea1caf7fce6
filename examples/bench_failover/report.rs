//! The rounds as lines, their summary, and JSON.

use serde_json::{Value, json};

use crate::host::Host;
use crate::kit::Flavour;
use crate::round::{Parts, Round};

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Report {
    down_after_ms: u64,
    host: Host,
    pub(crate) rounds: Vec<Round>,
}

/// A column of the white-box table.
type Column = (&'static str, fn(&Parts) -> f64);

const COLUMNS: [Column; 5] = [
    ("limit→vote", |parts| parts.limit_to_vote_ms),
    ("vote→decided", |parts| parts.vote_to_decided_ms),
    ("decided→promoted", |parts| parts.decided_to_promoted_ms),
    ("decided→write", |parts| parts.decided_to_write_ms),
    ("limit→write", |parts| parts.limit_to_write_ms),
];

#[derive(Clone, Copy, Debug)]
struct Spread {
    min: f64,
    median: f64,
    max: f64,
}

impl Report {
    pub(crate) const fn new(down_after_ms: u64, host: Host) -> Self {
        Self { down_after_ms, host, rounds: Vec::new() }
    }

    pub(crate) fn print_head(&self) {
        let Host { cpu, cores, kernel, redis, raft_sentinel, optimised } = &self.host;
        println!("From SIGKILL of the master to the first write on a new one that a client found through a sentinel.");
        println!("1 master, 2 replicas, 3 sentinels with quorum 2, down-after-milliseconds {}. Times in ms.", self.down_after_ms);
        println!("{}Redis {redis}; {cores} x {cpu}; Linux {kernel}", raft_sentinel.iter().map(|v| format!("{v}; ")).collect::<String>());
        if !optimised {
            println!("NOT an optimised build: build with --release before you believe these numbers.");
        }
        print!("\n{:>5}  {:<14} {:>10} {:>12}", "round", "sentinel", "kill→write", "beyond limit");
        for (name, _) in COLUMNS {
            print!(" {name:>16}");
        }
        println!();
    }

    pub(crate) fn print_round(&self, number: u32, round: &Round) {
        print!("{number:>5}  {:<14} {:>10.1} {:>+12.1}", round.flavour.name(), round.kill_to_write_ms, round.beyond_limit_ms);
        for (_, part) in COLUMNS {
            print!(" {:>16}", round.parts.as_ref().map_or_else(|| "-".to_owned(), |parts| format!("{:.1}", part(parts))));
        }
        println!();
    }

    pub(crate) fn print_summary(&self) {
        println!("\n{:<44} {:>10} {:>10} {:>10}", "", "min", "median", "max");
        for flavour in [Flavour::Ours, Flavour::Stock] {
            let name = flavour.name();
            print_spread(&format!("{name}: kill→write"), self.spread(flavour, |round| Some(round.kill_to_write_ms)));
            print_spread(&format!("{name}: beyond the limit, from outside"), self.beyond(flavour));
        }
        for (name, part) in COLUMNS {
            print_spread(&format!("raft-sentinel: {name}"), self.part(part));
        }
        if let Some((stock, ours, ratio)) = self.ratio() {
            println!("\nAfter the limit (medians): stock {stock:.1} ms, ours {ours:.1} ms (the larger of the two ways to measure it).");
            println!("Stock takes {ratio:.0} times as long.");
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        let sides = [Flavour::Ours, Flavour::Stock].map(|flavour| {
            let total = self.spread(flavour, |round| Some(round.kill_to_write_ms)).map(Spread::to_json);
            let beyond = self.beyond(flavour).map(Spread::to_json);
            (flavour.name().to_owned(), json!({ "kill_to_write_ms": total, "beyond_limit_ms": beyond }))
        });
        let parts: serde_json::Map<_, _> = COLUMNS
            .iter()
            .map(|(name, part)| (format!("{}_ms", name.replace('→', "_to_")), json!(self.part(*part).map(Spread::to_json))))
            .collect();
        json!({
            "down_after_ms": self.down_after_ms,
            "host": self.host,
            "rounds": self.rounds,
            "summary": sides.into_iter().collect::<serde_json::Map<_, _>>(),
            "raft_sentinel_parts": parts,
            "stock_to_ours_after_limit": self.ratio().map(|(_, _, ratio)| ratio),
        })
    }

    /// The medians after the limit of stock and ours, and how many times ours fits into stock's.
    fn ratio(&self) -> Option<(f64, f64, f64)> {
        let stock = self.beyond(Flavour::Stock)?.median;
        let inside = self.part(|parts| parts.limit_to_write_ms)?.median;
        let ours = self.beyond(Flavour::Ours)?.median.max(inside);
        (ours > 0.0).then(|| (stock, ours, stock / ours))
    }

    fn beyond(&self, flavour: Flavour) -> Option<Spread> {
        self.spread(flavour, |round| Some(round.beyond_limit_ms))
    }

    fn part(&self, part: impl Fn(&Parts) -> f64) -> Option<Spread> {
        self.spread(Flavour::Ours, |round| round.parts.as_ref().map(&part))
    }

    fn spread(&self, flavour: Flavour, value: impl Fn(&Round) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.rounds.iter().filter(|round| round.flavour == flavour).filter_map(value).collect())
    }
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Self { min, median: f64::midpoint(low, high), max })
    }

    fn to_json(self) -> Value {
        json!({ "min": self.min, "median": self.median, "max": self.max })
    }
}

fn print_spread(name: &str, spread: Option<Spread>) {
    if let Some(Spread { min, median, max }) = spread {
        println!("{name:<44} {min:>10.1} {median:>10.1} {max:>10.1}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(rounds: Vec<Round>) -> Report {
        let host = Host { cpu: String::new(), cores: 1, kernel: String::new(), redis: String::new(), raft_sentinel: None, optimised: true };
        Report { down_after_ms: 1000, host, rounds }
    }

    fn round(flavour: Flavour, beyond_limit_ms: f64, limit_to_write_ms: Option<f64>) -> Round {
        let parts = limit_to_write_ms.map(|limit_to_write_ms| Parts {
            limit_to_write_ms,
            limit_to_vote_ms: 0.0,
            vote_to_decided_ms: 0.0,
            decided_to_promoted_ms: 0.0,
            decided_to_write_ms: 0.0,
        });
        Round { flavour, kill_to_write_ms: 1000.0 + beyond_limit_ms, beyond_limit_ms, parts }
    }

    #[test]
    fn the_median_lies_between_the_middle_two() {
        let spread = Spread::of(vec![9.0, 1.0, 3.0, 5.0]).expect("there are values");
        assert_eq!((spread.min, spread.median, spread.max), (1.0, 4.0, 9.0));
        assert_eq!(Spread::of(vec![9.0, 1.0, 3.0]).map(|spread| spread.median), Some(3.0));
        assert!(Spread::of(Vec::new()).is_none());
    }

    #[test]
    fn the_ratio_takes_the_measure_that_is_worse_for_us() {
        let stock = || round(Flavour::Stock, 1200.0, None);
        let inside_is_larger = report(vec![stock(), round(Flavour::Ours, -40.0, Some(10.0))]);
        assert_eq!(inside_is_larger.ratio(), Some((1200.0, 10.0, 120.0)));
        let outside_is_larger = report(vec![stock(), round(Flavour::Ours, 12.0, Some(10.0))]);
        assert_eq!(outside_is_larger.ratio(), Some((1200.0, 12.0, 100.0)));
        assert_eq!(report(vec![stock()]).ratio(), None);
    }
}
