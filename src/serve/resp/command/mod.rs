//! The commands: one table, and what is checked of every request before its handler runs.
//!
//! A command is one row. Its name, aliases, arity and help are data, so arity errors, COMMAND and HELP come from the table.
//! Handlers live in small files by subject.

mod catalogue;
mod client_admin;
mod client_modes;
mod connection;
mod info;
mod pubsub;
mod row;
mod sentinel;
mod table;

use bytes::Bytes;
use tracing::warn;

use super::client::Client;
use super::reply::Reply;
use super::writer::Protocol;
use row::{Row, Run};
use table::TABLE;

/// How much of an unknown command, and of its arguments, is repeated in the error.
const ECHOED_BYTES: usize = 128;

/// A row and the name it was called by.
struct Found {
    row: &'static Row,
    /// Such as `ping` or `sentinel|masters`.
    full_name: String,
}

/// Checks a request in stock's order, runs it, and returns what to send.
pub(crate) async fn dispatch(client: &mut Client, words: &[Bytes]) -> Reply {
    if words.first().is_some_and(|name| is_http(name)) {
        warn!("client {} is disconnected: it speaks HTTP, perhaps by a browser that was tricked into it", client.entry.peer);
        client.closing = true;
        return Reply::NOTHING;
    }
    let found = match find(words) {
        Ok(found) => found,
        Err(error) => return error,
    };
    {
        let now = client.context().clock.mono();
        let mut facts = client.entry.facts();
        facts.command.clone_from(&found.full_name);
        facts.last = now;
    }
    if let Err(error) = permitted(client, &found) {
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

fn find(words: &[Bytes]) -> Result<Found, Reply> {
    let [name, arguments @ ..] = words else { return Ok(Found { row: &TABLE[0], full_name: String::new() }) };
    let row = row::named(TABLE, name).ok_or_else(|| unknown_command(name, arguments))?;
    let full_name = lower(name);
    match (row.run, arguments.first()) {
        (Run::Container { rows, .. }, Some(sub)) => {
            let known = row::named(rows, sub);
            let row = known.ok_or_else(|| {
                Reply::error(format!("ERR unknown subcommand '{}'. Try {} HELP.", echoed(sub, ECHOED_BYTES), full_name.to_uppercase()))
            })?;
            arity_checked(row, format!("{full_name}|{}", lower(sub)), words.len())
        }
        (Run::Container { bare: None, .. }, None) => Err(bad_arity(&full_name)),
        (Run::Container { bare: Some(_), .. } | Run::Now(_) | Run::Wait(_), _) => arity_checked(row, full_name, words.len()),
    }
}

fn arity_checked(row: &'static Row, full_name: String, words: usize) -> Result<Found, Reply> {
    if row.arity.fits(words) { Ok(Found { row, full_name }) } else { Err(bad_arity(&full_name)) }
}

fn permitted(client: &Client, found: &Found) -> Result<(), Reply> {
    if !client.authenticated && !found.row.open {
        return Err(Reply::error("NOAUTH Authentication required."));
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
