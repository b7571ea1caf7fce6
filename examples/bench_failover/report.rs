//! The rounds as lines, their summary, and JSON.

use serde_json::{Value, json};

use crate::host::Host;
use crate::round::{Parts, Round, Trouble};
use crate::side::{MAX_LAG_S, Side};

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Report {
    down_after_ms: u64,
    trouble: Trouble,
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
    pub(crate) const fn new(down_after_ms: u64, trouble: Trouble, host: Host) -> Self {
        Self { down_after_ms, trouble, host, rounds: Vec::new() }
    }

    pub(crate) fn print_head(&self) {
        let Host { cpu, cores, kernel, redis, raft_sentinel, optimised } = &self.host;
        let signal = match self.trouble {
            Trouble::Kill => "SIGKILL",
            Trouble::Hang => "SIGSTOP",
        };
        println!("From {signal} of the master to the first write on a new one that a client found through a sentinel.");
        println!("1 master, 2 replicas, 3 sentinels with quorum 2, down-after-milliseconds {}. Times in ms.", self.down_after_ms);
        println!("The client gives a write up after {} ms and asks the sentinels again.", self.trouble.patience().as_millis());
        println!("{}Redis {redis}; {cores} x {cpu}; Linux {kernel}", raft_sentinel.iter().map(|v| format!("{v}; ")).collect::<String>());
        if !optimised {
            println!("NOT an optimised build: build with --release before you believe these numbers.");
        }
        print!("\n{:>5}  {:<16} {:>11} {:>12}", "round", "sentinel", "until write", "beyond limit");
        for (name, _) in COLUMNS {
            print!(" {name:>16}");
        }
        println!();
    }

    pub(crate) fn print_round(&self, number: u32, round: &Round) {
        print!("{number:>5}  {:<16} {:>11.1} {:>+12.1}", round.side.name(), round.total_ms, round.beyond_limit_ms);
        for (_, part) in COLUMNS {
            print!(" {:>16}", round.parts.as_ref().map_or_else(|| "-".to_owned(), |parts| format!("{:.1}", part(parts))));
        }
        println!();
    }

    pub(crate) fn print_summary(&self) {
        println!("\n{:<44} {:>10} {:>10} {:>10}", "", "min", "median", "max");
        for side in Side::ALL {
            let name = side.name();
            print_spread(&format!("{name}: until the first write"), self.spread(side, |round| Some(round.total_ms)));
            print_spread(&format!("{name}: beyond the limit, from outside"), self.beyond(side));
        }
        for side in Side::OURS {
            for (name, part) in COLUMNS {
                print_spread(&format!("{}: {name}", side.name()), self.part(side, part));
            }
        }
        println!();
        for side in Side::OURS {
            if let Some((stock, ours, ratio)) = self.ratio(side) {
                println!(
                    "After the limit (medians): stock {stock:.1} ms, {} {ours:.1} ms (the larger of the two ways to measure it).",
                    side.name()
                );
                println!("Stock takes {ratio:.1} times as long.");
            }
        }
        if let Some(price_ms) = self.price_of_strict() {
            println!("Strict takes {price_ms:+.1} ms more than available (medians, from the end of the limit to the first write).");
        }
        if let (Trouble::Hang, Some(strict)) = (self.trouble, self.spread(Side::Strict, |round| Some(round.total_ms))) {
            // As the fence has it: a master that says nothing has lost its writes for certain after its longest lag and two seconds more.
            let bound_ms = self.down_after_ms + (MAX_LAG_S + 2) * 1000;
            println!("Strict, silent master: at most {:.1} ms; detection and L + 2 s are {bound_ms} ms.", strict.max);
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        let sides = Side::ALL.map(|side| {
            let total = self.spread(side, |round| Some(round.total_ms)).map(Spread::to_json);
            let beyond = self.beyond(side).map(Spread::to_json);
            let part =
                |(name, part): &Column| (format!("{}_ms", name.replace('→', "_to_")), json!(self.part(side, *part).map(Spread::to_json)));
            let parts: serde_json::Map<_, _> = COLUMNS.iter().map(part).collect();
            let stock_to_this = self.ratio(side).map(|(_, _, ratio)| ratio);
            let told =
                json!({ "until_write_ms": total, "beyond_limit_ms": beyond, "parts": parts, "stock_to_this_after_limit": stock_to_this });
            (side.name().to_owned(), told)
        });
        json!({
            "down_after_ms": self.down_after_ms,
            "host": self.host,
            "rounds": self.rounds,
            "summary": sides.into_iter().collect::<serde_json::Map<_, _>>(),
            "trouble": self.trouble,
            "strict_over_available_ms": self.price_of_strict(),
        })
    }

    /// The medians after the limit of stock and of one of ours, and how many times that fits into stock's.
    fn ratio(&self, side: Side) -> Option<(f64, f64, f64)> {
        let stock = self.beyond(Side::Stock)?.median;
        let inside = self.part(side, |parts| parts.limit_to_write_ms)?.median;
        let ours = self.beyond(side)?.median.max(inside);
        (ours > 0.0).then(|| (stock, ours, stock / ours))
    }

    fn price_of_strict(&self) -> Option<f64> {
        let median = |side| Some(self.part(side, |parts| parts.limit_to_write_ms)?.median);
        Some(median(Side::Strict)? - median(Side::Available)?)
    }

    fn beyond(&self, side: Side) -> Option<Spread> {
        self.spread(side, |round| Some(round.beyond_limit_ms))
    }

    fn part(&self, side: Side, part: impl Fn(&Parts) -> f64) -> Option<Spread> {
        self.spread(side, |round| round.parts.as_ref().map(&part))
    }

    fn spread(&self, side: Side, value: impl Fn(&Round) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.rounds.iter().filter(|round| round.side == side).filter_map(value).collect())
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
        Report { down_after_ms: 1000, trouble: Trouble::Kill, host, rounds }
    }

    fn round(side: Side, beyond_limit_ms: f64, limit_to_write_ms: Option<f64>) -> Round {
        let parts = limit_to_write_ms.map(|limit_to_write_ms| Parts {
            limit_to_write_ms,
            limit_to_vote_ms: 0.0,
            vote_to_decided_ms: 0.0,
            decided_to_promoted_ms: 0.0,
            decided_to_write_ms: 0.0,
        });
        Round { side, total_ms: 1000.0 + beyond_limit_ms, beyond_limit_ms, parts }
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
        let stock = || round(Side::Stock, 1200.0, None);
        let inside_is_larger = report(vec![stock(), round(Side::Available, -40.0, Some(10.0))]);
        assert_eq!(inside_is_larger.ratio(Side::Available), Some((1200.0, 10.0, 120.0)));
        let outside_is_larger = report(vec![stock(), round(Side::Available, 12.0, Some(10.0))]);
        assert_eq!(outside_is_larger.ratio(Side::Available), Some((1200.0, 12.0, 100.0)));
        assert_eq!(report(vec![stock()]).ratio(Side::Available), None);
    }
}
