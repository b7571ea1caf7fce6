//! PING, HELLO, AUTH, QUIT, ROLE and SHUTDOWN.

use bytes::Bytes;

use super::super::bounds;
use super::super::client::Client;
use super::super::context::COMPATIBLE_VERSION;
use super::super::number::integer;
use super::super::reply::{Answer, Reply};
use super::super::writer::Protocol;
use crate::serve::users::{Arrival, BadLogin, Port};

pub(super) fn ping(client: &mut Client, words: &[Bytes]) -> Answer {
    if client.protocol == Protocol::Two && client.subscribed() {
        let message = words.get(1).cloned().unwrap_or_default();
        return Ok(Reply::array([Reply::text("pong"), Reply::Bulk(message)]));
    }
    // A RESP3 client may be subscribed and still gets what it asked for: pushes are told apart by their type.
    Ok(words.get(1).map_or(Reply::Simple("PONG".into()), |message| Reply::Bulk(message.clone())))
}

pub(super) fn quit(client: &mut Client, _: &[Bytes]) -> Answer {
    client.closing = true;
    Ok(Reply::OK)
}

pub(super) fn role(client: &mut Client, _: &[Bytes]) -> Answer {
    let state = client.context().agreement.state();
    let names = Reply::array(state.groups.keys().map(|name| Reply::bulk(name.as_str())));
    Ok(Reply::array([Reply::text("sentinel"), names]))
}

pub(super) async fn auth(client: &mut Client, words: &[Bytes]) -> Answer {
    match words {
        [_, _] if !client.context().acl().default_has_password() => Err(Reply::error(
            "ERR AUTH <password> called without any password configured for the default user. \
             Are you sure your configuration is correct?",
        )),
        [command, password] => authenticate(client, command, b"default", password).await,
        [command, user, password] => authenticate(client, command, user, password).await,
        _ => Err(Reply::error("ERR syntax error")),
    }
}

async fn authenticate(client: &mut Client, command: &[u8], user: &[u8], password: &[u8]) -> Answer {
    let now = client.context().clock.mono();
    let arrival = Arrival { port: Port::Sentinel, peer: &client.entry.peer, authorization: None, certificate: None };
    match client.context().access.login(&arrival, user, password, client.entry.line(now), command) {
        Ok(()) => {
            // The users' names are UTF-8: one that is not would not have been let in.
            client.become_user(&String::from_utf8_lossy(user));
            Ok(Reply::OK)
        }
        Err(BadLogin::Wrong(pause)) => {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            Err(Reply::error("WRONGPASS invalid username-password pair or user is disabled."))
        }
        Err(BadLogin::TooMany(wait_s)) => Err(Reply::error(format!(
            "WRONGPASS too many wrong passwords came from your address; wait {wait_s} s before you try another one"
        ))),
    }
}

/// What HELLO asks for, all of it checked before any of it is done.
#[derive(Default)]
struct Hello<'a> {
    protocol: Option<Protocol>,
    login: Option<(&'a Bytes, &'a Bytes)>,
    name: Option<String>,
}

pub(super) async fn hello(client: &mut Client, words: &[Bytes]) -> Answer {
    let hello = parse_hello(words)?;
    if let Some((user, password)) = hello.login {
        authenticate(client, &words[0], user, password).await?;
    }
    if client.is_stranger() {
        return Err(Reply::error(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option \
             can be used to authenticate the client and select the RESP protocol version at the same time",
        ));
    }
    if let Some(protocol) = hello.protocol {
        client.protocol = protocol;
        client.entry.facts().protocol = protocol;
    }
    if let Some(name) = hello.name {
        client.entry.facts().name = name;
    }
    Ok(Reply::Map(vec![
        (Reply::text("server"), Reply::text("redis")),
        (Reply::text("version"), Reply::text(COMPATIBLE_VERSION)),
        (Reply::text("proto"), Reply::Int(client.protocol.number().into())),
        (Reply::text("id"), Reply::Int(i64::try_from(client.entry.id).unwrap_or(i64::MAX))),
        (Reply::text("mode"), Reply::text("sentinel")),
        (Reply::text("modules"), Reply::Array(Vec::new())),
    ]))
}

fn parse_hello(words: &[Bytes]) -> Result<Hello<'_>, Reply> {
    let mut hello = Hello::default();
    let Some(version) = words.get(1) else { return Ok(hello) };
    hello.protocol = match integer(version) {
        Some(2) => Some(Protocol::Two),
        Some(3) => Some(Protocol::Three),
        Some(_) => return Err(Reply::error("NOPROTO unsupported protocol version")),
        None => return Err(Reply::error("ERR Protocol version is not an integer or out of range")),
    };
    let mut rest = &words[2..];
    while let [option, after @ ..] = rest {
        rest = match (option.to_ascii_lowercase().as_slice(), after) {
            (b"auth", [user, password, after @ ..]) => {
                hello.login = Some((user, password));
                after
            }
            (b"setname", [name, after @ ..]) => {
                hello.name = Some(client_name(name)?);
                after
            }
            _ => return Err(Reply::error(format!("ERR Syntax error in HELLO option '{}'", super::echoed(option, 128)))),
        };
    }
    Ok(hello)
}

/// A name that fits one word of CLIENT LIST.
pub(super) fn client_name(name: &[u8]) -> Result<String, Reply> {
    word(name).ok_or_else(|| Reply::error("ERR Client names cannot contain spaces, newlines or special characters."))
}

/// Printable ASCII without blanks, of bounded length.
pub(super) fn word(text: &[u8]) -> Option<String> {
    let plain = text.len() <= bounds::NAME_BYTES && text.iter().all(u8::is_ascii_graphic);
    plain.then(|| String::from_utf8_lossy(text).into_owned())
}

pub(super) fn shutdown(client: &mut Client, words: &[Bytes]) -> Answer {
    let (mut save, mut nosave, mut abort) = (false, false, false);
    for word in &words[1..] {
        match word.to_ascii_lowercase().as_slice() {
            b"save" => save = true,
            b"nosave" => nosave = true,
            b"now" | b"force" => {}
            b"abort" => abort = true,
            _ => return Err(Reply::error("ERR syntax error")),
        }
    }
    if (save && nosave) || (abort && words.len() > 2) {
        return Err(Reply::error("ERR syntax error"));
    }
    if abort {
        return Err(Reply::error("ERR No shutdown in progress."));
    }
    tracing::info!("client {} '{}' asks this sentinel to stop (SHUTDOWN)", client.entry.peer, client.entry.facts().name);
    client.record("shutdown");
    client.context().stop.cancel();
    client.closing = true;
    Ok(Reply::NOTHING)
}
