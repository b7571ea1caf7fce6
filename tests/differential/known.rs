//! The known differences, each with its row in the page for operators.

use crate::shape::OURS_ROW;
use crate::situations::Difference;

/// One question that we answer in another way than stock Sentinel 7.0.
pub(crate) struct Known {
    /// The question; `*` at the end stands for anything.
    pub(crate) question: &'static str,
    /// What our answer holds then, so that a known difference does not hide a new one.
    pub(crate) here: &'static str,
    /// The first cell of the row in `src/docs/differences.md` that says it, and why.
    pub(crate) page: &'static str,
}

const fn known(question: &'static str, here: &'static str, page: &'static str) -> Known {
    Known { question, here, page }
}

#[rustfmt::skip]
pub(crate) const KNOWN: &[Known] = &[
    known("QUIT", "+OK", "`QUIT`"),
    known("COMMAND COUNT", ":16", "`QUIT`"),
    known("CLIENT SETINFO LIB-NAME x", "+OK", "`CLIENT SETINFO`"),
    known("CLIENT LIST", "id addr laddr name age idle flags", "fields of `CLIENT LIST` and `CLIENT INFO`"),
    known("CLIENT INFO", "id addr laddr name age idle flags", "fields of `CLIENT LIST` and `CLIENT INFO`"),
    known("CLIENT PAUSE 1 ALL", "-ERR CLIENT PAUSE ALL is not supported", "`CLIENT PAUSE` without `WRITE`"),
    known("COMMAND INFO*", "$", "flags in `COMMAND INFO`"),
    known("INFO", "# Sentinel", "fields of `INFO server`, `clients`, `stats`, `cpu`"),
    known("INFO server", "redis_mode", "fields of `INFO server`, `clients`, `stats`, `cpu`"),
    known("INFO clients", "connected_clients", "fields of `INFO server`, `clients`, `stats`, `cpu`"),
    known("INFO stats", "total_connections_received", "fields of `INFO server`, `clients`, `stats`, `cpu`"),
    known("INFO cpu", "used_cpu_user", "fields of `INFO server`, `clients`, `stats`, `cpu`"),
    known("SENTINEL PRIMARIES", "$num-other-sentinels", "subcommands with `PRIMARY`"),
    known("SENTINEL CONFIG GET", "-ERR wrong number of arguments for 'sentinel|config' command", "`SENTINEL CONFIG GET`, `SET`"),
    known("SENTINEL CONFIG GET *", "$loglevel", "`SENTINEL CONFIG GET`, `SET`"),
    known("SENTINEL CONFIG PUT a", "-ERR Only SENTINEL CONFIG GET <param>", "`SENTINEL CONFIG GET`, `SET`"),
    known("SENTINEL CONFIG SET announce-port", "-ERR Missing argument 'announce-port' value", "`SENTINEL CONFIG GET`, `SET`"),
    known("SENTINEL DEBUG", "$INFO-PERIOD", "`SENTINEL DEBUG`"),
    known("SENTINEL MONITOR a,b 127.0.0.1 1 2", "-ERR 'a,b' cannot name a master", "names of masters"),
    known("SENTINEL REMOVE a,b", "-ERR No such master with that name", "names of masters"),
    known("SENTINEL MONITOR other 127.0.0.1 1 2", "+OK", "`SENTINEL MONITOR` with what is already so"),
    known("SENTINEL MASTER other", "$num-other-sentinels", "other sentinels"),
    known("SENTINEL FORGET mymaster 127.0.0.1:1", "-ERR refused: ", "`SENTINEL FORGET <name> <address>`"),
];

/// The row that explains a difference.
pub(crate) fn row(difference: &Difference) -> Option<usize> {
    let asks = |row: &Known| match row.question.strip_suffix('*') {
        Some(start) if row.question != difference.question => !start.ends_with(' ') && difference.question.starts_with(start),
        Some(_) | None => difference.question == row.question,
    };
    KNOWN.iter().position(|row| asks(row) && difference.ours.contains(row.here))
}

/// An event that is told in another way.
pub(crate) struct KnownEvent {
    /// Its channel.
    pub(crate) channel: &'static str,
    /// Who tells it where.
    pub(crate) how: How,
    /// As above.
    pub(crate) page: &'static str,
}

const fn event(channel: &'static str, how: How, page: &'static str) -> KnownEvent {
    KnownEvent { channel, how, page }
}

/// How an event differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// Only stock has it in a failover.
    StockOnly,
    /// Only we have it.
    OursOnly,
}

#[rustfmt::skip]
pub(crate) const KNOWN_EVENTS: &[KnownEvent] = &[
    event("+vote-for-leader", How::StockOnly, "`+vote-for-leader`, `+config-update-from`"),
    event("+slave-reconf-inprog", How::StockOnly, "`+slave-reconf-inprog`"),
    event("+slave-reconf-done", How::StockOnly, "`+switch-master` in a failover"),
    event("+slave-reconf-done", How::OursOnly, "`+switch-master` in a failover"),
    event("+failover-end", How::StockOnly, "`+switch-master` in a failover"),
    event("+failover-end", How::OursOnly, "`+switch-master` in a failover"),
];

#[test]
fn the_page_has_every_known_difference() {
    let page = include_str!("../../src/docs/differences.md");
    let rows: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next()).collect();
    let named = KNOWN.iter().map(|row| row.page).chain(KNOWN_EVENTS.iter().map(|row| row.page)).chain([OURS_ROW]);
    let missing: Vec<&str> = named.filter(|name| !rows.contains(name)).collect();
    assert!(missing.is_empty(), "no row of src/docs/differences.md begins with {missing:?}");
}
