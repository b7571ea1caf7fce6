//! One row of the table.

use std::pin::Pin;

use bytes::Bytes;

use super::super::client::Client;
use super::super::reply::Answer;

/// How many words a command takes, its own name (and its container's) included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arity {
    /// Exactly so many.
    Exactly(usize),
    /// So many or more.
    AtLeast(usize),
    /// From so many to so many.
    Between(usize, usize),
}

impl Arity {
    /// Whether a request of so many words fits.
    pub(super) const fn fits(self, words: usize) -> bool {
        match self {
            Self::Exactly(count) => words == count,
            Self::AtLeast(least) => words >= least,
            Self::Between(least, most) => least <= words && words <= most,
        }
    }

    /// As COMMAND shows it: negative where more are allowed.
    pub(super) fn shown(self) -> i64 {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        match self {
            Self::Exactly(count) => number(count),
            Self::AtLeast(least) | Self::Between(least, _) => -number(least),
        }
    }
}

/// A handler that answers from what is at hand.
pub(super) type Now = fn(&mut Client, &[Bytes]) -> Answer;
/// A handler that waits for other sentinels.
pub(super) type Wait = for<'a> fn(&'a mut Client, &'a [Bytes]) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// What a command does.
#[derive(Clone, Copy)]
pub(super) enum Run {
    /// Answers at once.
    Now(Now),
    /// Answers when other sentinels did.
    Wait(Wait),
    /// Has subcommands, and perhaps a meaning of its own.
    Container {
        /// Without a subcommand.
        bare: Option<Now>,
        /// The subcommands.
        rows: &'static [Row],
    },
}

/// What a command is about, by which clients and ACL tools sort commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Connection,
    Server,
    Pubsub,
    Sentinel,
}

impl Subject {
    /// The group in COMMAND DOCS.
    pub(super) const fn group(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Server => "server",
            Self::Pubsub => "pubsub",
            Self::Sentinel => "sentinel",
        }
    }

    /// The flags in COMMAND INFO.
    pub(super) const fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Connection => &["noscript", "loading", "stale", "fast"],
            Self::Server => &["loading", "stale"],
            Self::Pubsub => &["pubsub", "noscript", "loading", "stale"],
            Self::Sentinel => &["admin"],
        }
    }
}

/// One command.
pub(super) struct Row {
    /// Its name, lower case.
    pub(super) name: &'static str,
    /// Other names for the same.
    pub(super) aliases: &'static [&'static str],
    /// How many words it takes.
    pub(super) arity: Arity,
    /// Its arguments, for HELP.
    pub(super) arguments: &'static str,
    /// One line for HELP.
    pub(super) help: &'static str,
    /// Whether strangers may use it.
    pub(super) open: bool,
    /// Whether a subscribed RESP2 client may use it.
    pub(super) while_subscribed: bool,
    /// What it is about; subcommands are about what their container is about.
    pub(super) subject: Subject,
    /// What it does.
    pub(super) run: Run,
}

impl Row {
    /// A row for clients that have authenticated and are not subscribed.
    pub(super) const fn new(name: &'static str, arity: Arity, arguments: &'static str, help: &'static str, run: Run) -> Self {
        Self { name, aliases: &[], arity, arguments, help, open: false, while_subscribed: false, subject: Subject::Sentinel, run }
    }

    /// With other names.
    pub(super) const fn or(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    /// About something else than monitored masters.
    pub(super) const fn about(self, subject: Subject) -> Self {
        Self { subject, ..self }
    }

    /// For strangers, too.
    pub(super) const fn open(self) -> Self {
        Self { open: true, ..self }
    }

    /// For subscribed RESP2 clients, too.
    pub(super) const fn while_subscribed(self) -> Self {
        Self { while_subscribed: true, ..self }
    }

    /// All its names.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }
}

/// The row of that name, in any case.
pub(super) fn named(rows: &'static [Row], name: &[u8]) -> Option<&'static Row> {
    rows.iter().find(|row| row.names().any(|known| known.as_bytes().eq_ignore_ascii_case(name)))
}
