//! Free TCP ports, never handed out twice, whatever else runs at the same time.
//!
//! A port from `bind(0)` comes out of the range from which the kernel also takes the local ports of outgoing
//! connections: while a killed server is down, somebody's connection may sit on its port, or a client that retries may
//! even connect to itself. So ports come from below that range, in blocks, each owned by one test process through a
//! lock that the kernel gives back when the process dies.

use std::fs::{self, File};
use std::net::TcpListener;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

const BLOCK: u16 = 50;
const LOWEST: u16 = 10_000;

struct Owned {
    // Held open for the lock on it.
    _lock: File,
    left: Range<u16>,
}

static OWNED: Mutex<Vec<Owned>> = Mutex::new(Vec::new());

/// A port on the loopback interface that nobody listens on and that this process will not get again.
pub fn free_port() -> u16 {
    let mut owned = OWNED.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if let Some(port) = owned.last_mut().and_then(|block| block.left.find(|port| is_free(*port))) {
            return port;
        }
        owned.push(next_block());
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// Locks a block of ports that no living process has; the search starts at a place of its own for each process.
fn next_block() -> Owned {
    let dir = std::env::temp_dir().join("raft-sentinel-ports");
    fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("create {}: {e}", dir.display()));
    let blocks = (highest() - LOWEST) / BLOCK;
    let first = u16::try_from(std::process::id() % u32::from(blocks)).unwrap_or(0);
    let candidates = (first..blocks).chain(0..first).map(|block| LOWEST + block * BLOCK);
    for start in candidates {
        let path = dir.join(start.to_string());
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let lock = file.unwrap_or_else(|e| panic!("open {}: {e}", path.display()));
        if lock.try_lock().is_ok() {
            return Owned { _lock: lock, left: start..start + BLOCK };
        }
    }
    panic!("all {blocks} blocks of ports are in use by other test processes (locks in {})", dir.display());
}

/// The first port of the kernel's own range.
fn highest() -> u16 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    range.split_whitespace().next().and_then(|low| low.parse().ok()).filter(|low| *low > LOWEST + BLOCK).unwrap_or(32_768)
}
