//! CLIENT: about connections.

use std::sync::Arc;

use bytes::Bytes;

use super::super::client::Client;
use super::super::number::integer;
use super::super::reply::{Answer, Reply};
use super::client_filter::ClientFilter;
use super::connection::{client_name, word};
use super::row::{Arity, Row, Run};
use super::{catalogue, client_modes};

/// The subcommands.
pub(super) static ROWS: &[Row] = &[
    Row::new("caching", Arity::Exactly(3), "YES|NO", "Refused: there is nothing to track here.", Run::Now(client_modes::caching)),
    Row::new("getname", Arity::Exactly(2), "", "Returns the name of this connection.", Run::Now(getname)),
    Row::new("getredir", Arity::Exactly(2), "", "Returns whether tracking is on, as 0 or -1.", Run::Now(client_modes::redirection)),
    Row::new("help", Arity::Exactly(2), "", "Prints this help.", Run::Now(catalogue::help)),
    Row::new("id", Arity::Exactly(2), "", "Returns the number of this connection.", Run::Now(id)),
    Row::new("info", Arity::Exactly(2), "", "Describes this connection.", Run::Now(info)),
    Row::new(
        "kill",
        Arity::AtLeast(3),
        "<ip:port> | <filter> ... [SKIPME yes|no]",
        "Closes connections. Filters: ID <id> ..., TYPE normal|pubsub, ADDR and LADDR <ip:port>, IP, USER, NAME, LIB-NAME, LIB-VER, FLAGS, DB, CAPA \
         (all of them also as NOT-...), MAXAGE and IDLE <seconds>.",
        Run::Now(kill),
    ),
    Row::new(
        "list",
        Arity::AtLeast(2),
        "[<filter> ...] [SKIPME yes|no]",
        "Describes connections; filters as in CLIENT KILL.",
        Run::Now(list),
    ),
    Row::new("no-evict", Arity::Exactly(3), "on|off", "Noted, and without effect: no client is evicted here.", Run::Now(no_evict)),
    Row::new(
        "pause",
        Arity::AtLeast(3),
        "<timeout> WRITE",
        "Without effect: there are no writes here, and clients must always find the master.",
        Run::Now(client_modes::pause),
    ),
    Row::new("reply", Arity::Exactly(3), "ON|OFF|SKIP", "Says whether requests are answered.", Run::Now(client_modes::reply)),
    Row::new("setinfo", Arity::Exactly(4), "LIB-NAME|LIB-VER <value>", "Names the client library.", Run::Now(setinfo)),
    Row::new("setname", Arity::Exactly(3), "<name>", "Names this connection.", Run::Now(setname)),
    Row::new(
        "tracking",
        Arity::AtLeast(3),
        "ON|OFF [<option> ...]",
        "Noted, and without effect: there are no keys here.",
        Run::Now(client_modes::tracking),
    ),
    Row::new("trackinginfo", Arity::Exactly(2), "", "Returns whether tracking is on.", Run::Now(client_modes::tracking_info)),
    Row::new(
        "unblock",
        Arity::AtLeast(3),
        "<id> [TIMEOUT|ERROR]",
        "Returns 0: nobody is ever blocked here.",
        Run::Now(client_modes::unblock),
    ),
    Row::new("unpause", Arity::Exactly(2), "", "Nothing to do: nobody is ever paused here.", Run::Now(client_modes::unpause)),
];

fn getname(client: &mut Client, _: &[Bytes]) -> Answer {
    let name = client.entry.facts().name.clone();
    Ok(if name.is_empty() { Reply::Null } else { Reply::bulk(name) })
}

fn setname(client: &mut Client, words: &[Bytes]) -> Answer {
    client.entry.facts().name = client_name(&words[2])?;
    Ok(Reply::OK)
}

fn id(client: &mut Client, _: &[Bytes]) -> Answer {
    Ok(Reply::Int(number(client.entry.id)))
}

fn info(client: &mut Client, _: &[Bytes]) -> Answer {
    Ok(Reply::Verbatim(client.entry.line(client.context().clock.mono()) + "\n"))
}

fn setinfo(client: &mut Client, words: &[Bytes]) -> Answer {
    let option = super::lower(&words[2]);
    let value =
        || word(&words[3]).ok_or_else(|| Reply::error(format!("ERR {option} cannot contain spaces, newlines or special characters.")));
    match option.as_str() {
        "lib-name" => client.entry.facts().lib_name = value()?,
        "lib-ver" => client.entry.facts().lib_version = value()?,
        _ => return Err(Reply::error(format!("ERR Unrecognized option '{}'", super::echoed(&words[2], 128)))),
    }
    Ok(Reply::OK)
}

fn no_evict(client: &mut Client, words: &[Bytes]) -> Answer {
    let on = match words[2].to_ascii_lowercase().as_slice() {
        b"on" => true,
        b"off" => false,
        _ => return Err(syntax_error()),
    };
    client.entry.facts().no_evict = on;
    Ok(Reply::OK)
}

fn list(client: &mut Client, words: &[Bytes]) -> Answer {
    if let [_, _, option, value, ..] = words
        && option.eq_ignore_ascii_case(b"id")
        && integer(value).is_none_or(|id| id < 1)
    {
        // Redis words it differently in CLIENT KILL.
        return Err(Reply::error("ERR Invalid client ID"));
    }
    let filter = ClientFilter::read(client, &words[2..], false)?;
    let now = client.context().clock.mono();
    let entries = client.shared.registry.all();
    Ok(Reply::Verbatim(entries.iter().filter(|entry| filter.fits(entry, now)).map(|entry| entry.line(now) + "\n").collect()))
}

fn kill(client: &mut Client, words: &[Bytes]) -> Answer {
    if let [_, _, addr] = words {
        return match kill_all(client, &ClientFilter::at(addr)) {
            0 => Err(Reply::error("ERR No such client")),
            _ => Ok(Reply::OK),
        };
    }
    let filter = ClientFilter::read(client, &words[2..], true)?;
    Ok(Reply::Int(number(kill_all(client, &filter))))
}

fn kill_all(client: &mut Client, filter: &ClientFilter) -> u64 {
    let mut killed = 0;
    let now = client.context().clock.mono();
    for entry in client.shared.registry.all().iter().filter(|entry| filter.fits(entry, now)) {
        killed += 1;
        if Arc::ptr_eq(entry, &client.entry) {
            // It still gets the reply.
            client.closing = true;
        } else {
            entry.kill.cancel();
        }
    }
    killed
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn syntax_error() -> Reply {
    Reply::error("ERR syntax error")
}
