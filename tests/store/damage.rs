//! Damaged files: a clear error or every acknowledged entry, never less, never a panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::common::{file, image, last_index, open, refusal, replay, try_open, used, work};

const ENTRIES: u64 = 90;

#[derive(Debug, Default)]
struct Count {
    refused: usize,
    whole: usize,
}

/// Opens a damaged image: either it is refused with a text that names the file, or nothing is missing.
async fn judge(dir: &Path, what: &str, count: &mut Count) {
    let opened = catch_unwind(AssertUnwindSafe(|| try_open(dir))).unwrap_or_else(|_| panic!("{what}: opening panicked"));
    match opened {
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("log.redb") || text.contains("mark") || text.contains("identity.json"), "{what}: {text}");
            count.refused += 1;
        }
        Ok(mut store) => {
            assert_eq!(last_index(&mut store).await, Some(ENTRIES - 1), "{what}: acknowledged entries are missing");
            replay(&mut store).await.unwrap_or_else(|problem| panic!("{what}: {problem}"));
            count.whole += 1;
        }
    }
}

/// Closed in order, and as the death of the process leaves it.
async fn images() -> [(&'static str, tempfile::TempDir); 2] {
    let closed = used(ENTRIES).await;
    let running = tempfile::tempdir().unwrap();
    let mut store = open(running.path());
    work(&mut store, 0..ENTRIES).await;
    let killed = image(running.path());
    [("closed", closed), ("killed", killed)]
}

#[tokio::test]
async fn a_file_cut_anywhere_is_refused_or_whole() {
    for (kind, source) in images().await {
        let whole = std::fs::read(file(source.path(), "log.redb")).unwrap();
        let mut count = Count::default();
        let lengths = (1..60).map(|step| whole.len() * step / 60).chain([1, 8, 9, 63, 64, 319, 320, 4095, 4096, whole.len() - 1]);
        for length in lengths {
            let copy = image(source.path());
            std::fs::write(file(copy.path(), "log.redb"), &whole[..length]).unwrap();
            judge(copy.path(), &format!("{kind}, cut to {length} of {}", whole.len()), &mut count).await;
        }
        println!("{kind}: {count:?}");
        assert!(count.refused > 0);
    }
}

#[tokio::test]
async fn a_flipped_byte_anywhere_is_refused_or_harmless() {
    for (kind, source) in images().await {
        let whole = std::fs::read(file(source.path(), "log.redb")).unwrap();
        // Bytes of the header, and of pages that hold something.
        let used: Vec<usize> = (4096..whole.len()).filter(|at| whole[*at] != 0).collect();
        let spread = used.iter().step_by((used.len() / 100).max(1)).copied();
        let mut count = Count::default();
        for at in (0..320).step_by(3).chain(spread) {
            let copy = image(source.path());
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            std::fs::write(file(copy.path(), "log.redb"), &bytes).unwrap();
            judge(copy.path(), &format!("{kind}, byte {at} of {}", whole.len()), &mut count).await;
        }
        println!("{kind}: {count:?}");
        assert!(count.refused > 0);
    }
}

#[tokio::test]
async fn what_is_no_log_at_all_is_refused() {
    let dir = used(3).await;
    for garbage in [b"not a database".to_vec(), vec![0; 100_000], vec![0xff; 100_000]] {
        std::fs::write(file(dir.path(), "log.redb"), garbage).unwrap();
        let error = refusal(dir.path());
        assert!(error.contains("log.redb: the file is damaged"), "{error}");
    }
}

#[tokio::test]
async fn an_older_copy_of_the_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    work(&mut store, 0..5).await;
    drop(store);
    let older = std::fs::read(file(dir.path(), "log.redb")).unwrap();
    let mut store = open(dir.path());
    work(&mut store, 5..6).await;
    drop(store);
    std::fs::write(file(dir.path(), "log.redb"), older).unwrap();
    let error = refusal(dir.path());
    assert!(error.contains("was acknowledged (an older copy"), "{error}");
}

#[tokio::test]
async fn a_mark_that_a_power_loss_tore_says_nothing() {
    for torn in [None, Some(Vec::new()), Some(vec![0; 256]), Some(b"torn".to_vec())] {
        let dir = used(6).await;
        let path = file(dir.path(), "mark");
        match torn {
            None => std::fs::remove_file(&path).unwrap(),
            Some(bytes) => std::fs::write(&path, bytes).unwrap(),
        }
        let mut store = open(dir.path());
        assert_eq!(last_index(&mut store).await, Some(5));
    }
}
