//! COMMAND and HELP: what the table says of itself.

use bytes::Bytes;

use super::super::client::Client;
use super::super::reply::{Answer, Prepared, Reply};
use super::row::{self, Arity, Row, Run, Subject};
use super::table::TABLE;
use crate::serve::glob;
use crate::serve::users::categories;

/// The subcommands of COMMAND.
pub(super) static ROWS: &[Row] = &[
    Row::new("count", Arity::Exactly(2), "", "Returns the number of commands.", Run::Now(count)),
    Row::new("docs", Arity::AtLeast(2), "[<command> ...]", "Returns what commands are for.", Run::Now(docs)),
    Row::new("getkeys", Arity::AtLeast(4), "<command> ...", "Refused: no command here has keys.", Run::Now(keys)),
    Row::new("getkeysandflags", Arity::AtLeast(4), "<command> ...", "Refused: no command here has keys.", Run::Now(keys)),
    Row::new("help", Arity::Exactly(2), "", "Prints this help.", Run::Now(help)),
    Row::new("info", Arity::AtLeast(2), "[<command> ...]", "Returns what clients need to know of commands.", Run::Now(info)),
    Row::new(
        "list",
        Arity::AtLeast(2),
        "[FILTERBY PATTERN <pattern>|ACLCAT <category>|MODULE <name>]",
        "Returns the names of all commands.",
        Run::Now(list),
    ),
];

/// Names that one request may ask for.
const NAMES: usize = 128;
/// COMMAND without a name.
static EVERY_ENTRY: Prepared = Prepared::new(|| Reply::array(TABLE.iter().map(|row| entry(row, row.name, row.subject))));
/// COMMAND DOCS without a name.
static EVERY_DOC: Prepared =
    Prepared::new(|| docs_of(TABLE.iter().map(|row| Listed { row, full_name: row.name.to_owned(), subject: row.subject })));

pub(super) fn all(_: &mut Client, _: &[Bytes]) -> Answer {
    Ok(Reply::Prepared(&EVERY_ENTRY))
}

fn count(_: &mut Client, _: &[Bytes]) -> Answer {
    Ok(Reply::Int(i64::try_from(TABLE.len()).unwrap_or(i64::MAX)))
}

/// Which commands are meant.
enum CommandFilter<'a> {
    All,
    Pattern(&'a [u8]),
    Category(String),
    /// No command comes from a module.
    None,
}

fn list(_: &mut Client, words: &[Bytes]) -> Answer {
    let filter = match &words[2..] {
        [] => CommandFilter::All,
        [filter, kind, value] if filter.eq_ignore_ascii_case(b"filterby") => match kind.to_ascii_lowercase().as_slice() {
            b"pattern" => CommandFilter::Pattern(value),
            b"aclcat" => CommandFilter::Category(super::lower(value)),
            b"module" => CommandFilter::None,
            _ => return Err(Reply::error("ERR syntax error")),
        },
        _ => return Err(Reply::error("ERR syntax error")),
    };
    let wanted = |name: &String| match &filter {
        CommandFilter::All => true,
        CommandFilter::Pattern(pattern) => glob::matches(pattern, name.as_bytes()),
        CommandFilter::Category(category) => canonical(name).is_some_and(|own| categories::of(&own).contains(&category.as_str())),
        CommandFilter::None => false,
    };
    Ok(Reply::array(TABLE.iter().flat_map(full_names).filter(wanted).map(Reply::bulk)))
}

fn keys(_: &mut Client, words: &[Bytes]) -> Answer {
    let known = row::named(TABLE, &words[2]).is_some();
    Err(Reply::error(if known { "ERR The command has no key arguments" } else { "ERR Invalid command specified" }))
}

/// The names of all commands and subcommands, without aliases.
pub(super) fn names() -> Vec<String> {
    let subs = |row: &'static Row| subcommands(row).iter().map(|sub| format!("{}|{}", row.name, sub.name));
    TABLE.iter().flat_map(|row| std::iter::once(row.name.to_owned()).chain(subs(row))).collect()
}

/// A command's own name, by any of its names.
pub(super) fn canonical(name: &str) -> Option<String> {
    let (container, sub) = name.split_once('|').map_or((name, None), |(container, sub)| (container, Some(sub)));
    let top = row::named(TABLE, container.as_bytes())?;
    match sub {
        None => Some(top.name.to_owned()),
        Some(sub) => row::named(subcommands(top), sub.as_bytes()).map(|row| format!("{}|{}", top.name, row.name)),
    }
}

fn full_names(row: &'static Row) -> Vec<String> {
    let subs = subcommands(row).iter().flat_map(Row::names).map(|sub| format!("{}|{sub}", row.name));
    row.names().map(str::to_owned).chain(subs).collect()
}

fn info(_: &mut Client, words: &[Bytes]) -> Answer {
    if words.len() == 2 {
        return Ok(Reply::Prepared(&EVERY_ENTRY));
    }
    check_names(words)?;
    let wanted = words[2..].iter().map(|name| lookup(name));
    Ok(Reply::array(wanted.map(|found| found.map_or(Reply::Null, |found| entry(found.row, &found.full_name, found.subject)))))
}

fn docs(client: &mut Client, words: &[Bytes]) -> Answer {
    client.by_hand = true;
    if words.len() == 2 {
        return Ok(Reply::Prepared(&EVERY_DOC));
    }
    check_names(words)?;
    Ok(docs_of(words[2..].iter().filter_map(|name| lookup(name))))
}

/// A short request of many names must not make a reply of many megabytes.
fn check_names(words: &[Bytes]) -> Result<(), Reply> {
    let fits = words.len() <= 2 + NAMES;
    if fits { Ok(()) } else { Err(Reply::error(format!("ERR too many names at once: at most {NAMES} are answered, without a name all"))) }
}

fn docs_of(listed: impl IntoIterator<Item = Listed>) -> Reply {
    Reply::Map(listed.into_iter().map(|listed| (Reply::bulk(listed.full_name), doc(listed.row, listed.subject))).collect())
}

fn doc(row: &Row, subject: Subject) -> Reply {
    Reply::Map(vec![(Reply::text("summary"), Reply::text(row.help)), (Reply::text("group"), Reply::text(subject.group()))])
}

/// A row as it was asked for.
struct Listed {
    row: &'static Row,
    full_name: String,
    subject: Subject,
}

/// A row by `name` or `container|name`.
fn lookup(name: &[u8]) -> Option<Listed> {
    let full_name = super::lower(name);
    let (container, sub) = full_name.split_once('|').map_or((full_name.as_str(), None), |(container, sub)| (container, Some(sub)));
    let top = row::named(TABLE, container.as_bytes())?;
    let row = match sub {
        None => top,
        Some(sub) => row::named(subcommands(top), sub.as_bytes())?,
    };
    Some(Listed { row, full_name, subject: top.subject })
}

fn subcommands(row: &Row) -> &'static [Row] {
    match row.run {
        Run::Container { rows, .. } => rows,
        Run::Now(_) | Run::Wait(_) => &[],
    }
}

/// Name, arity, flags, first key, last key, step, categories, tips, key specifications, subcommands.
fn entry(row: &Row, full_name: &str, subject: Subject) -> Reply {
    let words = |words: &[&'static str]| words.iter().map(|word| Reply::Simple((*word).into())).collect::<Vec<_>>();
    let own_name = canonical(full_name).unwrap_or_default();
    let categories = categories::of(&own_name).iter().map(|name| Reply::Simple(format!("@{name}").into())).collect();
    let mut flags = words(subject.flags());
    if row.open {
        flags.push(Reply::Simple("no_auth".into()));
    }
    let subs = subcommands(row).iter().map(|sub| entry(sub, &format!("{full_name}|{}", sub.name), subject));
    Reply::array([
        Reply::bulk(full_name),
        Reply::Int(row.arity.shown()),
        Reply::Set(flags),
        Reply::Int(0),
        Reply::Int(0),
        Reply::Int(0),
        Reply::Set(categories),
        Reply::Set(Vec::new()),
        Reply::Set(Vec::new()),
        Reply::Set(subs.collect()),
    ])
}

/// `<CONTAINER> HELP`, for whichever container was called.
pub(super) fn help(_: &mut Client, words: &[Bytes]) -> Answer {
    let rows = row::named(TABLE, &words[0]).map_or(&[][..], subcommands);
    let container = super::lower(&words[0]).to_uppercase();
    let mut lines = vec![format!("{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")];
    for row in rows.iter().filter(|row| row.name != "help") {
        lines.push(format!("{} {}", row.name.to_uppercase(), row.arguments).trim_end().to_owned());
        lines.push(format!("    {}", row.help));
    }
    lines.extend(["HELP".to_owned(), "    Prints this help.".to_owned()]);
    Ok(Reply::array(lines.into_iter().map(|line| Reply::Simple(line.into()))))
}
