//! CLIENT: about connections.

use std::sync::Arc;

use bytes::Bytes;

use super::super::client::Client;
use super::super::number::integer;
use super::super::registry::Entry;
use super::super::reply::{Answer, Reply};
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
        "<ip:port> | [ID <id>] [ADDR <ip:port>] [LADDR <ip:port>] [TYPE normal|pubsub] [SKIPME yes|no]",
        "Closes connections.",
        Run::Now(kill),
    ),
    Row::new("list", Arity::AtLeast(2), "[TYPE normal|pubsub] [ID <id> ...]", "Describes all connections.", Run::Now(list)),
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
    let filter = match &words[2..] {
        [] => Filter::default(),
        [kind, name] if kind.eq_ignore_ascii_case(b"type") => Filter { kind: Some(client_kind(name)?), ..Filter::default() },
        [kind, ids @ ..] if kind.eq_ignore_ascii_case(b"id") && !ids.is_empty() => {
            Filter { ids: Some(ids.iter().map(|id| listed_id(id)).collect::<Result<_, _>>()?), ..Filter::default() }
        }
        _ => return Err(syntax_error()),
    };
    let now = client.context().clock.mono();
    let entries = client.shared.registry.all();
    Ok(Reply::Verbatim(entries.iter().filter(|entry| filter.fits(entry)).map(|entry| entry.line(now) + "\n").collect()))
}

fn kill(client: &mut Client, words: &[Bytes]) -> Answer {
    if let [_, _, addr] = words {
        let addr = String::from_utf8_lossy(addr).into_owned();
        let filter = Filter { peer: Some(addr), ..Filter::default() };
        return match kill_all(client, &filter) {
            0 => Err(Reply::error("ERR No such client")),
            _ => Ok(Reply::OK),
        };
    }
    let mut filter = Filter { skip: Some(client.entry.id), ..Filter::default() };
    let (pairs, odd) = words[2..].as_chunks::<2>();
    if !odd.is_empty() {
        return Err(syntax_error());
    }
    for [option, value] in pairs {
        let text = || String::from_utf8_lossy(value).into_owned();
        match option.to_ascii_lowercase().as_slice() {
            b"id" => filter.ids = Some(vec![client_id(value)?]),
            b"addr" => filter.peer = Some(text()),
            b"laddr" => filter.local = Some(text()),
            b"type" => filter.kind = Some(client_kind(value)?),
            b"skipme" if value.eq_ignore_ascii_case(b"yes") => filter.skip = Some(client.entry.id),
            b"skipme" if value.eq_ignore_ascii_case(b"no") => filter.skip = None,
            _ => return Err(syntax_error()),
        }
    }
    Ok(Reply::Int(number(kill_all(client, &filter))))
}

/// The kinds of clients that Redis knows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Normal,
    Pubsub,
    /// A master or a replica: a sentinel has none.
    Replication,
}

impl Kind {
    fn of(entry: &Entry) -> Self {
        if entry.subscribed() { Self::Pubsub } else { Self::Normal }
    }
}

/// Which clients are meant; what is none does not matter.
#[derive(Default)]
struct Filter {
    ids: Option<Vec<u64>>,
    peer: Option<String>,
    local: Option<String>,
    kind: Option<Kind>,
    skip: Option<u64>,
}

impl Filter {
    fn fits(&self, entry: &Entry) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.contains(&entry.id))
            && self.peer.as_ref().is_none_or(|peer| *peer == entry.peer.to_string())
            && self.local.as_ref().is_none_or(|local| *local == entry.local.to_string())
            && self.kind.is_none_or(|kind| kind == Kind::of(entry))
            && self.skip != Some(entry.id)
    }
}

fn kill_all(client: &mut Client, filter: &Filter) -> u64 {
    let mut killed = 0;
    for entry in client.shared.registry.all().iter().filter(|entry| filter.fits(entry)) {
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

fn client_id(text: &[u8]) -> Result<u64, Reply> {
    let id = integer(text).and_then(|id| u64::try_from(id).ok()).filter(|id| *id > 0);
    id.ok_or_else(|| Reply::error("ERR client-id should be greater than 0"))
}

/// Redis words it differently in CLIENT LIST.
fn listed_id(text: &[u8]) -> Result<u64, Reply> {
    client_id(text).map_err(|_| Reply::error("ERR Invalid client ID"))
}

fn client_kind(text: &[u8]) -> Result<Kind, Reply> {
    match text.to_ascii_lowercase().as_slice() {
        b"normal" => Ok(Kind::Normal),
        b"pubsub" => Ok(Kind::Pubsub),
        b"master" | b"replica" | b"slave" => Ok(Kind::Replication),
        _ => Err(Reply::error(format!("ERR Unknown client type '{}'", super::echoed(text, 128)))),
    }
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn syntax_error() -> Reply {
    Reply::error("ERR syntax error")
}
