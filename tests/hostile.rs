//! Tens of thousands of inputs that mean no good, at the pure parsers: nothing panics, and time grows with the bytes and no faster.
//!
//! The reader of requests is inside the library, and has such a test of most of a million frames beside it (`src/serve/resp/flood_test.rs`); what one client can do
//! to another is in `tests/resp/hostile.rs`. A seed is printed on failure; `RAFT_SENTINEL_SEED` repeats it.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::time::{Duration, Instant};

use raft_sentinel::{conf, redis};

const CONF_TEXTS: u64 = 15_000;
const INFO_TEXTS: u64 = 40_000;

/// Bytes that separate, quote or begin something somewhere.
const NOISE: &[u8] = b"\n\r\0 \"'\\=:,*$-#\xff";

/// Dice that are quick and can be thrown again.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        // xorshift64*: good enough for fuzzing, and a line long.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % (limit.max(1) as u64)).unwrap()
    }

    /// The bytes with a few of them changed, cut out, or said twice.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..self.below(5) {
            let at = self.below(bytes.len());
            match self.below(4) {
                0 if !bytes.is_empty() => bytes[at] = self.next() as u8,
                1 if !bytes.is_empty() => drop(bytes.remove(at)),
                2 => bytes.insert(at, NOISE[self.below(NOISE.len())]),
                _ => {
                    let end = (at + self.below(20)).min(bytes.len());
                    let again = bytes[at..end].to_vec();
                    bytes.splice(at..at, again);
                }
            }
        }
    }

    fn some<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }
}

fn seed() -> u64 {
    let told = std::env::var("RAFT_SENTINEL_SEED").ok().and_then(|text| text.parse().ok());
    let seed = told.unwrap_or_else(|| u64::from(std::process::id()) << 20 | 1);
    // Shown when the test fails.
    println!("RAFT_SENTINEL_SEED={seed}");
    seed
}

const LINES: &[&str] = &[
    "port 26379",
    "bind 127.0.0.1 -::1",
    "raft node-id 1",
    "raft peer 1 127.0.0.1:27379",
    "raft election-timeout-ms 200 400",
    "grpc listen 127.0.0.1:28379",
    "sentinel monitor m 127.0.0.1 6379 2",
    "sentinel down-after-milliseconds m 5000",
    "SENTINEL auth-pass m \"a \\x41 b\"",
    "sentinel rename-command m CONFIG 'x y'",
    "sentinel known-replica m 127.0.0.1 6380",
    "sentinel known-sentinel m 127.0.0.1 26380 0123456789012345678901234567890123456789",
    "sentinel myid 0123456789012345678901234567890123456789",
    "user default on nopass ~* &* +@all",
    "# a comment",
    "loglevel notice",
];

#[test]
fn the_configuration_parser_answers_anything() {
    let mut dice = Dice(seed());
    for _ in 0..CONF_TEXTS {
        let mut text = Vec::new();
        for _ in 0..1 + dice.below(4) {
            text.extend(dice.some(LINES).bytes());
            text.push(b'\n');
        }
        dice.mutate(&mut text);
        match conf::parse(Path::new("s.conf"), &text, &[]) {
            Ok(_) => {}
            // What is said of a file fits a screen, however the file is.
            Err(error) => assert!(error.to_string().len() < 2000, "{:?}", String::from_utf8_lossy(&text)),
        }
    }
}

const FIELDS: &[&str] = &[
    "redis_version:7.0.15",
    "run_id:0123456789012345678901234567890123456789",
    "role:master",
    "role:slave",
    "master_replid:0123456789012345678901234567890123456789",
    "master_replid2:0000000000000000000000000000000000000000",
    "second_repl_offset:-1",
    "master_repl_offset:1400",
    "slave_repl_offset:1400",
    "master_host:127.0.0.1",
    "master_port:6379",
    "master_link_status:up",
    "master_link_down_since_seconds:-1",
    "master_last_io_seconds_ago:0",
    "master_sync_in_progress:0",
    "slave_priority:100",
    "replica_announced:1",
    "connected_slaves:2",
    "slave0:ip=127.0.0.1,port=6380,state=online,offset=1400,lag=0",
    "slave1:ip=::1,port=0,state=wait_bgsave,offset=99999999999999999999,lag=-1",
    "loading:0",
    "# Replication",
];

#[test]
fn the_info_parser_answers_anything() {
    let mut dice = Dice(seed());
    let mut read = 0;
    for _ in 0..INFO_TEXTS {
        let mut text = Vec::new();
        for field in FIELDS {
            if dice.below(12) > 0 {
                text.extend(field.bytes());
                text.extend(b"\r\n");
            }
        }
        dice.mutate(&mut text);
        read += u64::from(redis::info::parse(&String::from_utf8_lossy(&text)).is_ok());
    }
    // Of texts that are all refused at the first field little would be learnt.
    assert!(read > INFO_TEXTS / 100, "only {read} were read");
}

/// Work that grew with the square of the bytes would take many minutes for these.
#[test]
fn time_grows_with_the_bytes() {
    let limit = Duration::from_secs(20);
    let timed = |what: &str, work: &dyn Fn()| {
        let start = Instant::now();
        work();
        assert!(start.elapsed() < limit, "{what}: {:?}", start.elapsed());
    };
    let many = "slave0:ip=127.0.0.1,port=6380,state=online,offset=1,lag=0\r\n".repeat(60_000);
    timed("INFO of many replicas", &|| drop(redis::info::parse(&many)));
    timed("INFO of one line", &|| drop(redis::info::parse(&"a".repeat(4_000_000))));
    timed("INFO of separators", &|| drop(redis::info::parse(&"slave1:=,=,\n".repeat(300_000))));
    let quotes = "sentinel auth-pass m \"".to_owned() + &"\\x41".repeat(1_000_000);
    timed("an open quote", &|| drop(conf::parse(Path::new("s.conf"), quotes.as_bytes(), &[])));
    timed("directives that nobody knows", &|| {
        for n in 0..30_000 {
            let unknown = format!("notify-keyspace-latency-histogram-percentiles-{n}");
            drop(conf::parse(Path::new("s.conf"), unknown.as_bytes(), &[]));
        }
    });
    let renames: String = (0..50_000).map(|n| format!("sentinel rename-command m c{n} d\n")).collect();
    let renames = format!("sentinel monitor m 127.0.0.1 1 1\n{renames}");
    timed("many renamed commands", &|| drop(conf::parse(Path::new("s.conf"), renames.as_bytes(), &[])));
    let replicas: String = (0..50_000).map(|n| format!("sentinel known-replica m 10.0.{}.{} 1\n", n / 250, n % 250)).collect();
    let replicas = format!("sentinel monitor m 127.0.0.1 1 1\n{replicas}");
    timed("many replicas", &|| drop(conf::parse(Path::new("s.conf"), replicas.as_bytes(), &[])));
}
