//! Log lines: where they go and what they look like.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::{Mutex, OnceLock};

use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, reload};

use crate::conf::LogLevel;

/// Starts logging to `file` (standard output if none), as JSON or for people. `RUST_LOG` overrides `level`.
///
/// # Errors
/// When the file cannot be opened.
pub fn start(file: Option<&Path>, level: LogLevel, json: bool) -> std::io::Result<()> {
    let writer = match file {
        None => BoxMakeWriter::new(std::io::stdout),
        Some(path) => BoxMakeWriter::new(Mutex::new(OpenOptions::new().create(true).append(true).open(path)?)),
    };
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
