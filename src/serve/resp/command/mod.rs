//! The commands: one table, and what is checked of every request before its handler runs.
//!
//! A command is one row. Its name, aliases, arity and help are data, so arity errors, COMMAND and HELP come from the table.
//! Handlers live in small files by subject.

mod acl_admin;
mod catalogue;
mod client_admin;
mod client_filter;
mod client_modes;
mod connection;
mod info;
mod pubsub;
mod row;
mod sentinel;
mod table;

use bytes::Bytes;

use super::client::Client;
use super::reply::Reply;
use super::writer::Protocol;
use row::{Row, Run};
use table::TABLE;

use crate::serve::users::Reason;

/// How much of an unknown command, and of its arguments, is repeated in the error.
const ECHOED_BYTES: usize = 128;

/// A row and the name it was called by.
struct FoundCommand {
    row: &'static Row,
    /// Its own name, whatever it was called by.
    canonical: String,
    /// Such as `ping` or `sentinel|masters`.
    full_name: String,
}

/// Checks a request in stock's order, runs it, and returns what to send.
pub(crate) async fn dispatch(client: &mut Client, words: &[Bytes]) -> Reply {
    if words.first().is_some_and(|name| is_http(name)) {
        let what = || "is disconnected: it speaks HTTP, perhaps by a browser that was tricked into it".to_owned();
        client.shared.tell(&client.entry.peer, "http", what);
        client.closing = true;
        return Reply::NOTHING;
    }
    let found = match find(words) {
        Ok(found) => found,
        Err(unfit) => return unfit.reply(words),
    };
    {
        let now = client.context().clock.mono();
        let mut facts = client.entry.facts();
        facts.command.clone_from(&found.full_name);
        facts.last = now;
    }
    if let Err(error) = permitted(client, &found, words) {
        return error;
    }
    let answer = match found.row.run {
        Run::Now(handler) => handler(client, words),
        Run::Wait(handler) => handler(client, words).await,
        Run::Container { bare, .. } => match bare {
            Some(handler) => handler(client, words),
            None => Err(bad_arity(&found.full_name)),
        },
    };
    answer.unwrap_or_else(|error| error)
}

/// The lines of an HTTP request read like inline commands, and its body could hold real ones (Redis's own rule).
fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"POST") || name.eq_ignore_ascii_case(b"Host:")
}

/// Why a request names no command that could run.
enum Unfit {
    Command,
    /// Of this container.
    Subcommand(String),
    /// The command is known by this name.
    Arity(String),
}

impl Unfit {
    fn reply(self, words: &[Bytes]) -> Reply {
        match self {
            Self::Command => unknown_command(words.first().map_or(&[], |name| &name[..]), words.get(1..).unwrap_or_default()),
            Self::Subcommand(container) => {
                let sub = words.get(1).map_or_else(String::new, |sub| echoed(sub, ECHOED_BYTES));
                Reply::error(format!("ERR unknown subcommand '{sub}'. Try {} HELP.", container.to_uppercase()))
            }
            Self::Arity(full_name) => bad_arity(&full_name),
        }
    }
}

fn find(words: &[Bytes]) -> Result<FoundCommand, Unfit> {
    let [name, arguments @ ..] = words else { return Err(Unfit::Command) };
    let top = row::named(TABLE, name).ok_or(Unfit::Command)?;
    let full_name = lower(name);
    match (top.run, arguments.first()) {
        (Run::Container { rows, .. }, Some(sub)) => {
            let row = row::named(rows, sub).ok_or_else(|| Unfit::Subcommand(full_name.clone()))?;
            let found =
                FoundCommand { row, canonical: format!("{}|{}", top.name, row.name), full_name: format!("{full_name}|{}", lower(sub)) };
            arity_checked(found, words.len())
        }
        (Run::Container { bare: None, .. }, None) => Err(Unfit::Arity(full_name)),
        (Run::Container { bare: Some(_), .. } | Run::Now(_) | Run::Wait(_), _) => {
            arity_checked(FoundCommand { row: top, canonical: top.name.to_owned(), full_name }, words.len())
        }
    }
}

fn arity_checked(found: FoundCommand, words: usize) -> Result<FoundCommand, Unfit> {
    if found.row.arity.fits(words) { Ok(found) } else { Err(Unfit::Arity(found.full_name)) }
}

/// A command's own name, `container|subcommand` for a subcommand, by any of its names; none if there is no such command.
pub(crate) fn canonical(name: &str) -> Option<String> {
    catalogue::canonical(name)
}

/// Whether a command (by its own name) is a container.
pub(crate) fn has_subcommands(name: &str) -> bool {
    name.contains('|') || row::named(TABLE, name.as_bytes()).is_some_and(|row| matches!(row.run, Run::Container { .. }))
}

fn permitted(client: &Client, found: &FoundCommand, words: &[Bytes]) -> Result<(), Reply> {
    if client.is_stranger() && !found.row.open {
        return Err(Reply::error("NOAUTH Authentication required."));
    }
    let acl = client.context().acl();
    if let Err(denial) = acl.check(&client.user, &found.canonical, found.row.open, words) {
        let reply = match denial.reason {
            Reason::Channel => Reply::error("NOPERM No permissions to access a channel"),
            Reason::Command | Reason::Auth => {
                Reply::error(format!("NOPERM User {} has no permissions to run the '{}' command", client.user, found.canonical))
            }
        };
        client.note_denial(denial, client.user.as_bytes());
        return Err(reply);
    }
    if client.protocol == Protocol::Two && client.subscribed() && !found.row.while_subscribed {
        return Err(Reply::error(format!(
            "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
            found.full_name
        )));
    }
    Ok(())
}

fn bad_arity(full_name: &str) -> Reply {
    Reply::error(format!("ERR wrong number of arguments for '{full_name}' command"))
}

fn unknown_command(name: &[u8], arguments: &[Bytes]) -> Reply {
    let mut text = format!("ERR unknown command '{}', with args beginning with: ", echoed(name, ECHOED_BYTES));
    let limit = text.len() + ECHOED_BYTES;
    for argument in arguments {
        if text.len() >= limit {
            break;
        }
        text.push('\'');
        text.push_str(&echoed(argument, limit.saturating_sub(text.len())));
        text.push_str("' ");
    }
    Reply::error(text)
}

/// A client's text, cut to `limit` bytes, for an error that is sent back to it.
fn echoed(text: &[u8], limit: usize) -> String {
    String::from_utf8_lossy(&text[..text.len().min(limit)]).into_owned()
}

fn lower(name: &[u8]) -> String {
    String::from_utf8_lossy(name).to_ascii_lowercase()
}
