//! CLIENT REPLY, and what Redis clients may say of pausing, blocking and caching although a sentinel has no keys.

use bytes::Bytes;

use super::super::client::{Client, Replies};
use super::super::number::integer;
use super::super::reply::{Answer, Reply};
use super::client_admin::syntax_error;

/// What is not to be answered gets no `+OK` either.
pub(super) fn reply(client: &mut Client, words: &[Bytes]) -> Answer {
    let (replies, answer) = match words[2].to_ascii_lowercase().as_slice() {
        b"on" => (Replies::On, Reply::OK),
        b"off" => (Replies::Off, Reply::NOTHING),
        b"skip" if client.replies == Replies::Off => (Replies::Off, Reply::NOTHING),
        b"skip" => (Replies::SkipNext, Reply::NOTHING),
        _ => return Err(syntax_error()),
    };
    client.replies = replies;
    Ok(answer)
}

/// Writes can be paused, since there are none. Pausing all would keep every client from finding the master.
pub(super) fn pause(_: &mut Client, words: &[Bytes]) -> Answer {
    let writes_only = match words.get(3).map(|mode| mode.to_ascii_lowercase()) {
        Some(mode) if mode == b"write" => true,
        Some(mode) if mode == b"all" => false,
        Some(_) => return Err(Reply::error("ERR CLIENT PAUSE mode must be WRITE or ALL")),
        None => false,
    };
    match integer(&words[2]) {
        None => Err(Reply::error("ERR timeout is not an integer or out of range")),
        Some(..0) => Err(Reply::error("ERR timeout is negative")),
        Some(_) if writes_only => Ok(Reply::OK),
        Some(_) => Err(Reply::error("ERR CLIENT PAUSE ALL is not supported: a paused client could not find the master")),
    }
}

pub(super) fn unpause(_: &mut Client, _: &[Bytes]) -> Answer {
    Ok(Reply::OK)
}

/// Nobody is ever blocked here.
pub(super) fn unblock(_: &mut Client, words: &[Bytes]) -> Answer {
    let reasons: [&[u8]; 2] = [b"timeout", b"error"];
    if words.get(3).is_some_and(|reason| !reasons.iter().any(|known| reason.eq_ignore_ascii_case(known))) {
        return Err(Reply::error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"));
    }
    integer(&words[2]).map(|_| Reply::Int(0)).ok_or_else(|| Reply::error("ERR value is not an integer or out of range"))
}

/// Noted, and without effect: there are no keys that could change.
pub(super) fn tracking(client: &mut Client, words: &[Bytes]) -> Answer {
    let mut rest = &words[3..];
    while let [option, after @ ..] = rest {
        rest = match (option.to_ascii_lowercase().as_slice(), after) {
            (b"bcast" | b"optin" | b"optout" | b"noloop", _) => after,
            (b"prefix", [_, after @ ..]) => after,
            (b"redirect", [id, after @ ..]) => {
                check_redirect(client, id)?;
                after
            }
            _ => return Err(syntax_error()),
        };
    }
    client.tracking = match words[2].to_ascii_lowercase().as_slice() {
        b"on" => true,
        b"off" => false,
        _ => return Err(syntax_error()),
    };
    Ok(Reply::OK)
}

fn check_redirect(client: &Client, id: &[u8]) -> Result<(), Reply> {
    let id = integer(id).ok_or_else(|| Reply::error("ERR value is not an integer or out of range"))?;
    let known = client.shared.registry.all().iter().any(|entry| i64::try_from(entry.id) == Ok(id));
    if known { Ok(()) } else { Err(Reply::error("ERR The client ID you want redirect to does not exist")) }
}

pub(super) fn tracking_info(client: &mut Client, _: &[Bytes]) -> Answer {
    let (flag, redirect) = if client.tracking { ("on", 0) } else { ("off", -1) };
    Ok(Reply::Map(vec![
        (Reply::text("flags"), Reply::Set(vec![Reply::text(flag)])),
        (Reply::text("redirect"), Reply::Int(redirect)),
        (Reply::text("prefixes"), Reply::Array(Vec::new())),
    ]))
}

pub(super) fn redirection(client: &mut Client, _: &[Bytes]) -> Answer {
    Ok(Reply::Int(if client.tracking { 0 } else { -1 }))
}

pub(super) fn caching(_: &mut Client, _: &[Bytes]) -> Answer {
    Err(Reply::error("ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled"))
}
