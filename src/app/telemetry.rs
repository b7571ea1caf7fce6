//! Log lines: where they go and what they look like.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

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
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(ansi);
    if json {
        builder.json().flatten_event(true).init();
    } else {
        builder.with_target(false).init();
    }
    Ok(())
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
