//! The operator's command line: a client of the gRPC services, like any other.
//!
//! [`Command`] is what may be typed (embedded by `conf`), [`run`] does it. Answers are tables for people or, with `--json`,
//! one JSON document (one in a line for `watch`). In reading order: [`command`], `client` (which sentinel is asked, and how it is reached), `login` (as whom),
//! `ask` and `history` (questions), `change` and `recover` (changes), `watch`, `shadow`, `tables` and `json` (how answers look), `unanswered` (that there is none), `words` (small phrases).

mod ask;
mod change;
pub(crate) mod client;
pub mod command;
mod history;
mod json;
pub(crate) mod login;
mod recover;
mod shadow;
mod tables;
mod target;
mod unanswered;
mod watch;
mod words;

use std::io::Write;

pub use self::command::Command;
use self::command::Target;
pub use self::unanswered::Unanswered;

/// Does what was asked, and writes the answer to `out`.
///
/// # Errors
/// When no sentinel could do it (then it is an [`Unanswered`]); the text says what each of them answered.
pub async fn run(command: Command, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    match command {
        Command::Status { target } => ask::status(&target, out).await,
        Command::Master { group, form, target, stale } => ask::master(&target, group, &form, stale, out).await,
        Command::Masters { target, stale } => ask::masters(&target, stale, out).await,
        Command::Replicas { group, target, stale } => ask::replicas(&target, group, stale, out).await,
        Command::Decisions { group, limit, target, stale } => ask::decisions(&target, group, limit, stale, out).await,
        Command::History { group, limit, target, stale } => history::show(&target, group, limit, stale, out).await,
        Command::Members { command } => change::members(command, out).await,
        Command::Failover { group, how, target } => change::failover(&target, group, how, out).await,
        Command::Switchover { group, to, wait, target } => change::switchover(&target, group, to, wait, out).await,
        Command::Set { group, settings, target } => change::set(&target, group, settings, out).await,
        Command::ShadowReport { group, target, stale } => shadow::report(&target, group, stale, out).await,
        Command::TakeOver { group, despite_stock, target } => shadow::take_over(&target, group, despite_stock, out).await,
        Command::StandDown { group, target } => shadow::stand_down(&target, group, out).await,
        Command::SealSecrets { target } => change::seal_secrets(&target, out).await,
        Command::Watch { group, after, target } => watch::run(&target, group, after, out).await,
    }
}

/// Writes an answer in the form that was asked for.
fn show(
    target: &Target,
    out: &mut (dyn Write + Send),
    json: impl FnOnce() -> serde_json::Value,
    text: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    if target.json {
        // An error of the writer stays one: whose reader has left (`| head`) is told apart by it.
        writeln!(out, "{}", serde_json::to_string_pretty(&json())?)?;
    } else {
        writeln!(out, "{}", text().trim_end())?;
    }
    Ok(())
}
