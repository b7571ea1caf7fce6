//! ACL: users, and what they may do.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use rand::Rng as _;

use super::super::client::Client;
use super::super::number::integer;
use super::super::reply::{Answer, Reply};
use super::catalogue;
use super::row::{Arity, Row, Run};
use crate::serve::users::{Acl, AclError, DEFAULT, Denial, Reason, User, categories};

/// The subcommands.
pub(super) static ROWS: &[Row] = &[
    Row::new("cat", Arity::AtLeast(2), "[<category>]", "Lists categories, or the commands of one.", Run::Now(cat)),
    Row::new("deluser", Arity::AtLeast(3), "<username> [<username> ...]", "Removes users and ends their connections.", Run::Now(deluser)),
    Row::new("dryrun", Arity::AtLeast(4), "<username> <command> [<arg> ...]", "Tells whether a user could run it.", Run::Now(dryrun)),
    Row::new("genpass", Arity::Between(2, 3), "[<bits>]", "Makes up a password of 256 or so many bits.", Run::Now(genpass)),
    Row::new("getuser", Arity::Exactly(3), "<username>", "Describes a user.", Run::Now(getuser)),
    Row::new("help", Arity::Exactly(2), "", "Prints this help.", Run::Now(catalogue::help)),
    Row::new("list", Arity::Exactly(2), "", "Describes all users, as in a configuration file.", Run::Now(list)),
    Row::new("load", Arity::Exactly(2), "", "Reads the users from aclfile.", Run::Wait(|client, _| Box::pin(load(client)))),
    Row::new("log", Arity::Between(2, 3), "[<count> | RESET]", "Lists what was denied.", Run::Now(log)),
    Row::new("save", Arity::Exactly(2), "", "Writes the users to aclfile.", Run::Wait(|client, _| Box::pin(save(client)))),
    Row::new("setuser", Arity::AtLeast(3), "<username> [<rule> ...]", "Makes or changes a user of this sentinel.", Run::Now(setuser)),
    Row::new("users", Arity::Exactly(2), "", "Lists the names of all users.", Run::Now(users)),
    Row::new("whoami", Arity::Exactly(2), "", "Returns the user of this connection.", Run::Now(whoami)),
];

const NO_FILE: &str = "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the \
     ACL SETUSER command, which lasts until this sentinel ends, or as 'user' lines in its configuration file.";

fn acl(client: &Client) -> &Arc<Acl> {
    client.context().acl()
}

fn strings(names: impl IntoIterator<Item = String>) -> Reply {
    Reply::array(names.into_iter().map(Reply::bulk))
}

fn whoami(client: &mut Client, _: &[Bytes]) -> Answer {
    Ok(Reply::bulk(client.user.as_str()))
}

fn users(client: &mut Client, _: &[Bytes]) -> Answer {
    Ok(strings(acl(client).users().into_keys()))
}

fn list(client: &mut Client, _: &[Bytes]) -> Answer {
    Ok(strings(acl(client).users().iter().map(|(name, user)| user.line(name))))
}

fn cat(_: &mut Client, words: &[Bytes]) -> Answer {
    match &words[2..] {
        [] => Ok(Reply::array(categories::ALL.into_iter().map(Reply::text))),
        [name] => {
            let known = categories::ALL.into_iter().find(|known| known.as_bytes().eq_ignore_ascii_case(name));
            let known = known.ok_or_else(|| Reply::error(format!("ERR Unknown category '{}'", super::echoed(name, 128))))?;
            Ok(strings(catalogue::names().into_iter().filter(|command| categories::of(command).contains(&known))))
        }
        _ => Err(Reply::error("ERR wrong number of arguments for 'acl|cat' command")),
    }
}

fn getuser(client: &mut Client, words: &[Bytes]) -> Answer {
    let user = std::str::from_utf8(&words[2]).ok().and_then(|name| acl(client).user(name));
    Ok(user.map_or(Reply::Null, |user| described(&user)))
}

fn described(user: &User) -> Reply {
    Reply::Map(vec![
        (Reply::text("flags"), Reply::Set(user.flags().into_iter().map(Reply::text).collect())),
        (Reply::text("passwords"), strings(user.hashes())),
        (Reply::text("commands"), Reply::bulk(user.commands())),
        (Reply::text("keys"), Reply::bulk(user.keys())),
        (Reply::text("channels"), Reply::bulk(user.channels())),
        (Reply::text("selectors"), Reply::Array(Vec::new())),
    ])
}

fn setuser(client: &mut Client, words: &[Bytes]) -> Answer {
    let name = std::str::from_utf8(&words[2]).ok().filter(|name| !name.contains(|c: char| c.is_whitespace() || c == '\0'));
    let name = name.ok_or_else(|| Reply::error("ERR Usernames can't contain spaces or null characters"))?;
    let lost = acl(client)
        .set(name, &words[3..])
        .map_err(|(rule, error)| Reply::error(format!("ERR Error in ACL SETUSER modifier '{}': {error}", super::echoed(&rule, 128))))?;
    tracing::info!("client {} '{}' has set user '{}' (ACL SETUSER)", client.entry.peer, client.user, name.escape_debug());
    client.record(&format!("acl setuser {name}{}", shown_rules(&words[3..])));
    if lost {
        // They may hear what the user may hear no more; a fresh subscription is judged by the new rules.
        end_sessions(client, |session| session.subscribed() && session.facts().user == name);
    }
    Ok(Reply::OK)
}

/// The rules for the record: a password, and its hash, are only said to be there.
fn shown_rules(rules: &[Bytes]) -> String {
    rules.iter().fold(String::new(), |mut text, rule| {
        let _ = match rule.first() {
            Some(sign @ (b'>' | b'<' | b'#' | b'!')) => write!(text, " {}***", char::from(*sign)),
            _ => write!(text, " {}", super::echoed(rule, 64)),
        };
        text
    })
}

fn deluser(client: &mut Client, words: &[Bytes]) -> Answer {
    let names: Vec<&str> = words[2..].iter().filter_map(|name| std::str::from_utf8(name).ok()).collect();
    if names.contains(&DEFAULT) {
        return Err(Reply::error("ERR The 'default' user cannot be removed"));
    }
    let removed: Vec<&str> = names.into_iter().filter(|name| acl(client).remove(name)).collect();
    tracing::info!("client {} '{}' has removed {} users (ACL DELUSER)", client.entry.peer, client.user, removed.len());
    if !removed.is_empty() {
        client.record(&format!("acl deluser {}", removed.join(" ")));
    }
    end_sessions(client, |session| removed.contains(&session.facts().user.as_str()));
    Ok(Reply::Int(i64::try_from(removed.len()).unwrap_or(i64::MAX)))
}

/// Ends the sessions that are meant; the one that asks still gets its reply.
fn end_sessions(client: &mut Client, meant: impl Fn(&super::super::registry::ClientEntry) -> bool) {
    for entry in client.shared.registry.all().iter().filter(|entry| meant(entry)) {
        if Arc::ptr_eq(entry, &client.entry) {
            client.closing = true;
        } else {
            entry.kill.cancel();
        }
    }
}

fn dryrun(client: &mut Client, words: &[Bytes]) -> Answer {
    let name = String::from_utf8_lossy(&words[2]).into_owned();
    if acl(client).user(&name).is_none() {
        return Err(Reply::error(format!("ERR User '{}' not found", super::echoed(&words[2], 128))));
    }
    let found = match super::find(&words[3..]) {
        Ok(found) => found,
        Err(super::Unfit::Arity(command)) => return Err(super::bad_arity(&command)),
        Err(super::Unfit::Command | super::Unfit::Subcommand(_)) => {
            return Err(Reply::error(format!("ERR Command '{}' not found", super::echoed(&words[3], 128))));
        }
    };
    match acl(client).check(&name, &found.canonical, found.row.open, &words[3..]) {
        Ok(()) => Ok(Reply::OK),
        Err(Denial { reason: Reason::Channel, object }) => {
            Ok(Reply::bulk(format!("User {name} has no permissions to access the '{object}' channel")))
        }
        Err(Denial { reason: Reason::Command | Reason::Auth, object }) => {
            Ok(Reply::bulk(format!("User {name} has no permissions to run the '{object}' command")))
        }
    }
}

fn genpass(_: &mut Client, words: &[Bytes]) -> Answer {
    let bits = match words.get(2) {
        None => 256,
        Some(word) => integer(word).ok_or_else(not_a_number)?,
    };
    let bits = usize::try_from(bits).ok().filter(|bits| (1..=4096).contains(bits)).ok_or_else(|| {
        Reply::error("ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096")
    })?;
    let mut dice = rand::thread_rng();
    let mut password = String::new();
    for _ in 0..bits.div_ceil(4) {
        let _ = write!(password, "{:x}", dice.gen_range(0..16));
    }
    Ok(Reply::bulk(password))
}

fn log(client: &mut Client, words: &[Bytes]) -> Answer {
    let count = match words.get(2) {
        Some(word) if word.eq_ignore_ascii_case(b"reset") => {
            acl(client).log().clear();
            return Ok(Reply::OK);
        }
        Some(word) => usize::try_from(integer(word).ok_or_else(not_a_number)?).unwrap_or(0),
        None => 10,
    };
    let now = client.context().clock.mono();
    let number = |number: u64| Reply::Int(i64::try_from(number).unwrap_or(i64::MAX));
    let log = acl(client).log();
    Ok(Reply::array(log.entries().take(count).map(|entry| {
        let age_ms = now.ms_since(entry.heard);
        Reply::Map(vec![
            (Reply::text("count"), number(entry.count)),
            (Reply::text("reason"), Reply::text(entry.what.reason.as_str())),
            (Reply::text("context"), Reply::text("toplevel")),
            (Reply::text("object"), Reply::bulk(entry.what.object.as_str())),
            (Reply::text("username"), Reply::bulk(entry.user.as_str())),
            (Reply::text("age-seconds"), Reply::bulk(format!("{}.{:03}", age_ms / 1000, age_ms % 1000))),
            (Reply::text("client-info"), Reply::bulk(entry.client.as_str())),
            (Reply::text("entry-id"), number(entry.id)),
            (Reply::text("timestamp-created"), number(entry.first.as_ms())),
            (Reply::text("timestamp-last-updated"), number(entry.latest.as_ms())),
        ])
    })))
}

fn not_a_number() -> Reply {
    Reply::error("ERR value is not an integer or out of range")
}

async fn load(client: &mut Client) -> Answer {
    on_file(client, "read", Acl::load).await?;
    client.record("acl load");
    let users = acl(client).users();
    end_sessions(client, |session| !users.contains_key(&session.facts().user));
    Ok(Reply::OK)
}

async fn save(client: &mut Client) -> Answer {
    on_file(client, "written", Acl::save).await?;
    Ok(Reply::OK)
}

/// Reads or writes the file where others need not wait for the disk.
async fn on_file(client: &Client, done: &'static str, work: fn(&Acl) -> Result<(), AclError>) -> Result<(), Reply> {
    if acl(client).file().is_none() {
        return Err(Reply::error(NO_FILE));
    }
    let acl = Arc::clone(acl(client));
    let outcome = tokio::task::spawn_blocking(move || work(&acl)).await.map_err(|error| Reply::error(format!("ERR {error}")))?;
    outcome.map_err(|error| {
        tracing::error!("the users could not be {done}: {error}");
        Reply::error(format!("ERR {error}. No user was changed."))
    })?;
    tracing::info!("client {} '{}' had the users {done} (aclfile)", client.entry.peer, client.user);
    Ok(())
}
