//! Which clients CLIENT LIST and CLIENT KILL are about: the filters of Redis up to 7.4 and of Valkey up to 9.

use std::net::SocketAddr;

use bytes::Bytes;

use super::super::client::Client;
use super::super::number::integer;
use super::super::registry::ClientEntry;
use super::super::reply::Reply;
use super::client_admin::syntax_error;
use crate::admission::canonical;
use crate::base::Mono;
use crate::serve::Endpoint;

/// The letters that CLIENT LIST may show as flags anywhere.
const FLAGS: &[u8] = b"ABIKEMNOPRSTUVeabcdilortux";

/// The kinds of clients that Redis knows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientKind {
    Normal,
    Pubsub,
    /// A master or a replica: a sentinel has none.
    Replication,
}

impl ClientKind {
    fn of(entry: &ClientEntry) -> Self {
        if entry.subscribed() { Self::Pubsub } else { Self::Normal }
    }
}

/// One thing that can be asked of a client.
enum Test {
    Ids(Vec<u64>),
    ClientKind(ClientKind),
    Peer(String),
    Local(String),
    Ip(String),
    User(String),
    Name(String),
    LibName(String),
    LibVersion(String),
    /// All of these letters.
    Flags(Vec<u8>),
    Database(i64),
    /// CLIENT CAPA, which no client here has.
    Capabilities,
    AgeAtLeast(u64),
    IdleAtLeast(u64),
}

impl Test {
    fn fits(&self, entry: &ClientEntry, now: Mono) -> bool {
        match self {
            Self::Ids(ids) => ids.contains(&entry.id),
            Self::ClientKind(kind) => *kind == ClientKind::of(entry),
            Self::Peer(addr) => *addr == entry.peer.to_string(),
            Self::Local(addr) => *addr == entry.local.to_string(),
            Self::Ip(ip) => matches!(&entry.peer, Endpoint::Ip(addr) if addr.ip().to_canonical().to_string() == *ip),
            Self::User(user) => entry.facts().user == *user,
            Self::Name(name) => entry.facts().name == *name,
            Self::LibName(name) => entry.facts().lib_name == *name,
            Self::LibVersion(version) => entry.facts().lib_version == *version,
            Self::Flags(letters) => {
                let flags = entry.facts().flags();
                letters.iter().all(|letter| flags.as_bytes().contains(letter))
            }
            Self::Database(number) => *number == 0,
            Self::Capabilities => false,
            Self::AgeAtLeast(seconds) => now.ms_since(entry.since) / 1000 >= *seconds,
            Self::IdleAtLeast(seconds) => now.ms_since(entry.facts().last) / 1000 >= *seconds,
        }
    }
}

/// Which clients are meant: those that pass every test.
#[derive(Default)]
pub(super) struct ClientFilter {
    /// By name of the filter; the last word for each counts. What is false must not hold.
    tests: Vec<(&'static str, bool, Test)>,
    /// The client that asks, where it is not meant.
    skip: Option<u64>,
}

impl ClientFilter {
    /// The client at this address, also if that is the one that asks (`CLIENT KILL <ip:port>`).
    pub(super) fn at(addr: &[u8]) -> Self {
        Self { tests: vec![("addr", true, Test::Peer(address(addr)))], skip: None }
    }

    /// Reads what stands behind CLIENT LIST or CLIENT KILL. `spares_me` is what holds where SKIPME is not said.
    pub(super) fn read(client: &Client, words: &[Bytes], spares_me: bool) -> Result<Self, Reply> {
        let mut filter = Self { tests: Vec::new(), skip: spares_me.then_some(client.entry.id) };
        let mut rest = words;
        while let [option, values @ ..] = rest {
            let [value, ..] = values else { return Err(syntax_error()) };
            let option = option.to_ascii_lowercase();
            if option == b"skipme" {
                filter.skip = yes_no(value)?.then_some(client.entry.id);
                rest = &values[1..];
                continue;
            }
            let (wanted, name) = option.strip_prefix(b"not-").map_or((true, &option[..]), |name| (false, name));
            let (name, test, taken) = test(client, name, values, wanted)?;
            filter.tests.retain(|(known, of, _)| (*known, *of) != (name, wanted));
            filter.tests.push((name, wanted, test));
            rest = &values[taken..];
        }
        Ok(filter)
    }

    /// Whether this client is meant.
    pub(super) fn fits(&self, entry: &ClientEntry, now: Mono) -> bool {
        self.skip != Some(entry.id) && self.tests.iter().all(|(_, wanted, test)| test.fits(entry, now) == *wanted)
    }
}

/// The test that a filter asks for, its name, and how many words it takes. Ages have no `NOT-`.
fn test(client: &Client, name: &[u8], values: &[Bytes], wanted: bool) -> Result<(&'static str, Test, usize), Reply> {
    let value = &values[0];
    let text = || String::from_utf8_lossy(value).into_owned();
    let (name, test) = match name {
        b"id" => {
            let (ids, taken) = ids(values)?;
            return Ok(("id", Test::Ids(ids), taken));
        }
        b"type" => ("type", Test::ClientKind(kind(value)?)),
        b"addr" => ("addr", Test::Peer(address(value))),
        b"laddr" => ("laddr", Test::Local(address(value))),
        b"ip" => ("ip", Test::Ip(text().parse().map_or_else(|_| text(), |ip: std::net::IpAddr| ip.to_canonical().to_string()))),
        b"user" => {
            let known = client.context().acl().user(&text()).is_some();
            let unknown = || Reply::error(format!("ERR No such user '{}'", super::echoed(value, 128)));
            ("user", Test::User(known.then(text).ok_or_else(unknown)?))
        }
        b"name" => ("name", Test::Name(text())),
        b"lib-name" => ("lib-name", Test::LibName(text())),
        b"lib-ver" => ("lib-ver", Test::LibVersion(text())),
        b"flags" => ("flags", Test::Flags(flags(value)?)),
        b"db" => ("db", Test::Database(integer(value).filter(|db| *db >= 0).ok_or_else(|| Reply::error("ERR DB number is out of range"))?)),
        b"capa" => ("capa", Test::Capabilities),
        b"maxage" if wanted => ("maxage", Test::AgeAtLeast(seconds("maxage", value)?)),
        b"idle" if wanted => ("idle", Test::IdleAtLeast(seconds("idle", value)?)),
        _ => return Err(syntax_error()),
    };
    Ok((name, test, 1))
}

/// All numbers up to the next filter; there must be one.
fn ids(values: &[Bytes]) -> Result<(Vec<u64>, usize), Reply> {
    let first = client_id(&values[0])?;
    let more = values[1..].iter().map_while(|value| integer(value)).collect::<Vec<_>>();
    let taken = 1 + more.len();
    let ids = values[..taken].iter().skip(1).map(|value| client_id(value));
    Ok((std::iter::once(Ok(first)).chain(ids).collect::<Result<_, _>>()?, taken))
}

fn client_id(text: &[u8]) -> Result<u64, Reply> {
    let id = integer(text).and_then(|id| u64::try_from(id).ok()).filter(|id| *id > 0);
    id.ok_or_else(|| Reply::error("ERR client-id should be greater than 0"))
}

fn kind(text: &[u8]) -> Result<ClientKind, Reply> {
    match text.to_ascii_lowercase().as_slice() {
        b"normal" => Ok(ClientKind::Normal),
        b"pubsub" => Ok(ClientKind::Pubsub),
        b"master" | b"primary" | b"replica" | b"slave" => Ok(ClientKind::Replication),
        _ => Err(Reply::error(format!("ERR Unknown client type '{}'", super::echoed(text, 128)))),
    }
}

fn flags(text: &[u8]) -> Result<Vec<u8>, Reply> {
    let unknown = || Reply::error(format!("ERR Unknown flags found in the provided filter: {}", super::echoed(text, 128)));
    if !text.is_empty() && text.iter().all(|letter| FLAGS.contains(letter)) { Ok(text.to_vec()) } else { Err(unknown()) }
}

fn seconds(what: &str, text: &[u8]) -> Result<u64, Reply> {
    let number = integer(text).ok_or_else(|| Reply::error(format!("ERR {what} is not an integer or out of range")))?;
    u64::try_from(number).ok().filter(|seconds| *seconds > 0).ok_or_else(|| Reply::error(format!("ERR {what} should be greater than 0")))
}

fn yes_no(text: &[u8]) -> Result<bool, Reply> {
    match text.to_ascii_lowercase().as_slice() {
        b"yes" => Ok(true),
        b"no" => Ok(false),
        _ => Err(syntax_error()),
    }
}

/// An address as clients are shown with: an IPv4 one that is mapped into IPv6 is an IPv4 one.
fn address(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.parse::<SocketAddr>().map_or_else(|_| text.into_owned(), |addr| canonical(addr).to_string())
}
