//! Log lines: where they go and what they look like.

mod queue;
mod sink;

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use queue::Queue;
use sink::Sink;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, reload};

use crate::conf::LogLevel;

/// Starts logging to `file` (standard output if none), as JSON or for people. `RUST_LOG` overrides `level`.
///
/// # Errors
/// When the file cannot be opened.
pub fn start(file: Option<&Path>, level: LogLevel, json: bool) -> std::io::Result<()> {
    let queue = Queue::start(file.map_or_else(|| Ok(Sink::Stdout(std::io::stdout())), Sink::file)?)?;
    let _ = QUEUE.set(queue.clone());
    let writer = move || queue.clone();
    let ansi = file.is_none() && std::io::IsTerminal::is_terminal(&std::io::stdout()) && std::env::var_os("NO_COLOR").is_none();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(filter_for(level)));
    let (filter, handle) = reload::Layer::new(filter);
    // The log is started once; a second start fails by itself.
    let _ = RELOAD.set(handle);
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(ansi);
    if json {
        tracing_subscriber::registry().with(filter).with(lines.json().flatten_event(true)).init();
    } else {
        tracing_subscriber::registry().with(filter).with(lines.with_target(false)).init();
    }
    Ok(())
}

/// The way to this process's one log.
static QUEUE: OnceLock<Queue> = OnceLock::new();

/// Opens the log file again before the next line. Nothing where the log goes elsewhere.
pub fn reopen() {
    if let Some(queue) = QUEUE.get() {
        queue.reopen();
    }
}

/// Waits until all lines so far are written, but not for longer than `limit`: for those who end the process.
pub fn flush(limit: Duration) {
    if let Some(queue) = QUEUE.get() {
        queue.flush(limit);
    }
}

/// How the filter of this process's one log is replaced.
static RELOAD: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// From now on logs what belongs to `level`. Nothing where the log was not started by [`start`].
pub fn set_level(level: LogLevel) {
    let Some(handle) = RELOAD.get() else { return };
    match handle.reload(EnvFilter::new(filter_for(level))) {
        Ok(()) => tracing::info!("loglevel is {} from now on", level.as_str()),
        Err(error) => tracing::error!("cannot change the loglevel to {}: {error}", level.as_str()),
    }
}

/// What the library for the log itself has to say is told in our own words; it is heard only when everything is.
const fn filter_for(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug,openraft=info,h2=info,hyper=info,tower=info",
        LogLevel::Verbose => "debug,openraft=warn,h2=info,hyper=info,tower=info",
        LogLevel::Notice => "info,openraft=off",
        LogLevel::Warning => "warn,openraft=off",
        LogLevel::Nothing => "off",
    }
}
