//! What one append costs.

use std::time::Instant;

use super::common::{append, open};

/// `cargo test --test store -- --ignored --nocapture one_append`. That it is one sync is checked beside the engine.
#[tokio::test]
#[ignore = "a measurement, not a test"]
async fn one_append_beside_one_sync() {
    const ROUNDS: u64 = 300;
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut store = open(dir.path());
    let mut appends = Vec::new();
    for index in 0..ROUNDS {
        let start = Instant::now();
        append(&mut store, index).await;
        appends.push(start.elapsed());
    }
    let mut syncs = Vec::new();
    let raw = std::fs::File::create(dir.path().join("raw")).unwrap();
    for index in 0..ROUNDS {
        let start = Instant::now();
        std::os::unix::fs::FileExt::write_all_at(&raw, &[7; 512], index * 512).unwrap();
        raw.sync_data().unwrap();
        syncs.push(start.elapsed());
    }
    appends.sort();
    syncs.sort();
    let at = |sorted: &[std::time::Duration], percent: usize| sorted[sorted.len() * percent / 100];
    println!(
        "append: p50 {:?} p99 {:?}; raw write and sync: p50 {:?} p99 {:?}",
        at(&appends, 50),
        at(&appends, 99),
        at(&syncs, 50),
        at(&syncs, 99)
    );
}
