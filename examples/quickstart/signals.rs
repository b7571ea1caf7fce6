//! Ctrl-C and SIGTERM: leave nothing behind.

use std::thread;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::kit::scratch;

const INTERRUPTED: i32 = 130;

/// From now on an interrupt removes the folders and ends the process; the kernel ends its children.
pub(crate) fn clean_up_when_interrupted() {
    thread::spawn(|| {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
        runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be handled");
            tokio::select! {
                interrupted = tokio::signal::ctrl_c() => interrupted.expect("SIGINT can be handled"),
                _ = terminate.recv() => {}
            }
        });
        scratch::remove_all();
        #[expect(clippy::disallowed_methods, reason = "the main thread waits for something else")]
        std::process::exit(INTERRUPTED);
    });
}
